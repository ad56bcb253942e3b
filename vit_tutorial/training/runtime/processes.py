"""One process or many that train one model together, with Hugging Face Accelerate for the many."""

import contextlib
import os

import torch
from torch import nn


class Processes:
    """One process: all methods do nothing. `init_processes` gives this, or one of several.

    rank: 0 to count - 1. main: this process writes files, shows progress and prints.
    """

    rank, count, main = 0, 1, True

    def wrap(self, model: nn.Module) -> nn.Module:
        """`model`, changed so that backward averages its gradients over the processes."""
        return model

    def sync_gradients(self, model: nn.Module, last: bool):
        """A context for one part of a batch; gradients are averaged only after the `last` part."""
        return contextlib.nullcontext()

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """`values`, added up over the processes."""
        return values

    def sync_clock(self, seconds: float, stop: bool) -> tuple[float, bool]:
        """The main process's `seconds`, and whether any process wants to stop: equal in all."""
        return seconds, stop


SINGLE_PROCESS = Processes()  # the default wherever processes can be given


class AccelerateProcesses(Processes):
    """One of several processes, under `accelerate launch`."""

    def __init__(self, accelerator):
        self.accelerator = accelerator
        self.rank, self.count = accelerator.process_index, accelerator.num_processes
        self.main = accelerator.is_main_process
        self.device = accelerator.device

    def wrap(self, model):
        return self.accelerator.prepare_model(model)

    def sync_gradients(self, model, last):
        return contextlib.nullcontext() if last else self.accelerator.no_sync(model)

    def sum(self, values):
        return self.accelerator.reduce(values, "sum")

    def sync_clock(self, seconds, stop):
        own = [seconds if self.main else 0.0, float(stop)]
        sums = torch.tensor(own, dtype=torch.float32, device=self.device)
        seconds, stop = self.accelerator.reduce(sums, "sum").tolist()
        return seconds, stop > 0


def init_processes(device: str = "auto") -> Processes:
    """This process among those that `accelerate launch --num_processes N` (or torchrun) started.

    device: "auto", "cuda" or "cpu". Each process gets a GPU of its own; on "cpu" they communicate
    over gloo. Raises ValueError when accelerate is not installed, or for a device that cannot be
    shared.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return SINGLE_PROCESS
    if device not in ("auto", "cuda", "cpu"):
        raise ValueError(
            f"device {device!r} with {os.environ['WORLD_SIZE']} processes: "
            "each gets a GPU of its own, say 'cuda' or 'cpu'"
        )
    try:
        from accelerate import Accelerator
    except ImportError:
        raise ValueError(
            "several processes need Hugging Face Accelerate: pip install accelerate (Colab has it)"
        ) from None
    return AccelerateProcesses(Accelerator(cpu=device == "cpu" or not torch.cuda.is_available()))
