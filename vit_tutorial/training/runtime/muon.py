"""Muon: whether this torch has it, and which parameters of a model it takes."""

import torch
from torch import nn

MUON_MISSING = f"torch {torch.__version__} has no Muon (it came with 2.9)"
MUON_REPLACED = f"{MUON_MISSING}: the recipe trains with AdamW instead"


def has_muon() -> bool:
    """Whether this torch has Muon."""
    return hasattr(torch.optim, "Muon")


def require_muon() -> None:
    """Raise ValueError, with what to do, where this torch has no Muon."""
    if not has_muon():
        raise ValueError(
            f"{MUON_MISSING}: update torch, or use AdamW (--optimizer adamw, "
            "or optimizer='adamw' in TrainSettings)"
        )


def muon_matrices(model: nn.Module) -> list[nn.Parameter]:
    """The weights that Muon takes: those of the linear layers in `model.encoder`.

    In a model without an encoder, of all its linear layers. Never those of `model.head`.
    """
    head = {id(p) for p in getattr(model, "head", nn.Identity()).parameters()}
    layers = getattr(model, "encoder", model).modules()
    weights = [layer.weight for layer in layers if isinstance(layer, nn.Linear)]
    return [weight for weight in weights if id(weight) not in head]
