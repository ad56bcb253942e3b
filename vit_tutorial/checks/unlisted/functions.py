"""One step too many: the right result averaged, negated, through a softmax, sorted, all zero."""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F

from .pattern import Pattern, becomes


def functions(axes) -> Iterator[Pattern]:
    def pattern(name: str, words: str, hint: str, to: Callable) -> Pattern:
        return Pattern(name, words, hint, becomes(to))

    for axis in axes:
        for words, verb, of in (
            ("mean", "averaged", torch.mean),
            ("sum", "summed", torch.sum),
            ("largest value", "reduced", torch.amax),
        ):
            for to in (
                lambda x, of=of, a=axis: of(x, a),
                lambda x, of=of, a=axis: of(x, a, keepdim=True),
                lambda x, of=of, a=axis: of(x, a, keepdim=True).expand_as(x),
            ):
                yield pattern(
                    f"{verb}_along_an_axis",
                    f"You return the {words} of the right result along axis {axis}.",
                    f"Which of your lines turns many values along axis {axis} into one?",
                    to,
                )
    for words, to in (("mean", torch.mean), ("sum", torch.sum)):
        for shape in (lambda y, x: y, lambda y, x: y.expand_as(x), lambda y, x: y.reshape(1)):
            yield pattern(
                "one_number_of_all",
                f"You return the {words} of all values of the right result.",
                "Which axes does your code reduce? Choose the axis with dim=.",
                lambda x, to=to, shape=shape: shape(to(x), x),
            )
    yield pattern(
        "result_negated",
        "Every value has the wrong sign.",
        "Which subtraction is the wrong way round, or which minus sign does not belong there?",
        torch.neg,
    )
    last = "Look at your last line. What does it do to the right result?"
    for words, to in (
        ("Your result has lost its minus signs", torch.abs),
        ("All your values below 0 have become 0, as after a ReLU", torch.relu),
        ("Each of your values is 1 minus the right one", lambda x: 1 - x),
        ("Each of your values is 1 divided by the right one", torch.reciprocal),
        ("Each of your values is the square of the right one", torch.square),
        ("Each of your values is the square root of the right one", torch.sqrt),
        ("Each of your values is the exponential of the right one", torch.exp),
        ("Each of your values is the logarithm of the right one", torch.log),
        ("The right result went through a sigmoid", torch.sigmoid),
        ("The right result went through a tanh", torch.tanh),
        ("The right result was rounded to whole numbers", torch.round),
        ("The right result lost its decimal places", torch.trunc),
        ("The right result was clipped to the range from 0 to 1", lambda x: x.clamp(0, 1)),
    ):
        yield pattern("one_step_too_many", f"{words}.", last, to)
    for axis in axes:
        for words, to in (
            ("went through a softmax", lambda x, a=axis: x.softmax(a)),
            ("went through a log_softmax", lambda x, a=axis: x.log_softmax(a)),
            ("was scaled to length 1", lambda x, a=axis: F.normalize(x, dim=a)),
            ("had its mean subtracted", lambda x, a=axis: x - x.mean(a, keepdim=True)),
            ("was divided by its sum", lambda x, a=axis: x / x.sum(a, keepdim=True)),
            (
                "was normalised to mean 0 and standard deviation 1",
                lambda x, a=axis: (x - x.mean(a, True)) / x.std(a, correction=0, keepdim=True),
            ),
            ("was turned into running sums", lambda x, a=axis: x.cumsum(a)),
        ):
            yield pattern(
                "one_step_too_many", f"The right result {words} along axis {axis}.", last, to
            )
        yield pattern(
            "result_sorted",
            f"You return the right values, but sorted along axis {axis}.",
            "Which sort is not undone at the end?",
            lambda x, a=axis: x.sort(dim=a).values,
        )
        yield Pattern(
            "index_of_the_largest",
            f"You return the index of the largest value along axis {axis}, not the values.",
            "Which line takes an argmax? Does the exercise ask for one?",
            lambda mine, right, a=axis: torch.equal(
                mine.double(), right.argmax(a).double().reshape(mine.shape)
            ),
        )


def constants() -> Iterator[Pattern]:
    yield Pattern(
        "all_zero",
        "Every value of your result is 0.",
        "Which line should write into the tensor that you return? Does that line run at all?",
        lambda mine, right: mine.numel() > 0 and not mine.any(),
    )
    yield Pattern(
        "not_a_number",
        "Every value of your result is nan (not a number).",
        "Which line divides by 0, takes the root or the logarithm of a number below 0, or "
        "subtracts infinity from infinity?",
        lambda mine, right: mine.numel() > 0 and bool(mine.isnan().all()),
    )
    yield Pattern(
        "all_the_same",
        "All values of your result are the same number.",
        "Which line turns many numbers into one? Which axis should be kept?",
        lambda mine, right: mine.numel() > 1 and bool((mine == mine.flatten()[0]).all()),
        everywhere=False,
    )
