"""A trained model as one safetensors file, with its configuration in the header."""

import dataclasses
import json
from pathlib import Path

import torch
from safetensors.torch import save

from ..common.files import atomic_write
from ..model import VisionTransformer, ViTConfig
from .runtime.checked_file import read_checked


def save_model(path: str | Path, model: VisionTransformer, data=None, **notes) -> Path:
    """Write `model` to `path`, whole or not at all, in the model's own dtype.

    data: the ImageData it was trained on; its class names, mean and standard deviation go into the
    header, so that the file is enough to classify an image. notes: anything else JSON can hold.
    Raises OSError when the disk is full or cannot be written to; an existing file is then left
    unchanged.
    """
    header = {"config": dataclasses.asdict(model.config), "notes": notes}
    if data is not None:
        stored = ("name", "class_names", "mean", "std", "provenance", "fingerprint")
        header["data"] = {name: getattr(data, name) for name in stored}
    tensors = {n: value.detach().cpu().contiguous() for n, value in model.state_dict().items()}
    with atomic_write(path) as file:
        file.write(save(tensors, metadata={"vit_tutorial": json.dumps(header)}))
    return Path(path)


def load_model(
    path: str | Path, device: torch.device | str = "cpu", config: ViTConfig | None = None
) -> tuple[VisionTransformer, dict]:
    """The model saved at `path`, float32, in evaluation mode, on `device`; and its header.

    The header is a dict of config, notes, and data if it was given. config: the one you expect.
    Raises FileNotFoundError when there is no file; ValueError when the file is damaged, was not
    written by `save_model`, was written by a version with other fields, holds weights that do not
    fit its configuration or are not finite, or when its configuration is not `config`.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no model file at {path}")
    meta, saved, tensors = read_checked(path)
    if config is not None and config != saved:
        known = [field.name for field in dataclasses.fields(ViTConfig)]
        pairs = ((name, getattr(saved, name), getattr(config, name)) for name in known)
        listed = "; ".join(f"{n} is {a!r} in the file, {b!r} here" for n, a, b in pairs if a != b)
        raise ValueError(
            f"{path} holds another configuration: {listed}. "
            "Build the model with the ViTConfig of the file, or train again"
        )
    model = VisionTransformer(saved)
    model.load_state_dict(tensors)  # of any precision: they are copied into float32
    return model.to(device).eval(), meta
