"""A trained model as one file: safetensors, with the configuration in its header. Loading runs no code from the file."""

import dataclasses
import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ..model import VisionTransformer, ViTConfig


def save_model(path: str | Path, model: VisionTransformer, data=None, **notes) -> Path:
    """Write `model` to `path`, whole or not at all (a temporary file, then os.replace), in the model's own dtype.

    data: the ImageData it was trained on; its class names, mean and standard deviation go into the header, so that the file is
    enough to classify an image. notes: anything else JSON can hold (seed, accuracy, ...).
    Raises OSError when the disk is full or cannot be written to; a file that was there stays as it was.
    """
    path = Path(path)
    header = {"config": dataclasses.asdict(model.config), "notes": notes}
    if data is not None:
        header["data"] = {
            "name": data.name,
            "class_names": list(data.class_names),
            "mean": list(data.mean),
            "std": list(data.std),
        }
        header["data"]["provenance"] = data.provenance
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        tensors = {
            name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()
        }
        save_file(tensors, temporary, metadata={"vit_tutorial": json.dumps(header)})
        os.replace(temporary, path)
    except SafetensorError as error:  # its way to say that the disk is full
        raise OSError(f"{path} was not written: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return path


def load_model(
    path: str | Path, device: torch.device | str = "cpu", config: ViTConfig | None = None
) -> tuple[VisionTransformer, dict]:
    """The model saved at `path`, float32, in evaluation mode, on `device`; and its header: config, notes, and data if there was.

    config: what you expect; a ValueError names every field in which the file differs. Also a ValueError for a file that is not
    a checkpoint of this package or is cut short. FileNotFoundError when it is not there.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            header = (file.metadata() or {}).get("vit_tutorial")
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path} cannot be read as a safetensors file ({error}): cut short, or of another kind?"
        ) from error
    if header is None:
        raise ValueError(
            f"{path} is a safetensors file, but vit_tutorial did not write it: its header has no configuration"
        )
    meta = json.loads(header)
    saved = ViTConfig(**meta["config"])
    if config is not None and config != saved:
        fields = [
            f.name
            for f in dataclasses.fields(saved)
            if getattr(saved, f.name) != getattr(config, f.name)
        ]
        listed = "; ".join(
            f"{f} is {getattr(saved, f)!r} in the file, {getattr(config, f)!r} here" for f in fields
        )
        raise ValueError(
            f"{path} holds another configuration: {listed}. Build the model with ViTConfig from the file, or train anew"
        )
    model = VisionTransformer(saved)
    model.load_state_dict(tensors)
    return model.to(device).eval(), meta
