"""The engine of the checks: what is observed, what is reported, and what no code leaves behind."""

import pydoc
import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from vit_tutorial import checks, patchify
from vit_tutorial.checks.engine import session
from vit_tutorial.checks.engine.compare import shape_difference, value_difference
from vit_tutorial.checks.engine.errors import ERRORS
from vit_tutorial.checks.engine.problem import listed
from vit_tutorial.checks.exercises.linear_to_conv import convolve


def failure(fn, check=checks.check_patchify) -> checks.CheckFailed:
    with pytest.raises(checks.CheckFailed) as caught:
        check(fn)
    return caught.value


def test_one_line_when_it_passes(capsys):
    checks.check_patchify(patchify)
    assert capsys.readouterr().out == "check_patchify: passed, 9 cases\n"


def test_failure_is_an_assertion_error_with_the_mistake_and_the_hint():
    error = failure(lambda images, P: patchify(images, P).mul(2))
    assert isinstance(error, AssertionError)
    assert error.mistake == "times_a_factor" and error.check == "check_patchify"
    assert "Every value is the right one times 2" in str(error)
    assert "Hint: " in str(error)


def test_of_what_a_function_prints_two_cases_are_shown(capsys):
    def talks(images, P):
        print(tuple(images.shape))
        assert images.shape[2] == images.shape[3]
        return patchify(images, P)

    failure(talks)
    first, failing = capsys.readouterr().out.split("What your function printed in the case")
    assert first == "(2, 3, 8, 8)\n" and failing == " that fails:\n(2, 3, 8, 20)\n\n"
    checks.check_patchify(lambda images, P: print("once") or patchify(images, P))
    assert capsys.readouterr().out == "once\ncheck_patchify: passed, 9 cases\n"


def not_written(images, P):
    raise NotImplementedError("Write this function.")


class ZMQInteractiveShell:
    """As ipykernel calls its own."""


@pytest.mark.parametrize("variable", ["", "autograde"])
def test_not_written_goes_on_for_learners_and_stops_for_graders(monkeypatch, capsys, variable):
    import IPython

    monkeypatch.setattr(IPython, "get_ipython", ZMQInteractiveShell)
    if variable:
        monkeypatch.setenv("NBGRADER_EXECUTION", variable)
        assert failure(not_written).mistake == "not_written"
        return
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    checks.check_patchify(not_written)
    assert "This function is not written yet" in capsys.readouterr().out
    assert failure(lambda images, P: None).mistake == "nothing_returned"  # all else stops


def test_not_written_stops_outside_of_notebooks():
    assert failure(not_written).mistake == "not_written"


def test_a_bar_is_shown_where_a_check_takes_long(monkeypatch, capsys):
    monkeypatch.setattr(session, "SECONDS", 0.0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    checks.check_patchify(patchify)
    captured = capsys.readouterr()
    assert "check_patchify: case" in captured.err and "of 9" in captured.err
    assert captured.out == "check_patchify: passed, 9 cases\n"


def test_friendly_eq_gets_nothing():
    class Friendly(torch.Tensor):
        def __eq__(self, other):
            return True

        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return True

    class Anything:
        shape, dtype = torch.Size([1]), torch.float32

        def __eq__(self, other):
            return True

    assert "must be a torch.Tensor" in str(
        failure(lambda images, P: patchify(images, P).as_subclass(Friendly))
    )
    assert "must be a torch.Tensor" in str(failure(lambda images, P: Anything()))


def test_error_in_the_learners_code_is_shown_with_their_line():
    def wrong(images, P):
        size = images.shape[0]
        return images.view(size, 7, 7)

    message = str(failure(wrong))
    assert "RuntimeError" in message and "return images.view(size, 7, 7)" in message


def test_the_learners_line_is_found_behind_a_lambda(tmp_path):
    """The check cell wraps the learner's function, which stands in another cell: another file."""
    path = tmp_path / "cell.py"
    path.write_text("def own(x, side):\n    half = x[:1]\n    return half.view(side, 7, 7)\n")
    cell = {}
    exec(compile(path.read_text(), str(path), "exec"), cell)
    message = " ".join(str(failure(lambda images, P: cell["own"](images, P))).split())
    assert "in line 3: return half.view(side, 7, 7)" in message
    assert "(there half is (1, 3, 8, 8), side = 4)" in message


SIDE_OF_THE_NOTEBOOK = 1000


def test_a_number_from_outside_the_function_is_shown():
    def own(images, P):
        return images.reshape(-1, SIDE_OF_THE_NOTEBOOK, images.shape[1])

    error = failure(own)
    assert error.mistake == "reads_a_name_from_outside"
    assert "from outside your function: SIDE_OF_THE_NOTEBOOK = 1000" in " ".join(str(error).split())


def test_the_inputs_of_the_failing_case_are_at_hand():
    def only_square(images, P):
        assert images.shape[2] == images.shape[3]
        return patchify(images, P)

    error = failure(only_square)
    assert error.inputs["images"].shape == (2, 3, 8, 20)
    with pytest.raises(AssertionError):
        only_square(*error.inputs.values())
    error.inputs["images"].zero_()  # a copy: the next call has its own
    assert failure(only_square).inputs["images"].abs().sum() > 0


@pytest.mark.parametrize("mistake", ERRORS, ids=lambda mistake: mistake.name)
def test_errors_that_any_function_can_stop_with(mistake):
    for check in (checks.check_patchify, checks.check_multi_head, checks.check_rnn):
        assert failure(mistake.buggy, check).mistake == mistake.name


@pytest.mark.parametrize(
    ("check", "fn", "text"),
    [
        (
            "check_patchify",
            lambda x, P: patchify(x, P).unflatten(2, (P * P, -1)).mT.flatten(2),
            "patch 0 reads 000 001 002 003 010 011, expected 000 100 200 001 101 201",
        ),
        (
            "check_patchify",
            lambda x, P: patchify(x, P).unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2),
            "patch 1 reads 040 140 240 041 141 241, expected 004 104 204 005 105 205",
        ),
        (
            "check_unpatchify",
            lambda x, P, size: x.reshape(len(x), -1, *size),
            "row 0 of channel 0 reads 0:0 0:1 0:2 0:3 0:4 0:5, expected 0:0 0:3 0:6 0:9 1:0 1:3",
        ),
        (
            "check_linear_to_conv",
            lambda linear, P, C: convolve(linear, P, C, lambda w: w.reshape(len(w), C, P, P)),
            "kernel 0 reads 0 1 2 3 4 5, expected 0 3 6 9 12 15",
        ),
    ],
)
def test_numbers_are_shown_by_their_addresses(check, fn, text):
    assert text in " ".join(str(failure(fn, checks.get(check))).split())


@pytest.mark.parametrize(
    ("check", "fn", "text"),
    [
        (
            "check_attention",
            lambda q, k, v: ((w := (q @ k.mT).softmax(-1)) @ v, w),
            "Call the tokens sun, cloud, tree, river and so on. In image 0, head 0, sun looks at",
        ),
        (
            "check_prepend_class_token",
            lambda x, c: torch.cat([c.expand(len(x), -1, -1), x.flip(0)], 1),
            "Image 0, token 1: yours is patch 0 of image 1, right is patch 0 of image 0.",
        ),
        (
            "check_add_rows",
            lambda x, p: x + p[:, 1 : x.shape[1] + 1] if p.shape[1] > x.shape[1] else x + p,
            "Image 0, token 0: yours is the token plus row 1 of the table, right is the token "
            "plus row 0 of the table.",
        ),
        (
            "check_repair_strips",
            lambda x, P, columns: x.clone(),
            "patch 0 of image 0 reads 0:0 0:1 0:2 0:3 0:4 0:5, expected 0:0 0:",
        ),
    ],
)
def test_tokens_are_shown_by_their_names(check, fn, text):
    assert text in " ".join(str(failure(fn, checks.get(check))).split())


def test_a_fact_is_told_in_words():
    bias = failure(
        lambda linear, P, C: convolve(linear, P, C, bias="none"), checks.check_linear_to_conv
    )
    assert "It is: none. Expected: there is one." in str(bias)
    assert listed(["x"]) == "x" and listed(["x", "y", "z"]) == "x, y and z"


def test_exit_is_no_way_out():
    assert "SystemExit" in str(failure(lambda images, P: sys.exit(0)))


def test_interrupt_passes_through():
    def interrupted(images, P):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checks.check_patchify(interrupted)


def test_no_trace_is_left():
    def messy(images, P):
        print("hello")
        torch.manual_seed(99), random.seed(99), np.random.seed(99)  # noqa: NPY002
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        torch.set_grad_enabled(False)
        torch.use_deterministic_algorithms(True)
        return patchify(images, P)

    torch.manual_seed(3), random.seed(3), np.random.seed(3)  # noqa: NPY002
    before = torch.random.get_rng_state(), random.getstate()
    before_numpy = np.random.get_state()[1].tolist()  # noqa: NPY002
    checks.check_patchify(messy)
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert before[1] == random.getstate()
    assert before_numpy == np.random.get_state()[1].tolist()  # noqa: NPY002
    assert torch.get_default_dtype() == torch.float32
    assert torch.zeros(1).device.type == "cpu"
    assert torch.is_grad_enabled()
    assert not torch.are_deterministic_algorithms_enabled()
    checks.check_patchify(patchify)


@pytest.fixture
def torch_26(monkeypatch):
    """torch.get_default_device() as torch 2.6 to 2.9 have it.

    It fails once torch.set_default_device(None) was called, and sees no `with torch.device(...)`.
    """
    calls = []
    set_default_device = torch.set_default_device

    def remembering(device):
        calls.append(device)
        set_default_device(device)

    def get_default_device():
        if not calls:
            return torch.device("cpu")
        return calls[-1].device  # AttributeError: 'NoneType' object has no attribute 'device'

    monkeypatch.setattr(torch, "set_default_device", remembering)
    monkeypatch.setattr(torch, "get_default_device", get_default_device)
    yield calls
    set_default_device(None)


def test_a_check_runs_again_on_torch_26(torch_26):
    def changes_the_device(images, P):
        torch.set_default_device("meta")
        return patchify(images, P)

    for _ in range(3):
        checks.check_patchify(patchify)
    assert torch_26 == []  # what nobody changed is not put back
    for _ in range(3):
        checks.check_patchify(changes_the_device)
        assert torch.empty(0).device.type == "cpu"
    assert torch_26[-1] is None
    checks.check_patchify(patchify)


def test_a_device_context_around_a_check_ends_where_it_should():
    with torch.device("meta"):
        checks.check_patchify(patchify)
        assert torch.empty(0).device.type == "meta"
    assert torch.empty(0).device.type == "cpu"


@pytest.mark.parametrize("check", ["check_patchify", "check_sincos_2d", "check_evaluate"])
def test_checks_work_where_the_notebook_has_another_default_device(check):
    known = checks.get(check)
    torch.set_default_device("meta")
    try:
        known(known.reference)
        for mistake in known.mistakes[:3]:
            assert failure(mistake.buggy, known).mistake == mistake.name
        assert torch.empty(0).device.type == "meta"
    finally:
        torch.set_default_device(None)
    assert torch.empty(0).device.type == "cpu"


@pytest.mark.parametrize("warn_only", [True, False])
def test_deterministic_algorithms_stay_as_strict_as_they_were(warn_only):
    def messy(images, P):
        torch.use_deterministic_algorithms(False)
        return patchify(images, P)

    torch.use_deterministic_algorithms(True, warn_only=warn_only)
    try:
        checks.check_patchify(messy)
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled() == warn_only
    finally:
        torch.use_deterministic_algorithms(False)


def test_a_learners_own_settings_are_put_back_too():
    torch.set_default_dtype(torch.float64)
    try:
        checks.check_patchify(
            patchify
        )  # the check itself works in float32 whatever the notebook has set
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    with torch.no_grad():
        checks.check_patchify(patchify)
        checks.check_rnn(checks.get("check_rnn").reference)  # asks for gradients
        assert not torch.is_grad_enabled()


def test_inputs_are_fresh_for_each_case():
    kept = []

    def spoils_the_first(images, P):
        result = patchify(images, P).clone()
        kept.append(images)
        kept[0].mul_(0)  # the first call's own input; from the second call on, an old one
        return result

    error = failure(spoils_the_first)
    assert error.mistake == "changed_input"
    assert "1 of 9 cases is wrong" in str(error)


def test_a_check_refuses_what_cannot_be_called():
    with pytest.raises(TypeError, match="check_patchify takes your function itself, got Tensor"):
        checks.check_patchify(torch.zeros(1))


def test_the_learners_exception_is_not_shown_a_second_time():
    error = failure(lambda images, P: images.no_such_method())
    assert error.__suppress_context__ and "no_such_method" in str(error)


def test_help_gives_the_signature_once():
    check = checks.check_attention
    text = pydoc.render_doc(check, renderer=pydoc.plaintext)
    assert check.__doc__.count(check.signature) == text.count(check.signature) == 1
    assert "check_attention" in text.splitlines()[2]
    assert repr(check) in text and "check_attention(my_function)" in repr(check)


def test_every_check_is_found_under_its_name():
    for name in checks.names():
        check = checks.get(name)
        assert check.name == check.__name__ == name
        assert getattr(checks, name) is check and name in dir(checks) and name in checks.__all__
    from vit_tutorial.checks import check_patchify

    assert check_patchify is checks.get("check_patchify")
    with pytest.raises(AttributeError, match="no attribute 'check_patchfy'"):
        _ = checks.check_patchfy


def test_one_exercise_is_one_file():
    folder = Path(checks.__file__).parent / "exercises"
    files = {path.stem for path in folder.glob("*.py")} - {
        "__init__",
        "added_positions",
        "general",
        "inputs",
    }
    assert files == {name.removeprefix("check_") for name in checks.names()}


def test_no_two_mistakes_of_a_check_share_a_name():
    for name in checks.names():
        known = [mistake.name for mistake in checks.get(name).mistakes]
        assert len(known) == len(set(known)), name


@pytest.mark.parametrize(
    ("spoil", "difference"),
    [
        (lambda x: x.flip(0), "reverse order along axis 0"),
        (lambda x: x.roll(2, 0), "shifted by 2 of 5 along axis 0"),
        (lambda x: -x, "wrong sign"),
        (lambda x: x * 3, "times 3"),
        (lambda x: x + 0.5, "plus 0.5"),
        (lambda x: x[torch.tensor([2, 0, 1, 4, 3])], "moved along axis 0 only"),
        (lambda x: x.flatten()[torch.arange(34, -1, -1).roll(3)].view(5, 7), "a permutation"),
        (lambda x: x.clone().index_fill_(1, torch.tensor([3]), float("nan")), "not finite"),
    ],
)
def test_telling_difference_of_values(spoil, difference):
    expected = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    assert difference in value_difference(spoil(expected), expected)


def test_the_first_wrong_index_is_reported():
    expected = torch.arange(6.0).reshape(2, 3)
    actual = expected.clone()
    actual[1, 1] = 9
    assert "1 of 6 values are wrong, the first at [1, 1]: 9, expected 4" in value_difference(
        actual, expected
    )


def test_telling_difference_of_shapes():
    expected = torch.randn(2, 3, 4)
    assert "axes 1 and 2 exchanged" in shape_difference(expected.mT, expected)
    assert "only the shape is not" in shape_difference(expected.reshape(6, 4), expected)
    assert "in another order" in shape_difference(expected.permute(2, 0, 1).reshape(4, 6), expected)
    square = torch.randn(3, 3)
    assert "axes 0 and 1 exchanged" in value_difference(square.T, square)


def test_unknown_check_gets_the_nearest_name():
    with pytest.raises(ValueError, match="did you mean 'check_patchify'"):
        checks.get("check_patchfy")


@pytest.mark.parametrize(
    ("guess", "actual", "line"),
    [
        (None, 49, "answer: 49"),
        (49, 49, "your guess 49: right"),
        (36, 49, "your guess 36; it is 49"),
        (3.0, 3.1, "your guess 3: right (it is 3.1)"),
        (2.0, 3.1, "your guess 2; it is 3.1"),
        ("Both", "both", "your guess Both: right"),
        ("It depends.", "it depends", "your guess It depends.: right"),
        ("neither", "it depends", "your guess neither; the answer: it depends"),
        ("1d", "1-D", "your guess 1d; the answer: 1-D"),
        ("1 d", "1-D", "your guess 1 d: right"),
        (True, "yes", "your guess True: right"),
        ((4, 17, 64), torch.Size([4, 17, 64]), "your guess (4, 17, 64): right"),
        ([4, None], (4, 17), "your guess (4, None); it is (4, 17)"),
        (True, 1, "your guess True; it is 1"),
        ("True", True, "your guess True: right"),
        ("0, 2", (0, 2), "your guess (0, 2): right"),
        ("maybe", True, "your guess maybe; it is True"),
        (10**400, 0.5, f"your guess {10**400:,}; it is 0.5"),
        (0.5, torch.tensor(0.5), "your guess 0.5: right"),
        ((None, None), (1, 2), "answer: (1, 2)"),
        ("", 3, "answer: 3"),
        (1, True, "your guess 1: right (it is True)"),
        ("no", False, "your guess False: right"),
        (2, True, "your guess 2; it is True"),
        ("50%", 0.5, "your guess 50%: right"),
        ("50 %", 50.0, "your guess 50 %: right"),
        ("about 49 patches", 49, "your guess 49: right"),
        ("1,000", 1000, "your guess 1000: right"),
        ("2**10", 1024, "your guess 1024: right"),
        ("3/4", 0.75, "your guess 0.75: right"),
        ("0,5", 0.5, "your guess 0.5: right"),
        ("5 to 6", 7.0, "your guess 5 to 6; it is 7"),
        ("1e400", 0.5, "your guess inf; it is 0.5"),
        (float("nan"), 0.5, "your guess nan; it is 0.5"),
        ("4, ?", (4, 16), "your guess (4, ?); it is (4, 16)"),
    ],
)
def test_guess_is_answered(guess, actual, line, capsys):
    assert checks.check_guess(guess, actual) is None
    assert capsys.readouterr().out == line + "\n"


POWER = 10**0.5


@pytest.mark.parametrize(
    ("guess", "actual", "room", "line"),
    [
        # a near miss says how near is near enough, a far one does not
        (0.7, 0.78, {"tolerance": 0.05}, "; it is 0.78 (within 0.05 of it counts as right)"),
        (0.7, 0.78, {"tolerance": 0.1}, "; it is 0.78 (within 10 % of it counts as right)"),
        (3.5, 3.1, {"tolerance": 0.1}, "; it is 3.1 (within 10 % of it counts as right)"),
        (35, 3.1, {"tolerance": 0.1}, "; it is 3.1"),
        (50, 49, {}, "; it is 49"),
        # the announced spread, to its very edge
        (3.3, 3.0, {"tolerance": 0.1}, ": right (it is 3)"),
        (0.3, 0.333, {"tolerance": 0.1}, ": right (it is 0.333)"),
        # shares: 0.05 to either side, unless nothing off is right, and less near 0
        (0.15, 0.199, {"tolerance": 0.1}, ": right (it is 0.199)"),
        (0.15, 0.199, {"tolerance": 0}, "; it is 0.199"),
        (0.05, 7e-14, {"tolerance": 0.1}, "; it is 7e-14"),
        (1.01, 0.98, {"tolerance": 0.01}, "; it is 0.98 (within 1 % of it counts as right)"),
        # the scale
        (
            78,
            0.78,
            {},
            "; it is 0.78 (right in percent, but a number from 0 to 1 was asked for: 78 % is 0.78)",
        ),
        (60, 0.78, {}, "; it is 0.78 (a number from 0 to 1 was asked for: 60 % is 0.6)"),
        (3, 0.78, {}, "; it is 0.78"),
        (0.78, 78.0, {}, "; it is 78 (right as a share: 0.78 is 78 %)"),
        # the right power of ten
        (1e11, 3.2e10, {"factor": POWER}, ": right (it is 3.2e+10)"),
        (
            3.3e9,
            3.2e10,
            {"factor": POWER},
            "; it is 3.2e+10 (up to 3.16 times too large or too small counts as right)",
        ),
        (3.2e8, 3.2e10, {"factor": POWER}, "; it is 3.2e+10"),
        (0, 3.2e10, {"factor": POWER}, "; it is 3.2e+10"),
        # what reads the same is the same
        (0.123, 0.12345, {"tolerance": 0}, ": right"),
    ],
)
def test_how_near_a_guess_must_be(guess, actual, room, line, capsys):
    checks.check_guess(guess, actual, **room)
    out = capsys.readouterr().out
    assert out.startswith("your guess ") and out.endswith(line + "\n"), out


@pytest.mark.parametrize(
    ("guess", "lines"),
    [
        ([True, False], "a  your guess True: right\nb  your guess False: right\n"),
        ("True, False", "a  your guess True: right\nb  your guess False: right\n"),
        ({"A": "yes"}, "a  your guess True: right\nb  answer: False\n"),
        (None, "a  answer: True\nb  answer: False\n"),
        (
            True,
            "a  answer: True\nb  answer: False\n(your guess True is not one for each of these: "
            "write one value for a and b)\n",
        ),
        (
            {"x": True},
            "a  answer: True\nb  answer: False\n(no such key: x; the keys are a and b)\n",
        ),
    ],
)
def test_guesses_for_a_dict(guess, lines, capsys):
    checks.check_guess(guess, {"a": True, "b": False})
    assert capsys.readouterr().out == lines


def test_guess_with_keys(capsys):
    checks.check_guess({"tokens": 16, "more": None}, {"tokens": 16, "more": True})
    assert capsys.readouterr().out == "tokens  your guess 16: right\nmore    answer: True\n"
