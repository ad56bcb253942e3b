"""The command `train`: its options, how a run is started or resumed, what is printed at its end."""

import argparse
import datetime
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from ..model import ViTConfig
from ..training import Recipe, TrainSettings
from ..training.recipes import default
from ..training.runtime.muon import MUON_REPLACED, require_muon
from . import auto_recipe, fine_tune
from .field_options import add_field_options, given_options
from .options import TRAIN_HELP, absolute, given_path, source_from_args
from .run_spec import RunSpec

DESCRIPTION = """\
Train a Vision Transformer and leave a folder behind: model.safetensors, metrics.csv, curves.png
and run.json. Ctrl-C ends the training early and keeps what was learned; --resume DIR continues
after Ctrl-C, a power cut or a runtime that Colab took away. On several GPUs or machines:
accelerate launch --num_processes N -m vit_tutorial train ...
"""
# What may differ when a run is resumed: none of it changes the weights.
OF_A_RESUME = ("data", "copy_to", "save_every", "device", "quiet", "resume")
MODEL_OPTIONS = ("pool", "position", "stem", "drop_path_rate")  # fields of ViTConfig


def add_to(commands, data: argparse.ArgumentParser) -> None:
    """Add the command to `commands`; `data` holds the options that name images and device."""
    train = commands.add_parser(
        "train",
        parents=[data],
        help=TRAIN_HELP,
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = ", ".join(auto_recipe.NAMES[1:])
    train.add_argument(
        "--recipe",
        default="auto",
        metavar="NAME",
        help="a model and settings instead of the defaults below, which options given here change: "
        f"{names}, or auto, which times a few steps and takes what fits this machine and budget "
        "(for fewer than 20,000 images, such as shapes, the defaults below) (default %(default)s)",
    )
    train.add_argument(
        "--from",
        dest="weights",
        metavar="WEIGHTS",
        help="fine-tune: start from model.safetensors or the folder of a run, timm:NAME, or "
        "torchvision:NAME, with a new head for the classes of --data",
    )
    train.add_argument(
        "--freeze",
        choices=("none", "body"),
        default="none",
        help="with --from: body lets only the new head learn, a linear probe (default none)",
    )
    train.add_argument(
        "--out",
        type=given_path,
        metavar="DIR",
        help="folder for the results (default runs/DATE_TIME)",
    )
    train.add_argument(
        "--resume",
        type=given_path,
        metavar="DIR",
        help="continue the run in DIR; its options are remembered. Only --data (images that have "
        "moved), --copy-to, --save-every, --device and --quiet may be given with it",
    )
    train.add_argument(
        "--save-every",
        type=float,
        default=60,
        metavar="S",
        help="seconds between two checkpoints (default %(default)s)",
    )
    train.add_argument(
        "--copy-to",
        type=given_path,
        metavar="DIR",
        help="a second folder for each checkpoint, such as one on Drive",
    )
    train.add_argument("--quiet", action="store_true", help="no progress bar")
    usual = default()
    model = train.add_argument_group("the model")
    model.add_argument(
        "--model",
        metavar="NAME",
        help=f"CIFAR-WIDTHxDEPTH/PATCH or ViT-SIZE/PATCH (default {usual.model})",
    )
    of_model = vars(ViTConfig.named(usual.model, **usual.config))
    add_field_options(model, ViTConfig, MODEL_OPTIONS, **of_model)
    how = train.add_argument_group("how it is trained")
    add_field_options(how, TrainSettings, **usual.settings | {"minutes": usual.minutes})
    train.set_defaults(run=run_train)


def run_train(args) -> int:
    from .. import training
    from . import run_folder  # matplotlib takes a moment

    processes = training.init_processes(args.device)
    how = dict(progress=not args.quiet, device=args.device, processes=processes)
    if args.resume:
        out, changes = args.resume, changes_of_resume(args)
        record = run_folder.resume_run(out, changes=changes, **how)
    else:
        fine_tune.check_options(args)
        out = args.out or Path("runs") / datetime.datetime.now().strftime("%Y-%m-%d_%H%M%S")
        record = run_folder.start_run(out, spec_from_args(args), choose=chooser(args), **how)
    return finish(record, out, processes)


def changes_of_resume(args) -> dict:
    """The options given with --resume that take the place of remembered ones.

    Raises ValueError for an option that would make it another run.
    """
    from .main import parser

    usual = vars(parser("train").parse_args(["train"]))
    given = {name: value for name, value in vars(args).items() if value != usual[name]}
    if others := [name for name in given if name not in OF_A_RESUME]:
        option = "--from" if others[0] == "weights" else f"--{others[0].replace('_', '-')}"
        raise ValueError(
            f"{option} with --resume: a resumed run keeps the options that it began with. Leave it "
            f"out; or begin a new run from its weights (--from {args.resume}) with another --out"
        )
    return {name: given[name] for name in ("data", "copy_to", "save_every") if name in given}


def chooser(args) -> Callable | None:
    """For the recipe auto, what `start_run` calls when the images are there."""
    if args.recipe != "auto":
        return None
    make, asked = lambda chosen: spec_from_args(args, chosen), args.batch_size is not None

    def choose(images, processes):
        chosen = make(None) if args.weights else auto_recipe.choose(make, images, processes)
        return fine_tune.fit_batch(chosen, images, asked)

    return choose


def spec_from_args(args, chosen: Recipe | None = None) -> RunSpec:
    """What `args` ask for: a recipe, `chosen` or else named, with every option given on top."""
    if args.weights:
        chosen = fine_tune.recipe(args)
    chosen = chosen or auto_recipe.named_or_default(args.recipe, args.minutes)
    given = given_options(args, TrainSettings)
    settings = chosen.train_settings(**given)
    if settings.optimizer == "muon":
        require_muon()  # now, not after the data has been read
    wanted = given.get("optimizer", chosen.settings.get("optimizer", settings.optimizer))
    changes = {name: getattr(args, name) for name in MODEL_OPTIONS}
    return RunSpec(
        source=source_from_args(args),
        model=args.model or chosen.model,
        settings=settings,
        changes=chosen.config | {name: v for name, v in changes.items() if v is not None},
        save_every=args.save_every,
        copy_to=args.copy_to and absolute(args.copy_to),
        command=shlex.join(["python", "-m", "vit_tutorial", *sys.argv[1:]]),
        note=MUON_REPLACED if settings.optimizer != wanted else "",
        recipe="" if args.weights else args.recipe,
        weights=start_weights(args.weights),
        freeze=args.freeze,
    )


def start_weights(weights: str | None) -> str:
    """The name of the weights to start from; a path as one that holds in any folder."""
    return absolute(weights) if weights and Path(weights).exists() else weights or ""


def shortened(names: list[str], most: int = 12) -> str:
    """The names of the classes, or the first of them and how many more."""
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def finish(record: dict, out: Path, processes) -> int:
    """Print the results of a run; the exit status."""
    stopped = record["stopped"] == "interrupted"
    if processes.main:
        how = f"stopped by Ctrl-C (continue with: train --resume {out})" if stopped else "done"
        images, minutes, epochs = record["images"], record["minutes"], record["epochs"]
        print(
            f"{how}: {minutes:.1f} minutes, {epochs:.1f} epochs of {images['train']} images, "
            f"{record['precision']}"
        )
        print(
            f"validation {record['validation_accuracy']:.1%}, test {record['test_accuracy']:.1%} "
            f"({images['test']} images, {record['data']})"
        )
        if record.get("weights"):
            learned = "the new head" if record["freeze"] == "body" else "all of it"
            print(f"from {record['weights']}, {learned} trained")
        if record.get("why"):
            print(f"recipe {record['recipe'] or 'for these images'}: {record['why']}")
        print(f"classes: {shortened(record['class_names'])}")
        curves = ", curves.png" if (out / "curves.png").exists() else ""
        print(f"in {out}: model.safetensors, metrics.csv, run.json{curves}")
    return 130 if stopped else 0
