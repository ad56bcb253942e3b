"""What a position embedding costs: parameters, additions and multiplications."""

import dataclasses

import torch

from ..model import VisionTransformer, ViTConfig


def position_cost(config: ViTConfig) -> dict[str, int]:
    """What the positions of `config` add to the same model without any.

    {"parameters": numbers that are learned, "flops": operations of a forward pass with one image}

    parameters: counted on two models that are built without memory. A frozen table and the fixed
        kinds have none.
    flops: additions and multiplications, each counted as one; 2 FLOPs are one MAC. Reading a table,
        joining rows with columns, and sines computed ahead of time do not count. Each layer that
        the positions enter costs the same, with a table of its own or a shared one:
            tables, T rows of width D       T D      one addition for each number of the tokens
            relative, h heads               h T T    one for each score
            rotary, queries and keys        6 T D    for each pair, 4 products and 2 sums
        T counts the class token, unless it joins after the positions (position_class_token=False).
    Raises ValueError for anything that is not a ViTConfig.
    """
    if not isinstance(config, ViTConfig):
        raise ValueError(
            "the cost is counted from a ViTConfig, such as model.config, "
            f"not from a {type(config).__name__}"
        )
    without = dataclasses.replace(config, position="none", position_site="stem")
    return dict(
        parameters=_learned(config) - _learned(without),
        flops=_layers(config) * _flops_of_one(config),
    )


def _learned(config: ViTConfig) -> int:
    with torch.device("meta"):  # shapes without memory
        model = VisionTransformer(config)
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def _layers(config: ViTConfig) -> int:
    """How many times the positions enter."""
    return 1 if config.position_site == "stem" else config.depth


def _flops_of_one(config: ViTConfig) -> int:
    T, D = config.num_tokens, config.dim
    if config.position == "none":
        return 0
    if config.position == "relative":
        return config.num_heads * T * T
    if config.position == "rotary":
        return 6 * T * D
    return (T if config.position_class_token else config.num_patches) * D
