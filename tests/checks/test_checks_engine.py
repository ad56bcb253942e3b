"""The machinery of the checks: what is observed, what is told, and what no learner's code can leave behind."""

import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from vit_tutorial import checks, patchify
from vit_tutorial.checks.catalogue import get
from vit_tutorial.checks.compare import shape_difference, value_difference


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
    assert error.mistake is None and error.check == "check_patchify"
    assert "Every value is the expected one times 2" in str(error)
    assert "Asked for" in str(error)


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
    before = torch.random.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    checks.check_patchify(messy)
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert before[1] == random.getstate()
    assert before[2] == np.random.get_state()[1].tolist()  # noqa: NPY002
    assert torch.get_default_dtype() == torch.float32
    assert torch.zeros(1).device.type == "cpu"
    assert torch.is_grad_enabled()
    assert not torch.are_deterministic_algorithms_enabled()
    checks.check_patchify(patchify)


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
        checks.check_add_position(lambda tokens, position: tokens + position)  # asks for gradients
        assert not torch.is_grad_enabled()


def test_inputs_are_fresh_for_each_case():
    def keeps(images, P, seen=[]):  # noqa: B006
        result = patchify(images, P)
        seen.append(images)
        seen[0].mul_(0)  # spoils the input of an earlier call, not of this one
        return result if len(seen) > 1 else result.clone()

    assert failure(keeps).mistake in ("changed_input", None)


def test_not_a_function():
    with pytest.raises(TypeError, match="takes your function itself, got Tensor"):
        checks.check_patchify(torch.zeros(1))


@pytest.mark.parametrize(
    ("spoil", "told"),
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
def test_telling_difference_of_values(spoil, told):
    wanted = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    assert told in value_difference(spoil(wanted), wanted)


def test_first_wrong_index_is_told():
    wanted = torch.arange(6.0).reshape(2, 3)
    seen = wanted.clone()
    seen[1, 1] = 9
    assert "1 of 6 values are wrong, the first at [1, 1]: 9, expected 4" in value_difference(
        seen, wanted
    )


def test_telling_difference_of_shapes():
    wanted = torch.randn(2, 3, 4)
    assert "axes 1 and 2 exchanged" in shape_difference(wanted.mT, wanted)
    assert "only the shape is not" in shape_difference(wanted.reshape(6, 4), wanted)
    assert "in another order" in shape_difference(wanted.permute(2, 0, 1).reshape(4, 6), wanted)
    square = torch.randn(3, 3)
    assert "axes 0 and 1 exchanged" in value_difference(square.T, square)


def test_observed_in_one_process_judged_in_another(tmp_path):
    checks.write_cases("check_patchify", 41, tmp_path / "cases")
    code = (
        "import sys; from vit_tutorial import checks, patchify\n"
        "checks.observe_file('check_patchify', lambda i, p: patchify(i, p).flip(1), sys.argv[1], sys.argv[2])"
    )
    subprocess.run(
        [sys.executable, "-c", code, tmp_path / "cases", tmp_path / "result"], check=True
    )
    verdict = checks.judge_file("check_patchify", 41, tmp_path / "result")
    assert not verdict.passed and "reverse order along axis 1" in verdict.message
    checks.observe_file("check_patchify", patchify, tmp_path / "cases", tmp_path / "result")
    assert checks.judge_file("check_patchify", 41, tmp_path / "result").passed
    # Numbers that are right for other cases are wrong for these.
    assert not checks.judge_file("check_patchify", 42, tmp_path / "result").passed


@pytest.mark.parametrize("content", [None, b"", b"not safetensors", b"\xff" * 5000])
def test_a_bad_result_file_is_a_failed_check(tmp_path, content):
    path = tmp_path / "result"
    if content is not None:
        path.write_bytes(content)
    verdict = checks.judge_file("check_patchify", 1, path)
    assert not verdict.passed and "could not be read" in verdict.message


def test_forged_facts_are_no_right_answer(tmp_path):
    from vit_tutorial.checks.files import save

    rows = [
        {"tensors": [], "facts": {"values": None, "error": None, "changed": [], "types": 7}}
        for _ in get("check_patchify").draw(1)
    ]
    save(tmp_path / "result", {}, rows)
    verdict = checks.judge_file("check_patchify", 1, tmp_path / "result")
    assert not verdict.passed


def test_unknown_check():
    with pytest.raises(ValueError, match="did you mean 'check_patchify'"):
        get("check_patchfy")


@pytest.mark.parametrize(
    ("guess", "seen", "line"),
    [
        (None, 49, "no guess recorded; it is 49"),
        (49, 49, "your guess 49: right"),
        (36, 49, "your guess 36; it is 49"),
        (3.0, 3.1, "your guess 3: right (it is 3.1)"),
        (2.0, 3.1, "your guess 2; it is 3.1"),
        ("Both", "both", "your guess Both: right (it is both)"),
        ((4, 17, 64), torch.Size([4, 17, 64]), "your guess (4, 17, 64): right"),
        ([4, None], (4, 17), "your guess (4, None); it is (4, 17)"),
        (True, 1, "your guess True; it is 1"),
        ("True", True, "your guess True: right"),
        ("0, 2", (0, 2), "your guess (0, 2): right"),
        ("maybe", True, "your guess maybe; it is True"),
        (10**400, 0.5, f"your guess {10**400:,}; it is 0.5"),
        (0.5, torch.tensor(0.5), "your guess 0.5: right"),
        ((None, None), (1, 2), "no guess recorded; it is (1, 2)"),
    ],
)
def test_guess_is_answered(guess, seen, line, capsys):
    assert checks.check_guess(guess, seen) is None
    assert capsys.readouterr().out == line + "\n"


def test_guess_with_keys(capsys):
    checks.check_guess({"tokens": 16, "more": None}, {"tokens": 16, "more": True})
    assert (
        capsys.readouterr().out
        == "tokens  your guess 16: right\nmore    no guess recorded; it is True\n"
    )
