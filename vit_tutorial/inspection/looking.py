"""From a model and images to maps of attention in one call: which method, layer and head."""

import dataclasses

from torch import Tensor, nn

from ..common.validation import require_choice
from .attention_maps import gradient_attention, reading_map, rollout
from .recording import Recording, record
from .watching import attention_modules

METHODS = ("attention", "rollout", "gradient")


@dataclasses.dataclass(frozen=True)
class Look:
    """Maps over the patches of B images, and the recording that they come from."""

    maps: dict[str, Tensor]  # label -> (B, rows, columns), not rescaled
    reader: str  # whose reading it is: "the class token", or "all patches, on average"
    recorded: Recording


def look(
    model: nn.Module,
    images: Tensor,
    method: str = "attention",
    layer: int | None = None,
    head: int | None = None,
) -> Look:
    """What `model` reads of images (B, C, H, W), as maps over the patches.

    method: "attention" gives the weights of `layer` and `head`. Without a layer: one map for each
            layer, the mean of its heads. With a layer but no head: the mean, and each head.
        "rollout" follows them through all layers, or up to and including `layer`.
        "gradient" weighs them by their gradient, for the class that the model names.
    The class token is the reader. Without one, as with mean pooling, it is all patches on average.
    Raises ValueError for a layer or head that does not exist or that the method has no use for, and
    as `recording.record` does.
    """
    require_choice("method", method, METHODS)
    if head is not None and method != "attention":
        raise ValueError(f"{method} joins all heads: leave the head out, or use method attention")
    if layer is not None and method == "gradient":
        raise ValueError("gradient goes through all layers: leave the layer out")
    layer = layer if layer is None else _number(layer, len(attention_modules(model)))
    if method == "gradient":
        relevance, recorded = gradient_attention(model, images)
        found = {"gradient": relevance}
    elif method == "rollout":
        recorded = record(model, images)
        weights = list(recorded.weights.values())
        last = len(weights) - 1 if layer is None else layer
        found = {f"rollout, layers 0 to {last}": rollout(weights[: last + 1])}
    else:
        layers, heads = ([each] if each is not None else None for each in (layer, head))
        recorded = record(model, images, layers, heads)
        found = _attention(recorded, layer, head)
    layout = recorded.layout
    reader = "all patches, on average" if layout.class_token is None else "the class token"
    return Look({name: reading_map(x, layout) for name, x in found.items()}, reader, recorded)


def _attention(recorded: Recording, layer: int | None, head: int | None) -> dict[str, Tensor]:
    """label -> (B, T, T)."""
    if layer is None or head is not None:
        what = "mean of heads" if head is None else f"head {head}"
        numbers = range(len(recorded.weights)) if layer is None else [layer]
        found = zip(numbers, recorded.weights.values())
        return {f"layer {number}, {what}": weights.mean(dim=1) for number, weights in found}
    (weights,) = recorded.weights.values()
    found = {f"layer {layer}, mean of heads": weights.mean(dim=1)}
    return found | {f"layer {layer}, head {h}": weights[:, h] for h in range(weights.shape[1])}


def _number(layer: int, count: int) -> int:
    """A layer's number counted from 0; of a model without attention, `record` says what it is."""
    if count and not -count <= layer < count:
        raise ValueError(f"no layer {layer}: this model has {count}, 0 to {count - 1}")
    return layer % max(1, count)
