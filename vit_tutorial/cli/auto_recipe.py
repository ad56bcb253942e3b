"""`train --recipe auto`: a few steps are timed, and the recipe that fits the budget is taken."""

import dataclasses
import statistics
import time
from collections.abc import Callable

import torch

from ..common.validation import require_choice
from ..data import ImageData
from ..model import VisionTransformer
from ..training import Recipe, choose_precision, recipe, recipes
from ..training.recipes import COMMON, LADDER, default
from ..training.runtime.muon import has_muon
from ..training.runtime.processes import SINGLE_PROCESS, Processes
from ..training.runtime.resolutions import check_stages_fit, format_stages
from ..training.step import Step
from .run_spec import RunSpec

NAMES = ("auto", *recipes())
# What the recipes were tried on is CIFAR-10. A larger model is no help with fewer images than these
# (`shapes` has half as many), and stages of resolution are made for images of this size.
LEAST_IMAGES, IMAGE_SIZE = 20_000, (32, 32)
WARM, LEAST_STEPS, SECONDS = 2, 3, 1.0  # of timing, for one recipe


def named_or_default(name: str, minutes: float | None = None) -> Recipe:
    """The recipe `name`; for "auto", which needs the images first, what it can fall back on."""
    require_choice("recipe", name, NAMES)
    return default() if name == "auto" else recipe(name, minutes)


def choose(
    make: Callable[[Recipe], RunSpec],
    data: ImageData,
    processes: Processes = SINGLE_PROCESS,
    time_step: Callable[[RunSpec, ImageData, Processes], float] | None = None,
) -> RunSpec:
    """The run for this machine, this budget and these images; its field `why` says why.

    Of LADDER the last recipe is taken of which the budget buys enough epochs, counted with images
    of full size. Where the budget is a number of epochs, nothing is timed, and no image is shrunk:
    that buys time, and time was not asked for.
    make: a recipe -> the run, with everything that a person asked for on top.
    time_step: gives the seconds of a step (default: `seconds_a_step`).
    """
    size = "x".join(map(str, data.image_size))
    if len(data.train) < LEAST_IMAGES or data.image_size != IMAGE_SIZE:
        has = f"{data.name} has {len(data.train):,} training images of {size}"
        return _explained(make(default()), f"{has}, and larger recipes are for {LEAST_IMAGES:,}")
    timed = make(default()).settings.minutes is not None
    rows = (
        LADDER if timed or data.device.type != "cpu" else LADDER[:2]
    )  # epochs say nothing of time
    taken, said, bought = None, "", 0.0
    for least, candidate, _, _ in rows:
        if taken and bought < least:  # of a larger model it buys even fewer
            said = f"; the next recipe is for {least} or more"
            break
        candidate = _with_stages_that_fit(candidate, make, data, timed)
        epochs = _epochs(make(_without_muon(candidate)), data, processes, time_step)
        if epochs < least:
            said = f"; of the next recipe, which is for {least} or more, {epochs:.1f}"
            break
        taken, bought = candidate, epochs
    spec = make(taken)
    if not timed:
        return _explained(spec, f"{bought:g} epochs were asked for{said}")
    minutes = f"{spec.settings.minutes:g} min of this machine"
    return _explained(spec, f"{minutes} buy about {bought:.1f} epochs at full size{said}")


def seconds_a_step(spec: RunSpec, data: ImageData, processes: Processes = SINGLE_PROCESS) -> float:
    """Seconds of a training step at full size on this process's share of a batch: the median."""
    settings, device = dataclasses.replace(spec.settings, compile=False), data.device
    size = max(1, settings.batch_size // processes.count)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        model = VisionTransformer(spec.model_config(data)).to(device)
        precision = choose_precision(device, settings.precision)
        step = Step(model, data, settings, precision, size, SINGLE_PROCESS)
        step.prepare()
        images = torch.randn(size, data.channels, *data.image_size, device=device)
        labels = torch.randint(data.num_classes, (size,), device=device)
        seconds = []
        while len(seconds) < WARM + LEAST_STEPS or sum(seconds[WARM:]) < SECONDS:
            begin = time.perf_counter()
            step(images, labels, lr=0.0).item()  # on a GPU this waits for the step's end
            seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds[WARM:])


def _epochs(spec: RunSpec, data: ImageData, processes: Processes, time_step) -> float:
    """How many epochs the budget of `spec` buys, the same number in every process."""
    if spec.settings.epochs is not None:
        return spec.settings.epochs
    own = (time_step or seconds_a_step)(spec, data, processes)
    seconds, _ = processes.sync_clock(own, False)
    steps_per_epoch = max(1, len(data.train) // spec.settings.batch_size)
    return 60 * spec.settings.minutes / (seconds * steps_per_epoch)


def _with_stages_that_fit(
    candidate: Recipe, make: Callable[[Recipe], RunSpec], data: ImageData, timed: bool
) -> Recipe:
    """`candidate` for five minutes, unless others are asked for. Without its stages of resolution,
    and the higher rate that goes with them, where they are no use or the model cannot take them."""
    candidate = dataclasses.replace(candidate, minutes=default().minutes)
    if "resolutions" not in candidate.settings:
        return candidate
    try:
        config = make(_without_muon(candidate)).model_config(data)
        check_stages_fit(candidate.settings["resolutions"], config)
    except ValueError:
        timed = False
    full = candidate.settings | dict(resolutions=(), lr=COMMON["lr"])
    return candidate if timed else dataclasses.replace(candidate, settings=full)


def _without_muon(candidate: Recipe) -> Recipe:
    """Where this torch has no Muon, `candidate` with AdamW: timed without saying so each time."""
    adamw = dict(optimizer="adamw")
    settings = candidate.settings if has_muon() else candidate.settings | adamw
    return dataclasses.replace(candidate, settings=settings)


def _explained(spec: RunSpec, why: str) -> RunSpec:
    """`spec` with what was chosen and why, as a sentence."""
    s = spec.settings
    stages = f", images {format_stages(s.resolutions)} px first" if s.resolutions else ""
    chosen = f"{spec.model}, {s.optimizer}, lr {s.lr:g}{stages}"
    return dataclasses.replace(spec, recipe="auto", why=f"{chosen}: {why}")
