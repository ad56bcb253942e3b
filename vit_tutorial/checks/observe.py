"""Call a learner's function on one case and write down what came back. Nothing here decides whether it is right."""

import contextlib
import inspect
import linecache
import random
import traceback

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from .case import Case, Observation

PLAIN = (torch.Tensor, torch.nn.Parameter)


@contextlib.contextmanager
def no_trace():
    """Put back what a function may change for everyone after it: random states, default dtype and device, gradients, threads."""
    # NumPy's old global state is what learners' code uses, so it is what has to be put back.
    states = random.getstate(), np.random.get_state(), torch.random.get_rng_state()  # noqa: NPY002
    cuda = (
        torch.cuda.get_rng_state_all()
        if torch.cuda.is_available() and torch.cuda.is_initialized()
        else None
    )
    dtype, device, grad = (
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_grad_enabled(),
    )
    strict, threads = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    torch.set_default_dtype(torch.float32)
    try:
        with torch.enable_grad(), torch.device("cpu"):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.random.set_rng_state(states[2])
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)
        torch.set_default_dtype(dtype)
        torch.set_default_device(None if device == torch.device("cpu") else device)
        torch.set_grad_enabled(grad)
        torch.use_deterministic_algorithms(strict)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)


def call_once(fn, inputs: dict):
    """The usual call: the inputs in the order of the parameters."""
    return fn(*inputs.values())


def observe(read, fn, case: Case, call=call_once) -> Observation:
    """Call fn on fresh inputs of the case. read(value, inputs) -> (tensors, facts) says what of the result is written down.

    An exception in fn becomes the facts "error" and "line"; only KeyboardInterrupt and a time limit pass through.
    """
    with no_trace():  # the inputs are made in here too: a notebook may have switched gradients off
        inputs = case.build()
        before = {name: snapshot(value) for name, value in inputs.items()}
        try:
            # A seed of its own: a function that draws random numbers does so alike in every process.
            torch.manual_seed(0)
            with CopiesFromMeta() if case.device == "meta" else contextlib.nullcontext():
                value = call(fn, inputs)
            tensors, facts = read(value, inputs)
            facts = facts | (backward(tensors, inputs) if case.grad else {})
        except (Exception, SystemExit) as error:
            return Observation(
                {},
                {"error": f"{type(error).__name__}: {error}"[:400], "line": guilty_line(fn, error)},
            )
    kept = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
    facts = facts | {"devices": {name: tensor.device.type for name, tensor in tensors.items()}}
    facts["detached"] = [
        name for name, tensor in tensors.items() if case.grad and not tensor.requires_grad
    ]
    facts["changed"] = [
        name
        for name, old in before.items()
        if case.device != "meta" and old != {} and not unchanged(old, snapshot(inputs[name]))
    ]
    if case.device == "meta":
        kept = {}
    return Observation(kept, facts)


class CopiesFromMeta(TorchDispatchMode):
    """Let numbers be copied from "meta" to the CPU, as from a GPU; torch refuses, for want of numbers. Zeros arrive."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.ops.aten.copy_.default and (args[0].device.type, args[1].device.type) == (
            "cpu",
            "meta",
        ):
            return args[0].zero_()
        there = kwargs.get("device")
        if (
            func is torch.ops.aten._to_copy.default
            and args[0].device.type == "meta"
            and there is not None
        ):
            if torch.device(there).type == "cpu":
                return torch.zeros(
                    args[0].shape, dtype=kwargs.get("dtype") or args[0].dtype, device="cpu"
                )
        return func(*args, **kwargs)


def snapshot(value) -> dict[str, torch.Tensor]:
    """Copies of the tensors of an input: a tensor's own values, a module's parameters and buffers; nothing for a number."""
    if isinstance(value, torch.nn.Module):
        return {name: tensor.detach().clone() for name, tensor in value.state_dict().items()}
    return {"": value.detach().clone()} if isinstance(value, torch.Tensor) else {}


def unchanged(old: dict[str, torch.Tensor], new: dict[str, torch.Tensor]) -> bool:
    return old.keys() == new.keys() and all(
        old[name].shape == new[name].shape
        and old[name].dtype == new[name].dtype
        and torch.equal(old[name], new[name])
        for name in old
    )


def backward(tensors: dict[str, torch.Tensor], inputs: dict) -> dict:
    """Facts about the way back: "no_gradient", the inputs that no gradient reaches though it reaches others; or the error."""
    leaves = {
        name: value
        for name, value in inputs.items()
        if isinstance(value, torch.Tensor) and value.requires_grad
    }
    sums = [tensor.sum() for tensor in tensors.values() if tensor.requires_grad]
    if not sums or not leaves:
        return {}
    try:
        gradients = torch.autograd.grad(sums, list(leaves.values()), allow_unused=True)
    except RuntimeError as error:  # a tensor that the gradient needs was overwritten on the way
        return {"backward_error": str(error)[:200]}
    return {"no_gradient": [name for name, gradient in zip(leaves, gradients) if gradient is None]}


def read_output(value, inputs) -> tuple[dict, dict]:
    """The usual reading: one plain tensor, called "output". Anything else is written down by its type alone."""
    return read_named(("output",), (value,))


def read_named(names: tuple[str, ...], values: tuple) -> tuple[dict, dict]:
    """Plain tensors by name. A subclass could claim to equal anything, so only the type itself counts as a tensor."""
    tensors = {
        name: value
        for name, value in zip(names, values)
        if type(value) in PLAIN and not value.is_sparse
    }
    return tensors, {"types": {name: type_name(value) for name, value in zip(names, values)}}


def type_name(value) -> str:
    kind = type(value)
    if kind is tuple and len(value) < 5:
        return (
            f"tuple of {', '.join(type_name(part) for part in value)}" if value else "empty tuple"
        )
    return (
        kind.__name__
        if kind.__module__ in ("builtins", "torch", "torch.nn.parameter")
        else f"{kind.__module__}.{kind.__name__}"
    )


def guilty_line(fn, error: BaseException) -> str | None:
    """The last line of the learner's own code that the exception passed through, as "line 3: ..."."""
    frames = traceback.extract_tb(error.__traceback__)
    code = getattr(
        inspect.unwrap(getattr(fn, "forward", fn)), "__code__", None
    )  # @torch.no_grad() wraps
    here = __name__.rpartition(".")[0].replace(".", "/")
    own = [frame for frame in frames if code is not None and frame.filename == code.co_filename]
    own = own or [frame for frame in frames if here not in frame.filename.replace("\\", "/")]
    if not own:
        return None
    frame = own[-1]
    text = (frame.line or linecache.getline(frame.filename, frame.lineno)).strip()
    return f"line {frame.lineno}: {text}"[:300]
