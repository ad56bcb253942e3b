"""An exponential moving average (EMA) of a model's weights: often better than the last weights."""

import contextlib

from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class ModelEMA:
    """w' = decay w' + (1 - decay) w after each step, from the first on; decay 0 for no average.

    Polyak & Juditsky 1992. The average is evaluated and saved; training continues with w itself.
    """

    def __init__(self, model: nn.Module, decay: float):
        # On the model's device, but its counter on the CPU: a step on a GPU does not wait for it.
        average = get_ema_multi_avg_fn(decay) if decay else None
        self._averaged = AveragedModel(model, multi_avg_fn=average) if decay else None

    def update(self, model: nn.Module) -> None:
        if self._averaged:
            self._averaged.update_parameters(model)

    def model(self, model: nn.Module) -> nn.Module:
        """The averaged model, or `model` if there is no average."""
        return self._averaged.module if self._averaged else model

    def copy_to(self, model: nn.Module) -> None:
        """Give `model` the averaged weights."""
        if self._averaged:
            model.load_state_dict(self._averaged.module.state_dict())

    @contextlib.contextmanager
    def swapped(self, model: nn.Module):
        """A context in which `model` has the averaged weights; afterwards its own, bit for bit."""
        if not self._averaged:
            yield
            return
        own = {name: value.detach().clone() for name, value in model.state_dict().items()}
        self.copy_to(model)
        try:
            yield
        finally:
            model.load_state_dict(own)

    def state(self) -> dict | None:
        return self._averaged.state_dict() if self._averaged else None

    def restore(self, state: dict | None) -> None:
        if self._averaged:
            self._averaged.load_state_dict(state)
