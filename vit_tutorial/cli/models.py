"""A model by its name: one that was trained here, or one of timm or torchvision."""

import functools
import importlib
from pathlib import Path

from torch import nn

from ..common.validation import nearest
from ..training import load_model


def load_by_name(name: str, pretrained: bool = True) -> nn.Module:
    """The model `name`: a file, the folder that train left, "timm:NAME" or "torchvision:NAME".

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
        if model not in known:
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
    path = Path(name)
    return load_model(path / "model.safetensors" if path.is_dir() else path)[0]
