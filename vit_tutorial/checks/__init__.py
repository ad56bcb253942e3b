"""Try a learner's function, and name the mistake.

Each check takes the function, prints one line when it passes, and raises CheckFailed with
`.mistake` and a hint when it does not: `checks.check_attention(my_attention)`. What a function does
to random states, default dtypes and the like is undone before the next check.

exercises/ holds one file for each exercise, engine/ the machinery that they share, recaps/ the
answers to the questions at the end of each lesson. Exercises and recaps are loaded when they are
first asked for: `import vit_tutorial` stays light.
"""

import importlib

from ..common.validation import require_choice
from .engine.guess import check_guess
from .engine.verdict import CheckFailed, Verdict

# In the order of the lessons. check_attention is in exercises/attention.py, and so on.
_CHECKS = (
    "check_patchify",
    "check_unpatchify",
    "check_linear_to_conv",
    "check_prepend_class_token",
    "check_tokens_read",
    "check_equivariant",
    "check_add_position",
    "check_add_rows",
    "check_neighbour_cosine",
    "check_shuffle_test",
    "check_sincos_2d",
    "check_offset_numbers",
    "check_attention",
    "check_multi_head",
    "check_encoder_block",
    "check_influence",
    "check_vit_forward",
    "check_warmup_cosine",
    "check_evaluate",
    "check_count_parameters",
    "check_count_flops",
    "check_rnn",
    "check_read_by_content",
    "check_repair_strips",
    "check_accumulate",
    "check_checkpoint",
    "check_paired_interval",
    "check_holm",
    "check_cutmix_targets",
    "check_ema_update",
    "check_row_plus_column",
    "check_enlarge_positions",
)
__all__ = ["CheckFailed", "Verdict", "check_guess", "check_recap", "get", "names", *_CHECKS]


def names() -> tuple[str, ...]:
    """The names of the checks, in the order of the lessons."""
    return _CHECKS


def get(name: str):
    """The check (engine/check.py) with this name.

    Raises ValueError, with the nearest name, for an unknown one.
    """
    require_choice("check", name, _CHECKS)
    exercise = importlib.import_module(
        f".exercises.{name.removeprefix('check_')}", package=__name__
    )
    return getattr(exercise, name)


def __getattr__(name: str):
    """`checks.check_attention`, and `from vit_tutorial.checks import check_attention` (PEP 562)."""
    if name in _CHECKS:
        return get(name)
    if name == "check_recap":
        return importlib.import_module(".recaps", package=__name__).check_recap
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
