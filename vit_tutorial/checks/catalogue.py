"""All checks by name, in the order of the lessons. Each is made when it is asked for."""

import importlib
from collections.abc import Callable

from ..common.validation import require_choice
from .check import Check

WHERE = {
    "check_patchify": "patches",
    "check_unpatchify": "patches",
    "check_linear_to_conv": "patches",
    "check_prepend_class_token": "tokens",
    "check_add_position": "tokens",
    "check_sincos_2d": "positions",
    "check_attention": "attention",
    "check_multi_head": "attention",
    "check_encoder_block": "encoder",
    "check_vit_forward": "encoder",
    "check_warmup_cosine": "training",
    "check_evaluate": "training",
}


def names() -> tuple[str, ...]:
    """The checks' names, in the order of the lessons."""
    return tuple(WHERE)


def get(name: str) -> Check:
    """The check of this name. Raises ValueError, with the nearest name, for an unknown one."""
    require_choice("check", name, names())
    module = importlib.import_module(f".{WHERE[name]}", __package__)
    make: Callable[[], Check] = getattr(module, name.removeprefix("check_") + "_check")
    return make()
