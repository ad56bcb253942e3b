"""load_from and export_to, and the matching of weights between the two sides."""

import dataclasses
import importlib
import math
import re
from types import ModuleType

import torch
from torch import nn

from ..common.validation import require_choice
from ..model import VisionTransformer, ViTConfig
from .read_config import FEATURES, feature_of, read_config, refuse

LIBRARIES = ("torchvision", "timm", "vit_pytorch")
_CLASSES = {
    "torchvision.models.vision_transformer.VisionTransformer": "torchvision",
    "timm.models.vision_transformer.VisionTransformer": "timm",
    "vit_pytorch.vit.ViT": "vit_pytorch",
}


def load_from(
    model: nn.Module, image_size: int | tuple[int, int] | None = None
) -> VisionTransformer:
    """Our VisionTransformer with the configuration and a copy of the weights of `model`.

    model: a ViT of torchvision, timm or vit-pytorch. Logits for the same images agree up to
        rounding. Dtype, device and train or eval mode are kept; every parameter is trainable.
    image_size: side or (H, W) in pixels. Needed for vit-pytorch with images that are not square,
        since its model keeps the number of patches but no size.
    Raises ValueError for an unknown class of model, and for any feature that our model lacks.
    """
    library = _library_of(model)
    config = read_config(model, library, image_size)
    with torch.device("meta"):  # shapes without numbers: nothing is drawn, nothing takes memory
        ours = VisionTransformer(config)
    names, source = _match(ours, model, library), _weights(model)
    state = {
        name: _to_ours(source[names[name]], slot.shape) for name, slot in ours.state_dict().items()
    }
    ours.load_state_dict(state, assign=True)  # assign: the copies replace the empty shapes
    return ours.train(model.training)


def export_to(model: VisionTransformer, target: str | nn.Module) -> nn.Module:
    """Write the weights of our `model` into `target`, and return the target.

    target: a ViT of torchvision, timm or vit-pytorch, which keeps its own dtype, device and mode;
        or the name of a library, "torchvision", "timm" or "vit_pytorch". Then an instance is built,
        with the dtype, device and mode of `model`.
    Raises ValueError, with both values, where the two differ in more than weights. Likewise for
    what a library cannot express: a class token that comes last, fixed positions, or in torchvision
    mean pooling and images that are not square. A target that does not fit is left unchanged.
    Raises ModuleNotFoundError when the library is not installed.
    """
    if not isinstance(model, VisionTransformer):
        raise ValueError(
            f"export_to writes a model of vit_tutorial, this is a {_class_name(model)}: "
            "load_from(model) reads theirs"
        )
    if isinstance(target, str):
        require_choice("library", target, LIBRARIES)
        first = next(model.parameters())
        with torch.random.fork_rng(devices=[]):  # the random start is overwritten: draw nothing
            target = _module(target).build(model.config)
        target = target.to(first.device, first.dtype).train(model.training)
    library = _library_of(target)
    size = model.config.image_size if library.NAME == "vit_pytorch" else None
    _check_same(model.config, read_config(target, library, size), library.NAME)
    names, slots = _match(model, target, library), _weights(target)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            slot = slots[names[name]]  # shares its memory with the target's parameter
            slot.copy_(_to_theirs(value, slot.shape))
    return target


def _module(name: str) -> ModuleType:
    """Our description of a library (timm.py, torchvision.py, vit_pytorch.py beside this file)."""
    return importlib.import_module(f".{name}", __package__)


def _class_name(model) -> str:
    return f"{type(model).__module__}.{type(model).__qualname__}"


def _library_of(model) -> ModuleType:
    """The description of the library that `model` comes from. Raises ValueError for other classes.

    A subclass counts as another class: it may compute something else.
    """
    name = _class_name(model)
    if name in _CLASSES:
        return _module(_CLASSES[name])
    if isinstance(model, VisionTransformer):
        raise ValueError(
            "this is a VisionTransformer of vit_tutorial already: copy.deepcopy(model) makes a "
            "second one"
        )
    if isinstance(model, dict):
        raise ValueError(_about_weights(model))
    features = [what for part, what in FEATURES.items() if getattr(model, part, None) is not None]
    feature = f" (with {features[0]})" if features else ""
    wrapped = [
        inner  # torch.compile's name for the model inside, and DataParallel's
        for inner in ("_orig_mod", "module")
        if isinstance(getattr(model, inner, None), nn.Module)
    ]
    hint = f". It wraps a model: pass model.{wrapped[0]}" if wrapped else ""
    raise ValueError(
        f"unknown class of model {name}{feature}: known are {', '.join(_CLASSES)}{hint}"
    )


def _about_weights(weights: dict) -> str:
    """What to do with a dict of weights, as torch.load returns it, in place of a model."""
    inside = [
        key for key in ("model", "state_dict", "model_state_dict", "module") if key in weights
    ]
    place = "weights" + "".join(f"[{key!r}]" for key in inside[:1])
    names = weights[inside[0]] if inside else weights
    prefix = ""
    if isinstance(names, dict) and names and all(str(n).startswith("module.") for n in names):
        place = f"{{name.removeprefix('module.'): w for name, w in {place}.items()}}"
        prefix = ", whose names begin with DataParallel's 'module.'"
    return (
        f"this is a dict with {len(weights)} entries{prefix}, not a model: weights alone do not "
        "say how they are used. Build the model in the library that they come from, call "
        f"model.load_state_dict({place}), and load_from(model)"
    )


def _weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers by name, without empty ones.

    vit-pytorch has an empty class token (0, D) under mean pooling.
    """
    return {name: value for name, value in model.state_dict().items() if value.numel()}


def _check_same(ours: ViTConfig, theirs: ViTConfig, library: str) -> None:
    """Raise ValueError, with both values, where they differ in more than the start of weights."""
    ours, theirs = dataclasses.asdict(ours), dataclasses.asdict(theirs)
    for config in (ours, theirs):
        for start in ("position_std", "position_init", "position_frozen"):
            del config[start]
        # Two differences do not matter: when one token is read, both orders of norm and pooling
        # give the same; and without a class token or positions there is nothing to leave out.
        config["norm_after_pool"] |= config["pool"] == "class"
        config["position_class_token"] |= "none" in (config["class_token"], config["position"])
    different = [
        f"{name} is {ours[name]!r} here and {theirs[name]!r} there"
        for name in ours
        if ours[name] != theirs[name]
    ]
    if different:
        raise ValueError(f"this {library} ViT cannot hold these weights: {'; '.join(different)}")


def _match(ours: VisionTransformer, model: nn.Module, library: ModuleType) -> dict[str, str]:
    """Our names -> theirs, one to one.

    Raises ValueError, naming the feature, for a weight that has no place on the other side.
    """
    known, theirs = library.names(model), _weights(model)
    names = {name: _their_name(name, known) for name in ours.state_dict()}
    left = [name for name in theirs if name not in names.values()]
    if left:
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        what = f"weights {left[0]} {tuple(theirs[left[0]].shape)}{more}"
        refuse(library.NAME, feature_of(left[0]), what)
    for name, value in ours.state_dict().items():
        shape = tuple(theirs[names[name]].shape) if names[name] in theirs else "missing"
        if shape == "missing" or math.prod(shape) != value.numel():
            raise ValueError(
                f"{names[name]} is {shape} in this {library.NAME} ViT: "
                f"our {name} is {tuple(value.shape)}"
            )
    return names


def _their_name(name: str, known: dict[str, str]) -> str:
    """Their name for our weight `name`; `known` leaves out .weight and .bias, {} is the block."""
    if name in known:
        return known[name]
    module, _, leaf = name.rpartition(".")
    if block := re.match(r"encoder\.blocks\.(\d+)\.", module):
        pattern = known[module.replace(block[0], "encoder.blocks.{}.", 1)]
        there = pattern.format(block[1])
    else:
        there = known[module]
    # torch's MultiheadAttention calls them in_proj_weight and in_proj_bias
    return f"{there}_{leaf}" if there.endswith("in_proj") else f"{there}.{leaf}"


def _to_ours(value: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """A copy of their weight in our shape; a convolution's (D, C, P, P) becomes (D, P*P*C)."""
    if value.ndim == 4:
        value = value.permute(0, 2, 3, 1)  # (D, P, P, C): inside a patch the channel comes last
    return value.clone(memory_format=torch.contiguous_format).reshape(shape)


def _to_theirs(value: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Our weight in their shape, the inverse of `_to_ours`."""
    if len(shape) == 4:
        D, C, P, _ = shape
        return value.reshape(D, P, P, C).permute(0, 3, 1, 2)  # (D, C, P, P)
    return value.reshape(shape)
