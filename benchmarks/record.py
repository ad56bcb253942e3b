"""Rows of the record: a plain ViT on CIFAR-10, two CPU cores, five minutes (docs/records.md).

    python benchmarks/record.py FOLDER_OR_cifar10 --provenance "CIFAR-10 (JPEG copy)" \\
        --change "small images first" --seeds 0 1 2 3 4

A run is that of `python -m vit_tutorial train --minutes 5 --device cpu --seed S`, on two cores.
What
stands behind --train goes to it as well: `--train --lr 0.004 --resolutions 0.7@16`. The validation
images are looked at during a run, the test images once, at its end.
Each run is a row of data/results/record.csv (--out). It replaces a row with the same change,
minutes, seed, processor and number of threads. `python tools/results.py` then writes the log.
"""

import argparse
import shlex
import tempfile
from pathlib import Path

import common
import psutil
import torch

from vit_tutorial import ViTConfig
from vit_tutorial.cli import run_folder
from vit_tutorial.cli.main import parser
from vit_tutorial.cli.train import chooser, spec_from_args
from vit_tutorial.common import machine
from vit_tutorial.training.runtime.precision import cpu_bf16_units
from vit_tutorial.training.runtime.resolutions import format_stages

SAME = ("change", "budget", "seed", "hardware", "threads")  # of a row that another one replaces


def step_flops(config: ViTConfig, side: int) -> int:
    """FLOPs of a training step for one image of side x side pixels.

    The matrix products of the forward pass, additions and multiplications one each, and twice that
    for the backward pass.
    """
    N, D = (side // config.patch_size) ** 2, config.dim
    T = N + config.num_class_tokens
    block = 8 * T * D * D + 4 * T * T * D + 4 * T * D * config.mlp_dim  # q, k, v, o; scores; MLP
    ends = 2 * N * config.patch_dim * D + 2 * D * config.num_classes
    return 3 * (config.depth * block + ends)


def row(record: dict, args, seed: int) -> dict:
    """The row of one run; `record` is what its run.json holds."""
    config, settings = ViTConfig(**record["config"]), record["settings"]
    steps = {int(side): count for side, count in record["steps_by_side"].items()}
    flops = sum(count * step_flops(config, side) for side, count in steps.items())
    images = sum(steps.values()) * settings["batch_size"]
    return dict(
        change=args.change,
        budget=float(args.minutes),
        seed=seed,
        validation_accuracy=round(record["validation_accuracy"], 4),
        test_accuracy=round(record["test_accuracy"], 4),
        epochs=round(record["epochs"], 2),
        pflops=round(flops * settings["batch_size"] / 1e15, 5),
        minutes=round(record["minutes"], 2),
        images_per_second=round(images / (60 * record["minutes"])),
        model=record["model"],
        resolutions=format_stages(settings["resolutions"]),
        parameters=record["parameters"],
        **common.provenance(
            "record.py",
            machine.cpu_name(),
            source=args.data,
            threads=torch.get_num_threads(),
            bf16=cpu_bf16_units() or "none",
            precision=record["precision"],
            data=args.provenance or record["data"],
        ),
    )


def run(source: str, out: Path, args, seed: int) -> dict:
    """Train as the command line does; what run.json holds."""
    words = ["train", "--data", source, "--minutes", args.minutes, "--seed", seed]
    asked = parser().parse_args([*map(str, [*words, "--device", "cpu"]), *args.train])
    spec = spec_from_args(asked)
    if (stem := spec.changes.get("stem", "patches")) != "patches":
        raise SystemExit(f"a {stem} stem is no plain ViT: leave it out (docs/records.md)")
    how = dict(choose=chooser(asked), progress=not args.quiet, device="cpu")
    record = run_folder.start_run(out, spec, **how)
    if record["stopped"] != "finished":
        raise KeyboardInterrupt
    return record


def keep_to(cores: int) -> None:
    """Let this process compute on `cores` cores at most, with as many threads."""
    process = psutil.Process()
    if hasattr(process, "cpu_affinity"):  # not on macOS
        process.cpu_affinity(process.cpu_affinity()[:cores])
    torch.set_num_threads(cores)


def arguments() -> argparse.Namespace:
    options = common.run_options(common.RESULTS / "record.csv")
    parser = common.make_parser(__doc__, common.image_options(), options)
    parser.set_defaults(seeds=[0, 1, 2, 3, 4])
    parser.add_argument("--change", required=True, help="what is new, in a few words, for the log")
    parser.add_argument("--minutes", type=float, default=5, help="default: %(default)s")
    parser.add_argument("--cores", type=int, default=2, help="default: %(default)s")
    parser.add_argument(
        "--train", nargs=argparse.REMAINDER, default=[], help="options of `train`, at the very end"
    )
    return parser.parse_args()


def main() -> None:
    args = arguments()
    keep_to(args.cores)
    table = common.SharedTable(args.out)
    with common.images_in(args.data) as source, tempfile.TemporaryDirectory() as place:
        for seed in args.seeds:
            record = run(source, Path(place) / str(seed), args, seed)
            result = row(record, args, seed)
            table.add(result, instead_of=SAME)
            print(
                f"seed {seed}: validation {result['validation_accuracy']:.2%}, test "
                f"{result['test_accuracy']:.2%}, {result['epochs']:.1f} epochs, "
                f"{result['pflops']:.3f} PFLOPs ({record['why'] or shlex.join(args.train)})",
                flush=True,
            )


if __name__ == "__main__":
    main()
