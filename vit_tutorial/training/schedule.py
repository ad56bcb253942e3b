"""The learning rate over a run: a linear warm-up, then down to zero along a cosine or a line."""

import math

from ..common.validation import require_choice

SCHEDULES = ("cosine", "linear", "constant")


def learning_rate(
    step: float, total: float, warmup: float, peak: float, schedule: str = "cosine"
) -> float:
    """The learning rate at `step` of `total`: 0 at 0, `peak` at `warmup`, 0 again at `total`.

    step, total and warmup share a unit, steps or seconds, so a run can be planned by the clock.
    schedule: "cosine" (Loshchilov & Hutter 2017, SGDR, section 3), "linear", or "constant", which
    stays at the peak. The warm-up is Goyal et al. 2017, section 2.2.
    Raises ValueError for a step outside 0..total, a warm-up that does not fit, or an unknown
    schedule.
    """
    require_choice("schedule", schedule, SCHEDULES)
    if not 0 <= warmup < total:
        raise ValueError(
            f"a warm-up of {warmup} does not fit into a run of {total}: "
            "it must be at least 0 and end before the run does"
        )
    if not 0 <= step <= total:
        raise ValueError(f"step {step} lies outside the run: steps go from 0 to {total}")
    if step < warmup:
        return peak * step / warmup
    if schedule == "constant":
        return peak
    done = (step - warmup) / (total - warmup)  # 0 at the peak, 1 at the end
    return peak * (0.5 * (1 + math.cos(math.pi * done)) if schedule == "cosine" else 1 - done)
