"""The command `study`: position embeddings compared, many runs, paired by seed."""

import argparse
from pathlib import Path

from .options import load_data


def add_to(commands, data: argparse.ArgumentParser) -> None:
    """Add the command to `commands`"""
    ablate = commands.add_parser(
        "ablate",
        parents=[data],
        help="compare position embeddings: many runs, paired by seed",
        description=(
            "Run a study of position embeddings, one row a run: kinds (every kind, at the stem, in every layer, shared), "
            "start (every random start, learned and frozen), figure9 (other hyperparameters). Stopped and started again, it goes "
            "on where it was. On 2 CPU cores with --data shapes a run takes about 10 seconds."
        ),
    )
    ablate.add_argument("study", help="kinds, start or figure9")
    ablate.add_argument(
        "--seeds", type=int, default=5, metavar="N", help="seeds 0 to N - 1 (default 5)"
    )
    ablate.add_argument(
        "--epochs",
        type=float,
        metavar="X",
        help="passes over the training images (default: the study's own)",
    )
    ablate.add_argument(
        "--model",
        metavar="NAME",
        help="another model, on other data than shapes (default CIFAR-96x4/4)",
    )
    ablate.add_argument(
        "--only", nargs="+", metavar="VARIANT", help="some variants of the study, by name"
    )
    ablate.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder for the table and the picture (default runs/ablation)",
    )
    ablate.add_argument("--quiet", action="store_true", help="no progress bar")
    ablate.set_defaults(run=run_ablate)


def run_ablate(args) -> int:
    from .. import studies
    from ..common.validation import require_choice, require_int
    from ..inspection import plots

    require_choice("study", args.study, studies.STUDIES)
    require_int("seeds", args.seeds)
    folder = args.out or Path("runs") / "ablation"
    table = folder / f"ablation_{args.study}_{Path(args.data).name}.csv"
    rows = studies.run_study(
        args.study,
        lambda seed: load_data(args, seed),
        args.seeds,
        table,
        epochs=args.epochs,
        model=args.model,
        only=args.only,
        progress=not args.quiet,
    )
    summary = studies.summary(rows)
    width = max(len(entry["variant"]) for entry in summary)
    for entry in summary:
        against = ""
        if "verdict" in entry:
            gap, half = 100 * entry["difference"], 100 * entry["difference_half"]
            against = (
                f"   {gap:+6.2f} ± {half:.2f} points to {summary[0]['variant']}: {entry['verdict']}"
            )
        print(
            f"{entry['variant']:{width}}  {entry['mean']:6.2%} ± {entry['half']:.2%} ({entry['seeds']} seeds){against}"
        )
    plots.save(plots.intervals(summary, f"{args.study} on {args.data}"), table.with_suffix(".png"))
    print(f"in {folder}: {table.name} ({len(rows)} runs), {table.stem}.png")
    return 0
