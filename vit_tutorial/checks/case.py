"""What a learner's function is tried on: plain data, from which fresh inputs are built for each call."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from .modules import build_module


@dataclass(frozen=True)
class Module:
    """A recipe for an nn.Module: a kind that modules.py knows, its settings (numbers, strings), and the values of its tensors."""

    kind: str
    settings: dict
    state: dict[str, torch.Tensor]

    def build(self, device: str = "cpu") -> nn.Module:
        """A fresh module, in evaluation mode unless the settings say {"training": True}."""
        settings = dict(self.settings)
        training = settings.pop("training", False)
        module = build_module(self.kind, settings)
        dtypes = [tensor.dtype for tensor in self.state.values() if tensor.is_floating_point()]
        if dtypes:
            module = module.to(dtypes[0])
        module.load_state_dict({name: tensor.clone() for name, tensor in self.state.items()})
        return module.to(device).train(training)

    def __str__(self) -> str:
        settings = ", ".join(
            f"{key}={value}" for key, value in self.settings.items() if key != "training"
        )
        return f"{self.kind}({settings})"


@dataclass(frozen=True)
class Case:
    """One set of inputs, in the order of the function's parameters.

    about: what is special here, in a few words ("not square"); mistakes can ask for it. grad: floating-point tensors require a
    gradient, and so must the result. device: "meta" asks only where the result lies, not for its values.
    """

    about: str
    inputs: Mapping[str, "torch.Tensor | Module | int | float | tuple"]
    grad: bool = False
    device: str = "cpu"

    def build(self) -> dict:
        """Fresh inputs by name: no call can spoil those of the next."""
        built = {}
        for name, value in self.inputs.items():
            if isinstance(value, Module):
                value = value.build(self.device)
            elif isinstance(value, torch.Tensor):
                value = value.detach().clone().to(self.device)
                if self.grad and value.is_floating_point():
                    value = (
                        value.requires_grad_().clone()
                    )  # no leaf, as tokens are none: writing into it is no error
            built[name] = value
        return built

    def __str__(self) -> str:
        return ", ".join(f"{name} {describe(value)}" for name, value in self.inputs.items())


@dataclass(frozen=True)
class Observation:
    """What came back from one call: named tensors, and facts that fit into JSON (an error, the type, changed inputs, ...)."""

    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    facts: dict = field(default_factory=dict)

    @property
    def error(self) -> str | None:
        return self.facts.get("error")


def describe(value) -> str:
    """A few words for an input: a tensor's shape (and its dtype, if it is not float32), a number as it is."""
    if isinstance(value, torch.Tensor):
        dtype = (
            "" if value.dtype == torch.float32 else f" {str(value.dtype).removeprefix('torch.')}"
        )
        return f"{tuple(value.shape)}{dtype}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def some(generator: torch.Generator, *choices):
    """One of the choices."""
    return choices[torch.randint(len(choices), (), generator=generator)]


Maker = Callable[[torch.Generator], list[Case]]
