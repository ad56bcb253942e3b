"""What a checkpoint holds: everything that the rest of a run depends on, to the last bit."""

import dataclasses
from collections import Counter

import torch

from ...common.validation import shortened
from .fit import data_identity

OF_HISTORY = ("rows", "steps", "steps_by_side", "epochs", "minutes")
OF_RUN = ("loss_sum", "loss_count", "evals_done", "lr")  # since the last evaluation


def get_run_state(run) -> dict:
    """The state of `run`, the object that training/loop.py makes steps with."""
    config, device = run.model.config, run.data.device
    cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return {
        # These three are compared before a resume, see `check_same`.
        "settings": dataclasses.asdict(run.settings),
        "config": dataclasses.asdict(config) if dataclasses.is_dataclass(config) else None,
        "data": data_identity(run.data),
        # These are restored.
        "step": run.step.state(),
        "batches": run.batches.state(),
        "history": {name: getattr(run.history, name) for name in OF_HISTORY},
        "run": {name: getattr(run, name) for name in OF_RUN},
        "reserved": run.clock.reserved,
        "random": {"cpu": torch.get_rng_state(), "cuda": cuda},  # dropout draws from these
    }


def _checked(name: str, value, before):
    """`value` if it is of the type that it replaces, or TypeError."""
    kinds = {float: (int, float), Counter: dict}
    fits = isinstance(value, kinds.get(type(before), type(before)))
    if not fits or (name == "rows" and not all(isinstance(row, dict) for row in value)):
        raise TypeError(f"{name} is {shortened(value)}")
    return value


def restore_run_state(run, state: dict) -> None:
    """Bring `run`, newly made with the same settings, to where `state` was taken."""
    run.step.restore(state["step"])
    run.batches.restore(state["batches"])
    for target, part in ((run.history, state["history"]), (run, state["run"])):
        for name in OF_HISTORY if target is run.history else OF_RUN:
            setattr(target, name, _checked(name, part[name], getattr(target, name)))
    device = run.data.device
    run.history.steps_by_side = Counter(run.history.steps_by_side)
    run.loss_sum = run.loss_sum.to(device)
    run.clock.start(60 * run.history.minutes)
    run.clock.reserved = state["reserved"]
    if run.processes.main:
        torch.set_rng_state(state["random"]["cpu"])
        if state["random"]["cuda"] is not None and device.type == "cuda":
            torch.cuda.set_rng_state(state["random"]["cuda"], device)
    else:  # the state is the main process's: the others need new numbers, not those drawn before
        torch.manual_seed(run.settings.seed + run.processes.rank + 1000 * run.history.steps)
