"""check_warmup_cosine: a learning rate with a warm-up and a cosine."""

import math

import torch

from ...training import learning_rate
from ..engine.case import Case, choice
from ..engine.check import Check
from ..engine.mistake import Mistake
from ..engine.observe import as_number, type_name
from .general import general_mistakes


def warmup_cosine(step, total_steps, warmup_steps, peak):
    """0 at step 0, `peak` at step `warmup_steps`, 0 again at `total_steps`."""
    return learning_rate(step, total_steps, warmup_steps, peak)


def every_step(fn, inputs):
    """Call fn for every step of the run: a schedule is a curve."""
    return [
        fn(step, inputs["total_steps"], inputs["warmup_steps"], inputs["peak"])
        for step in range(inputs["total_steps"] + 1)
    ]


def record_curve(values, inputs) -> tuple[dict, dict]:
    """The learning rates of all steps as one tensor, if each is a number."""
    rates = [as_number(value) for value in values]
    kinds = [type_name(value) for value, rate in zip(values, rates) if rate is None]
    facts = {"types": {"learning rate": kinds[0] if kinds else "float"}, "form": "a number"}
    return {} if kinds else {"learning rate": torch.stack(rates)}, facts


def warmup_cosine_cases(generator: torch.Generator) -> list[Case]:
    """Runs with a short warm-up, a long one and none; the peak is random."""

    def case(about, total, warmup):
        peak = 10 ** (-2 - 2 * torch.rand((), generator=generator, dtype=torch.float64).item())
        return Case(about, {"total_steps": total, "warmup_steps": warmup, "peak": peak})

    total = choice(generator, 20, 30, 40)
    return [
        case("", total, total // 5),
        case("no warm-up", total, 0),
        case("a warm-up of one step", 13, 1),
        case("warm-up over more than half of the run", 25, 16),
        case("odd numbers", 17, 5),
    ]


def finite(actual) -> bool:
    """NumPy and PyTorch divide by 0 without an error, and give nan or inf."""
    return all(bool(tensor.isfinite().all()) for tensor in actual.tensors.values())


def curve(step, total, warmup, peak, rise=None, after=None):
    """The right curve, or another where `rise` or `after` replaces one of its two halves.

    rise(step, warmup, peak) and after(done, peak), where `done` runs from 0 at the end of the
    warm-up to 1 at the end of the run.
    """
    if step < warmup:
        return (rise or (lambda s, w, p: p * s / w))(step, warmup, peak)
    done = (step - warmup) / (total - warmup)
    return (after or (lambda done, p: p * 0.5 * (1 + math.cos(math.pi * done))))(done, peak)


def changed(rise=None, after=None):
    return lambda step, total, warmup, peak: curve(step, total, warmup, peak, rise, after)


def falls(share, floor=0.0):
    """The right warm-up; then a cosine at share(step, total, warmup), down to `floor` of peak."""

    def buggy(step, total, warmup, peak):
        if step < warmup:
            return peak * step / warmup
        half = 0.5 * (1 + math.cos(math.pi * share(step, total, warmup)))
        return peak * (floor + (1 - floor) * half)

    return buggy


def floored(floor):
    """A lowest rate, as a share of the peak."""
    return falls(lambda s, t, w: (s - w) / (t - w), floor)


def changed_step(angle):
    """The right warm-up, then half of 1 + cos(angle(step, total, warmup))."""
    return lambda s, t, w, p: p * s / w if s < w else p * 0.5 * (1 + math.cos(angle(s, t, w)))


MISTAKES = (
    Mistake(
        name="warmup_one_step_early",
        explanation=(
            "Your warm-up is one step ahead: it begins at peak / warmup_steps, and reaches the "
            "peak one step too early."
        ),
        hint=(
            "What should the rate be at step 0, and at which step should it be at its peak for "
            "the first time?"
        ),
        # (step + 1) / warmup_steps, the habit where step 0 should not be wasted
        buggy=changed(rise=lambda s, w, p: p * (s + 1) / w),
    ),
    Mistake(
        name="warmup_one_step_late",
        explanation="Your warm-up is too slow by one step: it aims for step warmup_steps + 1.",
        hint="At which step should the rate be at its peak?",
        # step / (warmup_steps + 1)
        buggy=changed(rise=lambda s, w, p: p * s / (w + 1)),
    ),
    Mistake(
        name="no_warmup",
        explanation="There is no warm-up: the rate starts at its peak.",
        hint="What should the rate be at step 0?",
        buggy=changed(rise=lambda s, w, p: p),
        variants=(lambda step, total, warmup, peak: curve(step, total, 0, peak),),
    ),
    Mistake(
        name="cosine_from_step_0",
        explanation=(
            "Your cosine starts at step 0: when the warm-up ends, it has already fallen, and the "
            "rate jumps down."
        ),
        hint="At the end of the warm-up, how much of the cosine should be done?",
        # cos(pi * step / total_steps)
        buggy=lambda s, t, w, p: p * s / w if s < w else p * 0.5 * (1 + math.cos(math.pi * s / t)),
    ),
    Mistake(
        name="cosine_over_the_whole_run",
        explanation=(
            "Your cosine starts at the right step but is too long: it has not reached 0 at the end "
            "of the run."
        ),
        hint="How many steps are left after the warm-up?",
        # cos(pi * (step - warmup_steps) / total_steps)
        buggy=lambda s, t, w, p: (
            p * s / w if s < w else p * 0.5 * (1 + math.cos(math.pi * (s - w) / t))
        ),
    ),
    Mistake(
        name="warmup_times_cosine",
        explanation="Your warm-up is multiplied by a cosine that runs from step 0.",
        hint="While the rate rises, should anything pull it down?",
        # two factors, each written for the whole run
        buggy=lambda s, t, w, p: (
            p * (min(1, s / w) if w else 1) * 0.5 * (1 + math.cos(math.pi * s / t))
        ),
    ),
    Mistake(
        name="whole_period",
        explanation=(
            "Your cosine comes back: it is 0 in the middle, and at its peak again at the end."
        ),
        hint="How much of a cosine's period leads from its top to its bottom?",
        # cos(2 pi ...)
        buggy=changed(after=lambda done, p: p * 0.5 * (1 + math.cos(2 * math.pi * done))),
    ),
    Mistake(
        name="quarter_period",
        explanation=(
            "Your curve is a quarter of a cosine: it runs into 0 at full slope instead of "
            "levelling off."
        ),
        hint="What are the slopes at both ends of half a cosine?",
        # cos(pi / 2 * ...)
        buggy=changed(after=lambda done, p: p * math.cos(math.pi / 2 * done)),
    ),
    Mistake(
        name="half_forgotten",
        explanation=(
            "After the warm-up your rate is twice as high as it should be: 1 + cos runs from 2 to "
            "0."
        ),
        hint="Between which two numbers does 1 + cos lie?",
        buggy=changed(after=lambda done, p: p * (1 + math.cos(math.pi * done))),
    ),
    Mistake(
        name="one_forgotten",
        explanation="Your rate becomes negative in the second half: cos runs from 1 to -1.",
        hint="Between which two numbers does cos lie, and between which should the rate lie?",
        buggy=changed(after=lambda done, p: p * math.cos(math.pi * done)),
    ),
    Mistake(
        name="rises_at_the_end",
        explanation=(
            "Your cosine is upside down: it starts at 0 after the warm-up and ends at the peak."
        ),
        hint="What should the rate be right after the warm-up?",
        # 1 - cos in the place of 1 + cos
        buggy=changed(after=lambda done, p: p * 0.5 * (1 - math.cos(math.pi * done))),
    ),
    Mistake(
        name="degrees",
        explanation=(
            "Your rate goes up and down many times: math.cos takes radians, and you gave it "
            "degrees."
        ),
        hint="What is half a turn, in the unit that math.cos takes?",
        # math.cos(180 * done)
        buggy=changed(after=lambda done, p: p * 0.5 * (1 + math.cos(180 * done))),
    ),
    Mistake(
        name="pi_forgotten",
        explanation=(
            "Your rate falls by less than a quarter: half a turn is pi, but your angle is only 1 "
            "at the end of the run."
        ),
        hint="Which angle has cosine -1?",
        # math.cos(done)
        buggy=changed(after=lambda done, p: p * 0.5 * (1 + math.cos(done))),
    ),
    Mistake(
        name="linear_decay",
        explanation=(
            "After the warm-up your rate falls in a straight line. The exercise asks for half a "
            "cosine."
        ),
        hint="What should the slope be just after the warm-up?",
        # linear schedules
        buggy=changed(after=lambda done, p: p * (1 - done)),
    ),
    Mistake(
        name="constant_after_warmup",
        explanation="After the warm-up your rate stays at the peak.",
        hint="What should the rate be at the last step?",
        buggy=changed(after=lambda done, p: p),
    ),
    Mistake(
        name="whole_numbers",
        explanation=(
            "Your rate stays 0 until the end of the warm-up: the division drops the fraction."
        ),
        hint="What is 3 // 5?",
        # step // warmup_steps
        buggy=changed(rise=lambda s, w, p: p * (s // w)),
    ),
    Mistake(
        name="peak_forgotten",
        explanation="Your function returns a factor from 0 to 1: it is not multiplied by peak.",
        hint="Which input does your code never read?",
        # factors for torch.optim.lr_scheduler.LambdaLR, which multiplies by itself
        buggy=lambda s, t, w, p: curve(s, t, w, 1.0),
    ),
    Mistake(
        name="division_by_zero",
        explanation=(
            "Without a warm-up (warmup_steps 0) your function divides by 0. All other runs are "
            "right."
        ),
        hint=(
            "What should the rate be at step 0 when there is no warm-up? Is the rising part "
            "needed then?"
        ),
        # step <= warmup_steps, or a division before the question
        buggy=lambda s, t, w, p: p * s / w if s <= w else curve(s, t, w, p),
        detect=lambda e: (
            e.wrong_exactly_where(lambda case: case.inputs["warmup_steps"] == 0)
            and any(
                "ZeroDivisionError" in (actual.error or "") or not finite(actual)
                for actual in e.actual
            )
        ),
    ),
    Mistake(
        name="end_one_step_off",
        explanation=(
            "Your cosine ends one step beside the right one: it should be 0 at step total_steps."
        ),
        hint="At which step is (step - warmup_steps) / (total_steps - warmup_steps) equal to 1?",
        # total_steps - 1, since range(total_steps) ends there
        buggy=falls(lambda s, t, w: (s - w) / max(1, t - w - 1)),
        variants=(
            falls(lambda s, t, w: min(1.0, (s - w) / max(1, t - w - 1))),
            falls(lambda s, t, w: (s - w) / (t - w + 1)),
        ),
    ),
    Mistake(
        name="cosine_one_step_ahead",
        explanation="Your cosine begins one step early: at step warmup_steps it is past its top.",
        hint="How much of the cosine should be done at step warmup_steps?",
        buggy=falls(lambda s, t, w: (s - w + 1) / (t - w)),
        variants=(
            falls(lambda s, t, w: min(1.0, (s - w + 1) / (t - w))),
            falls(lambda s, t, w: (s - w + 1) / (t - w + 1)),
        ),
    ),
    Mistake(
        name="lowest_rate_kept",
        explanation=(
            "Your rate does not fall to 0: a lowest rate is left at the end of the run, which this "
            "exercise does not ask for."
        ),
        hint="What should the rate be at step total_steps?",
        # min_lr of nanoGPT's get_lr
        buggy=floored(0.1),
        variants=tuple(map(floored, (0.01, 0.05, 0.001, 0.2, 0.5))),
    ),
    Mistake(
        name="share_in_whole_numbers",
        explanation=(
            "After the warm-up your rate stays at the peak and drops to 0 at the last step: the "
            "division drops the fraction."
        ),
        hint="What is 3 // 5? Which of the two divisions do you need here?",
        buggy=falls(lambda s, t, w: (s - w) // (t - w)),
    ),
    Mistake(
        name="curved_warmup",
        explanation="Your warm-up is a curve. The exercise asks for a straight line.",
        hint="By how much should the rate rise from each step to the next?",
        buggy=changed(rise=lambda s, w, p: p * 0.5 * (1 - math.cos(math.pi * s / w))),
        variants=(
            changed(rise=lambda s, w, p: p * (s / w) ** 2),
            changed(rise=lambda s, w, p: p * (s / w) ** 0.5),
            changed(rise=lambda s, w, p: p * math.sin(math.pi / 2 * s / w)),
            changed(rise=lambda s, w, p: p * (1 - math.cos(math.pi / 2 * s / w))),
        ),
    ),
    Mistake(
        name="warmup_upside_down",
        explanation="Your warm-up falls: it starts at the peak and ends at 0.",
        hint="What should the rate be at step 0?",
        buggy=changed(rise=lambda s, w, p: p * (1 - s / w)),
        variants=(changed(rise=lambda s, w, p: p * (w - s) / w),),
    ),
    Mistake(
        name="warmup_over_the_whole_run",
        explanation=(
            "Your warm-up rises as if it went on to the end of the run: it divides by total_steps."
        ),
        hint="After how many steps should the rate be at its peak?",
        buggy=lambda s, t, w, p: p * s / t if s < w else curve(s, t, w, p),
        variants=(lambda s, t, w, p: p * s / (t - w) if s < w else curve(s, t, w, p),),
    ),
    Mistake(
        name="steps_as_an_angle",
        explanation=(
            "Your cosine gets the number of the step, not a share of the way: it goes up and down "
            "with every step."
        ),
        hint="Which number should run from 0 to 1 while the rate falls?",
        buggy=changed_step(lambda s, t, w: math.pi * (s - w)),
        variants=(
            changed_step(lambda s, t, w: s - w),
            changed_step(lambda s, t, w: math.pi * s),
            changed_step(lambda s, t, w: s),
        ),
    ),
    Mistake(
        name="peak_in_one_half_only",
        explanation="One of your two halves is not multiplied by peak.",
        hint="Read both lines that return: which of them contains peak?",
        buggy=changed(after=lambda done, p: 0.5 * (1 + math.cos(math.pi * done))),
        variants=(changed(rise=lambda s, w, p: s / w),),
    ),
    Mistake(
        name="falls_in_another_curve",
        explanation="After the warm-up your rate falls along a curve that is no half cosine.",
        hint="Half a cosine is level at both ends and steepest in the middle. Is yours?",
        buggy=changed(after=lambda done, p: p * (1 - done) ** 2),
        variants=(
            changed(after=lambda done, p: p * (1 - done**2)),
            changed(after=lambda done, p: p * (1 - math.sin(math.pi / 2 * done))),
            changed(after=lambda done, p: p * math.exp(-done)),
            changed(after=lambda done, p: p * math.exp(-5 * done)),
            changed(after=lambda done, p: p * (0.5 * (1 + math.cos(math.pi * done))) ** 2),
            changed(after=lambda done, p: p * (1 - done) ** 0.5),
            lambda s, t, w, p: p * s / w if s < w else p * (max(w, 1) / max(s, 1)) ** 0.5,
        ),
    ),
)


check_warmup_cosine = Check(
    name="check_warmup_cosine",
    signature=(
        "fn(step, total_steps, warmup_steps, peak) -> learning rate: 0 at step 0, in a line to "
        "peak at step warmup_steps, then along half a cosine to 0 at step total_steps; without a "
        "warm-up the rate at step 0 is peak"
    ),
    cases=warmup_cosine_cases,
    reference=warmup_cosine,
    mistakes=MISTAKES
    + general_mistakes(
        warmup_cosine, without=("changed_input", "wrong_dtype", "wrong_device", "detached")
    ),
    record=record_curve,
    call=every_step,
)
