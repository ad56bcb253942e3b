"""Run the grid of a study: one row a run, written at once, so that a stopped study goes on where it was."""

import csv
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
from ..common.files import write_rows
from ..data import ImageData
from ..inspection.similarity import similarity_numbers
from ..model import VisionTransformer
from .studies import Variant, resolve_variant, variants

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
    """Run every variant of `study` with seeds 0 to seeds - 1, and return all rows of the table at `out`, old and new.

    load(seed) gives the images. Runs that stand in the table already, with the same configuration and settings, are not run
    again, nor those that another study's table beside `out` holds. Seed by seed, so that a study stopped early has whole pairs.
    only: names of variants. epochs, model: see `budget`.
    Raises ValueError for an unknown name, or when `out` holds runs of other data or another budget.
    """
    chosen = choose(variants(study), only)
    rows = read_rows(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tqdm(
        total=len(chosen) * seeds, unit="run", disable=not progress, file=sys.stderr, ncols=100
    ) as bar:
        for seed in range(seeds):
            data = None
            for variant in chosen:
                bar.set_postfix_str(f"{variant.name}, seed {seed}")
                data = data or load(seed)
                plan = resolve_variant(variant, data, seed, epochs, model)
                key = identity(study, variant.name, data, *plan)
                if any(all(str(row.get(k)) == str(v) for k, v in key.items()) for row in rows):
                    bar.total -= 1  # done before: the time left is reckoned from real runs only
                    bar.refresh()
                    continue
                check_same_budget(rows, study, variant.name, key, out)
                rows.append(key | (find_in_sibling_tables(out, key) or train_once(data, *plan)))
                write_rows(out, fill_columns(rows))
                bar.update(1)
    return read_rows(out)


def choose(all_variants: list[Variant], only: list[str] | None) -> list[Variant]:
    """The variants with these names, in the study's order; all of them for None."""
    names = [variant.name for variant in all_variants]
    unknown = [name for name in only or [] if name not in names]
    if unknown:
        raise ValueError(f"no variant {unknown[0]!r} in this study: there are {'; '.join(names)}")
    return [variant for variant in all_variants if only is None or variant.name in only]


def identity(study: str, name: str, data: ImageData, config, settings) -> dict:
    """What makes a run the run it is: the first columns of its row."""
    key = dict(
        study=study, variant=name, seed=settings.seed, data=data.name, train_images=len(data.train)
    )
    return (
        key | {k: getattr(config, k) for k in CONFIG} | {k: getattr(settings, k) for k in SETTINGS}
    )


def find_in_sibling_tables(out: Path, key: dict) -> dict | None:
    """What another study's table beside `out` measured in this very run: "0.02" of starts is "learned_1d, stem" of kinds."""
    same = [name for name in key if name not in ("study", "variant")]
    for path in sorted(out.parent.glob("ablation_*.csv")):
        for row in read_rows(path) if path != out else []:
            if all(row.get(name) == str(key[name]) for name in same):
                return {name: value for name, value in row.items() if name not in key}
    return None


def check_same_budget(rows: list[dict], study: str, name: str, key: dict, out: Path) -> None:
    """Two budgets or data sets in one table would be averaged as if they were seeds: refuse."""
    for row in rows:
        if (row["study"], row["variant"]) == (study, name):
            other = [k for k in key if k != "seed" and str(row.get(k)) != str(key[k])]
            if other:
                k = other[0]
                raise ValueError(
                    f"{out} holds runs of {name!r} with {k} {row.get(k)}, this would be {key[k]}: give another file"
                )


def train_once(data: ImageData, config, settings) -> dict:
    """Train once; what was measured. The test images are looked at once, at the end."""
    torch.manual_seed(settings.seed)
    model = VisionTransformer(config)
    # The same weights for every variant of a seed, whatever its positions drew from the generator before them.
    match_other_weights(model, settings.seed)
    start = position_table(model)
    begun = time.perf_counter()
    history = training.train(model, data, settings, progress=False)
    minutes = (time.perf_counter() - begun) / 60
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
    end = position_table(model)
    if end is not None:
        numbers = similarity_numbers(end, config.grid, extra=0)
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
    """How much of a table's start is in its end: the cosine of the two, and the share left, <end, start> / <start, start>.

    Beside it what weight decay alone predicts: times (1 - rate * decay) at every step, so exp(-decay * sum of rates) in all.
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
    """Give all parts but the positions the weights that a model without positions starts from."""
    torch.manual_seed(seed)
    plain = dataclasses.replace(
        model.config, position="none", position_site="stem", position_frozen=False
    )
    model.load_state_dict(VisionTransformer(plain).state_dict(), strict=False)


def position_table(model: VisionTransformer) -> torch.Tensor | None:
    """The table (N, D) that is added to the patch tokens at the stem, or in the first layer; None when nothing is added."""
    for position in (model.position, *model.encoder.positions):
        if hasattr(position, "table"):
            return position.table.detach().cpu().clone()[0]
    return None


def read_rows(path: Path) -> list[dict]:
    """The rows of a table, values as text; none when there is no file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def fill_columns(rows: list[dict]) -> list[dict]:
    """The rows, each with every column, in the order in which columns first appear; what a run lacks is empty."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    last = [name for name in ("precision", "hardware", "torch", "date") if name in columns]
    columns = [name for name in columns if name not in last] + last
    return [{name: row.get(name, "") for name in columns} for row in rows]
