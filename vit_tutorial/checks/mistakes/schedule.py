"""Known mistakes in a learning rate with warm-up and cosine."""

import math

from ..check import Mistake


def finite(seen) -> bool:
    """NumPy and PyTorch divide by 0 without an error, and give nan or inf."""
    return all(bool(tensor.isfinite().all()) for tensor in seen.tensors.values())


def curve(step, total, warmup, peak, rise=None, after=None):
    """The right curve; `rise` and `after` replace its two halves. done: 0 at the end of the warm-up, 1 at the end of the run."""
    if step < warmup:
        return (rise or (lambda s, w, p: p * s / w))(step, warmup, peak)
    done = (step - warmup) / (total - warmup)
    return (after or (lambda done, p: p * 0.5 * (1 + math.cos(math.pi * done))))(done, peak)


def changed(rise=None, after=None):
    return lambda step, total, warmup, peak: curve(step, total, warmup, peak, rise, after)


def warmup_cosine_mistakes() -> tuple[Mistake, ...]:
    """For fn(step, total_steps, warmup_steps, peak) -> learning rate."""
    return (
        Mistake(
            "warmup_one_step_early",
            "Your warm-up is one step ahead: it begins at peak / warmup_steps, and is at the peak one step too early.",
            "What should the rate be at step 0, and at which step should it be at its peak for the first time?",
            "(step + 1) / warmup_steps, the habit where step 0 should not be wasted",
            changed(rise=lambda s, w, p: p * (s + 1) / w),
        ),
        Mistake(
            "warmup_one_step_late",
            "Your warm-up is too slow by one step: it aims at step warmup_steps + 1.",
            "At which step should the rate be at its peak?",
            "step / (warmup_steps + 1)",
            changed(rise=lambda s, w, p: p * s / (w + 1)),
        ),
        Mistake(
            "no_warmup",
            "There is no warm-up: the rate starts at its peak.",
            "What should the rate be at step 0?",
            "first drafts",
            changed(rise=lambda s, w, p: p),
            also=(lambda step, total, warmup, peak: curve(step, total, 0, peak),),
        ),
        Mistake(
            "cosine_from_step_0",
            "Your cosine is counted from step 0: when the warm-up ends, it has fallen already, and the rate jumps down.",
            "At the end of the warm-up, how much of the cosine should be done?",
            "cos(pi * step / total_steps)",
            lambda s, t, w, p: p * s / w if s < w else p * 0.5 * (1 + math.cos(math.pi * s / t)),
        ),
        Mistake(
            "cosine_over_the_whole_run",
            "Your cosine starts at the right step and is too long: at the end of the run it has not reached 0.",
            "How many steps are left after the warm-up?",
            "cos(pi * (step - warmup_steps) / total_steps)",
            lambda s, t, w, p: (
                p * s / w if s < w else p * 0.5 * (1 + math.cos(math.pi * (s - w) / t))
            ),
        ),
        Mistake(
            "warmup_times_cosine",
            "Your warm-up is multiplied by a cosine that runs from step 0.",
            "While the rate rises, should anything pull it down?",
            "two factors, each written for the whole run",
            lambda s, t, w, p: (
                p * (min(1, s / w) if w else 1) * 0.5 * (1 + math.cos(math.pi * s / t))
            ),
        ),
        Mistake(
            "whole_period",
            "Your cosine comes back: in the middle it is 0, at the end at its peak again.",
            "How much of a cosine's period leads from its top to its bottom?",
            "cos(2 pi ...)",
            changed(after=lambda done, p: p * 0.5 * (1 + math.cos(2 * math.pi * done))),
        ),
        Mistake(
            "quarter_period",
            "Your curve is a quarter of a cosine: it falls straight into 0, and has no gentle end.",
            "What are the slopes at both ends of half a cosine?",
            "cos(pi / 2 * ...)",
            changed(after=lambda done, p: p * math.cos(math.pi / 2 * done)),
        ),
        Mistake(
            "half_forgotten",
            "Behind the warm-up your rate is twice too high: 1 + cos reaches from 2 to 0.",
            "Between which two numbers does 1 + cos run?",
            "first drafts",
            changed(after=lambda done, p: p * (1 + math.cos(math.pi * done))),
        ),
        Mistake(
            "one_forgotten",
            "Your rate becomes negative in the second half: cos runs from 1 to -1.",
            "Between which two numbers does cos run, and between which should the rate run?",
            "first drafts",
            changed(after=lambda done, p: p * math.cos(math.pi * done)),
        ),
        Mistake(
            "rises_at_the_end",
            "Your cosine is upside down: it starts at 0 behind the warm-up and ends at the peak.",
            "What should the rate be right after the warm-up?",
            "1 - cos in the place of 1 + cos",
            changed(after=lambda done, p: p * 0.5 * (1 - math.cos(math.pi * done))),
        ),
        Mistake(
            "degrees",
            "Your rate goes up and down many times: math.cos takes radians, and you gave it degrees.",
            "What is half a turn, in the unit that math.cos takes?",
            "math.cos(180 * done)",
            changed(after=lambda done, p: p * 0.5 * (1 + math.cos(180 * done))),
        ),
        Mistake(
            "pi_forgotten",
            "Your rate falls by less than a quarter: half a turn is pi, and your cosine gets 1 at the end of the run.",
            "Which angle has the cosine -1?",
            "math.cos(done)",
            changed(after=lambda done, p: p * 0.5 * (1 + math.cos(done))),
        ),
        Mistake(
            "linear_decay",
            "After the warm-up your rate falls in a line. Asked for is half a cosine.",
            "What should the slope be just after the warm-up?",
            "linear schedules",
            changed(after=lambda done, p: p * (1 - done)),
        ),
        Mistake(
            "constant_after_warmup",
            "After the warm-up your rate stays at the peak.",
            "What should the rate be at the last step?",
            "first drafts",
            changed(after=lambda done, p: p),
        ),
        Mistake(
            "whole_numbers",
            "During the warm-up your rate is 0 until the peak: the division throws the fraction away.",
            "What is 3 // 5?",
            "step // warmup_steps",
            changed(rise=lambda s, w, p: p * (s // w)),
        ),
        Mistake(
            "peak_forgotten",
            "Your function returns a share from 0 to 1: it was not multiplied by peak.",
            "Which input does your code never read?",
            "factors for torch.optim.lr_scheduler.LambdaLR, which multiplies by itself",
            lambda s, t, w, p: curve(s, t, w, 1.0),
        ),
        Mistake(
            "division_by_zero",
            "Without a warm-up (warmup_steps 0) your function divides by 0. All other runs are right.",
            "What should the rate be at step 0 when there is no warm-up? Is the rising part needed then?",
            "step <= warmup_steps, or a division before the question",
            lambda s, t, w, p: p * s / w if s <= w else curve(s, t, w, p),
            lambda e: (
                e.wrong_exactly_where(lambda case: case.inputs["warmup_steps"] == 0)
                and any(
                    "ZeroDivisionError" in (seen.error or "") or not finite(seen) for seen in e.seen
                )
            ),
        ),
    )
