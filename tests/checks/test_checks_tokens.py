"""check_prepend_class_token and check_add_rows: every mistake named, every style accepted."""

import functools
import itertools
from operator import add

import einops
import pytest
import torch
import torch.nn.functional as F
from checks_common import is_accepted, is_named, mistake_id, mistakes, rejects_both, verdict

from vit_tutorial.checks import get
from vit_tutorial.checks.exercises.prepend_class_token import prepend
from vit_tutorial.checks.unlisted import NAMES

ALL = [*mistakes("check_prepend_class_token"), *mistakes("check_add_rows")]


def rows(fn):
    """A function of tokens and as many rows, as one that takes a longer table."""

    @functools.wraps(fn)
    def cut(tokens, table):
        return fn(tokens, table[:, : tokens.shape[1]])

    return cut


@pytest.mark.parametrize(("name", "mistake"), ALL, ids=mistake_id)
def test_each_mistake_is_rejected_and_named(name, mistake):
    is_named(name, mistake)


def join_with_repeat(tokens, class_token):
    return torch.concat((class_token.repeat(tokens.size(0), 1, 1), tokens), 1)


def join_with_hstack(tokens, class_token, check=True):
    return torch.hstack([einops.repeat(class_token, "1 1 d -> b 1 d", b=len(tokens)), tokens])


def join_with_new_empty(tokens, class_token):
    B, N, D = tokens.shape
    result = tokens.new_empty(B, N + 1, D)
    result[:, 0] = class_token[0, 0]
    result[:, 1:] = tokens
    return result


def join_with_pad(tokens, class_token):
    first = torch.zeros(tokens.shape[1] + 1, 1, dtype=tokens.dtype, device=tokens.device)
    first[0] = 1
    return F.pad(tokens, (0, 0, 1, 0)) + first * class_token


def join_with_loops(tokens, class_token):
    return torch.stack([torch.stack([class_token[0, 0], *image]) for image in tokens])


def join_with_vmap(tokens, class_token):
    return torch.vmap(lambda image: torch.cat([class_token[0], image]))(tokens)


def join_by_broadcasting(tokens, class_token):
    return torch.cat([class_token + tokens.new_zeros(len(tokens), 1, 1), tokens], dim=-2)


def add_with_torch_add(tokens, position):
    return torch.add(tokens, position)


def add_in_place_on_a_copy(tokens, position):
    x = tokens.clone()
    x += position
    return x


def add_with_loops(tokens, position):
    return torch.stack(
        [torch.stack([x + position[0, t] for t, x in enumerate(image)]) for image in tokens]
    )


def add_with_expand(tokens, position, scale=1):
    return position.expand_as(tokens) * scale + tokens


def add_with_vmap(tokens, position):
    return torch.vmap(torch.add, in_dims=(0, None))(tokens, position[0])


def add_with_einops(tokens, position):
    return tokens + einops.repeat(position, "1 t d -> b t d", b=len(tokens))


def add_with_a_product(tokens, position):
    eye = torch.eye(tokens.shape[2], dtype=tokens.dtype, device=tokens.device).expand(
        len(tokens), -1, -1
    )
    return torch.baddbmm(position, tokens, eye)


STYLES = {
    "check_prepend_class_token": [
        join_with_repeat,
        join_with_hstack,
        join_with_new_empty,
        join_with_pad,
        join_with_loops,
        join_with_vmap,
        join_by_broadcasting,
    ],
    "check_add_rows": [
        add_with_torch_add,
        add_in_place_on_a_copy,
        add_with_loops,
        add_with_expand,
        add_with_vmap,
        add_with_einops,
        add_with_a_product,
    ],
}
VARIANTS = [(name, fn) for name, styles in STYLES.items() for fn in styles]


@pytest.mark.parametrize(
    ("name", "fn"), VARIANTS, ids=lambda value: getattr(value, "__name__", value)
)
def test_each_style_is_accepted(name, fn):
    is_accepted(name, rows(fn) if name == "check_add_rows" else fn)


# A second mistake is made on what the first one gave, taken apart into tokens again.
FIRST = (
    "appended",
    "first_image_only",
    "fresh_token",
    "class_token_sized_by_batch",
    "added_not_joined",
    "class_token_detached",
)
SECOND = (
    "appended",
    "batch_flattened",
    "joined_along_batch",
    "joined_along_width",
    "one_for_each_patch",
    "last_patch_lost",
)


@pytest.mark.parametrize(
    ("one", "two"), [pair for pair in itertools.product(FIRST, SECOND) if pair[0] != pair[1]]
)
def test_two_mistakes_with_the_class_token(one, two):
    wrong = {mistake.name: mistake.buggy for mistake in get("check_prepend_class_token").mistakes}

    def both(tokens, class_token):
        half = wrong[one](tokens, class_token)
        if half.shape[1] == tokens.shape[1]:
            return wrong[two](half, class_token)
        return wrong[two](half[:, 1:], half[:1, :1])

    # The second function takes its token from image 0, where the first two are no mistake.
    named = two if one in ("first_image_only", "class_token_detached") else None
    rejects_both("check_prepend_class_token", both, named)


PLACES = (
    "shifted_by_one",
    "reversed_order",
    "one_position_for_all",
    "added_twice",
    "position_scaled",
    "position_detached",
)
SUMS = (
    "patches_only",
    "position_by_image",
    "first_image_only",
    "multiplied",
    "joined_not_added",
    "tokens_scaled",
)


@pytest.mark.parametrize(("one", "two"), list(itertools.product(PLACES, SUMS)))
def test_two_mistakes_with_the_position(one, two):
    wrong = {mistake.name: mistake.buggy for mistake in get("check_add_rows").mistakes}

    def both(tokens, position):
        spoiled = wrong[one](torch.zeros_like(position), position)
        return wrong[two](tokens, spoiled)

    named = None
    if two == "joined_not_added" or one == "position_detached":  # seen in the shape; in no value
        named = two
    elif (one, two) == ("one_position_for_all", "position_by_image"):
        named = one
    rejects_both("check_add_rows", rows(both), named)


@pytest.mark.parametrize(
    ("name", "fn", "difference"),
    [
        ("check_prepend_class_token", lambda x, c: prepend(x, c).roll(2, 1), "shifted 2 places"),
        (
            "check_prepend_class_token",
            lambda x, c: prepend(x, c).flip(2),
            "reverse order along axis 2",
        ),
        ("check_prepend_class_token", lambda x, c: prepend(x, c).mT, "Axes 1 and 2"),
        (
            "check_prepend_class_token",
            lambda x, c: prepend(x, c + 0.1 * c.cos()),
            "14 of 98 values are wrong, the first at [0, 0, 0]",
        ),
        ("check_add_rows", rows(lambda x, p: 2 * add(x, p)), "times 2"),
        ("check_add_rows", rows(lambda x, p: add(x, p) + 0.5), "plus 0.5"),
        ("check_add_rows", rows(lambda x, p: -add(x, p)), "wrong sign"),
        (
            "check_add_rows",
            rows(lambda x, p: add(x.double(), p.double()).to(torch.bfloat16).to(x.dtype)),
            "values are wrong",
        ),
    ],
)
def test_an_unknown_mistake_is_reported_by_its_difference(name, fn, difference):
    found = verdict(name, fn)
    assert not found.passed and found.mistake in (None, *NAMES), found.message
    assert difference in found.message


def test_adding_in_place_is_named_and_no_error():
    def in_place(tokens, position):
        tokens += position
        return tokens

    found = verdict("check_add_rows", rows(in_place))
    assert found.mistake == "changed_input" and "wrote into tokens" in found.message


@pytest.mark.parametrize(
    "strip", [lambda x: x.data, torch.detach, lambda x: torch.tensor(x.tolist(), dtype=x.dtype)]
)
def test_a_parameter_without_gradient_is_named(strip):
    assert (
        verdict("check_prepend_class_token", lambda x, c: prepend(x, strip(c))).mistake
        == "class_token_detached"
    )
    assert (
        verdict("check_add_rows", rows(lambda x, p: add(x, strip(p)))).mistake
        == "position_detached"
    )


def test_a_token_of_zeros_is_named_too():
    assert (
        verdict("check_prepend_class_token", lambda x, c: prepend(x, torch.zeros_like(c))).mistake
        == "fresh_token"
    )


def test_the_factor_is_reported():
    for fn, words in (
        (lambda x, p: x + 0.1 * p, "tokens + 0.1 × position"),
        (lambda x, p: 3 * x + p, "Your result is 3 × tokens + position.\n"),
    ):
        assert words in verdict("check_add_rows", rows(fn)).message
