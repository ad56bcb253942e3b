"""Mistakes that no exercise lists: each sentence where it is true, and none where it is not."""

import dataclasses

import pytest
import torch
from checks_common import judge, mistake_id
from corpus import entries

from vit_tutorial import checks, patchify
from vit_tutorial.checks.exercises.multi_head import steps
from vit_tutorial.checks.unlisted import NAMES


def bare(name: str):
    """The check called `name` without the mistakes of its own."""
    return dataclasses.replace(checks.get(name), mistakes=())


def verdict(name: str, fn, seed: int = 0) -> checks.Verdict:
    check = bare(name)
    cases = check.draw(seed)
    return check.judge(cases, check.observe(fn, cases))


def after(name: str, change):
    """The right function, and `change` on its result."""
    return lambda *inputs: change(checks.get(name).reference(*inputs))


def before(name: str, change):
    """The right function on inputs that change(*inputs) gives."""
    return lambda *inputs: checks.get(name).reference(*change(*inputs))


PATCH, BLOCK, RNN, ROWS = "check_patchify", "check_encoder_block", "check_rnn", "check_add_rows"
HEADS, READ, VIT = "check_multi_head", "check_read_by_content", "check_vit_forward"
STRIPS, SHUFFLE, TRUTH = "check_repair_strips", "check_shuffle_test", "check_influence"
RATE, FLOPS, SINES = "check_warmup_cosine", "check_count_flops", "check_sincos_2d"

# (check, what a function does, name, words of the sentence)
SHOWN = [
    (PATCH, after(PATCH, list), "list_returned", "a list of 2 Tensor"),
    (PATCH, after(PATCH, lambda x: (x, x)), "tuple_returned", "a tuple of Tensor, Tensor"),
    (RNN, after(RNN, lambda x: x.detach().cpu().numpy()), "array_returned", "numpy.ndarray"),
    (RNN, after(RNN, lambda x: x.sum().item()), "number_returned", "returns a float"),
    (RNN, after(RNN, lambda x: (y for y in x)), "loop_not_run", "generator"),
    (RNN, after(RNN, lambda x: x.sum), "function_returned", "builtin_function"),
    (SHUFFLE, after(SHUFFLE, lambda x: torch.full((2,), x)), "tensor_returned", "a number"),
    (RNN, after(RNN, lambda x: x.half().to(x.dtype)), "less_precise", "a few digits"),
    (RNN, after(RNN, lambda x: x.transpose(0, 1)), "axes_exchanged", "Axes 0 and 1"),
    (PATCH, after(PATCH, lambda x: x.flatten(1)), "only_the_shape", "only the shape"),
    (
        PATCH,
        after(PATCH, lambda x: x[:1]),
        "first_entry_alone",
        "only the first entry along axis 0",
    ),
    (RNN, after(RNN, lambda x: x[:, -1]), "last_entry_alone", "along axis 1, without that"),
    (RNN, after(RNN, lambda x: x[:, 1:]), "first_entry_missing", "along axis 1 is missing"),
    (PATCH, after(PATCH, lambda x: x[:, :-1]), "last_entry_missing", "along axis 1 is missing"),
    (RNN, after(RNN, lambda x: x[:, :1].expand_as(x)), "one_entry_for_all", "first entry along"),
    (
        RNN,
        after(RNN, lambda x: torch.cat([x[:, :1], x], 1)),
        "one_entry_too_many",
        "one entry too many",
    ),
    (RNN, after(RNN, lambda x: x[:, : max(1, x.shape[1] // 2)]), "some_entries_missing", "first"),
    (RNN, after(RNN, lambda x: x.flip(2)), "result_reversed", "reverse order along axis 2"),
    (RNN, after(RNN, lambda x: x.roll(-1, 2)), "result_shifted", "1 place back along axis 2"),
    (RNN, after(RNN, lambda x: x.repeat_interleave(2, 1)), "every_entry_twice", "axis 1"),
    (RNN, after(RNN, lambda x: torch.cat([x, x], 1)), "everything_twice", "twice along axis 1"),
    (PATCH, after(PATCH, lambda x: x.permute(1, 2, 0)), "axes_in_another_order", "(1, 2, 0)"),
    (
        PATCH,
        after(PATCH, lambda x: x.transpose(1, 2).reshape(x.shape)),
        "moved_then_reshaped",
        "a reshape forced them",
    ),
    (
        PATCH,
        after(PATCH, lambda x: x.reshape(len(x), x.shape[2], x.shape[1]).transpose(1, 2)),
        "reshaped_then_moved",
        "were reshaped first",
    ),
    (
        PATCH,
        after(PATCH, lambda x: x.sort(dim=1).values.flatten(1).roll(3, 1).view(x.shape)),
        "numbers_in_other_places",
        "but in other places",
    ),
    (RNN, after(RNN, lambda x: x.mean(1)), "averaged_along_an_axis", "mean of the right result"),
    (RNN, after(RNN, lambda x: x.sum(0)), "summed_along_an_axis", "sum of the right result"),
    (RNN, after(RNN, lambda x: x.amax(2)), "reduced_along_an_axis", "along axis 2"),
    (RNN, after(RNN, torch.mean), "one_number_of_all", "mean of all values"),
    (RNN, after(RNN, torch.neg), "result_negated", "wrong sign"),
    (RNN, after(RNN, torch.relu), "one_step_too_many", "as after a ReLU"),
    (RNN, after(RNN, lambda x: x.softmax(1)), "one_step_too_many", "a softmax along axis 1"),
    (RNN, after(RNN, lambda x: x.sort(dim=2).values), "result_sorted", "along axis 2"),
    (VIT, after(VIT, lambda x: x.argmax(1)), "index_of_the_largest", "index of the largest"),
    (RNN, after(RNN, torch.zeros_like), "all_zero", "is 0"),
    (RNN, after(RNN, lambda x: x * float("nan")), "not_a_number", "not a number"),
    (
        RNN,
        after(RNN, lambda x: torch.full_like(x, float(x.max()))),
        "all_the_same",
        "the same number",
    ),
    (
        ROWS,
        lambda x, p: torch.cat([x[:, :1].sin(), x[:, 1:] + p[:, 1 : x.shape[1]]], 1),
        "one_entry_wrong",
        "except the first entry along axis 1",
    ),
    (
        ROWS,
        lambda x, p: x + p[:, : x.shape[1]] * (1 + torch.arange(len(x)))[:, None, None].to(x),
        "one_entry_right",
        "Only the first entry along axis 0 is right",
    ),
    (TRUTH, after(TRUTH, lambda x: 3 * x.int()), "amounts_for_truth_values", "differ from 0"),
    (TRUTH, after(TRUTH, lambda x: x.sum()), "truth_values_counted", "number of True values"),
    (TRUTH, after(TRUTH, lambda x: ~x), "truth_values_inverted", "swapped"),
    (TRUTH, after(TRUTH, lambda x: torch.stack([x, x], 2)), "one_axis_left", "along axis 2"),
    (
        TRUTH,
        after(TRUTH, lambda x: x & (torch.arange(x.shape[1]) % 2 == 0)),
        "true_values_missing",
        "Some True values are missing",
    ),
    (
        TRUTH,
        after(TRUTH, lambda x: x | (torch.arange(x.shape[1]) % 2 == 0)),
        "true_values_too_many",
        "True where False is right",
    ),
    (RNN, after(RNN, lambda x: 3 * x), "times_a_factor", "times 3"),
    (RNN, after(RNN, lambda x: x * x.shape[1] ** 0.5), "times_a_factor", "the root of the size"),
    (RNN, after(RNN, lambda x: x + 0.25), "plus_a_number", "plus 0.25"),
    (
        FLOPS,
        lambda *sizes: checks.get(FLOPS).reference(*sizes) - sizes[2] * sizes[3],
        "count_off_by_a_product",
        "too small by dim * depth",
    ),
    (READ, before(READ, lambda k, m, s: (k, m, s / 2)), "input_scaled", "`strength` were half"),
    (READ, before(READ, lambda k, m, s: (k, m, torch.full_like(s, k.shape[1] ** 0.5))), None, ""),
    (
        HEADS,
        before(HEADS, lambda x, w, b, v, c, h: (x, w, 0 * b, v, c, h)),
        "input_not_used",
        "`b_",
    ),
    (RNN, before(RNN, lambda x, w, u, b: (x, w, u.T, b)), "input_transposed", "`u` had its axes"),
    (RNN, before(RNN, lambda x, w, u, b: (x.flip(1), w, u, b)), "input_moved", "`x` were reversed"),
    (RNN, before(RNN, lambda x, w, u, b: (x[:, :1].expand_as(x), w, u, b)), None, "first entry"),
    (
        STRIPS,
        before(STRIPS, lambda x, P, c: (x, P, x.shape[1] // c)),
        "size_for_a_number",
        "`columns`",
    ),
    (RATE, before(RATE, lambda s, t, w, p: (s, t, 5, p)), "number_fixed", "were always 5"),
    (SINES, before(SINES, lambda g, D: ((g[0] + 1, g[1]), D)), "number_one_off", "one larger"),
    (
        BLOCK,
        lambda x, n1, a, n2, m: (z := x + a(n2(x))) + m(n2(z)),
        "one_input_for_another",
        "`norm2`",
    ),
    (BLOCK, lambda x, n1, a, n2, m: (z := x + a(n1(x))) + m(z), "part_left_out", "`norm2` passed"),
    (
        "check_sincos_2d",
        before("check_sincos_2d", lambda grid, dim: (grid[::-1], dim)),
        "pair_mixed_up",
        "were swapped",
    ),
]


@pytest.mark.parametrize(("name", "fn", "mistake", "words"), SHOWN)
def test_what_is_seen_is_said(name, fn, mistake, words):
    for seed in (0, 7):
        found = verdict(name, fn, seed)
        assert not found.passed
        assert found.mistake in (NAMES if mistake is None else (mistake,)), found.message
        assert words in " ".join(found.message.split()), found.message


def test_every_name_is_one_of_the_list():
    assert {mistake for *_, mistake, _ in SHOWN if mistake} <= set(NAMES)
    assert len(set(NAMES)) == len(NAMES)


def test_no_check_uses_these_names_for_something_else():
    for name in checks.names():
        own = {mistake.name for mistake in checks.get(name).mistakes}
        assert not own & set(NAMES), name


def test_a_lost_gradient_is_told():
    def fn(x, w, u, b):
        return checks.get(RNN).reference(x, w.detach(), u, b)

    found = verdict(RNN, fn)
    assert found.mistake == "gradient_lost_on_the_way" and "reaches w." in found.message


def test_random_numbers_are_told():
    def fn(x, w, u, b):
        return checks.get(RNN).reference(x, w, u, b) + 0.1 * torch.randn(len(b))

    assert verdict(RNN, fn).mistake == "draws_random_numbers"


def test_an_experiment_may_draw_random_numbers():
    def fn(layer, x):
        return checks.get(TRUTH).reference(layer, x) ^ (torch.rand(x.shape[1]) > 0.5)

    assert verdict(TRUTH, fn).mistake is None


def test_writing_into_an_input_is_told():
    def fn(images, P):
        images -= images.mean(dim=(1, 2, 3), keepdim=True) * images.abs().amax()
        return patchify(images, P)

    assert verdict(PATCH, fn).mistake == "writes_into_its_input"


def test_a_remark_names_nothing():
    """Right with one head, wrong with more: a place to look, and no mistake's name."""

    def fn(x, w_qkv, b_qkv, w_out, b_out, h):
        return steps(x, w_qkv, b_qkv, w_out, b_out, h) * (1 + (h > 1) * x.sin().abs().amax())

    found = verdict(HEADS, fn)
    assert found.mistake is None
    assert "It is right where `num_heads` is 1, and wrong in all other cases." in " ".join(
        found.message.split()
    )
    assert "Asked for: " in found.message and "Hint" not in found.message


def test_a_pattern_must_hold_in_every_case():
    """Twice too large in some cases and three times in others is no factor."""

    def fn(x, w, u, b):
        return checks.get(RNN).reference(x, w, u, b) * (2 + x.shape[2] % 2 + 0.1 * len(b) ** 0.3)

    assert verdict(RNN, fn).mistake is None


def test_truth_values_are_too_few_for_an_explanation_by_other_inputs():
    """ "As if the tokens were zeros" would fit ten truth values by chance."""
    found = verdict("check_equivariant", lambda f, tokens: True)
    assert found.mistake == "true_values_too_many"


@pytest.mark.slow
@pytest.mark.parametrize("name", checks.names())
def test_right_functions_stay_right(name):
    for entry in entries(name, "right"):
        assert verdict(name, entry.fn).passed


VARIANTS = [
    (name, mistake)
    for name in checks.names()
    for mistake in checks.get(name).mistakes
    if mistake.variants
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "mistake"), VARIANTS, ids=mistake_id)
def test_each_variant_is_named_as_its_mistake(name, mistake):
    """So its sentence was read for it; with some seed, since a variant can need certain sizes."""
    for variant in mistake.variants:
        found = [judge(name, seed)(variant) for seed in (0, 7, 20_261)]
        assert not any(each.passed for each in found), found[0].message
        assert mistake.name in {each.mistake for each in found}, [each.mistake for each in found]
