"""What a training step costs as work grows: time and memory against image size, patch size, width, depth and batch.

    python benchmarks/cost.py                    # on a GPU if there is one; the table goes to data/results/cost_<cpu|gpu>.csv
    python benchmarks/cost.py --device cpu --draw cost.png

One factor grows, the others stay at a base: ViT-192x6/4 (heads 64 wide, MLP x4, class token), 32 px, 32 images (256 on a GPU).
A step is forward, cross entropy, backward and a fused AdamW step on one batch that is on the device; the median of some. On a CPU
seconds are processor time for each thread, so that other programs do not count; wall_seconds are by the clock. Memory is what
autograd keeps for the backward pass, measured (training/activations.py). Three ways: fused attention, the explicit form
(on a CPU up to 96 px: beyond, half a minute a step), and fused with activations computed twice. Beside them theory, with N
patches of P x P pixels, T = N + 1 tokens, width D, depth L, h heads:
    additions, multiplications   3 (L (24 T D^2 + 4 T^2 D) + 2 N 3 P^2 D + 20 D); computed twice + L (16 T D^2 + 4 T^2 D)
    numbers kept, an image       L (16 T D + T h); the explicit form L (16 T D + T^2 h); computed twice L T D + a block
Slopes are fitted to logarithms over the half of the points that costs most: to what was measured, to theory at the same points.
"""

import argparse
import datetime
import math
import shlex
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from measured import RESULTS, hardware, wait, write

from vit_tutorial import VisionTransformer, ViTConfig
from vit_tutorial.inspection import plots
from vit_tutorial.model import MultiHeadSelfAttention
from vit_tutorial.training import choose_precision
from vit_tutorial.training.runtime.activations import activation_bytes
from vit_tutorial.training.runtime.memory import plan_memory, step_bytes

WAYS = ("fused", "explicit", "computed twice")
GROWING = {
    "cpu": dict(
        image=(32, 48, 64, 96, 128),
        patch=(16, 8, 4, 2),
        width=(64, 128, 192, 256, 384, 512),
        depth=(1, 2, 4, 8, 16),
    ),
    "cuda": dict(
        image=(32, 64, 96, 128, 192, 256),
        patch=(16, 8, 4, 2),
        width=(64, 128, 256, 512, 1024),
        depth=(1, 2, 4, 8, 16, 32),
    ),
}
BATCHES = {"cpu": (8, 16, 32, 64, 128, 256), "cuda": (32, 64, 128, 256, 512, 1024, 2048)}


def points(kind: str) -> list[dict]:
    """The factor that grows, its value, all sizes, and the way; for the image's side, the patch and the depth all three ways."""
    base = dict(image=32, patch=4, width=192, depth=6, batch=32 if kind == "cpu" else 256)
    found = []
    for factor, values in (GROWING[kind] | dict(batch=BATCHES[kind])).items():
        for way in (
            WAYS
            if factor == "image"
            else ("fused", "computed twice")
            if factor == "depth"
            else ("fused",)
        ):
            few = (
                [value for value in values if value <= 96]
                if kind == "cpu" and way == "explicit"
                else values
            )
            found += [
                dict(factor=factor, value=value, way=way) | base | {factor: value} for value in few
            ]
    return found


def flops(p: dict) -> float:
    """Additions and multiplications of one training step: backward is twice the work of forward. A block that is computed twice
    is computed up to its last linear layer (8 T D^2), whose result backward has no need of."""
    N, D = (p["image"] // p["patch"]) ** 2, p["width"]
    T = N + 1
    blocks = p["depth"] * (24 * T * D**2 + 4 * T**2 * D)
    ends = 2 * N * 3 * p["patch"] ** 2 * D + 2 * D * 10
    again = blocks - p["depth"] * 8 * T * D**2 if p["way"] == "computed twice" else 0
    return p["batch"] * (3 * (ends + blocks) + again)


def theory_bytes(p: dict, size: int) -> float:
    """What backward needs, by counting what each part of a block keeps; `size` bytes a number."""
    T, D, h = (p["image"] // p["patch"]) ** 2 + 1, p["width"], p["width"] // 64
    block = 16 * T * D + T**2 * h if p["way"] == "explicit" else 16 * T * D + T * h
    return (
        p["batch"]
        * size
        * (p["depth"] * T * D + block if p["way"] == "computed twice" else p["depth"] * block)
    )


def measure(p: dict, device: torch.device, precision, seconds: float) -> dict:
    """Time of steps for about `seconds` seconds, at least one after a first that does not count; and memory."""
    torch.manual_seed(0)
    config = ViTConfig(
        p["image"], p["patch"], dim=p["width"], depth=p["depth"], num_heads=p["width"] // 64
    )
    model = VisionTransformer(config).to(device).train()
    for part in model.modules():
        if isinstance(part, MultiHeadSelfAttention):
            part.fused = p["way"] != "explicit"
    twice = model.encoder.checkpoint_activations = p["way"] == "computed twice"
    shape, wishes = (
        (3, p["image"], p["image"]),
        dict(micro_batch=p["batch"], checkpoint_activations=twice),
    )
    plan_memory(
        model, p["batch"], shape, device=device, precision=precision, **wishes
    )  # a ValueError, and no crash, where it does not fit
    kept = activation_bytes(model, shape, precision, twice)
    images = torch.randn(p["batch"], *shape, device=device)
    labels = torch.randint(10, (p["batch"],), device=device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    scaler = precision.scaler()
    count = 10 if device.type == "cuda" else 1  # a GPU's steps follow each other without a wait

    def step() -> tuple[float, float]:
        wait(device)
        wall, busy = time.perf_counter(), time.process_time()
        for _ in range(count):
            with precision.autocast():
                loss = F.cross_entropy(model(images), labels)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
        wait(device)
        return (time.perf_counter() - wall) / count, (
            time.process_time() - busy
        ) / count / torch.get_num_threads()

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    step()
    times = []
    while not times or (sum(wall for wall, _ in times) < seconds and len(times) < 15):
        times.append(step())
    wall, busy = (statistics.median(kind) for kind in zip(*times))
    return p | dict(
        heads=config.num_heads,
        tokens=config.num_tokens,
        seconds=busy if device.type == "cpu" else wall,
        wall_seconds=wall,
        repeats=len(times),
        flops=round(flops(p)),
        activation_bytes=round(kept.fixed + p["batch"] * kept.each),
        theory_bytes=round(theory_bytes(p, 4 if precision.name == "fp32" else 2)),
        step_bytes=step_bytes(model, kept, p["batch"]),
        peak_bytes=torch.cuda.max_memory_allocated(device) if device.type == "cuda" else "",
    )


def slopes(rows: list[dict]) -> dict:
    """Powers of the growing factor by which a series grows: slopes of the logarithms over its half that costs most."""
    upper = sorted(rows, key=lambda row: row["flops"])[-math.ceil((len(rows) + 1) / 2) :]
    x = np.log([row["value"] for row in upper])
    names = dict(
        slope_seconds="seconds",
        slope_flops="flops",
        slope_bytes="activation_bytes",
        slope_theory_bytes="theory_bytes",
    )
    return {
        name: round(float(np.polyfit(x, np.log([row[key] for row in upper]), 1)[0]), 2)
        for name, key in names.items()
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default=default, help="default: %(default)s"
    )
    parser.add_argument(
        "--precision", help="fp32, bf16 or fp16 (default: fp32 on a CPU, else what is fast)"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=1.0,
        help="time for each point, at least (default: %(default)s)",
    )
    parser.add_argument(
        "--factors", nargs="+", choices=(*GROWING["cpu"], "batch"), help="default: all five"
    )
    parser.add_argument(
        "--out", type=Path, help="the table (default: data/results/cost_<cpu|gpu>.csv)"
    )
    parser.add_argument("--draw", type=Path, help="also a picture, PNG")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    device = torch.device(options.device)
    precision = choose_precision(
        device, options.precision or ("fp32" if device.type == "cpu" else "auto")
    )
    rows, series = [], {}
    for point in points(device.type):
        if options.factors and point["factor"] not in options.factors:
            continue
        try:
            row = measure(point, device, precision, options.seconds)
        except ValueError as error:
            print(f"  {point['factor']:6}{point['value']:5} {point['way']:15} left out: {error}")
            continue
        rows.append(row)
        series.setdefault((row["factor"], row["way"]), []).append(row)
        speed, share = (
            row["flops"] / row["seconds"] / 1e9,
            row["activation_bytes"] / row["theory_bytes"],
        )
        print(
            f"  {row['factor']:6}{row['value']:5} {row['way']:15}{row['seconds']:9.4f} s a step {speed:8.0f} GFLOP/s "
            f"{row['activation_bytes'] / 2**20:9.1f} MiB ({share:.2f} of theory)",
            flush=True,
        )
    print("\nslopes over the upper half: seconds (operations in theory), bytes (in theory)")
    fitted = {name: slopes(of) for name, of in series.items() if len(of) > 1}
    for (factor, way), of in fitted.items():
        seconds, work, kept, counted = of.values()
        print(f"  {factor:6} {way:15}{seconds:6.2f} ({work:5.2f}) {kept:6.2f} ({counted:5.2f})")
    about = dict(
        precision=precision.name,
        hardware=hardware(device),
        threads=torch.get_num_threads() if device.type == "cpu" else "",
        torch=torch.__version__,
        date=datetime.date.today().isoformat(),
        command=shlex.join(["python", "benchmarks/cost.py", *sys.argv[1:]]),
    )
    rows = [row | fitted.get((row["factor"], row["way"]), {}) | about for row in rows]
    rounded = [
        row | {name: float(f"{row[name]:.4g}") for name in ("seconds", "wall_seconds")}
        for row in rows
    ]
    if options.draw:
        plots.save(plots.scaling(rows), options.draw)
    print(f"\n{about['hardware']}, {about['precision']}, torch {about['torch']}")
    write(options.out or RESULTS / f"cost_{'gpu' if device.type == 'cuda' else 'cpu'}.csv", rounded)


if __name__ == "__main__":
    main()
