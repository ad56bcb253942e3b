"""A model by its name: one that was trained here, one of the package, of timm or torchvision."""

import dataclasses
import functools
import importlib
import inspect
import re
from pathlib import Path

import torch
from torch import nn

from .. import interop
from ..common.validation import nearest
from ..data.paths import weights_folder
from ..model import VisionTransformer
from ..training import load_model

WEIGHTS, SUFFIX = "weights:", ".safetensors"
LIBRARIES = {"timm": "timm", "torchvision": "torchvision.models"}  # the module that has list_models
# What the name of a model begins with that is no file.
PREFIXES = (WEIGHTS, *(f"{library}:" for library in LIBRARIES))


def load_by_name(name: str, pretrained: bool = True) -> nn.Module:
    """The model `name`: a file, the folder that train left, "weights:NAME", "timm:NAME" or
    "torchvision:NAME".

    weights: those that come with the package, such as weights:start_0.02. timm's NAME may have a
    tag (vit_tiny_patch16_224.augreg_in21k) or be a place that timm.create_model knows
    (hf_hub:OWNER/MODEL).
    pretrained: False gives random weights, without a download. Raises ValueError for an unknown
    name, or when the weights cannot be downloaded; ModuleNotFoundError when the library is not
    installed.
    """
    library, colon, model = name.partition(":")
    if colon and library in LIBRARIES:
        module = importlib.import_module(LIBRARIES[library])
        known = module.list_models()
        elsewhere = library == "timm" and re.match(r"(hf[-_]hub|local-dir):.", model)
        if not elsewhere and (model.split(".")[0] if library == "timm" else model) not in known:
            near = " or ".join(nearest(model, known, count=3, cutoff=0.3))
            raise ValueError(
                f"{library} has no model {model!r}: did you mean {near or 'another library'}?"
            )
        if library == "timm" and "." in model and not elsewhere:
            tagged = module.list_pretrained(f"{model.split('.')[0]}.*")
            if model not in tagged:
                raise ValueError(
                    f"timm has no weights {model!r}: there are {', '.join(tagged) or 'none'}"
                )
        if library == "torchvision":
            make = functools.partial(module.get_model, model, **_weights(module, model, pretrained))
        else:
            make = functools.partial(module.create_model, model, pretrained=pretrained)
        try:
            return make().eval()
        except Exception as error:  # each library fails in its own way without a network
            reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            if not pretrained:
                raise ValueError(f"{name} cannot be built ({reason})") from error
            raise ValueError(
                f"the weights of {name} could not be downloaded ({reason}): "
                "--untrained shows the random start (not in train: random weights teach it nothing)"
            ) from error
    model = load_model(model_file(name))[0]
    return model if pretrained else random_start(model)


def _weights(module, model: str, pretrained: bool) -> dict:
    """The arguments of torchvision's get_model: its best weights, or none, not even of a part."""
    if pretrained:
        return {"weights": "DEFAULT"}
    parameters = inspect.signature(module.get_model_builder(model)).parameters
    return {name: None for name in ("weights", "weights_backbone") if name in parameters}


def random_start(model: VisionTransformer, seed: int = 0) -> VisionTransformer:
    """A model of the same configuration before any training, from `seed`, in evaluation mode.

    The random numbers of the caller go on as if nothing had been drawn.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return VisionTransformer(model.config).eval()


def model_file(path: str | Path) -> Path:
    """The file that holds the weights: `path`, the one in the folder that train left, or of
    "weights:NAME" the one that comes with the package."""
    if str(path).startswith(WEIGHTS):
        return packed(str(path).removeprefix(WEIGHTS))
    path = Path(path)
    path = path / "model.safetensors" if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(f"no model file at {path}{_meant(str(path))}")
    return path


def _meant(name: str) -> str:
    """What a name may mean that is no file: a model of a library, written without its prefix."""
    library, _, rest = name.partition(":")
    if library in LIBRARIES:
        return f": this command takes models that were trained here. train --from {name} makes one"
    if re.match(r"hf[-_]hub$", library) and rest:
        return f": timm loads it as timm:{name}"
    if rest and (near := nearest(library, (*LIBRARIES, "weights"))):
        return f": did you mean {near[0]}:{rest}?"
    if "/" in name or name.endswith(SUFFIX):
        return ""
    for library, module in LIBRARIES.items():
        try:
            known = importlib.import_module(module).list_models()
        except ImportError:
            continue
        if name.split(".")[0] in known:
            return f": did you mean {library}:{name}?"
    return ""


def packed(name: str) -> Path:
    """The weights of this name that come with the package: start_0.02 and vit_cifar10_start_0.02
    are both that model. Raises FileNotFoundError, with the names that there are, for another."""
    name = name.removesuffix(SUFFIX)
    known = {
        path.name.removesuffix(SUFFIX): path
        for path in weights_folder().glob(f"vit_*{SUFFIX}")
        if not path.name.endswith(f".start{SUFFIX}")
    }
    found = [known[stem] for stem in known if stem == name or stem.endswith(f"_{name}")]
    if len(found) != 1:
        near = nearest(name, [*known, *(stem.split("_", 2)[-1] for stem in known)], cutoff=0.3)
        hint = f"did you mean {WEIGHTS}{near[0]}? " if near else ""
        raise FileNotFoundError(
            f"no weights {name!r} come with this package: {hint}there are "
            f"{', '.join(sorted(path.name for path in known.values()))}"
        )
    return found[0]


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
