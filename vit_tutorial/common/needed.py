"""The packages that this one needs, and what to do when some are missing.

pip installs them together with this package. On Colab it is installed alone (--no-deps), so that
nothing replaces Colab's own torch or numpy, and the package has to check for itself.
"""

import importlib.util

_NAMES = "torch torchvision numpy matplotlib einops pooch requests safetensors tqdm ipywidgets"
# What pyproject.toml asks for, as {import name: pip name}; a test compares the two.
NEEDED = {name: name for name in f"{_NAMES} filelock psutil scipy pycocotools".split()} | {
    "PIL": "pillow",
    "skimage": "scikit-image",
}


def missing_packages() -> list[str]:
    """The packages in NEEDED that are not installed, by their pip names."""
    return [pip for name, pip in NEEDED.items() if importlib.util.find_spec(name) is None]


def missing_error(missing: list[str]) -> ModuleNotFoundError:
    """The error to raise for these missing packages: it names them and the command that helps."""
    return ModuleNotFoundError(
        f"vit_tutorial needs packages that are not installed here: {', '.join(missing)}. "
        "Run this in a cell of its own, then run the set-up cell again:\n"
        f"%pip install {' '.join(missing)}",
        name=next(name for name, pip in NEEDED.items() if pip in missing),
    )
