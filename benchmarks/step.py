"""Training steps a second: our model beside timm's, vit-pytorch's and torchvision's at one configuration, in one run.

    python benchmarks/step.py                    # fp32 and bf16 on the CPU (on a GPU: fp32, bf16 and fp16)
    python benchmarks/step.py --compile          # the same models under torch.compile too

A step is forward, cross entropy, backward and a fused AdamW step on one batch that is on the device already: no data loading.
The models take turns (A B C D, B C D A, ...), a few steps each, so that a machine that slows down slows down all of them; the
ratio to the fastest of the other libraries is formed within each round. Shown: the median over rounds, and the quartiles.
The table goes to data/results/step_<device>.csv.
"""

import argparse
import csv
import datetime
import importlib.metadata
import platform
import re
import shlex
import statistics
import sys
import time
from pathlib import Path

import timm
import torch
import torch.nn.functional as F
import vit_pytorch
from torchvision.models.vision_transformer import VisionTransformer as TorchvisionViT

from vit_tutorial import VisionTransformer, ViTConfig
from vit_tutorial.model import MultiHeadSelfAttention

RESULTS = Path(__file__).resolve().parents[1] / "data" / "results"
DTYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def ours(size: dict, fused: bool) -> torch.nn.Module:
    model = VisionTransformer(ViTConfig(**size))
    for part in model.modules():
        if isinstance(part, MultiHeadSelfAttention):
            part.fused = fused
    return model


def timms(size: dict, fused: bool) -> torch.nn.Module:
    s = size
    model = timm.models.vision_transformer.VisionTransformer(
        img_size=s["image_size"],
        patch_size=s["patch_size"],
        num_classes=s["num_classes"],
        embed_dim=s["dim"],
        depth=s["depth"],
        num_heads=s["num_heads"],
        mlp_ratio=s["mlp_dim"] / s["dim"],
    )
    for block in model.blocks:
        block.attn.fused_attn = fused
    return model


def vit_pytorchs(size: dict) -> torch.nn.Module:
    s = {name: value for name, value in size.items() if name != "num_heads"}
    return vit_pytorch.ViT(**s, heads=size["num_heads"], dim_head=size["dim"] // size["num_heads"])


def torchvisions(size: dict) -> torch.nn.Module:
    s = size
    return TorchvisionViT(
        s["image_size"], s["patch_size"], s["depth"], s["num_heads"], s["dim"], s["mlp_dim"], num_classes=s["num_classes"]
    )


# Name, attention: how to build it. timm's and torchvision's own choice is the fused call, vit-pytorch's is the explicit form.
MODELS = {
    ("vit_tutorial", "explicit"): lambda size: ours(size, fused=False),
    ("vit_tutorial", "fused"): lambda size: ours(size, fused=True),
    ("timm", "fused"): lambda size: timms(size, fused=True),
    ("timm", "explicit"): lambda size: timms(size, fused=False),
    ("vit-pytorch", "explicit"): vit_pytorchs,
    ("torchvision", "fused"): torchvisions,
}


class Runner:
    """One model with its optimiser: `steps(n)` trains n steps and returns how many of them it made in a second."""

    def __init__(self, model: torch.nn.Module, device: torch.device, precision: str, compiled: bool, images, labels):
        self.device, self.dtype, self.images, self.labels = device, DTYPES[precision], images, labels
        self.model = model.to(device).train()
        self.parameters = sum(p.numel() for p in model.parameters())
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
        self.forward = torch.compile(self.model) if compiled else self.model

    def steps(self, count: int) -> float:
        self.wait()
        start = time.perf_counter()
        for _ in range(count):
            with torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None):
                loss = F.cross_entropy(self.forward(self.images), self.labels)
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()
            self.optimizer.zero_grad()
        self.wait()
        if not loss.isfinite():
            raise RuntimeError(f"the loss became {loss.item()}: a speed without learning is not worth a table")
        return count / (time.perf_counter() - start)

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def measure(size: dict, options, device: torch.device, precision: str, compiled: bool) -> list[dict]:
    """One row for each model: speeds are medians over rounds, with the quartiles; ratios are to the fastest of the others."""
    torch.manual_seed(0)
    images = torch.randn(options.batch, 3, size["image_size"], size["image_size"], device=device)
    labels = torch.randint(size["num_classes"], (options.batch,), device=device)
    runners = {name: Runner(build(size), device, precision, compiled, images, labels) for name, build in MODELS.items()}
    for runner in runners.values():
        runner.steps(3)  # warm-up: first calls choose kernels, allocate memory, compile
    speeds = {name: [] for name in runners}
    order = list(runners)
    for turn in range(options.rounds):
        first = turn % len(order)
        for name in order[first:] + order[:first]:
            speeds[name].append(runners[name].steps(options.steps))
    best = max((name for name in order if name[0] != "vit_tutorial"), key=lambda name: statistics.median(speeds[name]))
    rows = []
    for name, speed in speeds.items():
        low, middle, high = quartiles(speed)
        ratio_low, ratio, ratio_high = quartiles([mine / theirs for mine, theirs in zip(speed, speeds[best])])
        rows.append(
            dict(
                precision=precision,
                compiled="yes" if compiled else "no",
                model=name[0],
                attention=name[1],
                parameters=runners[name].parameters,
                steps_per_second=round(middle, 4),
                images_per_second=round(middle * options.batch, 1),
                images_q1=round(low * options.batch, 1),
                images_q3=round(high * options.batch, 1),
                ratio_to_best_other=round(ratio, 3),
                ratio_q1=round(ratio_low, 3),
                ratio_q3=round(ratio_high, 3),
                best_other=" ".join(best),
            )
        )
    return rows


def quartiles(values: list[float]) -> list[float]:
    return statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3


def hardware(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else None
    bf16 = ", bf16 matrix units" if info.exists() and "amx_bf16" in info.read_text() else ""
    return f"{found[1] if found else platform.processor()}{bf16}"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu or cuda (default: %(default)s)"
    )
    parser.add_argument("--precisions", nargs="+", choices=DTYPES, help="default: fp32 bf16, on a GPU fp16 too")
    parser.add_argument("--compile", action="store_true", help="measure under torch.compile too (minutes more)")
    parser.add_argument("--rounds", type=int, default=7, help="turns that each model gets (default: %(default)s)")
    parser.add_argument("--steps", type=int, help="steps in a turn (default: 2, on a GPU 50)")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--dim", type=int, default=192)
    parser.add_argument("--depth", type=int, default=6)
    parser.add_argument("--heads", type=int, default=3)
    parser.add_argument("--out", type=Path, help="the table (default: data/results/step_<device>.csv)")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    device = torch.device(options.device)
    on_gpu = device.type == "cuda"
    options.steps = options.steps or (50 if on_gpu else 2)
    size = dict(image_size=32, patch_size=4, num_classes=10, dim=options.dim, depth=options.depth, num_heads=options.heads)
    size["mlp_dim"] = 4 * options.dim
    rows = []
    for compiled in (False, True) if options.compile else (False,):
        for precision in options.precisions or (["fp32", "bf16", "fp16"] if on_gpu else ["fp32", "bf16"]):
            found = measure(size, options, device, precision, compiled)
            print(
                f"\n{precision}{', compiled' if compiled else ''}: images a second (quartiles), ratio to {found[0]['best_other']}"
            )
            for row in found:
                print(
                    f"  {row['model']:12} {row['attention']:8} {row['images_per_second']:9.1f} "
                    f"({row['images_q1']:.1f} to {row['images_q3']:.1f})   {row['ratio_to_best_other']:.2f} "
                    f"({row['ratio_q1']:.2f} to {row['ratio_q3']:.2f})",
                    flush=True,
                )
            rows += found
    packages = ("torch", "torchvision", "timm", "vit-pytorch")
    about = dict(
        width=options.dim,
        depth=options.depth,
        heads=options.heads,
        patch=4,
        tokens=65,
        batch=options.batch,
        rounds=options.rounds,
        steps_a_round=options.steps,
        hardware=hardware(device),
        threads="" if on_gpu else torch.get_num_threads(),
        versions=", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages),
        python=platform.python_version(),
        date=datetime.date.today().isoformat(),
        command=shlex.join(["python", "benchmarks/step.py", *sys.argv[1:]]),
    )
    slug = re.sub(r"[^a-z0-9]+", "-", hardware(device).lower()).strip("-") if on_gpu else "cpu"
    out = options.out or RESULTS / f"step_{slug}.csv"
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=[*rows[0], *about])
        writer.writeheader()
        writer.writerows(row | about for row in rows)
    print(f"\n{about['hardware']}, {about['versions']}\nwritten to {out.name}")


if __name__ == "__main__":
    main()
