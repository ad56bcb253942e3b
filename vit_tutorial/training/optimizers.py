"""AdamW, and Muon for the matrices inside the encoder blocks."""

import torch
from torch import nn

from .settings import TrainSettings


def make_optimizers(model: nn.Module, settings: TrainSettings) -> list[torch.optim.Optimizer]:
    """What `settings.optimizer` says: [AdamW], or [Muon, AdamW] with each parameter in one of the two.

    Raises ValueError for Muon where this torch has none (it came with 2.9).
    """
    if settings.optimizer == "adamw":
        return [make_optimizer(model, settings)]
    if not hasattr(torch.optim, "Muon"):
        raise ValueError(
            f"torch {torch.__version__} has no Muon: it came with 2.9. Bring torch up to date, or take optimizer='adamw'"
        )
    inside = [
        m.weight for m in getattr(model, "encoder", model).modules() if isinstance(m, nn.Linear)
    ]
    head = {id(p) for p in getattr(model, "head", nn.Identity()).parameters()}
    matrices = [p for p in inside if id(p) not in head]
    muon = torch.optim.Muon(
        matrices, lr=settings.lr, weight_decay=settings.weight_decay, adjust_lr_fn="match_rms_adamw"
    )
    return [muon, make_optimizer(model, settings, without={id(p) for p in matrices})]


def make_optimizer(
    model: nn.Module, settings: TrainSettings, without: set[int] = frozenset()
) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019), with weight decay on what `settings.decay` says. without: ids of parameters left out."""
    matrices = {id(m.weight) for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)}
    everything = settings.decay == "all"
    mine = [p for p in model.parameters() if id(p) not in without]
    decayed = [p for p in mine if everything or id(p) in matrices]
    others = [p for p in mine if not (everything or id(p) in matrices)]
    groups = [
        dict(params=decayed, weight_decay=settings.weight_decay),
        dict(params=others, weight_decay=0.0),
    ]
    fused = next(model.parameters()).device.type in ("cpu", "cuda")
    return torch.optim.AdamW(groups, lr=settings.lr, fused=fused)
