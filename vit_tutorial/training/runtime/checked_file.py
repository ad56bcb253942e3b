"""A model file read with suspicion: it may be cut short, damaged, or made by somebody else."""

import dataclasses
import json
import math
import numbers
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from ...common.file_kind import kind_of
from ...common.machine import free_bytes
from ...common.validation import shortened
from ...model import VisionTransformer, ViTConfig
from .model_size import require_memory

PICKLED = (b"PK\x03\x04", b"\x80\x02", b"\x80\x04")  # how files of torch.save begin


def read_checked(path: Path) -> tuple[dict, ViTConfig, dict[str, torch.Tensor]]:
    """The header, its configuration and the weights of a file that `save_model` wrote, which fit
    each other.

    Raises ValueError as `load_model` does.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            header = (file.metadata() or {}).get("vit_tutorial")
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path} cannot be read as a safetensors file ({error}): {_other_kind(path)}"
        ) from error
    if header is None:
        raise ValueError(
            f"{path} is a safetensors file, but vit_tutorial did not write it: its header has no "
            "configuration. Build the model in the library that it comes from, load the file "
            "there, and convert it: save_model(path, interop.load_from(model), data)"
        )
    meta, config = _read_header(path, header)
    _check_weights(path, config, tensors)
    return meta, config, tensors


def _other_kind(path: Path) -> str:
    """What a file may be that is no safetensors file, and what to do."""
    with path.open("rb") as file:
        begin = file.read(4)
    if begin.startswith(PICKLED):
        return (
            "it looks like a file of torch.save, which can run code when it is loaded. If you "
            "trust it, load it into the model that it belongs to (torch.load with "
            "weights_only=True), and write that one with save_model"
        )
    return kind_of(path) or "cut short, or of another kind?"


def _read_header(path: Path, text: str) -> tuple[dict, ViTConfig]:
    """Our part of the file's header, checked, and its configuration, which can be built.

    Raises ValueError that names the file.
    """
    try:
        meta = json.loads(text)
        config = meta["config"]
        if not isinstance(config, dict):
            raise TypeError(f"config is {shortened(config)}")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(
            f"{path}: the configuration in its header cannot be read ({error}): it is damaged. Use "
            "a copy, or train again"
        ) from error
    known = [field.name for field in dataclasses.fields(ViTConfig)]
    if unknown := [name for name in config if name not in known]:
        raise ValueError(
            f"{path} was written by another version of vit_tutorial: its configuration has "
            f"{', '.join(unknown)[:200]}, which ViTConfig does not know. Use that "
            "version, or train again"
        )
    try:
        saved = ViTConfig(**config)
    except ValueError as error:
        raise ValueError(f"{path}: its configuration cannot be built: {error}") from error
    if "data" in meta and (fault := _fault_of_data(meta["data"], saved)):
        raise ValueError(f"{path}: what its header says about the data is damaged: {fault}")
    return meta, saved


def _fault_of_data(data, config: ViTConfig) -> str:
    """What is wrong with class names, mean and deviation in a header; "" if nothing is."""
    if not isinstance(data, dict):
        return f"it is {shortened(data)}"
    names = data.get("class_names")
    texts = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not texts or len(names) != config.num_classes:
        return f"class_names is {shortened(names)}, not {config.num_classes} names"
    for key in ("mean", "std"):
        values = data.get(key)
        listed = isinstance(values, list) and len(values) == config.channels
        if not listed or not all(isinstance(v, numbers.Real) and math.isfinite(v) for v in values):
            return f"{key} is {shortened(values)}, not {config.channels} finite numbers"
    if min(data["std"]) <= 0:
        return f"std is {data['std']}: deviations are above 0"
    return ""


def _check_weights(path: Path, config: ViTConfig, tensors: dict[str, torch.Tensor]) -> None:
    """Raise ValueError unless `tensors` are finite weights of a model of `config`.

    Shapes are compared on a model without memory: a damaged number asks for none.
    """
    try:
        require_memory(config, free_bytes("cpu"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    with torch.device("meta"):
        expected = VisionTransformer(config).state_dict()
    faults = [f"{name} is missing" for name in expected if name not in tensors]
    faults += [f"{name} is not one of them" for name in tensors if name not in expected]
    faults += [
        f"{name} is {tuple(tensors[name].shape)}, expected {tuple(value.shape)}"
        for name, value in expected.items()
        if name in tensors and tensors[name].shape != value.shape
    ]
    faults += [
        f"{name} has numbers of the type {value.dtype}"
        for name, value in tensors.items()
        if not value.is_floating_point()
    ]
    if faults:
        more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
        raise ValueError(
            f"{path}: its weights are not those of its configuration: {faults[0]}{more}. Use a "
            "copy, or train again"
        )
    if broken := [name for name, value in tensors.items() if not value.float().isfinite().all()]:
        raise ValueError(
            f"{path}: {len(broken)} of its {len(tensors)} weights hold numbers that are not finite "
            f"(NaN or infinity), {broken[0]} the first: the file is damaged, or its training had "
            "failed. Use a copy, or train again"
        )
