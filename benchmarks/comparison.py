"""What the comparisons of small models share: their options, their images, and what is counted."""

import argparse

import torch
from torch.utils.flop_counter import FlopCounterMode


def time_option() -> argparse.ArgumentParser:
    """--minutes, for tables that another call continues."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--minutes", type=float, default=1e9, help="start no run after these")
    return options


def photograph_options() -> argparse.ArgumentParser:
    """--images and --provenance, for scripts of which one task is on photographs."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--images", default="cifar10", help="cifar10, or a folder train/, test/")
    options.add_argument("--provenance", default="", help="what the images are, for the table")
    return options


def share(right: torch.Tensor) -> float:
    """The share of True, for a table."""
    return round(right.float().mean().item(), 4)


def count(model: torch.nn.Module) -> int:
    """The number of parameters."""
    return sum(p.numel() for p in model.parameters())


def explicit_attention(model: torch.nn.Module) -> None:
    """Let attention form its table: the counter does not see the fused form on every torch."""
    for part in model.modules():
        if hasattr(part, "fused"):
            part.fused = False


def forward_flops(model: torch.nn.Module) -> int:
    """Of one image of 32 x 32; a multiplication and an addition are two. Freezes the model."""
    explicit_attention(model)
    model.eval().requires_grad_(False)  # not no_grad: the counter then stops at a learned token
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, 32, 32))
    return counter.get_total_flops()
