"""AdamW, SGD with momentum, and Muon for the matrices in the encoder blocks."""

import torch
from torch import nn

from .runtime.muon import muon_matrices, require_muon
from .settings import TrainSettings

MOMENTUM = 0.9  # of SGD, as in the ViT paper's fine-tuning (section 4.1)


def make_optimizers(model: nn.Module, settings: TrainSettings) -> list[torch.optim.Optimizer]:
    """[AdamW], [SGD], or [Muon, AdamW] with each parameter in one of the two, as the settings say.

    Muon (Jordan et al. 2024) makes the update of a matrix near-orthogonal, so that all its
    directions get a step of equal size. It is meant for matrices between hidden layers: not for the
    head, the patches or the positions. Raises ValueError where this torch has no Muon.
    """
    if settings.optimizer != "muon":
        return [make_optimizer(model, settings)]
    require_muon()
    matrices = muon_matrices(model)
    muon = torch.optim.Muon(
        matrices,
        lr=settings.lr,
        weight_decay=settings.weight_decay,
        adjust_lr_fn="match_rms_adamw",  # an update as large as AdamW's usual one: they share lr
    )
    return [muon, make_optimizer(model, settings, without={id(p) for p in matrices})]


def make_optimizer(
    model: nn.Module, settings: TrainSettings, without: set[int] = frozenset()
) -> torch.optim.AdamW | torch.optim.SGD:
    """AdamW (Loshchilov & Hutter 2019), with weight decay where `settings.decay` says; or SGD.

    without: ids of parameters that another optimizer takes.
    """
    matrices = {id(m.weight) for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)}
    decays = lambda p: settings.decay == "all" or id(p) in matrices
    own = [p for p in model.parameters() if id(p) not in without]
    groups = [
        dict(params=[p for p in own if decays(p)], weight_decay=settings.weight_decay),
        dict(params=[p for p in own if not decays(p)], weight_decay=0.0),
    ]
    # One kernel for all parameters instead of several for each.
    fused = next(model.parameters()).device.type in ("cpu", "cuda")
    if settings.optimizer == "sgd":
        # torch adds the decay to the gradient, and momentum then makes 1 / (1 - 0.9) of it. Undone
        # here, so that a step shrinks a weight by weight_decay * lr, as with AdamW.
        for group in groups:
            group["weight_decay"] *= 1 - MOMENTUM
        return torch.optim.SGD(groups, lr=settings.lr, momentum=MOMENTUM, fused=fused)
    return torch.optim.AdamW(groups, lr=settings.lr, fused=fused)
