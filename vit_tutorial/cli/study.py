"""The command `study`: position embeddings compared, many runs, paired by seed."""

import argparse
from pathlib import Path

from .options import given_path, load_data


def add_to(commands, data: argparse.ArgumentParser) -> None:
    """Add the command to `commands`; `data`: the parent parser of `options.data_options`."""
    study = commands.add_parser(
        "study",
        parents=[data],
        help="compare position embeddings: many runs, paired by seed",
        description=(
            "Run a study of position embeddings, one row a run: kinds (every kind, at the stem, in "
            "every layer, shared), loud (kinds that are all heard from the first step), start "
            "(every random start, learned and frozen), figure9 (other hyperparameters). The same "
            "command resumes a study that was stopped. On 2 CPU cores with --data shapes or pairs "
            "a run takes about 10 seconds."
        ),
    )
    study.add_argument("study", help="kinds, loud, start or figure9")
    study.add_argument(
        "--seeds", type=int, default=5, metavar="N", help="seeds 0 to N - 1 (default 5)"
    )
    study.add_argument(
        "--epochs", type=float, metavar="X", help="epochs of each run (default: the study's own)"
    )
    study.add_argument(
        "--model",
        metavar="NAME",
        help="another model, on other data than shapes (default CIFAR-96x4/4)",
    )
    study.add_argument(
        "--only", nargs="+", metavar="VARIANT", help="some variants of the study, by name"
    )
    study.add_argument(
        "--out",
        type=given_path,
        default=Path("runs") / "study",
        metavar="DIR",
        help="folder for the table and the picture (default runs/study)",
    )
    study.add_argument("--quiet", action="store_true", help="no progress bar")
    study.set_defaults(run=run_study_command)


def run_study_command(args) -> int:
    from .. import studies
    from ..common.validation import require_choice, require_int
    from ..inspection import plots

    require_choice("study", args.study, studies.STUDIES)
    require_int("seeds", args.seeds)
    table = args.out / f"study_{args.study}_{Path(args.data).name}.csv"
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
    print_summary(summary)
    plots.save(plots.intervals(summary, f"{args.study} on {args.data}"), table.with_suffix(".png"))
    print(f"in {args.out}: {table.name} ({len(rows)} runs), {table.stem}.png")
    return 0


def print_summary(summary: list[dict]) -> None:
    """One line per variant: its mean, and its corrected difference from the first variant."""
    width = max(len(entry["variant"]) for entry in summary)
    comparisons = sum("verdict_corrected" in entry for entry in summary)
    for entry in summary:
        mean = f"{entry['mean']:6.2%} ± {entry['half']:.2%} ({entry['seeds']} seeds)"
        against = ""
        if "verdict_corrected" in entry:
            gap, half = 100 * entry["difference"], 100 * entry["half_corrected"]
            against = f"   {gap:+6.2f} ± {half:.2f} points to {summary[0]['variant']}: "
            against += entry["verdict_corrected"]
        print(f"{entry['variant']:{width}}  {mean}{against}")
    if comparisons > 1:
        print(f"Differences: paired by seed, corrected for {comparisons} comparisons (Bonferroni).")
