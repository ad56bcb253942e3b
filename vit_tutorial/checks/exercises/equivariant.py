"""check_equivariant: find out by experiment whether a part of a model sees the order of tokens."""

import torch

from ..engine.case import Case, choice, numbers
from ..engine.check import Check
from ..engine.mistake import Evidence, Mistake
from ..engine.observe import TENSORS, type_name
from .general import general_mistakes
from .inputs import random_module


def equivariant(f, tokens: torch.Tensor) -> bool:
    """A part (B, T, D) -> (B, T, D), tokens (B, T, D) -> f(shuffled) is f(tokens), shuffled."""
    order = torch.randperm(tokens.shape[1])
    return torch.allclose(f(tokens[:, order]), f(tokens)[:, order], rtol=1e-4, atol=1e-5)


def record_truth(value, inputs) -> tuple[dict, dict]:
    """One truth value: Python's, NumPy's, or a bool tensor with one value."""
    facts = {"types": {"output": type_name(value)}, "form": "a truth value"}
    if type(value) in TENSORS and value.numel() == 1 and value.dtype == torch.bool:
        return {"output": value.detach().reshape(())}, facts
    if type(value) is bool or type(value).__module__ == "numpy" and str(value) in ("True", "False"):
        return {"output": torch.tensor(bool(value))}, facts
    return {}, facts


def equivariant_cases(generator: torch.Generator) -> list[Case]:
    """Parts that treat tokens alike, parts that do not, and parts that a tidy shuffle misses."""

    def case(about, kind, B, T, D, dtype=torch.float32, **settings):
        f = random_module(kind, generator, dtype, **settings)
        return Case(about, {"f": f, "tokens": numbers(generator, B, T, D, dtype=dtype)})

    def across(about, way, B, T, D):
        return case(about, "AcrossTokens", B, T, D, tokens=T, dim=D, way=way)

    T, D = choice(generator, 6, 7, 8), 12
    # Tokens at opposite ends: of an even number, so that half a turn of the ring moves both alike.
    return [
        case("a LayerNorm", "LayerNorm", 2, T, D, normalized_shape=D),
        across("a table with one row for each place", "row", 2, T, D),
        case("an MLP", "MLP", 2, T, D, dim=D, mlp_dim=24),
        case("attention over 50 tokens", "MultiHeadSelfAttention", 2, 50, D, dim=D, num_heads=3),
        across("each token plus the mean of all", "mean", 2, T, D),
        across("a table with one row for each image", "image", 3, T, D),
        across("each token plus the one before it, in a ring", "ring", 2, T, D),
        across("each token plus the one at the other end", "mirror", 2, T + T % 2, D),
        across("a table that is the same in its first two and last two places", "ends", 2, T, D),
        across("a faint table with one row for each place", "faint", 2, T, D),
        across("one image, a table with one row for each place", "row", 1, T, D),
        case("float64", "LayerNorm", 2, T, D, torch.float64, normalized_shape=D),
    ]


def said(e: Evidence) -> list[bool | None]:
    """What the function said of each part; None where no truth value came back."""
    return [None if a.output is None else bool(a.output) for a in e.with_values()]


def with_order(make_order):
    """The experiment with one fixed shuffle, made from the number of tokens."""

    def experiment(f, tokens):
        order = make_order(tokens.shape[1])
        return torch.allclose(f(tokens[:, order]), f(tokens)[:, order], rtol=1e-4, atol=1e-5)

    return experiment


def along(axis):
    def experiment(f, tokens):
        order = torch.randperm(tokens.shape[axis])
        mine, right = f(tokens.index_select(axis, order)), f(tokens).index_select(axis, order)
        return torch.allclose(mine, right, rtol=1e-4, atol=1e-5)

    return experiment


def exact(f, tokens):
    order = torch.randperm(tokens.shape[1])
    return torch.equal(f(tokens[:, order]), f(tokens)[:, order])


def swapped_pair(f, tokens, one=0, two=1):
    order = torch.arange(tokens.shape[1])
    order[[one, two]] = order[[two, one]]
    return tried(f, tokens, order)


def tried(f, tokens, order, same=None):
    """The right experiment with another order, or with another comparison same(a, b) -> bool."""
    one, two = f(tokens[:, order]), f(tokens)[:, order]
    return bool(same(one, two)) if same else torch.allclose(one, two, rtol=1e-4, atol=1e-5)


def judged_by(same):
    return lambda f, tokens: tried(f, tokens, torch.randperm(tokens.shape[1]), same)


def first_agreement(f, tokens):
    """True as soon as one of the rings agrees."""
    turns = (torch.arange(tokens.shape[1]).roll(k) for k in range(1, tokens.shape[1]))
    return any(tried(f, tokens, order) for order in turns)


def shuffled_among_images(f, tokens):
    B, T, D = tokens.shape
    order = torch.randperm(B * T)
    mix = lambda x: x.reshape(B * T, D)[order].reshape(B, T, D)
    return torch.allclose(f(mix(tokens)), mix(f(tokens)), rtol=1e-4, atol=1e-5)


MISTAKES = (
    Mistake(
        name="always_false",
        explanation=(
            "Your function returns False for every part, even for a LayerNorm, which processes "
            "each token on its own. Either the two results that it compares have their tokens in "
            "different orders, or it never returns True."
        ),
        hint=(
            "Token 0 of the input is somewhere else after the shuffle. Where do you find it "
            "in f(shuffled), and where in f(tokens)?"
        ),
        # f(shuffled) against f(tokens)
        buggy=lambda f, tokens: False,
        detect=lambda e: all(answer is False for answer in said(e)),
    ),
    Mistake(
        name="always_true",
        explanation=(
            "Your function returns True for every part, even for one that adds a different row at "
            "each place. Either the tokens are not shuffled before f sees them, or it compares a "
            "result with itself."
        ),
        hint="Which of your two calls of f gets the shuffled tokens?",
        # f(tokens)[:, order] against itself
        buggy=lambda f, tokens: True,
        detect=lambda e: all(answer is True for answer in said(e)),
    ),
    Mistake(
        name="inverted",
        explanation="Every answer is the wrong way round: it is True for parts that see order.",
        hint="Should the answer be True when the two results are equal, or when they differ?",
        buggy=lambda f, tokens: not equivariant(f, tokens),
    ),
    Mistake(
        name="images_shuffled",
        explanation=(
            "You shuffle the images of the batch, not the tokens. That detects only a part that "
            "treats images differently."
        ),
        hint="Which axis of (B, T, D) counts the tokens?",
        # tokens[order] instead of tokens[:, order]
        buggy=along(0),
    ),
    Mistake(
        name="entries_shuffled",
        explanation="You shuffle the entries inside each token, not the tokens.",
        hint="Which axis of (B, T, D) counts the tokens?",
        buggy=along(2),
    ),
    Mistake(
        name="only_rolled",
        explanation=(
            "Your shuffle moves all tokens by the same number of places. It misses a part that "
            "looks at the previous token, in a ring, because neighbours stay neighbours."
        ),
        hint="Which shuffle has no pattern that a part could share?",
        buggy=with_order(lambda T: torch.arange(T).roll(1)),
        variants=(with_order(lambda T: torch.arange(T).roll(-1)),),
    ),
    Mistake(
        name="only_reversed",
        explanation=(
            "Your shuffle reverses the tokens. It misses a part that pairs each token with the "
            "one at the other end, because both move together."
        ),
        hint="Which shuffle has no pattern that a part could share?",
        buggy=with_order(lambda T: torch.arange(T).flip(0)),
    ),
    Mistake(
        name="compared_exactly",
        explanation=(
            "Your function returns False for attention because it compares every bit. Adding the "
            "same numbers in another order changes the last digits."
        ),
        hint="Which comparison of tensors allows for rounding?",
        # torch.equal, or == and all()
        buggy=exact,
    ),
    Mistake(
        name="two_tokens_only",
        explanation=(
            "Only two neighbouring tokens change places in your experiment. A part that treats "
            "these two alike and others not stays undiscovered."
        ),
        hint="Which orders could a part tell apart that an exchange of two tokens does not try?",
        buggy=swapped_pair,
        variants=(lambda f, tokens: swapped_pair(f, tokens, -2, -1),),
    ),
    Mistake(
        name="compared_too_coarsely",
        explanation="Your comparison calls things equal that differ a little.",
        hint="How large is rounding in float32, and how large may a real difference be? Which "
        "tolerance lies between them?",
        # atol=0.5, or a mean of the differences
        buggy=judged_by(lambda a, b: torch.allclose(a, b, atol=0.5)),
        variants=tuple(
            judged_by(lambda a, b, atol=atol: torch.allclose(a, b, atol=atol))
            for atol in (0.1, 0.2, 0.3, 1.0)
        ),
    ),
    Mistake(
        name="one_equal_value_is_enough",
        explanation=(
            "Your function says True as soon as one of the values agrees. All of them have to."
        ),
        hint="What do any() and all() ask for?",
        buggy=judged_by(lambda a, b: torch.isclose(a, b, atol=1e-4).any()),
    ),
    Mistake(
        name="one_agreement_is_enough",
        explanation=(
            "Your function returns True as soon as one of its orders agrees. A single order that "
            "does not agree decides."
        ),
        hint="Which answer can the first try give for sure: True or False?",
        buggy=first_agreement,
    ),
    Mistake(
        name="shuffled_among_images",
        explanation=(
            "Your shuffle moves tokens from one image into another: parts in which the tokens of "
            "an image read each other then look as if they saw the order."
        ),
        hint="Should the tokens of an image stay in it? Along which axis do you shuffle?",
        buggy=shuffled_among_images,
    ),
)


check_equivariant = Check(
    name="check_equivariant",
    signature=(
        "fn(f, tokens (B, T, D)) -> True if f, (B, T, D) -> (B, T, D), gives the shuffled result "
        "for shuffled tokens, else False"
    ),
    cases=equivariant_cases,
    reference=equivariant,
    mistakes=MISTAKES
    + general_mistakes(
        equivariant, without=("detached", "wrong_device", "wrong_dtype", "changed_input")
    ),
    record=record_truth,
)
