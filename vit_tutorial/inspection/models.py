"""A model by its name: one that was trained here, or one of timm or torchvision."""

import dataclasses
import functools
import importlib
import re
from pathlib import Path

from torch import nn

from .. import interop
from ..common.validation import nearest
from ..model import VisionTransformer
from ..training import load_model


def load_by_name(name: str, pretrained: bool = True) -> nn.Module:
    """The model `name`: a file, the folder that train left, "timm:NAME" or "torchvision:NAME".

    timm's NAME may have a tag (vit_tiny_patch16_224.augreg_in21k) or be a place that
    timm.create_model knows (hf_hub:OWNER/MODEL).
    pretrained: False gives random weights, without a download. Raises ValueError for an unknown
    name, or when the weights cannot be downloaded; ModuleNotFoundError when the library is not
    installed.
    """
    library, colon, model = name.partition(":")
    if colon and library in ("timm", "torchvision"):
        module = importlib.import_module(
            "torchvision.models" if library == "torchvision" else library
        )
        known = module.list_models()
        elsewhere = library == "timm" and re.match(r"(hf[-_]hub|local-dir):.", model)
        if not elsewhere and (model.split(".")[0] if library == "timm" else model) not in known:
            near = " or ".join(nearest(model, known, count=3, cutoff=0.3))
            raise ValueError(
                f"{library} has no model {model!r}: did you mean {near or 'another library'}?"
            )
        if library == "torchvision":
            make = functools.partial(
                module.get_model, model, weights="DEFAULT" if pretrained else None
            )
        else:
            make = functools.partial(module.create_model, model, pretrained=pretrained)
        try:
            return make().eval()
        except Exception as error:  # each library fails in its own way without a network
            if not pretrained:
                raise
            reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            raise ValueError(
                f"the weights of {name} could not be downloaded ({reason}): "
                "--untrained shows the random start"
            ) from error
    return load_model(model_file(name))[0]


def model_file(path: str | Path) -> Path:
    """The file that holds the weights: `path`, or the one in the folder that train left."""
    path = Path(path)
    return path / "model.safetensors" if path.is_dir() else path


@dataclasses.dataclass(frozen=True)
class Pretrained:
    """Weights to start from, with the normalisation that they were trained with."""

    model: VisionTransformer
    mean: tuple[float, ...]  # of each channel, of pixels scaled to 0..1
    std: tuple[float, ...]


def load_pretrained(name: str, pretrained: bool = True) -> Pretrained:
    """The model `name` as a VisionTransformer: a file, a run's folder, timm:NAME, torchvision:NAME.

    Raises ValueError for what our model cannot express (`interop.load_from` names the feature), for
    a file that does not say how its images were normalised, and as `load_by_name` does.
    """
    library, _, model_name = name.partition(":")
    if library == "timm":
        theirs = load_by_name(name, pretrained)
        mean, std = theirs.pretrained_cfg["mean"], theirs.pretrained_cfg["std"]
        return Pretrained(interop.load_from(theirs), tuple(mean), tuple(std))
    if library == "torchvision":
        theirs = load_by_name(name, pretrained)
        cut = importlib.import_module("torchvision.models").get_model_weights(model_name).DEFAULT
        shown = cut.transforms()
        return Pretrained(interop.load_from(theirs), tuple(shown.mean), tuple(shown.std))
    path = model_file(name)
    model, header = load_model(path)
    if "data" not in header:
        raise ValueError(
            f"{path} does not say how its images were normalised: it was saved by "
            "save_model(path, model) without its data. Save it with save_model(path, model, data)"
        )
    return Pretrained(model, tuple(header["data"]["mean"]), tuple(header["data"]["std"]))
