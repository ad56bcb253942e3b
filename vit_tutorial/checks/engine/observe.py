"""Call a learner's function on one case and record what came back, right or wrong."""

import contextlib
import inspect
import linecache
import random
import re
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from .case import Case, Observation

TENSORS = (torch.Tensor, torch.nn.Parameter)
NUMBERS = (float, int)
_INSTALLED = ("/site-packages/", "/dist-packages/")
# Python's own files and this package's: a line in them is not the learner's.
_LIBRARIES = tuple(
    f"{Path(path).as_posix()}/"
    for path in (
        sysconfig.get_paths()["stdlib"],
        Path(torch.__file__).parent,
        Path(__file__).resolve().parents[2],
    )
)


@contextlib.contextmanager
def preserved_torch_state():
    """Put back what a function may change for everyone after it.

    These are the random states (also Python's and NumPy's), the default dtype and device, whether
    gradients are recorded, deterministic algorithms, and the number of threads.
    """
    # NumPy's old global state is what learners' code uses, so it is what has to be put back.
    states = random.getstate(), np.random.get_state(), torch.random.get_rng_state()  # noqa: NPY002
    cuda = None
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        cuda = torch.cuda.get_rng_state_all()
    dtype, device = torch.get_default_dtype(), _default_device()
    grad, threads = torch.is_grad_enabled(), torch.get_num_threads()
    deterministic = _deterministic()
    torch.set_default_dtype(torch.float32)
    # Only where it is needed: a default device that is set inside a device context leaves torch in
    # two minds when the context ends.
    on_cpu = contextlib.nullcontext() if device == torch.device("cpu") else torch.device("cpu")
    try:
        with torch.enable_grad(), on_cpu:
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.random.set_rng_state(states[2])
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)
        torch.set_default_dtype(dtype)
        # Only where it was changed: a device that `with torch.device(...)` set must end with it.
        if _default_device() != device:
            torch.set_default_device(None if device == torch.device("cpu") else device)
        torch.set_grad_enabled(grad)
        if _deterministic() != deterministic:
            torch.use_deterministic_algorithms(deterministic[0], warn_only=deterministic[1])
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)


def _default_device() -> torch.device:
    """Where a tensor lies that is made without a device.

    torch.get_default_device() fails on torch 2.6 to 2.9 after torch.set_default_device(None), and
    does not see `with torch.device(...)` there.
    """
    return torch.empty(0).device


def _deterministic() -> tuple[bool, bool]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )


def call_once(fn, inputs: dict):
    """The usual call: the inputs in the order of the parameters."""
    return fn(*inputs.values())


def observe(record, fn, case: Case, call=call_once) -> Observation:
    """Call fn on fresh inputs of the case.

    record(value, inputs) -> (tensors, facts) says what of the result is kept. An exception in fn
    becomes the facts "error" and "line"; only KeyboardInterrupt and a time limit pass through.
    """
    # The inputs are made in here, too: a notebook may have switched gradients off.
    with preserved_torch_state():
        inputs = case.build()
        before = {name: _snapshot(value) for name, value in inputs.items()}
        try:
            # A seed of its own: a function that draws random numbers does so alike everywhere.
            torch.manual_seed(0)
            drawn = _random_states()
            with contextlib.nullcontext() if case.has_values else MetaToCpuCopies():
                value = call(fn, inputs)
            drawn = [name for name, state in _random_states().items() if state != drawn[name]]
            tensors, facts = record(value, inputs)
            facts = facts | (_backward(tensors, inputs) if case.grad else {})
        except (Exception, SystemExit) as error:
            text = f"{type(error).__name__}: {error}"[:400]
            return Observation({}, {"error": text, "line": failing_line(fn, error)})
    facts = facts | {
        "random": drawn,
        "devices": {name: tensor.device.type for name, tensor in tensors.items()},
        "detached": [
            name for name, tensor in tensors.items() if case.grad and not tensor.requires_grad
        ],
        "changed": [
            name
            for name, old in before.items()
            if case.has_values and not _unchanged(old, _snapshot(inputs[name]))
        ],
    }
    if not case.has_values:
        return Observation({}, facts)
    return Observation(
        {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}, facts
    )


def _random_states() -> dict:
    """Where the generators that all code shares stand: elsewhere means that numbers were drawn."""
    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    return {
        "torch": torch.random.get_rng_state().numpy().tobytes(),
        "random": random.getstate(),
        "numpy": (name, keys.tobytes(), *rest),
    }


class MetaToCpuCopies(TorchDispatchMode):
    """Let a copy from "meta" to the CPU work, as one from a GPU does. Zeros arrive.

    torch refuses such a copy, since "meta" holds no numbers.
    """

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.ops.aten.copy_.default:
            target, source = args[:2]
            if (target.device.type, source.device.type) == ("cpu", "meta"):
                return target.zero_()
        device = kwargs.get("device")
        if (
            func is torch.ops.aten._to_copy.default
            and args[0].device.type == "meta"
            and device is not None
            and torch.device(device).type == "cpu"
        ):
            dtype = kwargs.get("dtype") or args[0].dtype
            return torch.zeros(args[0].shape, dtype=dtype, device="cpu")
        return func(*args, **kwargs)


def _snapshot(value) -> dict[str, torch.Tensor]:
    """Copies of an input's tensors: of a module its parameters and buffers, none of a number."""
    if isinstance(value, torch.nn.Module):
        return {name: tensor.detach().clone() for name, tensor in value.state_dict().items()}
    return {"": value.detach().clone()} if isinstance(value, torch.Tensor) else {}


def _unchanged(old: dict[str, torch.Tensor], new: dict[str, torch.Tensor]) -> bool:
    return old.keys() == new.keys() and all(
        old[name].shape == new[name].shape
        and old[name].dtype == new[name].dtype
        and torch.equal(old[name], new[name])
        for name in old
    )


def _backward(tensors: dict[str, torch.Tensor], inputs: dict) -> dict:
    """Facts about the backward pass.

    "no_gradient" lists the inputs that no gradient reaches; "backward_error" holds an error.
    """
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


def record_output(value, inputs) -> tuple[dict, dict]:
    """The usual record: one plain tensor, called "output"; of anything else only the type."""
    return record_named(("output",), (value,))


def record_named(names: tuple[str, ...], values: tuple) -> tuple[dict, dict]:
    """Plain tensors by name. A subclass could claim to equal anything, so it is no tensor here."""
    tensors = {
        name: value
        for name, value in zip(names, values)
        if type(value) in TENSORS and not value.is_sparse
    }
    return tensors, {"types": {name: type_name(value) for name, value in zip(names, values)}}


def as_number(value) -> torch.Tensor | None:
    """A Python or NumPy number or a tensor with one value, as float64; None for anything else."""
    if type(value) in TENSORS and value.numel() == 1:
        return value.detach().double().reshape(())
    from_numpy = type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0
    if type(value) in NUMBERS or from_numpy:
        return torch.tensor(float(value), dtype=torch.float64)
    return None


def record_number(name: str) -> Callable:
    """The record of one number, called `name`, to the digits of single precision."""

    def record(value, inputs) -> tuple[dict, dict]:
        number = as_number(value)
        tensors = {} if number is None else {name: number.float()}
        return tensors, {"types": {name: type_name(value)}, "form": "a number"}

    return record


def type_name(value) -> str:
    """A type as a learner knows it: "Tensor", "tuple of Tensor, int"."""
    kind = type(value)
    if kind in (list, tuple) and not value:
        return f"empty {kind.__name__}"
    if kind is tuple and len(value) < 5:
        return f"tuple of {', '.join(type_name(part) for part in value)}"
    if kind in (list, tuple) and len({type(part) for part in value}) == 1:
        return f"{kind.__name__} of {len(value)} {type_name(value[0])}"
    if kind.__module__ in ("builtins", "torch", "torch.nn.parameter"):
        return kind.__name__
    return f"{kind.__module__}.{kind.__name__}"


def failing_line(fn, error: BaseException) -> str | None:
    """The last line of the learner's own code that the exception passed through.

    "line 3: scores = q @ k (there q is (2, 3, 5, 8), k is (2, 3, 5, 8))". A check may be called
    with a lambda around the learner's function, in another cell and so in another file: everything
    counts as their own that is neither Python, nor an installed package, nor this one.
    """
    # A decorator such as @torch.no_grad() wraps the function whose file we look for.
    code = getattr(inspect.unwrap(getattr(fn, "forward", fn)), "__code__", None)
    at = code.co_filename if code is not None else None
    frames = [
        (frame, number)
        for frame, number in traceback.walk_tb(error.__traceback__)
        if not frame.f_code.co_filename.startswith("<frozen")
    ]
    own = [pair for pair in frames if pair[0].f_code.co_filename == at or _is_own(pair[0])]
    if not own:
        return None
    frame, number = own[-1]
    name = frame.f_code.co_filename
    text = linecache.getline(name, number, frame.f_globals).strip()
    return f"line {number}: {text}{_values_there(text, frame)}"[:300]


def _is_own(frame) -> bool:
    """The frame runs the learner's code: no library, and nothing of this package."""
    name = frame.f_code.co_filename.replace("\\", "/")
    return not (name.startswith(_LIBRARIES) or any(part in name for part in _INSTALLED))


def _values_there(text: str, frame) -> str:
    """The shapes and whole numbers behind the names in a line: what the learner would print."""
    here, outside = [], []
    for name in dict.fromkeys(re.findall(r"(?<![.\w\"'])[A-Za-z_]\w*", text)):
        in_function = name in frame.f_locals
        value = frame.f_locals[name] if in_function else frame.f_globals.get(name)
        if type(value) in TENSORS:
            shown = f"{name} is {tuple(value.shape)}"
        elif type(value) in (int, tuple, torch.Size) and len(str(value)) < 30:
            shown = f"{name} = {tuple(value) if isinstance(value, tuple) else value}"
        else:
            continue
        (here if in_function or frame.f_code.co_name == "<module>" else outside).append(shown)
    text = f"there {', '.join(here[:6])}" if here else ""
    if outside:
        text += f"; from outside your function: {', '.join(outside[:4])}"
    return f" ({text})" if text else ""
