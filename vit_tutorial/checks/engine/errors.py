"""Errors that any function can stop with, and what they mean. Tried after a check's own mistakes.

Each has the text of the error for evidence, and a function that really raises it.
"""

import torch

from .mistake import Evidence, Mistake


def stops(*texts: str, kinds: tuple[str, ...] = ("",)):
    """Detects an error in the first wrong case that has one of the texts, of one of the kinds."""

    def detect(e: Evidence) -> bool:
        error = e.observation.error or ""
        return error.startswith(kinds) and any(text in error for text in texts)

    return detect


def first_line(e: Evidence) -> str:
    return (e.observation.error or "").split("\n")[0]


def outside(e: Evidence) -> str:
    """The names in the failing line that come from outside the function."""
    line = e.observation.facts.get("line") or ""
    return line.partition("; from outside your function: ")[2].removesuffix(")")


_HERE = 7  # a name outside the function, for reads_a_name_from_outside


def reads_here(*inputs):
    return torch.zeros(4).view(_HERE, -1)


ERRORS = (
    Mistake(
        name="other_parameters",
        explanation=lambda e: (
            f"Your function is called with {len(e.inputs)} values ({', '.join(e.inputs)}), and its "
            "parameters do not fit."
        ),
        hint="Which parameters stand in the brackets behind def, and in which order?",
        buggy=lambda: None,
        # No line of the learner's: the call itself failed.
        detect=lambda e: (
            stops("positional argument", kinds=("TypeError",))(e)
            and not e.observation.facts.get("line")
        ),
    ),
    Mistake(
        name="unknown_name",
        explanation="Python does not know a name that your function uses.",
        hint="Is it spelled as where you made it? Was it made before this line, in each case?",
        buggy=lambda *inputs: no_such_name,  # noqa: F821 - the mistake itself
        detect=stops("", kinds=("NameError", "UnboundLocalError")),
    ),
    Mistake(
        name="size_is_a_float",
        explanation="A size or an index is not a whole number. What a `/` gives never is one.",
        hint="What is 8 / 4 in Python, and what is 8 // 4? Which of your sizes comes from a `/`?",
        buggy=lambda *inputs: torch.zeros(8).reshape(8 / 4, 4),
        detect=stops(
            "element of type float",
            "reshape() takes 1 positional argument",  # of a first size that is no whole number
            "cannot be interpreted as an integer",
            "slice indices must be integers",
            "not float",
            "got float",
            "type 'float'",
            "(float",
            "float,",
            kinds=("TypeError",),
        ),
    ),
    Mistake(
        name="view_of_moved_axes",
        explanation=(
            "`view` cannot join axes of a tensor whose axes were moved: in memory its numbers "
            "still stand in the old order."
        ),
        hint="Which method does what view does, and copies the numbers where it has to?",
        buggy=lambda *inputs: torch.zeros(2, 3).T.view(6),
        detect=stops("view size is not compatible", kinds=("RuntimeError",)),
    ),
    Mistake(
        name="permute_of_other_axes",
        explanation="Your permute does not name each axis of its tensor exactly once.",
        hint="How many axes does the tensor have there? Print its shape in the line before.",
        buggy=lambda *inputs: torch.zeros(2, 3, 4).permute(0, 2, 1, 3),
        detect=stops(
            "number of dimensions in the tensor input does not match the length",
            "duplicate dims are not allowed",
            "permute(): duplicate",
        ),
    ),
    Mistake(
        name="numpy_of_a_gradient",
        explanation="A tensor that requires a gradient was turned into a NumPy array.",
        hint="Which of torch's own functions does the same, and keeps the gradient?",
        buggy=lambda *inputs: torch.zeros(2, requires_grad=True).numpy(),
        detect=stops("Can't call numpy() on Tensor that requires grad"),
    ),
    Mistake(
        name="reads_a_name_from_outside",
        explanation=lambda e: (
            f"The line that stops reads from outside your function: {outside(e)}. Each case brings "
            "its own sizes."
        ),
        hint=(
            "Which parameter or which shape holds that number here? A name of the notebook keeps "
            "its value."
        ),
        # the notebook's own P or d
        buggy=reads_here,
        detect=lambda e: bool(outside(e)),
    ),
    Mistake(
        name="reshape_to_another_size",
        explanation="The sizes of your reshape do not multiply to as many numbers as there are.",
        hint="Multiply the sizes on both sides. Which axis was forgotten, and which stands twice?",
        buggy=lambda *inputs: torch.zeros(6).reshape(4, 2),
        detect=stops("is invalid for input of size", kinds=("RuntimeError",)),
    ),
    Mistake(
        name="sizes_do_not_fit",
        explanation="Two tensors meet in that line whose sizes do not fit each other.",
        hint="Print both shapes in the line before it. Which axes must agree?",
        buggy=lambda *inputs: torch.zeros(3, 2) + torch.zeros(3, 4),
        detect=stops(
            "must match the size of tensor",
            "must match the existing size",
            "shapes cannot be multiplied",
            "Expected size for first two dimensions",
            "Sizes of tensors must match",
            "expected m1 and m2",
            "size mismatch",
            "inconsistent tensor size",
            kinds=("RuntimeError",),
        ),
    ),
    Mistake(
        name="axis_that_does_not_exist",
        explanation=lambda e: f"The tensor has fewer axes, or fewer entries: {first_line(e)}.",
        hint="Print the shape in the line before. Axes and entries are counted from 0.",
        buggy=lambda *inputs: torch.zeros(3).sum(dim=1),
        detect=stops("", kinds=("IndexError",)),
    ),
)
