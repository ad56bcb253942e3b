"""What a training step costs as one factor grows: image size, patch size, width, depth or batch.

    python benchmarks/cost.py                    # on a GPU if there is one
    python benchmarks/cost.py --device cpu --draw cost.png

The other factors stay at a base: ViT-192x6/4 (heads 64 wide, MLP x4, class token), 32 px, 32 images
(256 on a GPU). A step is forward, cross entropy, backward and a fused AdamW step on one batch that
is on the device already; shown is the median of some steps. On a CPU seconds are processor time for
each thread, so that other programs do not count; wall_seconds are by the clock. Memory is what
autograd keeps for the backward pass, measured (training/runtime/activations.py).
Three ways: fused attention; the explicit form (on a CPU up to 96 px: beyond, a step takes half a
minute); and fused with activation checkpointing ("computed twice" in the table). Beside them stands
theory, with N patches of P x P pixels, T = N + 1 tokens, width D, depth L, h heads:
    additions and multiplications of a step
        fused, explicit     3 (L (24 T D^2 + 4 T^2 D) + 2 N 3 P^2 D + 20 D)
        computed twice      L (16 T D^2 + 4 T^2 D) more
    numbers kept for an image
        fused               L (16 T D + T h)
        explicit            L (16 T D + T^2 h)
        computed twice      L T D, and those of one block
Slopes are fitted to logarithms over the half of the points that costs most: to what was measured,
and to theory at the same points. The table goes to data/results/cost_<cpu|gpu>.csv.
"""

import argparse
import math
import statistics
import time
from pathlib import Path

import common
import numpy as np
import torch
import torch.nn.functional as F
from measured import wait

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
    """What is measured: the factor that grows, its value, the way, and all sizes.

    All three ways for the image's side, two for the depth, fused attention for the rest.
    """
    base = dict(image=32, patch=4, width=192, depth=6, batch=32 if kind == "cpu" else 256)
    ways = dict(image=WAYS, depth=("fused", "computed twice"))
    return [
        dict(factor=factor, value=value, way=way) | base | {factor: value}
        for factor, values in (GROWING[kind] | dict(batch=BATCHES[kind])).items()
        for way in ways.get(factor, ("fused",))
        for value in values
        if not (kind == "cpu" and way == "explicit" and value > 96)
    ]


def flops(p: dict) -> float:
    """Additions and multiplications of one training step: backward is twice the work of forward.

    A block that is computed twice is computed up to its last linear layer (8 T D^2), whose result
    backward does not need.
    """
    N, D = (p["image"] // p["patch"]) ** 2, p["width"]
    T = N + 1
    blocks = p["depth"] * (24 * T * D**2 + 4 * T**2 * D)
    ends = 2 * N * 3 * p["patch"] ** 2 * D + 2 * D * 10
    again = blocks - p["depth"] * 8 * T * D**2 if p["way"] == "computed twice" else 0
    return p["batch"] * (3 * (ends + blocks) + again)


def theory_bytes(p: dict, size: int) -> float:
    """What backward needs: the sum of what each part of a block keeps, `size` bytes a number."""
    T, D, h = (p["image"] // p["patch"]) ** 2 + 1, p["width"], p["width"] // 64
    block = 16 * T * D + T**2 * h if p["way"] == "explicit" else 16 * T * D + T * h
    numbers = p["depth"] * T * D + block if p["way"] == "computed twice" else p["depth"] * block
    return p["batch"] * size * numbers


def measure(p: dict, device: torch.device, precision, seconds: float) -> dict:
    """Time and memory of a step, measured for about `seconds` seconds after a first step."""
    torch.manual_seed(0)
    config = ViTConfig(
        p["image"], p["patch"], dim=p["width"], depth=p["depth"], num_heads=p["width"] // 64
    )
    model = VisionTransformer(config).to(device).train()
    for part in model.modules():
        if isinstance(part, MultiHeadSelfAttention):
            part.fused = p["way"] != "explicit"
    twice = model.encoder.checkpoint_activations = p["way"] == "computed twice"
    shape = (3, p["image"], p["image"])
    plan_memory(  # a ValueError, and no crash, where it does not fit
        model,
        p["batch"],
        shape,
        device=device,
        precision=precision,
        micro_batch=p["batch"],
        checkpoint_activations=twice,
    )
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
        wall, busy = time.perf_counter() - wall, time.process_time() - busy
        return wall / count, busy / count / torch.get_num_threads()

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
    """The powers of the factor by which a series grows.

    Slopes of the logarithms over the half of its points that costs most.
    """
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
    parser = common.make_parser(__doc__, common.speed_options("cost"))
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
            f"  {row['factor']:6}{row['value']:5} {row['way']:15}{row['seconds']:9.4f} s a step "
            f"{speed:8.0f} GFLOP/s {row['activation_bytes'] / 2**20:9.1f} MiB "
            f"({share:.2f} of theory)",
            flush=True,
        )
    print("\nslopes over the upper half: seconds (operations in theory), bytes (in theory)")
    fitted = {name: slopes(of) for name, of in series.items() if len(of) > 1}
    for (factor, way), of in fitted.items():
        seconds, work, kept, counted = of.values()
        print(f"  {factor:6} {way:15}{seconds:6.2f} ({work:5.2f}) {kept:6.2f} ({counted:5.2f})")
    about = common.provenance(
        "cost.py",
        common.processor(device),
        precision=precision.name,
        threads=torch.get_num_threads() if device.type == "cpu" else "",
    )
    rows = [row | fitted.get((row["factor"], row["way"]), {}) | about for row in rows]
    rounded = [
        row | {name: float(f"{row[name]:.4g}") for name in ("seconds", "wall_seconds")}
        for row in rows
    ]
    if options.draw:
        plots.save(plots.scaling(rows), options.draw)
    print(f"\n{about['hardware']}, {about['precision']}, torch {about['torch']}")
    kind = "gpu" if device.type == "cuda" else "cpu"
    common.write_table(options.out or common.RESULTS / f"cost_{kind}.csv", rounded)


if __name__ == "__main__":
    main()
