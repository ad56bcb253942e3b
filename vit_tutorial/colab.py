"""What a lesson's set-up cell calls, on Colab and elsewhere: describe the machine, pick the device.

This package's other modules are imported only after `setup` has looked for missing packages: they
need numpy, safetensors, tqdm and others, and would fail before the advice is printed.
"""

import os
import platform
import textwrap

from .common.needed import NEEDED, missing_error, missing_packages  # noqa: F401


def setup(lesson: str):
    """Print what this machine has and what that means for `lesson` ("03"); return the device.

    The device to train on, a torch.device: a CUDA GPU if there is one that works, else the CPU.
    Changes nothing, so a second call does no harm.
    Raises ModuleNotFoundError, with the one command that helps, when a package that the lessons
    need is not installed.
    """
    if missing := missing_packages():
        raise missing_error(missing)
    import torch

    from .cli.info import describe_device
    from .common.machine import pick_device

    device = pick_device()
    place = "on Colab" if on_colab() else "on this machine"
    name = f"Lesson {lesson}" if lesson[:1].isdigit() else lesson.capitalize()
    print(f"{name} {place}: Python {platform.python_version()}, torch {torch.__version__}.")
    print(textwrap.fill(f"Device: {describe_device(device)}.", 88))
    print(textwrap.fill(_device_note(lesson, device.type), 88))
    return device


def on_colab() -> bool:
    """Whether this runs in Google Colab."""
    try:  # find_spec("google.colab") would raise where there is no package called google
        import google.colab  # noqa: F401
    except ImportError:
        return False
    return True


def _device_note(lesson: str, kind: str) -> str:
    """What the device means for this lesson, in one line. How long it takes, its header says."""
    if kind == "cuda" and lesson == "06":
        return (
            "With this GPU the lesson can train on CIFAR-10 in minutes; "
            "the cell that loads the data chooses it."
        )
    if kind == "cuda":
        return "This lesson does not need the GPU."
    note = f"No GPU is needed. This machine has {os.cpu_count()} CPU cores."
    if lesson == "06":
        note += " With a GPU it can train on CIFAR-10 (on Colab: Runtime, Change runtime type)."
    return note
