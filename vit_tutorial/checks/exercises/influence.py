"""check_influence: an experiment that finds which token a layer reads for which token."""

import torch

from ..engine.case import Case, choice, numbers
from ..engine.check import Check
from ..engine.mistake import Mistake
from ..engine.modules import READS
from .general import general_mistakes
from .inputs import random_module


def influence(layer, x):
    """(B, T, D) -> (B, T, B, T) of truth values: token [b, t] changes when [c, s] is changed."""
    return tried(layer, x, lambda token: token + disturbance(token))


def tried(layer, x, change):
    """As `influence`, with the change of one token (D,) as a function."""
    B, T, _ = x.shape
    before, found = layer(x), torch.zeros(B, T, B, T, dtype=torch.bool, device=x.device)
    for c in range(B):
        for s in range(T):
            other = x.clone()
            other[c, s] = change(x[c, s])
            found[:, :, c, s] = differs(layer(other), before)
    return found


def disturbance(token):
    """Noise from a seed of its own, so that every call of a case meets the same."""
    generator = torch.Generator().manual_seed(1)
    return numbers(generator, *token.shape, dtype=token.dtype).to(token.device)


def differs(one, other):
    return (one - other).abs().amax(dim=-1) > 1e-6


def influence_cases(generator: torch.Generator) -> list[Case]:
    """Parts of a block, and layers that read a pattern, one for each name in READS."""

    def case(about, B, T, D, kind, **settings):
        inputs = {
            "layer": random_module(kind, generator, torch.float64, **settings),
            "x": numbers(generator, B, T, D, dtype=torch.float64),
        }
        return Case(about, inputs)

    T, D = choice(generator, 4, 5), choice(generator, 6, 8)
    attention = dict(kind="MultiHeadSelfAttention", dim=D, num_heads=2)
    return [
        case("LayerNorm", 2, T, D, "LayerNorm", normalized_shape=D),
        case("an MLP", 2, T, D, "MLP", dim=D, mlp_dim=2 * D),
        case("attention", 3, T, D, **attention),
        case("attention, as many images as tokens", 4, 4, D, **attention),
        case("a part that changes nothing", 2, T, D, "Identity"),
        case("attention, one image", 1, T, D, **attention),
        case("attention that changes two entries of a token", 2, T, D, "AddsToTwo", dim=D),
        *(case(f"reads {how}", 3, T, D, "Reader", how=how, dim=D) for how in READS),
    ]


def each_token_in_all_images(layer, x):
    B, T, D = x.shape
    before, found = layer(x), torch.zeros(B, T, B, T, dtype=torch.bool)
    for s in range(T):
        other = x.clone()
        other[:, s] += disturbance(x[0, 0])
        found[:, :, :, s] = differs(layer(other), before)[:, :, None]
    return found


def each_image_with_all_tokens(layer, x):
    B, T, D = x.shape
    before, found = layer(x), torch.zeros(B, T, B, T, dtype=torch.bool)
    for c in range(B):
        other = x.clone()
        other[c] += disturbance(x[0])
        found[:, :, c] = differs(layer(other), before)[:, :, None]
    return found


def within_the_image_only(layer, x):
    found, B = influence(layer, x), len(x)
    return found & torch.eye(B, dtype=torch.bool)[:, None, :, None]


def changes_pile_up(layer, x):
    B, T, _ = x.shape
    before, other = layer(x), x.clone()
    found = torch.zeros(B, T, B, T, dtype=torch.bool)
    for c in range(B):
        for s in range(T):
            other[c, s] += disturbance(x[c, s])
            found[:, :, c, s] = differs(layer(other), before)
    return found


def without_itself(layer, x):
    found = influence(layer, x)
    for b in range(len(x)):
        found[b, range(x.shape[1]), b, range(x.shape[1])] = False
    return found


def compared_with_the_input(layer, x, changed=True):
    """The output is compared with what went in."""
    B, T, _ = x.shape
    found = torch.zeros(B, T, B, T, dtype=torch.bool)
    for c in range(B):
        for s in range(T):
            other = x.clone()
            other[c, s] += disturbance(x[c, s])
            found[:, :, c, s] = differs(layer(other), other if changed else x)
    return found


def compared_with_the_try_before(layer, x):
    B, T, _ = x.shape
    found, before = torch.zeros(B, T, B, T, dtype=torch.bool), layer(x)
    for c in range(B):
        for s in range(T):
            other = x.clone()
            other[c, s] += disturbance(x[c, s])
            after = layer(other)
            found[:, :, c, s] = differs(after, before)
            before = after
    return found


def piles_up_in_the_input(layer, x):
    B, T, _ = x.shape
    before, found = layer(x).clone(), torch.zeros(B, T, B, T, dtype=torch.bool)
    for c in range(B):
        for s in range(T):
            x[c, s] += disturbance(x[c, s])
            found[:, :, c, s] = differs(layer(x), before)
    return found


def of_one_image(layer, x):
    return influence(layer, x)[0, :, 0]


def all_entries(layer, x):
    """A token counts as changed where all of its entries changed."""
    B, T, _ = x.shape
    before, found = layer(x), torch.zeros(B, T, B, T, dtype=torch.bool)
    for c in range(B):
        for s in range(T):
            other = x.clone()
            other[c, s] += disturbance(x[c, s])
            found[:, :, c, s] = (layer(other) - before).abs().amin(dim=-1) > 1e-6
    return found


MISTAKES = (
    Mistake(
        name="reader_and_read_exchanged",
        explanation=(
            "The pattern is right, but the wrong way round: your first two indices name the token "
            "that you changed, and the last two name the token that you looked at."
        ),
        hint=(
            "In found[b, t, c, s], which pair names the token you change, and which the one you "
            "look at?"
        ),
        buggy=lambda layer, x: influence(layer, x).permute(2, 3, 0, 1),
    ),
    Mistake(
        name="change_that_a_norm_forgets",
        explanation=(
            "LayerNorm hides your change: every token comes out as if nothing had happened. You "
            "added one number to all entries of a token, or multiplied them all by one number."
        ),
        hint="Which two things about a token does LayerNorm forget? Change something else.",
        buggy=lambda layer, x: tried(layer, x, lambda token: token + 1),
        variants=(lambda layer, x: tried(layer, x, lambda token: token + 10),),
    ),
    Mistake(
        name="changes_pile_up",
        explanation=(
            "A token that you changed stayed changed when you tried the next one. So later tries "
            "also contain all earlier changes."
        ),
        hint="Does every try start from the same x?",
        buggy=changes_pile_up,
        variants=(piles_up_in_the_input,),
    ),
    Mistake(
        name="all_images_changed_at_once",
        explanation=(
            "You changed a token in every image at the same time. That cannot tell whether an "
            "image reads from another one."
        ),
        hint="How many of the B x T tokens does one try change?",
        buggy=each_token_in_all_images,
    ),
    Mistake(
        name="whole_image_changed_at_once",
        explanation=(
            "You changed all tokens of an image at the same time. That cannot tell which of them "
            "was read."
        ),
        hint="How many of the B x T tokens does one try change?",
        buggy=each_image_with_all_tokens,
    ),
    Mistake(
        name="own_image_only",
        explanation=(
            "Within one image everything is right. You did not test what one image reads from "
            "another."
        ),
        hint="A try changes one token of one image. In which images do you look for a difference?",
        buggy=within_the_image_only,
    ),
    Mistake(
        name="where_it_did_not_change",
        explanation="True and False are swapped: your result is True where nothing changed.",
        hint="What does torch.isclose say about two values that are equal?",
        buggy=lambda layer, x: ~influence(layer, x),
    ),
    Mistake(
        name="true_everywhere",
        explanation="Your result is True everywhere: every token seems to read every other one.",
        hint="Which two outputs do you compare? Do they differ for a reason other than the change?",
        buggy=lambda layer, x: torch.ones_like(influence(layer, x)),
    ),
    Mistake(
        name="false_everywhere",
        explanation="Your result is False everywhere: no token seems to read any, not even itself.",
        hint="Does your change reach the copy that the layer gets? Which outputs do you compare?",
        buggy=lambda layer, x: torch.zeros_like(influence(layer, x)),
    ),
    Mistake(
        name="own_token_left_out",
        explanation=(
            "Everything is right but a token's influence on itself: it is False everywhere in "
            "yours."
        ),
        hint="Does a token change when it is changed itself? What do you do where b, t is c, s?",
        buggy=without_itself,
    ),
    Mistake(
        name="compared_with_what_went_in",
        explanation=(
            "You compare what comes out with what went in. A layer changes every token; the "
            "question is whether two outputs differ."
        ),
        hint="Which two calls of the layer have to be compared?",
        buggy=compared_with_the_input,
        variants=(lambda layer, x: compared_with_the_input(layer, x, changed=False),),
    ),
    Mistake(
        name="compared_with_the_try_before",
        explanation=(
            "You compare each try with the one before it, so the token that was changed there "
            "counts as well."
        ),
        hint="Which output should every try be compared with?",
        buggy=compared_with_the_try_before,
    ),
    Mistake(
        name="one_image_only",
        explanation=(
            "Your result is (T, T), as for one image. Asked for is who reads whom among all tokens "
            "of all images, (B, T, B, T)."
        ),
        hint="Could a token of image 0 change when one of image 1 is changed? Where is that seen?",
        buggy=of_one_image,
        detect=lambda e: all(
            actual.output is not None and actual.output.shape == (expected.output.shape[1],) * 2
            for _, actual, expected in e.compared()
        ),
    ),
    Mistake(
        name="all_entries_must_change",
        explanation=(
            "A token counts as changed in yours where all of its entries changed. One entry is "
            "enough."
        ),
        hint="Along the last axis of the difference: all, or any?",
        buggy=all_entries,
    ),
)


check_influence = Check(
    name="check_influence",
    signature=(
        "fn(layer, x (B, T, D)) -> bool (B, T, B, T): [b, t, c, s] is True where token t of image "
        "b comes out different when token s of image c goes in different"
    ),
    cases=influence_cases,
    reference=influence,
    mistakes=MISTAKES + general_mistakes(influence, without=("detached", "wrong_device")),
)
