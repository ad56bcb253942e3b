"""What happens inside a ViT while it looks at images: attention weights and tokens of each layer.

It knows no model by name. It finds the modules that compute attention (`watching`) and sees what
they do with torch's own functions (`attention_calls`), so it reads the ViTs of this package, timm,
torchvision and vit-pytorch, and those that you wrote yourself.
"""

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .attention_calls import AttentionCall
from .layout import TokenLayout, token_layout
from .watching import WatchedModel, attention_modules, class_names


@dataclasses.dataclass(frozen=True, repr=False)
class Recording:
    """What `record` saw. A layer's name is that of its attention module, as in named_modules()."""

    output: object  # what the model returned
    layout: TokenLayout  # which of the T tokens are patches
    image_size: tuple[int, int]  # (height, width) in pixels
    # (B, h, T, T), float32, of the chosen layers and heads: row t is what token t reads. Each row
    # sums to 1. Where the model is in training mode, before its dropout.
    weights: dict[str, Tensor]
    # (B, T, D) that leave each chosen layer's block, before the model's last LayerNorm. A layer
    # that is not in a block of its own has none.
    tokens: dict[str, Tensor]
    entering: Tensor  # (B, T, D) that enter the model's first block
    _calls: dict[str, AttentionCall]

    @property
    def patch_size(self) -> tuple[float, float]:
        """(height, width) of a patch in pixels."""
        return tuple(side / n for side, n in zip(self.image_size, self.layout.grid))

    def gradients(self, score: Tensor) -> dict[str, Tensor]:
        """d score / d weights, (B, h, T, T) by layer, for a recording with gradients=True.

        score: one number computed from `output`, such as recorded.output[:, 3].sum(). The
            parameters' own .grad stay as they are, and it can be asked again for another score.
        Raises ValueError for a recording without gradients, or a score that does not depend on it.
        """
        if not self._calls:
            raise ValueError("this recording has no gradients: record(..., gradients=True)")
        if score.numel() != 1 or not score.requires_grad:
            raise ValueError(
                f"score is {tuple(score.shape)}, from {'a' if score.requires_grad else 'no'} "
                "graph: give one number computed from recorded.output, such as "
                "recorded.output[:, 3].sum()"
            )
        outputs = [call.output for call in self._calls.values()]
        found = torch.autograd.grad(score.sum(), outputs, retain_graph=True, allow_unused=True)
        with torch.no_grad():
            return {
                # What the score does not read has no influence: the patches of a last block.
                name: call.gradient(torch.zeros_like(call.output) if g is None else g)
                for (name, call), g in zip(self._calls.items(), found)
            }

    def __repr__(self) -> str:
        shape = tuple(next(iter(self.weights.values())).shape)
        return f"Recording of {len(self.weights)} layers, weights {shape}, {self.layout}"


def record(
    model: nn.Module,
    images: Tensor,
    layers: Sequence[int | str] | None = None,
    heads: Sequence[int] | None = None,
    *,
    gradients: bool = False,
    device: torch.device | str | None = None,
    layout: TokenLayout | tuple[int, int] | None = None,
) -> Recording:
    """Show images (B, C, H, W) to a ViT and keep each layer's attention weights and tokens.

    The model, its mode and its gradients stay as they are, and `output` is bit for bit what the
    model gives for these images without a recording (under torch.no_grad(), unless gradients=True).
    layers: numbers, -1 for the last, or names; None for all. heads: numbers, or None for all. What
        is not chosen is not kept, and in a fused model not computed.
    gradients: True keeps the graph, so that `gradients(score)` works.
    device: where weights and tokens are kept: "cpu" spares a GPU, None leaves them in place.
    layout: for a model that does not say how its tokens lie, as in `layout.find_layout`.
    Raises ValueError where there is nothing to record: no attention, attention within windows or
    over channels, weights changed after the softmax. It names the classes that were found.
    """
    model = getattr(model, "_orig_mod", model)  # what torch.compile wraps: its kernels hide calls
    found = attention_modules(model)
    if not found:
        parts = class_names(part for part in model.modules() if not any(part.children()))
        raise ValueError(
            f"no attention found in this {type(model).__name__}, made of {parts}. A module "
            "counts whose class name contains Attention, or that has num_heads or heads"
        )
    chosen = _choose(list(found), layers)
    seen = WatchedModel(model, found, chosen, heads, gradients, device)
    if gradients:
        with torch.inference_mode(False), torch.enable_grad(), seen.watch():
            # The images ask for a gradient, so that a model with frozen weights has a graph too.
            output = model(images.detach().clone().requires_grad_())
    else:
        with torch.no_grad(), seen.watch():
            output = model(images)
    weights = seen.checked_weights(len(images))
    T = {x.shape[-1] for x in weights.values()}
    if len(T) > 1:
        raise ValueError(f"layers with {sorted(T)} tokens: their weights do not fit together")
    size = tuple(images.shape[-2:])
    return Recording(
        output,
        token_layout(model, size, T.pop(), layout),
        size,
        weights,
        {name: seen.tokens[name] for name in chosen if name in seen.tokens},
        seen.entering,
        {name: seen.calls[name][0] for name in chosen} if gradients else {},
    )


def _choose(names: list[str], layers) -> list[str]:
    """The names of the chosen layers, in the model's order."""
    if layers is None:
        return names
    chosen, count = set(), len(names)
    for layer in layers:
        if layer in names:
            chosen.add(layer)
        elif type(layer) is int and -count <= layer < count:
            chosen.add(names[layer])
        else:
            raise ValueError(
                f"no layer {layer!r}: this model has {count}, 0 to {count - 1}, and their names "
                f"are {names[0]!r} to {names[-1]!r}"
            )
    if not chosen:
        raise ValueError(f"layers is {layers!r}: choose at least one of 0 to {count - 1}")
    return [name for name in names if name in chosen]
