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

# Lesson by lesson. check_attention is in exercises/attention.py, and so on.
_LESSONS = {
    "01": ("check_patchify", "check_unpatchify", "check_linear_to_conv"),
    "02": ("check_prepend_class_token", "check_tokens_read"),
    "03": ("check_equivariant", "check_add_rows"),
    "04": ("check_attention", "check_multi_head"),
    "05": ("check_encoder_block", "check_influence", "check_vit_forward"),
    "06": ("check_warmup_cosine", "check_evaluate"),
    "07": ("check_cover_top", "check_attention_distance"),
    "11": ("check_count_parameters", "check_count_flops"),
    "12": ("check_rnn", "check_read_by_content"),
    "13": ("check_neighbour_cosine", "check_shuffle_test"),
    "14": ("check_sincos_2d", "check_offset_numbers"),
    "15": ("check_paired_interval", "check_holm"),
    "16": ("check_row_plus_column", "check_enlarge_positions"),
    "17": ("check_cutmix_targets", "check_ema_update"),
    "18": ("check_accumulate", "check_checkpoint"),
    "21": ("check_equivariance_error", "check_receptive_field"),
    "22": ("check_ridge_weights", "check_difference_interval"),
    "23": ("check_soft_loss", "check_error_kappa"),
    "24": ("check_neighbour_mean", "check_masked_loss"),
    "25": ("check_generalised_iou", "check_match_objects"),
    "26": ("check_strided_mask", "check_bits_per_pixel"),
    "31": ("check_repair_strips",),
}
_CHECKS = tuple(name for names in _LESSONS.values() for name in names)
__all__ = [
    "CheckFailed",
    "Verdict",
    "check_guess",
    "check_recap",
    "get",
    "names",
    "summary",
    *_CHECKS,
]


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


def summary(path=None) -> None:
    """Print which exercises have passed and which are left, and keep it for the next session.

    In vit_tutorial_passed.json beside the notebook (or at `path`), which nothing else writes.
    """
    from .progress import summary

    summary(_LESSONS, path)


def __getattr__(name: str):
    """`checks.check_attention`, and `from vit_tutorial.checks import check_attention` (PEP 562)."""
    if name in _CHECKS:
        return get(name)
    if name == "check_recap":
        return importlib.import_module(".recaps", package=__name__).check_recap
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
