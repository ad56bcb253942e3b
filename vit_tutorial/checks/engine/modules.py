"""The kinds of modules that a case can hold, by name: a recipe is data, so it fits into a file."""

import torch
from torch import nn

from ...common.validation import require_choice
from ...model import MLP, MultiHeadSelfAttention, VisionTransformer, ViTConfig


class PartsOnly(VisionTransformer):
    """A VisionTransformer whose parts work and whose shortcuts fail: composing is the exercise."""

    def forward(self, images):
        raise NotImplementedError(
            "compose the model's parts here: model(images) would be the answer itself"
        )

    def representation(self, images):
        raise NotImplementedError(
            "compose the model's parts here: representation(images) is most of the answer itself"
        )

    def tokens(self, images):
        raise NotImplementedError(
            "compose the model's parts here: tokens(images) is half of the answer itself"
        )


class CallLog(list):
    """A list that a deep copy of its owner shares: calls of a copied model are still recorded."""

    def __deepcopy__(self, memo):
        return self


class Probe(nn.Module):
    """A small classifier that logs its calls, and answers differently in training mode."""

    def __init__(self, features: int, classes: int):
        super().__init__()
        self.norm = nn.BatchNorm1d(features)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(features, classes)
        self.calls: list[dict] = CallLog()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.calls.append(
            {"training": self.training, "grad": torch.is_grad_enabled(), "images": len(images)}
        )
        x = images.flatten(1)
        if self.training:  # no batch of any size may come out right by luck
            x = -x
        return self.head(self.dropout(self.norm(x) if not self.training or len(x) > 1 else x))


class Watched(nn.Module):
    """A small classifier that logs its calls, and how many of them wait for their backward pass."""

    def __init__(self, features: int, classes: int):
        super().__init__()
        self.hidden, self.head = nn.Linear(features, 6), nn.Linear(6, classes)
        self.calls: list[dict] = CallLog()
        self.waiting = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits = self.head(self.hidden(images.flatten(1)).tanh())
        if logits.requires_grad:
            self.waiting += 1
            logits.register_hook(self._arrived)
        self.calls.append({"images": len(images), "waiting": self.waiting})
        return logits

    def _arrived(self, gradient: torch.Tensor) -> None:
        self.waiting -= 1


_KINDS = {
    "Linear": nn.Linear,
    "LayerNorm": nn.LayerNorm,
    "MultiHeadSelfAttention": MultiHeadSelfAttention,
    "MLP": MLP,
    "VisionTransformer": lambda **settings: PartsOnly(ViTConfig(**settings)),
    "Probe": Probe,
    "Watched": Watched,
}


def build_module(kind: str, settings: dict) -> nn.Module:
    """A fresh module of this kind. Raises ValueError for an unknown kind."""
    require_choice("kind of module", kind, tuple(_KINDS))
    return _KINDS[kind](**settings)
