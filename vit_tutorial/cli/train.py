"""The command `train`: what it can be told, and how a run is started or taken up again."""

import argparse
import datetime
import shlex
import sys
from pathlib import Path

DESCRIPTION = """\
Train a Vision Transformer and leave a folder behind: model.safetensors, metrics.csv, curves.png and run.json.
Ctrl-C ends the training early and keeps what was learned; --resume DIR goes on, after Ctrl-C, a power cut or a
runtime that Colab took away. Several GPUs or machines: accelerate launch --num_processes N -m vit_tutorial train ...
"""

# Options that become fields of TrainSettings when they are given; else the preset's, or TrainSettings' own, count.
SETTINGS = {
    "minutes": (float, "M", "how long to train (default: the preset's, else 5)"),
    "epochs": (float, "X", "passes over the training images, in place of minutes"),
    "lr": (float, "LR", "peak learning rate (default 0.003)"),
    "batch-size": (int, "B", "images a step, over all processes (default 128)"),
    "schedule": (str, "NAME", "linear or cosine, down to zero (default linear)"),
    "optimizer": (str, "NAME", "adamw or muon (default adamw; the presets take muon)"),
    "weight-decay": (float, "W", "of matrices (default 0.05)"),
    "label-smoothing": (float, "E", "share of the target spread over all classes (default 0)"),
    "rand-augment-ops": (int, "N", "operations of RandAugment an image (default 0)"),
    "rand-augment-magnitude": (float, "M", "their strength, 0 to 10 (default 9)"),
    "cutmix": (float, "P", "probability of CutMix (default 0)"),
    "ema-decay": (
        float,
        "D",
        "decay of an average of the weights, such as 0.999 (default 0, none)",
    ),
    "micro-batch": (int, "B", "images at once, where memory is small (default: what fits)"),
    "precision": (
        str,
        "NAME",
        "auto, fp32, bf16 or fp16 (default auto: what the device does fast)",
    ),
    "num-evaluations": (int, "N", "looks at the validation images (default 10)"),
    "seed": (int, "S", "seed of the weights, the split and the batches (default 0)"),
}


def add_to(commands, data: argparse.ArgumentParser) -> None:
    """Add the command to `commands`; `data` holds the options that name the images and the device."""
    train = commands.add_parser(
        "train",
        parents=[data],
        help="train a ViT for some minutes",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    train.add_argument(
        "--recipe", metavar="NAME", help="cpu, t4 or a100: a model and settings for that machine"
    )
    train.add_argument(
        "--out", type=Path, metavar="DIR", help="folder for the results (default runs/DATE_TIME)"
    )
    train.add_argument(
        "--resume",
        type=Path,
        metavar="DIR",
        help="go on with the run in DIR; nothing else need be said",
    )
    train.add_argument(
        "--save-every",
        type=float,
        default=60,
        metavar="S",
        help="seconds between two saved states (default 60)",
    )
    train.add_argument(
        "--copy-to",
        type=Path,
        metavar="DIR",
        help="a second folder for each saved state, such as one on Drive",
    )
    train.add_argument(
        "--model",
        metavar="NAME",
        help="CIFAR-WIDTHxDEPTH/PATCH or ViT-SIZE/PATCH (default CIFAR-96x4/4)",
    )
    train.add_argument("--pool", help="class or mean: what the head reads (default: the model's)")
    train.add_argument(
        "--position",
        help="none, learned_1d, learned_2d, sinusoidal_1d, sinusoidal_2d, relative or rotary (default learned_1d)",
    )
    train.add_argument(
        "--stem", help="patches, or convolutional: overlapping 3 x 3 convolutions (default patches)"
    )
    train.add_argument(
        "--drop-path-rate",
        type=float,
        metavar="P",
        help="probability that the last block is skipped (default 0)",
    )
    for name, (kind, metavar, words) in SETTINGS.items():
        train.add_argument(f"--{name}", type=kind, metavar=metavar, help=words)
    train.add_argument(
        "--compile",
        nargs="?",
        const="yes",
        choices=("yes", "auto"),
        help="torch.compile from the start, or with auto in long runs and if it proves faster",
    )
    train.add_argument("--quiet", action="store_true", help="no progress bar")
    train.set_defaults(run=run_train)


def run_train(args) -> int:
    from .. import training
    from . import run_folder

    processes = training.init_processes(args.device)
    if args.resume:
        return finish(
            run_folder.resume_run(
                args.resume, progress=not args.quiet, device=args.device, processes=processes
            ),
            args.resume,
            processes,
        )
    plan = settings_from_args(args)
    out = args.out or Path("runs") / datetime.datetime.now().strftime("%Y-%m-%d_%H%M%S")
    command = shlex.join(["python", "-m", "vit_tutorial", *sys.argv[1:]])
    images = {
        "source": args.data,
        "image_size": args.image_size,
        "root": args.data_root and str(args.data_root),
    }
    images["stream"] = args.stream
    keeping = {"seconds": args.save_every, "copy_to": args.copy_to and str(args.copy_to)}
    record = run_folder.start_run(
        out,
        images,
        *plan,
        keeping,
        command=command,
        progress=not args.quiet,
        device=args.device,
        processes=processes,
    )
    return finish(record, out, processes)


def settings_from_args(args) -> tuple[str, dict, object]:
    """The model's name, changes to its configuration, and the TrainSettings that `args` ask for."""
    from ..model import ViTConfig
    from ..training import TrainSettings, recipe

    chosen = recipe(args.recipe, args.minutes) if args.recipe else None
    names = [name.replace("-", "_") for name in SETTINGS]
    told = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if args.compile:
        told["compile"] = args.compile == "yes" or args.compile
    changes = {
        n: getattr(args, n)
        for n in ("pool", "position", "stem", "drop_path_rate")
        if getattr(args, n) is not None
    }
    if chosen:
        settings, model, changes = (
            chosen.train_settings(**told),
            args.model or chosen.model,
            chosen.config | changes,
        )
    else:
        length = {} if {"minutes", "epochs"} & set(told) else {"minutes": 5.0}
        settings = TrainSettings(**{"lr": 3e-3, "schedule": "linear"} | length | told)
        model = args.model or "CIFAR-96x4/4"
    ViTConfig.named(model, **changes)  # a wrong name is told before data is read or fetched
    return model, changes, settings


def finish(record: dict, out: Path, processes) -> int:
    """Say what came of it; the exit status."""
    stopped = record["stopped"] == "interrupted"
    if processes.main:
        minutes, passes, precision = (record[name] for name in ("minutes", "epochs", "precision"))
        how = f"stopped by Ctrl-C (go on with: train --resume {out})" if stopped else "done"
        images, data = record["images"], record["data"]
        print(
            f"{how}: {minutes:.1f} minutes, {passes:.1f} passes over {images['train']} images, {precision}"
        )
        accuracy = record["validation_accuracy"]
        print(
            f"validation {accuracy:.1%}, test {record['test_accuracy']:.1%} ({images['test']} images, {data})"
        )
        print(
            f"in {out}: model.safetensors, metrics.csv, run.json"
            + (", curves.png" if (out / "curves.png").exists() else "")
        )
    return 130 if stopped else 0
