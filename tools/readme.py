"""Bring the README's pictures and tables of results up to date: python tools/readme.py

docs/patches.png: a photograph that ships with matplotlib (Grace Hopper, public domain), cut into patches.
docs/position_similarity.png: learned position embeddings at the random start and after training, from the table that
benchmarks/cifar10_budget.py left in data/results/.
README.md: what stands between its two "results" markers and its two "checks" markers, from the tables in data/results/.
A test compares them.
"""

import csv
import itertools
import json
import statistics
from pathlib import Path

import matplotlib.cbook
import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file

from vit_tutorial.data import results_path
from vit_tutorial.inspection import analysis, plots

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
BEGIN, END = "<!-- results: made by tools/readme.py -->", "<!-- end of results -->"
CLASSROOM_BEGIN, CLASSROOM_END = "<!-- classroom: made by tools/readme.py -->", "<!-- end of classroom -->"
CHECKS_BEGIN, CHECKS_END = "<!-- checks: made by tools/readme.py -->", "<!-- end of checks -->"


def photograph(side: int = 224) -> Image.Image:
    """The upper square of the photograph, side x side pixels, RGB."""
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file, Image.open(file) as picture:
        return ImageOps.fit(picture.convert("RGB"), (side, side), centering=(0.5, 0.15))


def two_maps(start: torch.Tensor, end: torch.Tensor):
    """Similarity maps of 16 of the 64 patches, at the start and at the end, side by side on one colour scale."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 4.5), dpi=110)
    places = figure.add_gridspec(
        4, 11, width_ratios=[1] * 4 + [0.4] + [1] * 4 + [0.1, 0.2], left=0.04, right=0.9, top=0.9, bottom=0.06, wspace=0.12
    )
    for offset, (title, table) in zip((0, 5), {"at the random start": start, "after training": end}.items()):
        rows, (height, width) = analysis.patch_rows(table)
        similarity = analysis.cosine_similarity(rows).view(height, width, height, width)
        for i, j in itertools.product(range(4), range(4)):
            ax = figure.add_subplot(places[i, offset + j])
            drawn = ax.imshow(similarity[2 * i, 2 * j], vmin=-1, vmax=1, cmap="RdBu_r")
            ax.set(xticks=[], yticks=[])
            if j == 0:
                ax.set_ylabel(f"row {2 * i}", fontsize=9)
            if i == 3:
                ax.set_xlabel(f"column {2 * j}", fontsize=9)
        middle = 0.225 if offset == 0 else 0.645
        figure.text(middle, 0.94, title, ha="center", fontsize=12)
    scale = figure.add_subplot(places[:, 10])
    figure.colorbar(drawn, cax=scale, label="cosine similarity with the patch there")
    return figure


def read(name: str) -> list[dict]:
    """The rows of a committed table."""
    with open(results_path(name), newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def grid(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows])


def budget() -> str:
    """What a budget of minutes buys on CIFAR-10."""
    rows = read("cifar10_budget.csv")
    table = []
    for model in dict.fromkeys(row["model"] for row in rows):
        mine = [row for row in rows if row["model"] == model]
        test = [100 * float(row["test_accuracy"]) for row in mine]
        passes = statistics.mean(float(row["passes"]) for row in mine)
        what = "a small CNN, for honesty" if model == "cnn" else f"plain ViT, `{model}`"
        each = ", ".join(f"{value:.1f}" for value in test)
        seeds = ", ".join(row["seed"] for row in mine)
        seeds = f"seeds {seeds}" if len(mine) > 1 else f"seed {seeds} alone, so the spread is unknown"
        reached = f"**{statistics.mean(test):.1f} %** ({each}; {seeds})"
        table.append([what, f"{int(mine[0]['parameters']):,}", f"{passes:.1f}", reached])
    first = rows[0]
    minutes = max(float(row["minutes"]) for row in rows)
    head = ["model", "parameters", "passes", "test images"]
    return (
        f"**{first['data']}, {minutes:.0f} minutes of training on {first['hardware']}** ({first['precision']}, "
        f"torch {first['torch']}, {first['date']}). The test images were looked at once for each seed, "
        f"at the end of its run.\n\n{grid(head, table)}\n\n"
        f"`{first['command'].split(' --models')[0]}`; each row's own command is in `data/results/cifar10_budget.csv`."
    )


def steps() -> str:
    """Training steps beside the other libraries."""
    rows = read("step_cpu.csv")
    table = []
    for row in rows:
        middle, low, high = (float(row[name]) for name in ("ratio_to_best_other", "ratio_q1", "ratio_q3"))
        speed = f"{float(row['images_per_second']):.0f}"
        table.append([row["precision"], row["model"], row["attention"], speed, f"{middle:.2f} ({low:.2f} to {high:.2f})"])
    first = rows[0]
    head = ["precision", "library", "attention", "images a second", "ratio to the best other (quartiles)"]
    return (
        f"**One training step beside the other libraries**, {first['width']}x{first['depth']}, {first['tokens']} tokens, batch "
        f"{first['batch']}, the median of {first['rounds']} rounds in which all took turns ({first['hardware']}, "
        f"{first['threads']} threads, {first['versions']}, {first['date']}).\n\n{grid(head, table)}\n\n`{first['command']}`. "
        "Left to itself, `vit_tutorial` takes the fused form in fp32 and the explicit one in bf16 on a CPU."
    )


def times() -> str:
    """How long the lessons take."""
    rows = read("lesson_times.csv")
    cells = lambda r: [r["lesson"].split("_")[0], f"{float(r['seconds']):.0f} s", f"{int(r['peak_mb']) / 1000:.1f} GB"]
    table = [cells(row) for row in rows]
    whole = sum(float(row["seconds"]) for row in rows)
    first = rows[0]
    return (
        f"**The lessons, each in a fresh kernel**, {first['cores']} cores ({first['cpu']}, torch {first['torch']}, "
        f"{first['date']}); all "
        f"together {whole / 60:.1f} minutes.\n\n{grid(['lesson', 'time', 'memory at the peak'], table)}\n\n"
        "`python tools/notebooks.py times`"
    )


def checks() -> str:
    """What the checks are worth, a row for each, between its two markers."""
    rows = read("checks.csv")
    counts = [name for name in rows[0] if name not in ("check", "seconds_slowest", "date", "torch", "hardware")]
    total = {name: str(sum(int(row[name]) for row in rows)) for name in counts}
    total |= {"check": "**all**", "seconds_slowest": max(row["seconds_slowest"] for row in rows)}
    wrong = lambda r, what: sum(int(r[name]) for name in what)
    table = []
    for r in [*rows, total]:
        tried = wrong(r, ("corpus_wrong", "unknown_wrong", "two_at_once"))
        rejected = wrong(r, ("corpus_rejected", "unknown_rejected", "two_at_once_rejected"))
        cells = [r["check"].removeprefix("check_"), r["mistakes_known"], f"{rejected} of {tried}"]
        cells += [f"{r['corpus_named']} of {r['corpus_wrong']}", f"{r['variants_accepted']} of {r['variants']}"]
        table.append([*cells, f"{float(r['seconds_slowest']):.1f} s"])
    named = 100 * int(total["corpus_named"]) / int(total["corpus_wrong"])
    head = ["check", "known mistakes", "wrong code rejected", "named rightly", "correct code accepted", "slowest"]
    first = rows[0]
    return (
        f"{CHECKS_BEGIN}\n\n{grid(head, table)}\n\nTried on functions by an author who had not seen the library's code "
        f"(`tests/corpus`). At first contact 305 of 341 (89.4 %) got the right name; the library then learned from those it "
        f"missed, and now names {named:.1f} %. `python benchmarks/checks.py` "
        f"({first['hardware']}, torch {first['torch']}, {first['date']}).\n\n{CHECKS_END}"
    )


def classroom() -> str:
    """The made-up class: what was handed in, and what came of it."""
    rows = read("classroom.csv")
    facts = json.loads(results_path("classroom_summary.json").read_text(encoding="utf-8"))
    groups: dict[str, list[dict]] = {}
    for row in rows:
        groups.setdefault(row["kind"].split(":")[0], []).append(row)
    table = []
    for name, mine in groups.items():
        number, good = (sum(int(row[column]) for row in mine) for column in ("number", "as_expected"))
        table.append([name, str(len(mine)), str(number), str(good)])
    words = (
        f"A made-up class of {facts['submissions']}: {facts['accounted_for']} accounted for, {facts['as_expected']} came out as "
        f"expected, the run was stopped {facts['stops']} times, {facts['escapes']} escapes from the sandbox; "
        f"{facts['mistakes_named']} known mistakes named; {facts['submissions_a_minute']:.0f} submissions a minute "
        f"({facts['hardware']}, {facts['date']}). `{facts['command']}`"
    )
    head = ["submissions", "kinds", "number", "as expected"]
    return f"{CLASSROOM_BEGIN}\n\n{words}\n\n{grid(head, table)}\n\n{CLASSROOM_END}"


def results() -> str:
    """Everything between the two markers."""
    unknown = (
        "**On a GPU:** not measured yet, for want of one. `python benchmarks/cifar10_budget.py cifar10` and "
        "`python benchmarks/step.py` run there as they are."
    )
    return "\n\n".join([BEGIN, budget(), steps(), times(), unknown, END])


def main() -> None:
    plots.save(plots.patches(photograph(), 32, zoom=17), DOCS / "patches.png")
    tables = load_file(results_path("cifar10_positions.safetensors"))
    plots.save(two_maps(tables["start"].float(), tables["end"].float()), DOCS / "position_similarity.png")
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    for begin, part, end in (
        (BEGIN, results(), END),
        (CHECKS_BEGIN, checks(), CHECKS_END),
        (CLASSROOM_BEGIN, classroom(), CLASSROOM_END),
    ):
        before, rest = text.split(begin)
        text = before + part + rest.split(end)[1]
    readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
