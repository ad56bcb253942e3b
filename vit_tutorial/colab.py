"""What the one set-up cell of a lesson calls, on Colab and elsewhere: looks what is there, says it, and picks the device."""

import csv
import importlib.util
import os
import platform

# What pyproject.toml asks for, as {name in Python: name for pip}; a package installed with --no-deps has to look for itself.
_PIP_NAMES = (
    "torch torchvision numpy matplotlib einops pooch requests safetensors tqdm ipywidgets filelock"
)
NEEDED = {name: name for name in _PIP_NAMES.split()} | {"PIL": "pillow"}


def setup(lesson: str):
    """Print what this machine is and what that means for lesson "NN", and return the torch.device to train on.

    A CUDA GPU if there is one that works, else the CPU. Changes nothing, so a second call does no harm.
    Raises ModuleNotFoundError, with the one command that helps, when a package that the lessons need is not installed.
    """
    missing = [pip for name, pip in NEEDED.items() if importlib.util.find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(
            f"not installed here: {', '.join(missing)}. Run this in a cell of its own, then run the set-up cell again:\n"
            f"%pip install {' '.join(missing)}"
        )
    import torch

    from .cli.info import describe_device
    from .common import machine

    device = machine.pick_device()
    place = "on Colab" if on_colab() else "on this machine"
    print(
        f"Lesson {lesson} {place}: Python {platform.python_version()}, torch {torch.__version__}."
    )
    print(f"Device: {describe_device(device)}.")
    print(_device_note(lesson, device.type))
    return device


def on_colab() -> bool:
    """Whether this runs in Google Colab."""
    try:  # find_spec("google.colab") would raise where there is no package called google
        import google.colab  # noqa: F401
    except ImportError:
        return False
    return True


def _device_note(lesson: str, kind: str) -> str:
    """What the device means for this lesson, in one line."""
    if lesson == "06" and kind == "cuda":
        return "This lesson can train on CIFAR-10 here, in minutes; the cell that picks the data says so."
    row = _measured(lesson)
    took = "takes less than two minutes on 2 CPU cores"
    if row:
        took = (
            f"took {float(row['seconds']):.0f} s on {row['cores']} CPU cores when it was measured"
        )
    if kind == "cuda":
        return f"This lesson {took}; a GPU is not needed."
    more = (
        " With a GPU it can train on CIFAR-10 (on Colab: Runtime, Change runtime type)."
        if lesson == "06"
        else ""
    )
    return f"This lesson {took}; here are {os.cpu_count()}. No GPU is needed.{more}"


def _measured(lesson: str) -> dict | None:
    """The row of lesson "NN" in the table of measured times, None where there is none."""
    try:
        from .data import results_path

        with open(results_path("lesson_times.csv"), newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["lesson"].split("_")[0] == lesson]
    except OSError:
        return None
    return rows[0] if rows else None
