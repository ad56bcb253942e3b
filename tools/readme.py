"""Bring the README's pictures and tables of results up to date: python tools/readme.py

docs/patches.png: a photograph that ships with matplotlib (Grace Hopper, public domain), cut into patches.
docs/position_similarity.png: learned position embeddings at the random start, after training, and shuffled, from data/weights/.
README.md: what stands between its pairs of markers, from the tables in data/results/ and the weights. A test compares them.
"""

import itertools
import json
import statistics
from pathlib import Path

import matplotlib.cbook
import readme_training
import torch
from PIL import Image, ImageOps
from readme_training import grid, read
from safetensors.torch import load_file

from vit_tutorial.data import results_path, weights_path
from vit_tutorial.inspection import analysis, plots
from vit_tutorial.inspection.similarity import similarity_numbers
from vit_tutorial.studies import summary
from vit_tutorial.training import load_model

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
BEGIN, END = "<!-- results: made by tools/readme.py -->", "<!-- end of results -->"
CLASSROOM_BEGIN, CLASSROOM_END = (
    "<!-- classroom: made by tools/readme.py -->",
    "<!-- end of classroom -->",
)
POSITIONS_BEGIN, POSITIONS_END = (
    "<!-- positions: made by tools/readme.py -->",
    "<!-- end of positions -->",
)
WEIGHTS = ("vit_cifar10_start_0.02", "vit_cifar10_start_randn")
CHECKS_BEGIN, CHECKS_END = "<!-- checks: made by tools/readme.py -->", "<!-- end of checks -->"


def photograph(side: int = 224) -> Image.Image:
    """The upper square of the photograph, side x side pixels, RGB."""
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file, Image.open(file) as picture:
        return ImageOps.fit(picture.convert("RGB"), (side, side), centering=(0.5, 0.15))


def maps(tables: dict[str, torch.Tensor]):
    """Similarity maps of 16 of the 64 patches for each table of positions, side by side on one colour scale."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.3 * len(tables) + 0.9, 4.5), dpi=110)
    widths = ([1] * 4 + [0.4]) * len(tables) + [0.2]
    places = figure.add_gridspec(
        4,
        len(widths),
        width_ratios=widths,
        left=0.03,
        right=0.93,
        top=0.9,
        bottom=0.06,
        wspace=0.12,
        hspace=0.06,
    )
    for block, (title, table) in enumerate(tables.items()):
        rows, (height, width) = analysis.patch_rows(table)
        similarity = analysis.cosine_similarity(rows).view(height, width, height, width)
        for i, j in itertools.product(range(4), range(4)):
            ax = figure.add_subplot(places[i, 5 * block + j])
            drawn = ax.imshow(similarity[2 * i, 2 * j], vmin=-1, vmax=1, cmap="RdBu_r")
            ax.set(xticks=[], yticks=[])
            if j == 0:
                ax.set_ylabel(f"row {2 * i}", fontsize=9)
            if i == 3:
                ax.set_xlabel(f"column {2 * j}", fontsize=9)
        left, right = (places[0, 5 * block + j].get_position(figure) for j in (0, 3))
        figure.text((left.x0 + right.x1) / 2, 0.94, title, ha="center", fontsize=12)
    figure.colorbar(
        drawn, cax=figure.add_subplot(places[:, -1]), label="cosine similarity with the patch there"
    )
    return figure


def shuffled(table: torch.Tensor) -> torch.Tensor:
    """The same rows in another, fixed order: what is left is what does not come from their places."""
    return table[torch.randperm(len(table), generator=torch.Generator().manual_seed(0))]


def three_tables(name: str) -> dict[str, torch.Tensor]:
    """The positions (N, D) of shipped weights: before training, after it, and those in another order."""
    end = load_model(weights_path(f"{name}.safetensors"))[0].position.table[0].detach()
    start = load_file(weights_path(f"{name}.start.safetensors"))["table"].float()
    return {
        "at the random start": start,
        "after training": end,
        "after training, shuffled": shuffled(end),
    }


def budget() -> str:
    """What a budget of minutes buys on CIFAR-10."""
    rows = read("cifar10_budget.csv")
    table = []
    for model in dict.fromkeys(row["model"] for row in rows):
        mine = [row for row in rows if row["model"] == model]
        test = [100 * float(row["test_accuracy"]) for row in mine]
        passes = statistics.mean(float(row["epochs"]) for row in mine)
        what = "a small CNN, for honesty" if model == "cnn" else f"plain ViT, `{model}`"
        each = ", ".join(f"{value:.1f}" for value in test)
        seeds = ", ".join(row["seed"] for row in mine)
        seeds = (
            f"seeds {seeds}" if len(mine) > 1 else f"seed {seeds} alone, so the spread is unknown"
        )
        reached = f"**{statistics.mean(test):.1f} %** ({each}; {seeds})"
        table.append([what, f"{int(mine[0]['parameters']):,}", f"{passes:.1f}", reached])
    first = rows[0]
    minutes = max(float(row["minutes"]) for row in rows)
    head = ["model", "parameters", "epochs", "test images"]
    return (
        f"**{first['data']}, {minutes:.0f} minutes of training on {first['hardware']}** ({first['precision']}, "
        f"torch {first['torch']}, {first['date']}). The test images were looked at once for each seed, "
        f"at the end of its run.\n\n{grid(head, table)}\n\n"
        f"`{first['command'].split(' --models')[0]}`; each row's own command is in `data/results/cifar10_budget.csv`."
    )


def steps() -> str:
    """Training steps beside the other libraries."""
    rows = [row for row in read("step_cpu.csv") if row.get("ended", "measured") == "measured"]
    table = []
    for row in rows:
        middle, low, high = (
            float(row[name]) for name in ("ratio_to_best_other", "ratio_q1", "ratio_q3")
        )
        speed = f"{float(row['images_per_second']):.0f}"
        how = row["attention"] + (", compiled" if row["compiled"] == "yes" else "")
        pays = row.get("pays_after_minutes", "")
        pays = f"{pays} min" if pays not in ("", "never") else pays or "-"
        share = f"{float(row['share_of_peak']):.0%}" if row.get("share_of_peak") else "-"
        table.append(
            [
                row["precision"],
                row["model"],
                how,
                speed,
                f"{middle:.2f} ({low:.2f} to {high:.2f})",
                share,
                pays,
            ]
        )
    first = rows[0]
    head = [
        "precision",
        "library",
        "attention",
        "images a second",
        "ratio to the best other (quartiles)",
    ]
    head += ["of the matmul peak", "compiling pays after"]
    return (
        f"**One training step beside the other libraries**, {first['width']}x{first['depth']}, {first['tokens']} tokens, batch "
        f"{first['batch']}, the median of {first['rounds']} rounds in which all took turns ({first['hardware']}, "
        f"{first['threads']} threads, {first['versions']}, {first['date']}).\n\n{grid(head, table)}\n\n`{first['command']}`. "
        "Left to itself, `vit_tutorial` takes the fused form in fp32 and the explicit one in bf16 on a CPU."
    )


def times() -> str:
    """How long the lessons take."""
    rows = read("lesson_times.csv")
    cells = lambda r: [
        r["lesson"].split("_")[0],
        f"{float(r['seconds']):.0f} s",
        f"{int(r['peak_mb']) / 1000:.1f} GB",
    ]
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
    counts = [
        name
        for name in rows[0]
        if name not in ("check", "seconds_slowest", "date", "torch", "hardware")
    ]
    total = {name: str(sum(int(row[name]) for row in rows)) for name in counts}
    total |= {"check": "**all**", "seconds_slowest": max(row["seconds_slowest"] for row in rows)}
    wrong = lambda r, what: sum(int(r[name]) for name in what)
    table = []
    for r in [*rows, total]:
        tried = wrong(r, ("corpus_wrong", "unknown_wrong", "two_at_once"))
        rejected = wrong(r, ("corpus_rejected", "unknown_rejected", "two_at_once_rejected"))
        cells = [r["check"].removeprefix("check_"), r["mistakes_known"], f"{rejected} of {tried}"]
        cells += [
            f"{r['corpus_named']} of {r['corpus_wrong']}",
            f"{r['variants_accepted']} of {r['variants']}",
        ]
        table.append([*cells, f"{float(r['seconds_slowest']):.2f} s"])
    named = 100 * int(total["corpus_named"]) / int(total["corpus_wrong"])
    head = [
        "check",
        "known mistakes",
        "wrong code rejected",
        "named rightly",
        "correct code accepted",
        "slowest",
    ]
    first = rows[0]
    return (
        f"{CHECKS_BEGIN}\n\n{grid(head, table)}\n\nTried on functions by an author who had not seen the library's code "
        f"(`tests/checks/corpus`). At first contact 305 of 341 (89.4 %) got the right name; the library then learned from those it "
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
        number, good = (
            sum(int(row[column]) for row in mine) for column in ("number", "as_expected")
        )
        table.append([name, str(len(mine)), str(number), str(good)])
    words = (
        f"A made-up class of {facts['submissions']}: {facts['accounted_for']} accounted for, {facts['as_expected']} came out as "
        f"expected, the run was stopped {facts['stops']} times, {facts['escapes']} escapes from the sandbox; "
        f"{facts['mistakes_named']} known mistakes named; {facts['submissions_a_minute']:.0f} submissions a minute "
        f"({facts['hardware']}, {facts['date']}). `{facts['command']}`"
    )
    head = ["submissions", "kinds", "number", "as expected"]
    return f"{CLASSROOM_BEGIN}\n\n{words}\n\n{grid(head, table)}\n\n{CLASSROOM_END}"


def positions() -> str:
    """The studies of position embeddings, the shipped weights and what is in them, between their two markers."""
    parts = [POSITIONS_BEGIN, kinds(), starts(), structure(), shipped(), POSITIONS_END]
    return "\n\n".join(parts)


def against(entry: dict | None) -> str:
    """A difference with its interval, and what to call it."""
    if entry is None or "verdict" not in entry:
        return "-"
    gap, half = 100 * entry["difference"], 100 * entry["difference_half"]
    return f"{gap:+.2f} ± {half:.2f}" + (
        " (noise)" if entry["verdict"] == "within the noise" else ""
    )


def both(study: str, reference: str) -> tuple[list[dict], dict[str, dict], dict[str, dict]]:
    """The rows of a study on shapes, and its summaries by variant on shapes and on CIFAR-10, against `reference`."""
    found = [read(f"study_{study}_{name}.csv") for name in ("shapes", "cifar10")]
    small, photos = (
        {entry["variant"]: entry for entry in summary(rows, reference=reference)} for rows in found
    )
    return found[0], small, photos


def made(study: str) -> str:
    """What the runs of a study were."""
    words = []
    for name in ("shapes", "cifar10"):
        rows = read(f"study_{study}_{name}.csv")
        first, seeds = rows[0], len({row["seed"] for row in rows})
        what = "embedded data" if name == "shapes" else "CIFAR-10 (JPEG copy)"
        words.append(
            f"{what}: {len(rows)} runs, {seeds} seeds, width {first['dim']}, {first['depth']} blocks, "
            f"patch {first['patch_size']}, "
            f"{float(first['epochs']):g} passes, {first['hardware']}, {max(row['date'] for row in rows)}"
        )
    return "; ".join(words)


def percent(entry: dict | None) -> str:
    """A mean with its interval."""
    return "-" if entry is None else f"{100 * entry['mean']:.2f} ± {100 * entry['half']:.2f}"


def kinds() -> str:
    """Every kind of position at every place, on both data sets."""
    rows, small, photos = both("kinds", "learned_1d, stem")
    plain = next(int(row["parameters"]) for row in rows if row["variant"] == "none")
    extra = {row["variant"]: int(row["parameters"]) - plain for row in rows}
    table = [
        [name.replace("_", " "), f"{extra[name]:,}", percent(small[name]), against(small[name])]
        + [percent(photos.get(name)), against(photos.get(name))]
        for name in small
    ]
    head = [
        "kind and place",
        "parameters",
        "embedded data, %",
        "against learned 1d, stem",
        "CIFAR-10, %",
        "against learned 1d, stem",
    ]
    return (
        "**Which positions, and where?** Test accuracy, mean and 95 % interval over seeds; differences are paired by seed, in "
        "points, and *noise* where the interval holds 0. On the embedded data 50 % is the ceiling without positions.\n\n"
        f"{grid(head, table)}\n\n`python -m vit_tutorial study kinds` ({made('kinds')}). The paper's own table (ViT-B/16, "
        "ImageNet, 5-shot; appendix D.4): none 61.4, learned 1-D 64.2, every other 64.0 to 64.3; lesson 08 holds the two against "
        "each other, point by point. The runs on CIFAR-10 took `--data FOLDER --model CIFAR-64x2/4 --epochs 3 --seeds 3 "
        "--only` and the variants that have a number."
    )


def starts() -> str:
    """Every random start, and what is left of it."""
    rows, small, photos = both("start", "0.02")
    table = []
    for name in small:
        mine = [row for row in rows if row["variant"] == name]
        mean = lambda key, mine=mine: (
            statistics.mean(float(row[key]) for row in mine) if mine[0][key] else None
        )
        shown = lambda value, digits: "-" if value is None else f"{value:.{digits}f}"
        left = (
            "-"
            if mean("start_left") is None
            else f"{mean('start_left_predicted'):.3f}, {mean('start_left'):.3f}"
        )
        table.append(
            [name, percent(small[name]), against(small[name]), shown(mean("epochs_to_90"), 1)]
        )
        table[-1] += [
            left,
            shown(mean("cosine_with_start"), 2),
            percent(photos.get(name)),
            against(photos.get(name)),
        ]
    head = [
        "start",
        "embedded data, %",
        "against 0.02",
        "passes to 90 %",
        "start left: predicted, measured",
    ]
    head += ["cosine with the start", "CIFAR-10, %", "against 0.02"]
    return (
        f"**Which start?** Learned 1-D positions at the stem.\n\n{grid(head, table)}\n\nPredicted: exp(-weight decay · sum of "
        f"learning rates); from 0.02 learning adds more than was there. `python -m vit_tutorial study start` ({made('start')})."
    )


def structure() -> str:
    """What structure the shipped positions have, beside the same for their random start and in another order."""
    table = []
    for name in WEIGHTS:
        for when, rows in three_tables(name).items():
            numbers = similarity_numbers(rows, (8, 8))
            keys = (
                "cosine_1",
                "cosine_4",
                "rows_recovered",
                "columns_recovered",
                "sinusoidal_share",
            )
            table.append(
                [f"{name.split('_')[-1]}, {when}", *(f"{numbers[key]:.2f}" for key in keys)]
            )
    head = [
        "positions",
        "cosine of neighbours",
        "at distance 4",
        "rows recovered",
        "columns recovered",
        "sinusoidal share",
    ]
    return (
        f"**Is the grid in them?** The shipped weights, 64 patches.\n\n{grid(head, table)}\n\n"
        f"`python -m vit_tutorial similarity data/weights/{WEIGHTS[0]}.safetensors`"
    )


def shipped() -> str:
    """The weights in data/weights, each with its card."""
    table = []
    for name in WEIGHTS:
        path = weights_path(f"{name}.safetensors")
        notes = load_model(path)[1]["notes"]
        table.append(
            [
                f"[{name}](data/weights/{name}.md)",
                f"{path.stat().st_size / 1e6:.1f} MB",
                f"{notes['epochs']:g}",
            ]
        )
        table[-1] += [
            f"{notes['minutes']:.0f}",
            f"{notes['validation_accuracy']:.1%}",
            f"{notes['test_accuracy']:.1%}",
        ]
    return (
        f"**Weights that come with it.** {notes['variant'].split(',')[0]}, {notes['trained_on']}; one seed each, "
        f"{notes['hardware']} ({notes['date']}).\n\n"
        f"{grid(['weights', 'file', 'epochs', 'minutes', 'validation', 'test images'], table)}\n\n"
        "`python benchmarks/weights.py FOLDER` builds them anew. Minutes are of one thread on a machine "
        "that was busy with other work."
    )


def results() -> str:
    """Everything between the two markers."""
    unknown = (
        "**On a GPU:** not measured yet, for want of one. `python benchmarks/gpu.py ARCHIVE --out FOLDER` measures it all there, "
        "in parts of nine minutes."
    )
    return "\n\n".join([BEGIN, budget(), steps(), times(), unknown, END])


def main() -> None:
    plots.save(plots.patches(photograph(), 32, zoom=17), DOCS / "patches.png")
    plots.save(maps(three_tables(WEIGHTS[0])), DOCS / "position_similarity.png")
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    for begin, part, end in (
        (BEGIN, results(), END),
        (CHECKS_BEGIN, checks(), CHECKS_END),
        (CLASSROOM_BEGIN, classroom(), CLASSROOM_END),
        (POSITIONS_BEGIN, positions(), POSITIONS_END),
        (readme_training.BEGIN, readme_training.section(), readme_training.END),
    ):
        before, rest = text.split(begin)
        text = before + part + rest.split(end)[1]
    readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
