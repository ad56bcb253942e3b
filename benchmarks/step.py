"""Training steps a second: our model beside timm's, vit-pytorch's and torchvision's, in one run.

    python benchmarks/step.py                    # fp32, bf16, bf16 weights; on a GPU fp16 too
    python benchmarks/step.py --compile          # also under torch.compile: half a minute a model
    python benchmarks/step.py --compile --models vit_tutorial:explicit timm --precisions bf16

All models have one configuration. A step is forward, cross entropy, backward and a fused AdamW step
on one batch that is on the device already: no data loading.
bf16 and fp16 are autocast over weights in float32, as everyone trains. "bf16 weights" is
model.to(torch.bfloat16), AdamW and all. It is measured because any library's user can ask for it;
we don't advise it, since an update of less than 1/256 of a weight is lost.
The models of one precision, compiled or not, take turns, a few steps each, so that a machine that
slows down slows down all of them; ratios are formed within each round. Shown are the median over
rounds and the quartiles. The table goes to data/results/step_<device>.csv. Its columns:
    best_other          the fastest other library at the same setting
    best_of_all         the same at any setting of the family (bf16 with its two kinds, compiled or
                        not)
    share_of_peak       FLOPs of the steps (speed.step_flops) over the fastest large matrix product
                        that this machine made in this run
    ended               "measured", or why a model was left out, such as for compiling longer than
                        --limit
    compiled_to_eager   how many times as many steps as without compiling
    compile_seconds     the first step, compiling included
    pays_after_minutes  how long a run must be for compiling to gain more steps than its wait costs
"""

import argparse
import statistics
import time

import common
import measured
import speed
import torch
import torch.nn.functional as F

DTYPES = {
    "fp32": None,
    "bf16": torch.bfloat16,
    "bf16 weights": torch.bfloat16,
    "fp16": torch.float16,
}
# The precisions of one family take turns together.
FAMILIES = (("fp32",), ("bf16", "bf16 weights"), ("fp16",))


class Runner:
    """One model with its optimiser: `steps(n)` trains n steps and returns the steps a second."""

    def __init__(
        self,
        model: torch.nn.Module,
        device: torch.device,
        precision: str,
        compiled: bool,
        images,
        labels,
    ):
        self.device, self.dtype = device, DTYPES[precision]
        self.images, self.labels = images, labels
        self.autocast = self.dtype is not None and precision != "bf16 weights"
        self.model = model.to(device).train()
        if precision == "bf16 weights":
            self.model.to(self.dtype)
            self.images = images.to(self.dtype)
        self.parameters = sum(p.numel() for p in model.parameters())
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
        self.forward = torch.compile(self.model) if compiled else self.model

    def steps(self, count: int) -> float:
        measured.wait(self.device)
        start = time.perf_counter()
        for _ in range(count):
            with torch.autocast(self.device.type, self.dtype, enabled=self.autocast):
                loss = F.cross_entropy(self.forward(self.images), self.labels)
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()
            self.optimizer.zero_grad()
        measured.wait(self.device)
        seconds = time.perf_counter() - start
        if not loss.isfinite():
            raise RuntimeError(
                f"the loss became {loss.item()}: the speed of a model that does not learn means "
                "nothing"
            )
        return count / seconds


def start(
    name, size, options, device, precision, compiled, images, labels
) -> tuple[Runner | None, float, str]:
    """(runner after a warm-up, seconds of its first step, how that ended).

    The runner is None if compiling took too long or failed.
    """
    runner = Runner(speed.MODELS[name](size), device, precision, compiled, images, labels)
    before = time.perf_counter()
    try:
        if compiled:
            with common.at_most(options.limit), speed.compiled_anew():
                runner.steps(1)
        else:
            runner.steps(1)
        first = time.perf_counter() - before
        runner.steps(2)  # first calls choose kernels and allocate memory
        return runner, first, "measured"
    except common.OutOfTimeError:
        return (
            None,
            time.perf_counter() - before,
            f"left out: compiling took more than {options.limit:g} s",
        )
    except Exception as error:
        if not compiled:
            raise
        return None, time.perf_counter() - before, speed.failed(error)


def measure(size: dict, options, device: torch.device, precisions: list[str]) -> list[dict]:
    """A row for each model at each setting of one family of precisions."""
    torch.manual_seed(0)
    images = torch.randn(options.batch, 3, size["image_size"], size["image_size"], device=device)
    labels = torch.randint(size["num_classes"], (options.batch,), device=device)
    torch._dynamo.reset()  # dynamo gives up on code that it has compiled for eight models
    peak = speed.matmul_peak(device, DTYPES[precisions[0]] or torch.float32)
    settings = [
        (precision, compiled)
        for compiled in ((False, True) if options.compile else (False,))
        for precision in precisions
    ]
    runners, notes = {}, {}
    for precision, compiled in settings:
        for name in options.models:
            runner, first, ended = start(
                name, size, options, device, precision, compiled, images, labels
            )
            key = (precision, compiled, name)
            notes[key] = (round(first, 1) if compiled else "", ended)
            if runner:
                runners[key] = runner
            if compiled:
                print(
                    f"  {precision}, {' '.join(name)}: {ended} ({first:.0f} s for the first step)",
                    flush=True,
                )
    speeds = {key: [] for key in runners}
    for key in measured.in_turns(list(runners), options.rounds):
        speeds[key].append(runners[key].steps(options.steps))
    flops = speed.step_flops(size)
    return [
        row(key, speeds, runners.get(key), *notes[key], flops, peak, options.batch) for key in notes
    ]


def row(key, speeds, runner, seconds, ended, flops, peak, batch) -> dict:
    """The row of one model at one setting; speeds and ratios are empty when it was left out."""
    precision, compiled, name = key
    found = dict(
        precision=precision, compiled="yes" if compiled else "no", model=name[0], attention=name[1]
    )
    found |= dict(
        parameters=runner.parameters if runner else "", ended=ended, compile_seconds=seconds
    )
    mine = speeds.get(key)
    images = measured.spread("images", mine and [batch * value for value in mine], 1)
    found["steps_per_second"] = round(statistics.median(mine), 4) if mine else ""
    found |= dict(images_per_second=images.pop("images"), **images)
    same = best({k: v for k, v in speeds.items() if k[:2] == key[:2]})
    found |= rename(
        measured.spread("ratio", mine and same and measured.ratios(mine, speeds[same])),
        "ratio",
        "ratio_to_best_other",
    )
    found["best_other"] = " ".join(same[2]) if same else ""
    found |= gain(mine, speeds.get((precision, False, name)) if compiled else None, seconds)
    any_setting = best(speeds)
    of_all = measured.spread(
        "ratio_of_all", mine and any_setting and measured.ratios(mine, speeds[any_setting])
    )
    found |= rename(of_all, "ratio_of_all", "ratio_to_best_of_all")
    found["best_of_all"] = describe(any_setting) if any_setting else ""
    share = round(flops * batch * statistics.median(mine) / peak, 4) if mine else ""
    return found | dict(
        flops_an_image=flops, matmul_peak_gflops=round(peak / 1e9, 1), share_of_peak=share
    )


def gain(compiled: list[float] | None, eager: list[float] | None, wait: float) -> dict:
    """What compiling gains, and the length of a run, in minutes, from which on it does.

    In T seconds the compiled model makes (T - wait) * ratio eager steps: that must be more than T.
    """
    ratios = measured.ratios(compiled, eager) if compiled and eager else None
    found, pays = measured.spread("compiled_to_eager", ratios), ""
    if ratios:
        ratio = statistics.median(ratios)
        pays = round(wait * ratio / (ratio - 1) / 60, 1) if ratio > 1 else "never"
    return found | dict(pays_after_minutes=pays)


def best(speeds: dict) -> tuple | None:
    """The fastest that is not ours, or None if only ours were measured."""
    others = [key for key in speeds if key[2][0] != "vit_tutorial"]
    return max(others, key=lambda key: statistics.median(speeds[key]), default=None)


def describe(key: tuple) -> str:
    precision, compiled, name = key
    return f"{' '.join(name)}, {precision}{', compiled' if compiled else ''}"


def rename(columns: dict, old: str, new: str) -> dict:
    return {new if name == old else name: value for name, value in columns.items()}


def show(rows: list[dict]) -> None:
    print(
        "\nimages a second (quartiles), ratio to "
        f"{rows[0]['best_of_all'] or 'no one: no other library'}, share of the peak"
    )
    for r in rows:
        compiled = "compiled" if r["compiled"] == "yes" else ""
        what = f"  {r['precision']:12} {compiled:8} {r['model']:12} {r['attention']:8} "
        if r["ended"] != "measured":
            print(what + r["ended"])
            continue
        ratio = (
            f"{r['ratio_to_best_of_all']:.2f} "
            f"({r['ratio_of_all_q1']:.2f} to {r['ratio_of_all_q3']:.2f})"
            if r["best_of_all"]
            else ""
        )
        speeds = f"{r['images_per_second']:9.1f} ({r['images_q1']:.1f} to {r['images_q3']:.1f})"
        print(f"{what}{speeds}   {ratio}   {r['share_of_peak']:.1%}", flush=True)


def chosen(word: str) -> list[tuple[str, str]]:
    """The models that a word of --models names: "timm" is all of timm's, "timm:fused" one."""
    found = [name for name in speed.MODELS if word in (name[0], ":".join(name))]
    if not found:
        known = ", ".join(dict.fromkeys(name[0] for name in speed.MODELS))
        raise argparse.ArgumentTypeError(
            f"no model {word!r}: there are {known}; with :fused or :explicit for one form"
        )
    return found


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = common.make_parser(
        __doc__, common.speed_options("step", rounds=7), common.model_options()
    )
    parser.add_argument(
        "--precisions",
        nargs="+",
        choices=DTYPES,
        help="default: fp32, bf16, bf16 weights, on a GPU fp16 too",
    )
    parser.add_argument(
        "--models",
        nargs="+",
        type=chosen,
        help="libraries, or one form of one: timm, timm:fused (default: all)",
    )
    parser.add_argument("--compile", action="store_true", help="also under torch.compile")
    parser.add_argument(
        "--limit",
        type=float,
        default=300,
        help="seconds that compiling one model may take (default: %(default)s)",
    )
    parser.add_argument("--steps", type=int, help="steps in a turn (default: 2, on a GPU 50)")
    options = parser.parse_args(words)
    on_gpu = torch.device(options.device).type == "cuda"
    options.models = list(
        dict.fromkeys(name for part in options.models or [speed.MODELS] for name in part)
    )
    options.precisions = options.precisions or [
        "fp32",
        "bf16",
        "bf16 weights",
        *(["fp16"] if on_gpu else []),
    ]
    options.steps = options.steps or (50 if on_gpu else 2)
    if "fp16" in options.precisions and not on_gpu:
        parser.error(
            "fp16 is for GPUs: a CPU computes it slowly and its gradients underflow. Take bf16"
        )
    return options


def main(words: list[str] | None = None) -> None:
    options = arguments(words)
    device = torch.device(options.device)
    size = speed.sizes(options.dim, options.depth, options.heads)
    rows = []
    for family in FAMILIES:
        precisions = [precision for precision in family if precision in options.precisions]
        if precisions:
            found = measure(size, options, device, precisions)
            show(found)
            rows += found
    about = dict(steps_a_round=options.steps) | speed.about(device, "step.py", options)
    path = options.out or common.table_path("step", device)
    common.write_table(path, [row | about for row in rows])


if __name__ == "__main__":
    main()
