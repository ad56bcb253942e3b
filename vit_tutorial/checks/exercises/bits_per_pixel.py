"""check_bits_per_pixel: what an autoregressive model pays for a pixel, in bits."""

import math

import torch
import torch.nn.functional as F

from ..engine.case import Case, choice, numbers
from ..engine.check import Check
from ..engine.mistake import Mistake
from ..engine.observe import as_number, type_name
from .general import general_mistakes


def bits_per_pixel(logits, tokens):
    """Mean of -log2 of the probability that logits[:, t] give to tokens[:, t + 1]."""
    return costs(logits[:, :-1], tokens[:, 1:]).mean().item() / math.log(2)


def costs(logits, tokens):
    """-ln of the probability of each token, (B, T), from logits (B, T, K)."""
    return F.cross_entropy(logits.transpose(1, 2), tokens, reduction="none")


def record_bits(value, inputs) -> tuple[dict, dict]:
    """The bits, if they are a number; to the digits of single precision."""
    bits = as_number(value)
    tensors = {} if bits is None else {"bits": bits.float()}
    return tensors, {"types": {"bits": type_name(value)}, "form": "a number"}


def bits_cases(generator: torch.Generator) -> list[Case]:
    """Models that know nothing, something and everything; axes of equal length."""

    def case(about, B, T, K, scale=1.0, dtype=torch.float64):
        tokens = torch.randint(K, (B, T), generator=generator)
        logits = scale * numbers(generator, B, T, K, dtype=dtype)
        # It leans to the right answer, so that a shift to another token costs more.
        following = F.one_hot(tokens.roll(-1, dims=1), K).to(dtype)
        return Case(about, {"logits": logits + scale * following, "tokens": tokens})

    T, K = choice(generator, 9, 10, 12), choice(generator, 5, 6, 7)
    return [
        case("", 3, T, K),
        case("one image", 1, T, K),
        case("as many colours as pixels", 2, 6, 6),
        case("as many images as pixels", 5, 5, 4),
        case("two pixels", 2, 2, 3),
        case("two colours", 2, T, 2),
        case("a model that knows nothing", 2, 7, 8, scale=0.0),
        case("a model that is sure", 3, T, K, scale=5.0),
        case("float32", 3, T, K, dtype=torch.float32),
    ]


def with_costs(measure):
    """measure(costs (B, T-1) in bits, logits (B, T-1, K) and tokens (B, T-1) that belong to it)."""

    def bits(logits, tokens):
        logits, tokens = logits[:, :-1], tokens[:, 1:]
        return float(measure(costs(logits, tokens) / math.log(2), logits, tokens))

    return bits


def pairs_of(choose):
    """The right measure for choose(logits, tokens), two tensors that are set side by side."""
    return lambda logits, tokens: costs(*choose(logits, tokens)).mean().item() / math.log(2)


def over_time(logits, tokens):
    logs = logits.log_softmax(dim=1)[:, :-1]
    return -logs.gather(2, tokens[:, 1:, None]).mean().item() / math.log(2)


def reshaped(logits, tokens):
    B, T, K = logits[:, :-1].shape
    wrong = logits[:, :-1].reshape(B, K, T)  # a transpose is meant
    return F.cross_entropy(wrong, tokens[:, 1:]).item() / math.log(2)


MISTAKES = (
    Mistake(
        name="not_shifted",
        explanation=(
            "You compare the logits at a pixel with that pixel, which the model has just read. "
            "They predict the next one."
        ),
        hint="Which logits belong to tokens[:, 1]?",
        buggy=pairs_of(lambda logits, tokens: (logits, tokens)),
        variants=(
            pairs_of(lambda logits, tokens: (logits[:, 1:], tokens[:, 1:])),
            pairs_of(lambda logits, tokens: (logits[:, :-1], tokens[:, :-1])),
        ),
    ),
    Mistake(
        name="shifted_the_other_way",
        explanation="You compare the logits at a pixel with the pixel before it.",
        hint="Was tokens[:, 0] known when logits[:, 1] were computed?",
        buggy=pairs_of(lambda logits, tokens: (logits[:, 1:], tokens[:, :-1])),
    ),
    Mistake(
        name="shifted_by_two",
        explanation="Your logits are compared with the pixel after the next one.",
        hint="How many pixels lie between the last one that is read and the one predicted?",
        buggy=pairs_of(
            lambda logits, tokens: (
                (logits[:, :-2], tokens[:, 2:])
                if tokens.shape[1] > 2
                else (logits[:, :-1], tokens[:, 1:])
            )
        ),
    ),
    Mistake(
        name="rolled_round",
        explanation=(
            "The logits of the last pixel are compared with the first pixel. Nothing follows the "
            "last pixel, so its logits predict nothing."
        ),
        hint="For how many pixels of a text of T is there a prediction?",
        # tokens.roll(-1)
        buggy=pairs_of(lambda logits, tokens: (logits, tokens.roll(-1, dims=1))),
    ),
    Mistake(
        name="images_shifted",
        explanation="You shift along the axis of the images: one image is compared with another.",
        hint="Which axis of (B, T, K) are the pixels?",
        buggy=lambda logits, tokens: (
            costs(logits[:-1], tokens[1:]).mean().item() / math.log(2)
            if len(tokens) > 1
            else math.nan
        ),
    ),
    Mistake(
        name="nats",
        explanation="Your number is in nats: cross-entropy uses the natural logarithm.",
        hint="A fair coin costs 1 bit. What does F.cross_entropy say of it?",
        buggy=with_costs(lambda bits, logits, tokens: bits.mean() * math.log(2)),
    ),
    Mistake(
        name="multiplied_by_ln_2",
        explanation="You multiply by ln 2 where a division is needed.",
        hint="A fair coin costs ln 2 = 0.69 nats and 1 bit. How do you get from one to the other?",
        buggy=with_costs(lambda bits, logits, tokens: bits.mean() * math.log(2) ** 2),
    ),
    Mistake(
        name="common_logarithm",
        explanation="Your number comes from the logarithm to the base 10.",
        hint="Which base counts bits?",
        buggy=with_costs(lambda bits, logits, tokens: bits.mean() * math.log10(2)),
    ),
    Mistake(
        name="all_pixels_added",
        explanation="You add up the pixels. The exercise asks for the mean of all of them.",
        hint="Should an image with twice as many pixels have a larger number?",
        buggy=with_costs(lambda bits, logits, tokens: bits.sum()),
        variants=(with_costs(lambda bits, logits, tokens: bits.sum(dim=1).mean()),),
    ),
    Mistake(
        name="divided_by_all",
        explanation="The sum is right, but you divide by one pixel too many in each image.",
        hint="Of how many pixels of an image do you know the cost?",
        buggy=with_costs(
            lambda bits, logits, tokens: bits.sum() / (len(bits) * (bits.shape[1] + 1))
        ),
    ),
    Mistake(
        name="perplexity",
        explanation="You return the perplexity, 2 to the power of the bits.",
        hint="A fair coin: 1 or 2?",
        buggy=with_costs(lambda bits, logits, tokens: 2 ** bits.mean()),
    ),
    Mistake(
        name="mean_before_logarithm",
        explanation=(
            "You take the mean of the probabilities first and its logarithm after. The exercise "
            "asks for the mean of the logarithms."
        ),
        hint="What should a single pixel of probability 0 do to the result?",
        buggy=with_costs(lambda bits, logits, tokens: -(2**-bits).mean().log2()),
    ),
    Mistake(
        name="sign",
        explanation="Your number is negative. Costs are positive: the logarithm has a minus sign.",
        hint="What sign has the logarithm of a probability?",
        buggy=with_costs(lambda bits, logits, tokens: -bits.mean()),
    ),
    Mistake(
        name="no_softmax",
        explanation="Your logits are used as logarithms of probabilities. They are not that yet.",
        hint="What must the probabilities of the K colours add up to?",
        # F.nll_loss without log_softmax
        buggy=with_costs(
            lambda bits, logits, tokens: -logits.gather(2, tokens[..., None]).mean() / math.log(2)
        ),
    ),
    Mistake(
        name="softmax_twice",
        explanation="Softmax is taken twice: F.cross_entropy contains one already.",
        hint="Does F.cross_entropy take probabilities or logits?",
        buggy=with_costs(
            lambda bits, logits, tokens: costs(logits.softmax(-1), tokens).mean() / math.log(2)
        ),
    ),
    Mistake(
        name="softmax_over_pixels",
        explanation="Your softmax runs over the pixels, not over the colours.",
        hint="Which axis of (B, T, K) must add up to 1?",
        buggy=over_time,
        variants=(
            with_costs(
                lambda bits, logits, tokens: (
                    -logits.log_softmax(1).gather(2, tokens[..., None]).mean() / math.log(2)
                )
            ),
        ),
    ),
    Mistake(
        name="axes_reshaped",
        explanation=(
            "Your reshape gives the shape that F.cross_entropy wants, but mixes pixels and colours."
        ),
        hint="Which call exchanges two axes, and which one only counts the numbers anew?",
        buggy=reshaped,
    ),
    Mistake(
        name="entropy_of_the_prediction",
        explanation="You compute how unsure the model is. The pixels themselves play no part.",
        hint="If the model is sure and wrong, what should a pixel cost?",
        buggy=with_costs(
            lambda bits, logits, tokens: (
                -(logits.softmax(-1) * logits.log_softmax(-1)).sum(-1).mean() / math.log(2)
            )
        ),
    ),
    Mistake(
        name="most_likely_colour",
        explanation="You take the probability of the most likely colour, not of the true one.",
        hint="Where do the tokens enter your formula?",
        buggy=with_costs(
            lambda bits, logits, tokens: (
                -logits.log_softmax(-1).max(dim=-1).values.mean() / math.log(2)
            )
        ),
    ),
    Mistake(
        name="share_of_errors",
        explanation="You count errors of the most likely colour. Bits come from probabilities.",
        hint="Which number does the model give to the colour that comes?",
        buggy=with_costs(
            lambda bits, logits, tokens: (logits.argmax(-1) != tokens).double().mean()
        ),
        variants=(
            with_costs(lambda bits, logits, tokens: (logits.argmax(-1) == tokens).double().mean()),
        ),
    ),
    Mistake(
        name="last_pixel_alone",
        explanation="You measure the last pixel of each image alone.",
        hint="How many pixels of an image does the model predict?",
        buggy=with_costs(lambda bits, logits, tokens: bits[:, -1].mean()),
    ),
)


check_bits_per_pixel = Check(
    name="check_bits_per_pixel",
    signature=(
        "fn(logits (B, T, K), tokens (B, T)) -> a number: the mean, over all images and all pixels "
        "but the first, of -log2 of the probability that the logits at the pixel before it give"
    ),
    cases=bits_cases,
    reference=bits_per_pixel,
    mistakes=MISTAKES
    + general_mistakes(
        bits_per_pixel, without=("detached", "wrong_device", "wrong_dtype", "changed_input")
    ),
    record=record_bits,
)
