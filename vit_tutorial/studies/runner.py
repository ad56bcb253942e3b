"""Run the grid of a study. Each run is one row, written at once: a stopped study can resume."""

import dataclasses
import datetime
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from tqdm import tqdm

from .. import training
from ..common import machine
from ..common.files import read_rows, write_rows
from ..common.validation import shortened
from ..data import ImageData
from ..inspection.position_tables import PositionTable, all_positions
from ..inspection.similarity import similarity_numbers
from ..model import VisionTransformer
from .definitions import Variant, resolve_variant, variants

CONFIG = ("position", "position_site", "position_std", "position_init", "position_frozen")
CONFIG += ("patch_size", "dim", "depth", "num_heads", "mlp_dim", "pool")
SETTINGS = ("epochs", "batch_size", "lr", "schedule", "weight_decay", "decay", "warmup", "augment")


def run_study(
    study: str,
    load: Callable[[int], ImageData],
    seeds: int,
    out: Path,
    *,
    epochs: float | None = None,
    model: str | None = None,
    only: list[str] | None = None,
    progress: bool = True,
) -> list[dict]:
    """Run every variant of `study` with seeds 0 to seeds - 1; all rows of the table at `out`.

    Runs that are in the table already, with the same configuration and settings, are not run again,
    nor are those in another study's table beside `out`. All variants of one seed run before those
    of the next, so that a study stopped early has complete pairs.
    load(seed): gives the images. only: names of variants. epochs, model: see `definitions.budget`.
    Raises ValueError for an unknown name, or when `out` holds runs of other data or another budget.
    """
    chosen = choose(variants(study), only)
    rows = read_study(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tqdm(
        total=len(chosen) * seeds, unit="run", disable=not progress, file=sys.stderr, ncols=88
    ) as bar:
        for seed in range(seeds):
            data = None
            for variant in chosen:
                bar.set_postfix_str(f"{variant.name}, seed {seed}")
                data = data or load(seed)
                plan = resolve_variant(variant, data, seed, epochs, model)
                key = identity(study, variant.name, data, *plan)
                if any(all(str(row.get(k)) == str(v) for k, v in key.items()) for row in rows):
                    bar.total -= 1  # done before; the time left is estimated from real runs only
                    bar.refresh()
                    continue
                check_same_budget(rows, study, variant.name, key, out)
                rows.append(key | (find_in_sibling_tables(out, key) or train_once(data, *plan)))
                write_rows(out, fill_columns(rows))
                bar.update(1)
    return read_study(out)


def read_study(out: Path) -> list[dict]:
    """The rows of the table of a study at `out`; [] when there is none yet.

    Raises ValueError, with the row, for a table that is no study's: without the columns that say
    what a run was, or with an accuracy or a seed that is not a number.
    """
    rows = read_rows(out)
    needed = ("study", "variant", "seed", "data", "train_images", *CONFIG, *SETTINGS)
    needed += ("test_accuracy",)
    if rows and (lacking := [name for name in needed if name not in rows[0]]):
        raise ValueError(f"{out} is not the table of a study: it has no column {lacking[0]!r}")
    for number, row in enumerate(rows, start=1):
        try:
            fits = int(row["seed"]) >= 0 and 0 <= float(row["test_accuracy"]) <= 1
        except ValueError:
            fits = False
        if not fits:
            seed, accuracy = shortened(row["seed"]), shortened(row["test_accuracy"])
            raise ValueError(
                f"{out}, run {number}: seed {seed} and test_accuracy {accuracy} are not a whole "
                "number and a share from 0 to 1. Delete this row to make the run again"
            )
    return rows


def choose(all_variants: list[Variant], only: list[str] | None) -> list[Variant]:
    """The variants with these names, in the study's order; all of them for None."""
    names = [variant.name for variant in all_variants]
    unknown = [name for name in only or [] if name not in names]
    if unknown:
        raise ValueError(f"no variant {unknown[0]!r} in this study: there are {'; '.join(names)}")
    return [variant for variant in all_variants if only is None or variant.name in only]


def identity(study: str, name: str, data: ImageData, config, settings) -> dict:
    """What identifies a run: the first columns of its row."""
    key = dict(
        study=study, variant=name, seed=settings.seed, data=data.name, train_images=len(data.train)
    )
    return (
        key | {k: getattr(config, k) for k in CONFIG} | {k: getattr(settings, k) for k in SETTINGS}
    )


def find_in_sibling_tables(out: Path, key: dict) -> dict | None:
    """The results of the same run in another study's table beside `out`; None if there is none.

    "0.02" of the study start, for example, is "learned_1d, stem" of the study kinds.
    """
    same = [name for name in key if name not in ("study", "variant")]
    for path in sorted(out.parent.glob("study_*.csv")):
        for row in read_rows(path) if path != out else []:
            if all(row.get(name) == str(key[name]) for name in same):
                return {name: value for name, value in row.items() if name not in key}
    return None


def check_same_budget(rows: list[dict], study: str, name: str, key: dict, out: Path) -> None:
    """Raise ValueError for a run of another budget or other data than those in `rows`.

    In one table they would be averaged as if they were seeds.
    """
    for row in rows:
        if (row["study"], row["variant"]) == (study, name):
            other = [k for k in key if k != "seed" and str(row.get(k)) != str(key[k])]
            if other:
                k = other[0]
                raise ValueError(
                    f"{out} holds runs of {name!r} with {k} {row.get(k)}, "
                    f"this would be {key[k]}: give another file"
                )


def train_once(data: ImageData, config, settings) -> dict:
    """Train one model and return what was measured. The test images are used once, at the end."""
    torch.manual_seed(settings.seed)
    model = VisionTransformer(config)
    # Positions draw from the generator before other weights do: without this, runs would not pair.
    match_other_weights(model, settings.seed)
    start = added_table(model)
    began = time.perf_counter()
    history = training.train(model, data, settings, progress=False)
    minutes = (time.perf_counter() - began) / 60
    if history.stopped != "finished":
        raise KeyboardInterrupt
    test_loss, test_accuracy = training.evaluate(model, data.test, data)
    row = dict(
        parameters=sum(p.numel() for p in model.parameters()),
        minutes=round(minutes, 4),
        steps=history.steps,
        validation_accuracy=round(history.rows[-1]["validation_accuracy"], 5),
        epochs_to_90=next(
            (round(r["epochs"], 2) for r in history.rows if r["validation_accuracy"] >= 0.9), ""
        ),
        test_accuracy=round(test_accuracy, 5),
        test_loss=round(test_loss, 5),
    )
    end = added_table(model)
    if end is not None:
        numbers = similarity_numbers(end, config.grid)
        if start.abs().max() > 0:
            numbers |= init_retention(start, end, settings, history.steps, config.position_frozen)
        row |= {name: round(value, 4) for name, value in numbers.items()}
    return row | dict(
        precision=history.precision.name,
        hardware=machine.hardware(data.device),
        torch=torch.__version__,
        date=datetime.date.today().isoformat(),
    )


def init_retention(
    start: torch.Tensor, end: torch.Tensor, settings, steps: int, frozen: bool
) -> dict[str, float]:
    """How much of a table's start is left after training.

    cosine_with_start: of the two tables. start_left: the share <end, start> / <start, start>.
    start_left_predicted: by weight decay alone. It multiplies the table by (1 - rate * decay) at
        every step, so by about exp(-decay * sum of rates) in all.
    """
    start, end = start.flatten().double(), end.flatten().double()
    rates = (
        training.learning_rate(step / steps, 1, settings.warmup, settings.lr, settings.schedule)
        for step in range(steps)
    )
    decay = 0.0 if frozen or settings.decay != "all" else settings.weight_decay
    return dict(
        cosine_with_start=torch.nn.functional.cosine_similarity(start, end, dim=0).item(),
        start_left=((end @ start) / (start @ start)).item(),
        start_left_predicted=math.exp(-decay * sum(rates)),
    )


def match_other_weights(model: VisionTransformer, seed: int) -> None:
    """Give all parts but the positions the initial weights of a model without positions.

    Then all variants of a seed differ in nothing but their positions.
    """
    torch.manual_seed(seed)
    plain = dataclasses.replace(
        model.config, position="none", position_site="stem", position_frozen=False
    )
    model.load_state_dict(VisionTransformer(plain).state_dict(), strict=False)


def added_table(model: VisionTransformer) -> torch.Tensor | None:
    """A copy of the first table that is added to the tokens, (T, D); None when nothing is added."""
    tables = [found.table for found in all_positions(model) if isinstance(found, PositionTable)]
    return tables[0].clone() if tables else None


def fill_columns(rows: list[dict]) -> list[dict]:
    """The rows, each with every column; what a run lacks is empty.

    Columns keep the order in which they first appear, with the provenance last.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    last = [name for name in ("precision", "hardware", "torch", "date") if name in columns]
    columns = [name for name in columns if name not in last] + last
    return [{name: row.get(name, "") for name in columns} for row in rows]
