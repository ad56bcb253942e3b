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


def _unpacked(values):
    one, two = values
    return one, two


class EinopsError(Exception):
    """As einops has it, for those who have not installed it."""


def _einops_error():
    raise EinopsError("Error while processing rearrange-reduction pattern")


def _recursion():
    return _recursion()


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
        detect=stops(
            "is invalid for input of size",
            "Provided sizes",  # unflatten
            "split_with_sizes expects",
            kinds=("RuntimeError",),
        ),
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
            "expected m1 and m2 to have the same size",
            "size mismatch",
            "inconsistent tensor size",
            "doesn't match the broadcast shape",
            "shape mismatch",
            "batch1",
            "stack expects each tensor to be equal size",
            "Expected size",
            "expected input",
            "Given normalized_shape",
            "Expected tensor",
            "must be the same size",
            "not broadcastable",
            "sliding blocks",
            "expected size of input",
            "could not be broadcast",
            kinds=("RuntimeError", "ValueError"),
        ),
    ),
    Mistake(
        name="axis_that_does_not_exist",
        explanation=lambda e: f"The tensor has fewer axes, or fewer entries: {first_line(e)}.",
        hint="Print the shape in the line before. Axes and entries are counted from 0.",
        buggy=lambda *inputs: torch.zeros(3).sum(dim=1),
        detect=stops("", kinds=("IndexError",)),
    ),
    Mistake(
        name="needs_more_axes",
        explanation=lambda e: (
            f"A function of torch wants another number of axes: {first_line(e)[:120]}."
        ),
        hint="Print the shape in the line before. Which axis is missing, or one too many?",
        buggy=lambda *inputs: torch.zeros(2, 3).T.expand(3),
        detect=stops(
            "must be greater or equal to the number of dimensions",
            "must be a 3D tensor",
            "D tensor",
            "must be at least",
            "expected a matrix",
            "dimension out of range",
            "same number of dimensions",
            "both arguments to",
            "only supports",
            "must be 2D",
            kinds=("RuntimeError",),
        ),
    ),
    Mistake(
        name="outside_the_tensor",
        explanation=lambda e: f"A slice or an index leaves the tensor: {first_line(e)[:120]}.",
        hint="How long is that axis here, and what is its last index? Where does your loop end?",
        buggy=lambda *inputs: torch.zeros(3).narrow(0, 2, 2),
        detect=stops(
            "exceeds dimension size", "out of range", "out of bounds", kinds=("RuntimeError",)
        ),
    ),
    Mistake(
        name="no_such_attribute",
        explanation=lambda e: (
            f"What stands before the point has no such method or part: {first_line(e)[:120]}."
        ),
        hint=(
            "Which type has the value before the point? Print it. A list, a number and None have "
            "no methods of a tensor."
        ),
        buggy=lambda *inputs: [1, 2].permute(0),
        detect=stops("", kinds=("AttributeError",)),
    ),
    Mistake(
        name="unpacked_into_other_number",
        explanation=lambda e: (
            "The names on the left of = are not as many as the values on its right: "
            f"{first_line(e)[:120]}."
        ),
        hint="Print the shape, or the length, of what stands on the right. How many names fit?",
        buggy=lambda *inputs: (lambda a, b: None)(*_unpacked((1, 2, 3))),
        detect=stops("to unpack", kinds=("ValueError", "TypeError")),
    ),
    Mistake(
        name="called_but_no_function",
        explanation=lambda e: (
            f"Brackets stand behind something that is no function: {first_line(e)[:120]}."
        ),
        hint="Which name stands before the brackets ( )? Was it given another value, or is it a "
        "tensor that wants [ ]?",
        buggy=lambda *inputs: torch.zeros(2)(0),
        detect=stops("object is not callable", kinds=("TypeError",)),
    ),
    Mistake(
        name="other_kinds_of_values",
        explanation=lambda e: (
            f"Two values meet that cannot be used together in this way: {first_line(e)[:160]}."
        ),
        hint="Print type(...) of both. Is one a tuple, a list, None or a text? Which part of it is "
        "meant?",
        buggy=lambda *inputs: (2, 3) // 2,
        detect=stops(
            "unsupported operand",
            "not supported between",
            "can't multiply sequence",
            "can only concatenate",
            "is not subscriptable",
            "is not iterable",
            "object is not reversible",
            "has no len()",
            "does not support item assignment",
            "bad operand type",
            "must be real number",
            "must be Tensor",
            "must be tuple of Tensors",
            "must be tuple of ints",
            "expected Tensor as element",
            "indices must be integers",
            "unhashable type",
            kinds=("TypeError",),
        ),
    ),
    Mistake(
        name="no_such_argument",
        explanation=lambda e: (
            f"A function was called with arguments that it does not take: {first_line(e)[:160]}."
        ),
        hint="help(...) of that function lists its parameters. Which name or number is different?",
        buggy=lambda *inputs: torch.zeros(2).sum(axes=0),
        detect=stops(
            "unexpected keyword argument",
            "received an invalid combination of arguments",
            "missing 1 required positional argument",
            "required positional argument",
            "positional argument",
            "takes no arguments",
            "multiple values for argument",
            "takes no keyword arguments",
            "argument '",
            kinds=("TypeError",),
        ),
    ),
    Mistake(
        name="dtypes_that_do_not_fit",
        explanation=lambda e: f"Two dtypes meet that do not fit: {first_line(e)[:140]}.",
        hint="Which of the two tensors did your function create or convert, and with which dtype?",
        buggy=lambda *inputs: torch.zeros(2, 2) @ torch.zeros(2, 2, dtype=torch.float64),
        detect=stops(
            "same dtype",
            "expected scalar type",
            "dtype",
            "not implemented for",
            "can't be cast",
            "input type (",
            "data type",
            kinds=("RuntimeError", "IndexError", "TypeError"),
        ),
    ),
    Mistake(
        name="written_into_a_leaf",
        explanation=(
            "A tensor that requires a gradient was written into in place, and autograd forbids "
            "that."
        ),
        hint="Which line assigns into a parameter or a view of one? Make a new tensor, or, where "
        "weights are only copied, say that no gradient is wanted.",
        buggy=lambda *inputs: torch.zeros(2, requires_grad=True).add_(1),
        detect=stops(
            "a leaf Variable that requires grad",
            "a view of a leaf",
            "in-place operation",
            "output of a function that returns multiple views",
            kinds=("RuntimeError",),
        ),
    ),
    Mistake(
        name="several_values_where_one_is_needed",
        explanation=(
            "A tensor with several values stands where Python needs a single one, as behind if, "
            "in float(...) or before item()."
        ),
        hint="Which of .any(), .all(), .mean() or an index makes one value of it?",
        buggy=lambda *inputs: bool(torch.zeros(3)),
        detect=stops(
            "truth value of",
            "Boolean value of Tensor",
            "only one element tensors can be converted",
            "cannot be converted to Scalar",
            "only length-1 arrays",
            "only integer tensors of a single element",
        ),
    ),
    Mistake(
        name="letters_of_einsum",
        explanation=lambda e: (
            f"The letters of einsum do not fit the tensors: {first_line(e)[:160]}."
        ),
        hint=(
            "Write the letters below the shape of each tensor: one letter an axis, the same letter "
            "for the same size."
        ),
        buggy=lambda *inputs: torch.einsum("ij,jk->ik", torch.zeros(2), torch.zeros(2)),
        detect=stops("einsum()", "subscript", kinds=("RuntimeError", "ValueError")),
    ),
    Mistake(
        name="pattern_of_einops",
        explanation=lambda e: "The pattern of einops does not fit the tensor.",
        hint="Which names stand on the left and not on the right? Which sizes must be given, as "
        "p=4?",
        buggy=lambda *inputs: _einops_error(),
        detect=stops("", kinds=("EinopsError",)),
    ),
    Mistake(
        name="nothing_to_join",
        explanation="A list of tensors is empty: nothing was put into it before it was joined.",
        hint="How often does the loop run that fills the list? Print the start and the end of its "
        "range.",
        buggy=lambda *inputs: torch.stack([]),
        detect=stops(
            "expects a non-empty TensorList",
            "expected a non-empty list",
            "need at least one array",
            "at least one data point",
            "requires at least",
            "empty sequence",
            "is an empty sequence",
            "iterable argument is empty",
        ),
    ),
    Mistake(
        name="divides_by_zero",
        explanation="Your function divides by 0 in this case.",
        hint="Which number below the / can be 0, and what should come out then?",
        buggy=lambda *inputs: 1 / 0,
        detect=stops("", kinds=("ZeroDivisionError",)),
    ),
    Mistake(
        name="no_such_key",
        explanation=lambda e: f"A dict has no such key: {first_line(e)[:80]}.",
        hint="Which keys does it have? Print list(...) of it.",
        buggy=lambda *inputs: {}["one"],
        detect=stops("", kinds=("KeyError",)),
    ),
    Mistake(
        name="endless_recursion",
        explanation="Your function calls itself again and again.",
        hint="Does it have the name of a function that it wants to call?",
        buggy=lambda *inputs: _recursion(),
        detect=stops("", kinds=("RecursionError",)),
    ),
    Mistake(
        name="two_devices",
        explanation="Two tensors lie on different devices.",
        hint="Which of them did your function create, and on which device?",
        buggy=lambda *inputs: torch.zeros(2) @ torch.zeros(2, device="meta"),
        detect=stops("same device", "on device", "meta tensor", kinds=("RuntimeError",)),
    ),
)
