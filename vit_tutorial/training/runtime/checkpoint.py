"""A checkpoint: the state of a run in one file, written whole or not at all; the last two are kept.

The file is safetensors: the tensors are its entries; its header holds the nesting around them, as
JSON, and a SHA-256 over everything. Loading reads numbers and runs no code. Only one process may
write into a folder.
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

from ...common.files import atomic_write

CURRENT, PREVIOUS = "checkpoint.safetensors", "checkpoint.previous.safetensors"
PLAIN = (bool, int, float, str, type(None))


class CheckpointNotSavedError(OSError):
    """A checkpoint could not be written or copied; the last one is untouched."""


def save_checkpoint(folder: str | Path, state: dict, label: str = "") -> Path:
    """Write `state` to `folder`/checkpoint.safetensors; the last one becomes the previous one.

    state: dicts (keys str or int), lists and tuples, nested, of tensors (any dtype, device and
    layout in memory), int, float, bool, str and None. label: a readable name ("step 1200"), for
    messages. At every moment one of the two files is whole, whenever the process is killed. Takes
    about three times the state's size in main memory while it writes.
    Raises CheckpointNotSavedError when the disk is full or cannot be written to, TypeError for
    anything else in `state`.
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
        what = f"the checkpoint was not saved in {path.parent}"
        raise _not_saved(what, error, len(content), path.parent) from error
    return path


def load_checkpoint(folder: str | Path) -> tuple[dict, str]:
    """The newest whole state in `folder`, its tensors on the CPU; and a note.

    The note is "", or a sentence that says why this is not the last checkpoint.
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
            continue
        instead = f"resuming from the one before{f' ({label})' if label else ''}"
        if CURRENT in troubles:
            return state, f"{CURRENT} is damaged ({troubles[CURRENT]}): {instead}"
        if name == PREVIOUS:
            return state, f"{CURRENT} is missing (killed while it was replaced?): {instead}"
        return state, ""
    if not troubles:
        raise FileNotFoundError(f"no checkpoint in {folder}: looked for {CURRENT} and {PREVIOUS}")
    listed = "; ".join(f"{name}: {trouble}" for name, trouble in troubles.items())
    raise ValueError(
        f"no whole checkpoint in {folder} ({listed}). Use a copy, if there is one, or begin again"
    )


def copy_checkpoint(folder: str | Path, other: str | Path, also: Iterable[str] = ()) -> None:
    """Copy the checkpoint in `folder` to `other` (on Drive, say), which always holds a whole one.

    also: names of other files in `folder`, copied first, each whole; those that do not exist yet
    are skipped. Raises CheckpointNotSavedError when `other` cannot be written to; `folder` is only
    read.
    """
    folder, other = Path(folder), Path(other)
    size = 0
    try:
        newest = next((n for n in (CURRENT, PREVIOUS) if (folder / n).is_file()), CURRENT)
        pairs = [(folder / name, other / name) for name in also if (folder / name).is_file()]
        for source, target in [*pairs, (folder / newest, other / CURRENT)]:
            size = source.stat().st_size
            with source.open("rb") as file, _replacing(target) as copy:
                shutil.copyfileobj(file, copy, 1 << 20)
    except OSError as error:
        what = f"the copy in {other} was not brought up to date"
        raise _not_saved(what, error, size, other) from error


def _pack(value, tensors: dict, where: str):
    """`value` as JSON can hold it; each tensor moves to `tensors`, replaced by its name."""
    if isinstance(value, torch.Tensor):
        if value.layout != torch.strided:
            raise TypeError(
                f"{where} is a tensor of layout {value.layout}: only strided tensors can be saved"
            )
        name = str(len(tensors))
        # A copy, always: safetensors refuses tensors that share memory.
        tensors[name] = value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        return {"tensor": name}
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str | int) or isinstance(key, bool):
                kind = type(key).__name__
                raise TypeError(f"{where} has the key {key!r}, a {kind}: keys are str or int")
        packed = lambda key: _pack(value[key], tensors, f"{where}[{key!r}]")
        return {"dict": [[key, packed(key)] for key in value]}
    if isinstance(value, list | tuple):
        items = [_pack(item, tensors, f"{where}[{i}]") for i, item in enumerate(value)]
        return items if isinstance(value, list) else {"tuple": items}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(float(value))}
    if not isinstance(value, PLAIN):
        raise TypeError(
            f"{where} is a {type(value).__name__}: "
            "a state holds tensors, numbers, str, None, dict, list and tuple"
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
    """What the header holds besides the list of tensors. SafetensorError if it is cut short."""
    with safe_open(path, framework="pt") as file:
        return file.metadata() or {}


def _read(path: Path) -> tuple[dict, str]:
    """The state in the file and its label. Raises any kind of error when the file is not whole."""
    content = path.read_bytes()
    header = _header(path)
    if "vit_tutorial_state" not in header:
        raise ValueError("it is no checkpoint of a run")
    plan, tensors = header["vit_tutorial_state"], safetensors.torch.load(content)
    if _digest(plan, tensors) != header.get("sha256"):
        raise ValueError("its contents and its SHA-256 disagree")
    stored = json.loads(plan)
    return _unpack(stored["state"], tensors), stored["label"]


def _label(path: Path) -> str | None:
    """The label of the checkpoint at `path`; None if there is none, or its header is damaged."""
    try:
        return json.loads(_header(path)["vit_tutorial_state"])["label"]
    except (OSError, SafetensorError, ValueError, KeyError):
        return None


@contextlib.contextmanager
def _replacing(path: Path):
    """A binary file to write into. When the block ends, it is on the disk, complete, as `path`; the
    checkpoint that had this name becomes the previous one. After an error nothing has changed."""
    with atomic_write(path, sync=True) as file:
        yield file
        if path.name == CURRENT and _label(path) is not None:  # a damaged one must not become it
            file.flush()
            os.fsync(file.fileno())  # on the disk, before the old one moves away
            os.replace(path, path.with_name(PREVIOUS))


def _not_saved(what: str, error: OSError, size: int, folder: Path) -> CheckpointNotSavedError:
    """The error as a sentence: what failed and why, the space needed, what is still there."""
    try:
        free = f"{shutil.disk_usage(folder).free / 1e6:.1f} MB free"
    except OSError:  # the folder is gone, or never existed
        free = "free space unknown"
    labels = [label for name in (CURRENT, PREVIOUS) if (label := _label(folder / name)) is not None]
    named = f" ({labels[0]})" if labels and labels[0] else ""
    left = f"the last good checkpoint{named} is untouched" if labels else "there was none before"
    reason = f"{error.strerror or error} (needed {size / 1e6:.1f} MB, {free})"
    not_saved = CheckpointNotSavedError(f"{what}: {reason}; {left}")
    not_saved.errno = error.errno
    return not_saved
