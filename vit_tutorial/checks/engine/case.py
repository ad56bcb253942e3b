"""What a learner's function is tried on: plain data, from which each call gets fresh inputs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from .modules import build_module


@dataclass(frozen=True)
class ModuleRecipe:
    """An nn.Module as data: no learner's call can spoil it, and it fits into a file."""

    kind: str  # one that modules.py knows
    settings: dict  # numbers and strings; {"training": True} for a module in training mode
    state: dict[str, torch.Tensor]  # the values of its tensors, by name

    def build(self, device: str = "cpu") -> nn.Module:
        """A fresh module, in evaluation mode unless the settings say otherwise."""
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
    """One set of inputs, in the order of the function's parameters."""

    about: str  # what is special, in a few words ("not square"); the learner reads it
    inputs: Mapping[str, "torch.Tensor | ModuleRecipe | int | float | tuple"]
    grad: bool = False  # floating-point inputs require a gradient, and so must the result
    device: str = "cpu"  # "meta" is a stand-in for a GPU, see `has_values`

    @property
    def has_values(self) -> bool:
        """On "meta" tensors hold no numbers, so only the place of the result can be checked."""
        return self.device != "meta"

    def build(self) -> dict:
        """Fresh inputs by name: no call can spoil those of the next."""
        built = {}
        for name, value in self.inputs.items():
            if isinstance(value, ModuleRecipe):
                value = value.build(self.device)
            elif isinstance(value, torch.Tensor):
                value = value.detach().clone().to(self.device)
                if self.grad and value.is_floating_point():
                    # Tokens are no leaf of the graph. In a leaf, writing in place is an error.
                    value = value.requires_grad_().clone()
            built[name] = value
        return built

    def __str__(self) -> str:
        return ", ".join(f"{name} {describe(value)}" for name, value in self.inputs.items())


@dataclass(frozen=True)
class Observation:
    """What came back from one call: named tensors, and facts that fit into JSON.

    The facts that any call may have: "error" and "line", "types" and "devices" by tensor,
    "changed" (inputs that were written into), "detached" and "no_gradient", "backward_error",
    "random" (libraries whose random numbers were drawn).
    "values" holds what a check itself records, such as a convolution's stride.
    """

    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    facts: dict = field(default_factory=dict)

    @property
    def error(self) -> str | None:
        return self.facts.get("error")

    @property
    def output(self) -> torch.Tensor | None:
        """The result of a function that returns one tensor; None when something else came back."""
        return self.tensors.get("output")


CaseMaker = Callable[[torch.Generator], list[Case]]


def describe(value) -> str:
    """An input in a few words: a tensor's shape (and its dtype, if not float32), else its value."""
    if isinstance(value, torch.Tensor):
        dtype = (
            "" if value.dtype == torch.float32 else f" {str(value.dtype).removeprefix('torch.')}"
        )
        return f"{tuple(value.shape)}{dtype}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def choice(generator: torch.Generator, *options):
    """One of the options, at random."""
    return options[torch.randint(len(options), (), generator=generator)]


def numbers(generator: torch.Generator, *shape: int, dtype=torch.float32) -> torch.Tensor:
    """Normal random numbers, drawn in float64 so that every dtype gets the same ones."""
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
