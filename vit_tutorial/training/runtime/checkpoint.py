"""The whole state of a run in one file: tensors and numbers, written whole or not at all, the one before kept.

The file is safetensors: the tensors are its entries; the nesting around them, as JSON, and a SHA-256 over all of it stand in its
header. Loading reads numbers and runs no code. One process writes into a folder, and it alone.
"""

import contextlib
import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open

CURRENT, PREVIOUS = "checkpoint.safetensors", "checkpoint.previous.safetensors"
PLAIN = (bool, int, float, str, type(None))


class CheckpointNotSavedError(OSError):
    """A state could not be written, or copied; what was there before is untouched. errno is the system's."""


def save_checkpoint(folder: str | Path, state: dict, label: str = "") -> Path:
    """Write `state` to `folder`/checkpoint.safetensors; the one that was there becomes checkpoint.previous.safetensors.

    state: dicts (keys str or int), lists and tuples, nested, of tensors (any dtype, device and layout in memory), int, float,
    bool, str and None. label: what a person calls it ("step 1200"), for messages. At every moment one of the two files is
    whole, whenever the process is killed. Takes about three times the state's size in main memory while it writes.
    Raises CheckpointNotSavedError when the disk is full or cannot be written to, TypeError for anything else in `state`.
    """
    path = Path(folder) / CURRENT
    tensors = {}
    plan = json.dumps({"label": label, "state": _pack(state, tensors, "state")}, allow_nan=False)
    content = safetensors.torch.save(
        tensors, {"vit_tutorial_state": plan, "sha256": _digest(plan, tensors)}
    )
    try:
        with _replacing(path) as file:
            file.write(content)
    except OSError as error:
        raise _not_saved(
            f"the state was not saved in {path.parent}", error, len(content), path.parent
        ) from error
    return path


def load_checkpoint(folder: str | Path) -> tuple[dict, str]:
    """The newest whole state in `folder`, its tensors on the CPU; and '' or a sentence that says why it is not the last one.

    Raises FileNotFoundError when there is none, ValueError when none is whole.
    """
    folder, troubles = Path(folder), {}
    for name in (CURRENT, PREVIOUS):
        try:
            state, label = _read(folder / name)
        except FileNotFoundError:
            continue
        except Exception as error:  # in a damaged file anything can be wrong
            troubles[name] = " ".join(str(error).split()) or type(error).__name__
        else:
            step = f" ({label})" if label else ""
            if CURRENT in troubles:
                return (
                    state,
                    f"{CURRENT} is damaged ({troubles[CURRENT]}): went back to the one before{step}",
                )
            if name == PREVIOUS:
                return (
                    state,
                    f"{CURRENT} is missing (killed while it was replaced?): went back to the one before{step}",
                )
            return state, ""
    if not troubles:
        raise FileNotFoundError(
            f"there is no state to go on from in {folder}: looked for {CURRENT} and {PREVIOUS}"
        )
    listed = "; ".join(f"{name}: {trouble}" for name, trouble in troubles.items())
    raise ValueError(
        f"no whole state in {folder} ({listed}). Take a copy if there is one, or begin the run again"
    )


def copy_checkpoint(folder: str | Path, other: str | Path, also: Iterable[str] = ()) -> None:
    """Copy the state in `folder` to the folder `other` (on Drive, say), which holds a whole one at every moment.

    also: names of other files in `folder`, copied first, each whole; those that are not there yet are left out.
    Raises CheckpointNotSavedError when `other` cannot be written to; `folder` is only read.
    """
    folder, other = Path(folder), Path(other)
    size = 0
    try:
        state = next(
            (folder / name for name in (CURRENT, PREVIOUS) if (folder / name).is_file()),
            folder / CURRENT,
        )
        pairs = [(folder / name, other / name) for name in also if (folder / name).is_file()]
        for source, target in [*pairs, (state, other / CURRENT)]:
            size = source.stat().st_size
            with source.open("rb") as file, _replacing(target) as copy:
                shutil.copyfileobj(file, copy, 1 << 20)
    except OSError as error:
        raise _not_saved(
            f"the copy in {other} was not brought up to date", error, size, other
        ) from error


def _pack(value, tensors: dict, where: str):
    """`value` as JSON can hold it, each tensor put into `tensors` and named in its place."""
    if isinstance(value, torch.Tensor):
        if value.layout != torch.strided:
            raise TypeError(
                f"{where} is a tensor of layout {value.layout}: only ordinary (strided) ones can be saved"
            )
        name = str(len(tensors))
        # A copy, always: safetensors refuses tensors that share memory.
        tensors[name] = value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        return {"tensor": name}
    if isinstance(value, dict):
        if wrong := [
            key for key in value if not isinstance(key, str | int) or isinstance(key, bool)
        ]:
            raise TypeError(
                f"{where} has the key {wrong[0]!r}, a {type(wrong[0]).__name__}: keys are str or int"
            )
        return {
            "dict": [
                [key, _pack(item, tensors, f"{where}[{key!r}]")] for key, item in value.items()
            ]
        }
    if isinstance(value, list | tuple):
        items = [_pack(item, tensors, f"{where}[{i}]") for i, item in enumerate(value)]
        return items if isinstance(value, list) else {"tuple": items}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(float(value))}
    if not isinstance(value, PLAIN):
        raise TypeError(
            f"{where} is a {type(value).__name__}: a state holds tensors, numbers, str, None, dict, list and tuple"
        )
    return value


def _unpack(value, tensors: dict):
    """The inverse of `_pack`."""
    if isinstance(value, list):
        return [_unpack(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, inside),) = value.items()
    if kind == "dict":
        return {key: _unpack(item, tensors) for key, item in inside}
    if kind == "tuple":
        return tuple(_unpack(item, tensors) for item in inside)
    return tensors[inside] if kind == "tensor" else float(inside)


def _digest(plan: str, tensors: dict) -> str:
    """SHA-256 of `plan` and of each tensor's name, dtype, shape and bytes."""
    digest = hashlib.sha256(plan.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _header(path: Path) -> dict:
    """What stands in the file's header beside the list of tensors. Raises SafetensorError when the file is cut short."""
    with safe_open(path, framework="pt") as file:
        return file.metadata() or {}


def _read(path: Path) -> tuple[dict, str]:
    """The state in the file and its label. Raises all sorts of errors when it is not whole."""
    content = path.read_bytes()
    header = _header(path)
    if "vit_tutorial_state" not in header:
        raise ValueError("it holds no state of a run")
    plan, tensors = header["vit_tutorial_state"], safetensors.torch.load(content)
    if _digest(plan, tensors) != header.get("sha256"):
        raise ValueError("its contents and its SHA-256 disagree")
    stored = json.loads(plan)
    return _unpack(stored["state"], tensors), stored["label"]


def _label(path: Path) -> str | None:
    """The label of the state at `path`; None when there is none, or when its header already shows that it is damaged."""
    try:
        return json.loads(_header(path)["vit_tutorial_state"])["label"]
    except (OSError, SafetensorError, ValueError, KeyError):
        return None


@contextlib.contextmanager
def _replacing(path: Path):
    """A binary file to write into; on leaving it lies on the disk, whole, under the name `path`, and on an error it is gone."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for left_over in path.parent.glob(
            f".{path.name}.*.partial"
        ):  # of processes that were killed while they wrote
            left_over.unlink()
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if (
            path.name == CURRENT and _label(path) is not None
        ):  # a damaged one does not take the place of a whole one
            os.replace(path, path.with_name(PREVIOUS))
        os.replace(partial, path)
        with contextlib.suppress(
            OSError
        ):  # Windows and some network folders cannot: there the renaming is on its own
            _sync(path.parent)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Bring the names in `folder` to the disk."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _not_saved(what: str, error: OSError, size: int, folder: Path) -> CheckpointNotSavedError:
    """The error in words: what failed and why, the room that was wanted and is there, and what there still is."""
    try:
        free = f"{shutil.disk_usage(folder).free / 1e6:.1f} MB free"
    except OSError:  # the folder is gone, or never was
        free = "free space unknown"
    labels = [label for name in (CURRENT, PREVIOUS) if (label := _label(folder / name)) is not None]
    named = f" ({labels[0]})" if labels and labels[0] else ""
    kept = (
        f"the last good state{named} is untouched"
        if labels
        else "no state had been saved there before"
    )
    found = CheckpointNotSavedError(
        f"{what}: {error.strerror or error} (wanted {size / 1e6:.1f} MB, {free}); {kept}"
    )
    found.errno = error.errno
    return found
