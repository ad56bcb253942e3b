"""Bring the results in README.md and docs/ up to date: python tools/results.py

docs/results.md is written whole. In README.md, docs/architecture.md and docs/records.md, what
stands
between a pair of markers is replaced. The two pictures in docs/ are drawn again. Every number comes
from
data/results/, data/weights/ or the lessons; tests/test_docs.py compares the pages with this script.
"""

import json
from pathlib import Path

import lesson_heads
import lesson_modules
import results_detection
import results_files
import results_findings
import results_looking
import results_patterns
import results_pictures
import results_positions
import results_record
import results_relatives
import results_sequence
import results_training
import results_transfer
import torch
from lesson_heads import number
from results_common import grid, read, summaries

from vit_tutorial import checks
from vit_tutorial.data import results_path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
LESSONS = lesson_heads.lessons()
FACTS = lesson_heads.facts()

INTRODUCTION = """# Results

Every table on this page is made by `python tools/results.py` from the committed files in
`data/results/` and `data/weights/`, and a test compares the page with them. Each section names the
command that measured its table, the machine and the date. Everything was measured on CPUs; `python
benchmarks/gpu.py ARCHIVE --out FOLDER` measures the same on a GPU, in parts of nine minutes.

**How to read ±.** A difference is the mean over seeds of the differences within each seed, in
percentage points. Its interval is a 95 % interval corrected by Bonferroni for the number of
comparisons in its table (lesson 15), so it is wider than the interval of a single comparison. A
difference is marked *(noise)* where the corrected interval contains 0. The ± beside an accuracy is
the 95 % interval of that one mean.

## CIFAR-10 (JPEG copy)

The training runs on this page used a copy of CIFAR-10 in which all 60,000 images were re-encoded
as JPEG (about 30 dB). Do its accuracies hold for the original? On 1,017 of the original test
images, three models trained on the copy scored 1.4 ± 1.9, 0.5 ± 1.6 and 0.0 ± 1.6 points better
than on the JPEG versions of the same images. So accuracies on the copy match those on the original
within about 2 points. This was measured outside the repository."""


# --- README.md -----------------------------------------------------------------------------------


def lessons() -> str:
    """The lessons in their groups, with what each needs, its minutes, and its finding."""
    table, before = [], None
    for path in LESSONS:
        head = lesson_heads.head(path)
        facts, group = FACTS[path.stem], lesson_heads.group(path)
        if group != before:
            table.append(["", f"**{group.capitalize()}**", "", "", ""])
            before = group
        link = f"[{lesson_heads.title(head)}](notebooks/{path.name})"
        found = results_findings.FINDINGS.get(number(path))
        table.append(
            [number(path), link, facts["needs"], facts["minutes"], found.text() if found else ""]
        )
    table.append(["", "**Explore**", "", "", ""])
    explore = "[Explore](notebooks/explore.ipynb)"
    table.append(["", explore, "-", "", "your own picture and model, with sliders, or as an app"])
    head = ["", "lesson", "needs", "minutes (with exercises)", "what you find out"]
    return grid(head, table, tight=True)


def five_findings() -> str:
    """Five findings of the committed tables, in a sentence each."""
    photos = summaries(read("study_kinds_cifar10.csv"), "learned_1d, stem")
    shapes = summaries(read("study_kinds_shapes.csv"), "learned_1d, stem")
    starts = summaries(read("study_start_cifar10.csv"), "0.02")
    gains = results_training.ingredients()
    muon = gains["ladder", "Muon for AdamW"]
    killed = [row for row in read("faults.csv") if row["fault"].startswith("SIGKILL")]
    assert all(row["same_weights"] == "yes" and row["tried"] == row["resumed"] for row in killed)
    for entry in (photos["none"], starts["randn"], muon):
        assert entry["verdict_corrected"] != "within the noise", entry

    def points(entry: dict) -> str:
        return f"{abs(100 * entry['difference']):.1f} ± {100 * entry['half_corrected']:.1f} points"

    return "\n".join(
        [
            f"- Where order decides, a ViT gets {100 * shapes['none']['mean']:.1f} % without "
            f"positions and {100 * shapes['learned_1d, stem']['mean']:.1f} % with a learned table.",
            f"- On photographs, removing positions costs only {points(photos['none'])}†.",
            "- Initialising positions at standard deviation 1 rather than 0.02 costs "
            f"{points(starts['randn'])}†.",
            f"- Replacing AdamW with Muon gains {points(muon)}†.",
            f"- All {sum(int(row['tried']) for row in killed)} killed runs resumed and ended with "
            "the same weights, bit for bit.",
        ]
    )


def named_mistake() -> str:
    """What a check says about attention that is divided by the wrong root."""

    def attention_with_a_mistake(q, k, v):
        width = q.shape[1] * q.shape[3]  # of all heads together
        weights = torch.softmax(q @ k.mT / width**0.5, dim=-1)
        return weights @ v, weights

    try:
        checks.check_attention(attention_with_a_mistake)
    except checks.CheckFailed as error:
        return f"```\n{error}\n```"
    raise AssertionError("check_attention let a known mistake pass")


# --- docs/results.md -----------------------------------------------------------------------------


def checks_table() -> str:
    """What the checks are worth, a row for each."""
    rows = read("checks.csv")
    counts = [name for name in rows[0] if name not in ("check", "date", "torch", "hardware")]
    counts.remove("seconds_slowest")
    total = {name: str(sum(int(row[name]) for row in rows)) for name in counts}
    total |= {"check": "**all**", "seconds_slowest": max(row["seconds_slowest"] for row in rows)}
    table = []
    for row in [*rows, total]:
        add = lambda *names, row=row: sum(int(row[name]) for name in names)
        rejected = add("corpus_rejected", "unknown_rejected", "two_at_once_rejected")
        tried = add("corpus_wrong", "unknown_wrong", "two_at_once")
        table.append(
            [row["check"].removeprefix("check_"), row["mistakes_known"], f"{rejected} of {tried}"]
            + [f"{row['corpus_named']} of {row['corpus_wrong']}"]
            + [f"{row['variants_accepted']} of {row['variants']}"]
            + [f"{float(row['seconds_slowest']):.2f} s"]
        )
    named = int(total["corpus_named"]) / int(total["corpus_wrong"])
    head = ["check", "known mistakes", "wrong code rejected", "named correctly"]
    head += ["correct code accepted", "slowest"]
    return (
        "## Checks that name the mistake\n\n"
        "The checks were tried on functions whose author had not seen the library's code "
        "(`tests/checks/corpus`). On first contact they named 305 of 341 mistakes correctly "
        "(89.4 %). The library then learned the mistakes that it had missed, and now names "
        f"{named:.1%}.\n\n{grid(head, table)}\n\n`python benchmarks/checks.py` "
        f"({rows[0]['hardware']}, torch {rows[0]['torch']}, {rows[0]['date']}).\n\n"
        "More sets of answers were written by people who had seen the student copies alone. The "
        "second set holds rarer mistakes. The first row of a set was measured when the library met "
        "it. Named by what is seen: by a sentence that any exercise can get, such as "
        "'the first entry along axis 1 is missing'.\n\n"
        f"{newcomers()}\n\nSets 2 and 3 as first met, for each check: of the wrong answers, those "
        f"that got a name.\n\n{newcomers_by_check()}\n\n"
        "`python benchmarks/newcomers.py first --list` names those without a name."
    )


def newcomers() -> str:
    """What newcomers' answers, unseen by the library, came to: a row for each set and time."""
    table = [
        [row["set"], row["when"], f"{row['rejected']} of {row['wrong']}"]
        + [f"{row['named']} of {row['wrong']} ({int(row['named']) / int(row['wrong']):.0%})"]
        + [row["seen"] or "0"]
        + [f"{row['accepted']} of {row['right']}", row["date"]]
        for row in read("newcomers.csv")
    ]
    head = ["set", "library", "wrong rejected", "named", "by what is seen", "right accepted"]
    return grid([*head, "date"], table)


def newcomers_by_check() -> str:
    """Of each check: how many of the wrong answers of a set, as first met, it named."""
    shares: dict[str, dict[str, str]] = {}
    for row in read("newcomers_by_check.csv"):
        share = shares.setdefault(row["check"].removeprefix("check_"), {})
        share[row["set"]] = f"{row['named']} of {row['wrong']}"
    sets = ("second", "third")
    table = [[check, *(shares[check].get(each, "-") for each in sets)] for check in sorted(shares)]
    return grid(["check", *(f"{each} set" for each in sets)], table)


def classroom() -> str:
    """The made-up class: what was handed in, and what came of it."""
    rows = read("classroom.csv")
    facts = json.loads(results_path("classroom_summary.json").read_text(encoding="utf-8"))
    groups: dict[str, list[dict]] = {}
    for row in rows:
        groups.setdefault(row["kind"].split(":")[0], []).append(row)
    table = []
    for name, mine in groups.items():
        add = lambda column, mine=mine: str(sum(int(row[column]) for row in mine))
        table.append([name, str(len(mine)), add("number"), add("as_expected")])
    named, mistakes = facts["mistakes_named"].split("/")
    return (
        "## A class of made-up submissions\n\n"
        f"Of {facts['submissions']} submissions, {facts['accounted_for']} were accounted for and "
        f"{facts['as_expected']} graded as expected. The run was stopped {facts['stops']} times, "
        f"{facts['escapes']} submissions escaped from the sandbox, and {named} of {mistakes} known "
        f"mistakes were named. {facts['submissions_a_minute']:.0f} submissions a minute "
        f"({facts['hardware']}, {facts['date']}).\n\n"
        f"{grid(['submissions', 'kinds', 'number', 'as expected'], table)}\n\n"
        f"`{facts['command']}`"
    )


def times() -> str:
    """How long the machine needs for the lessons."""
    rows = read("lesson_times.csv")
    table = [
        [number(Path(row["lesson"])), f"{float(row['seconds']):.0f} s"]
        + [f"{int(row['peak_mb']) / 1000:.1f} GB"]
        for row in rows
    ]
    whole = results_training.mean(rows, "seconds") * len(rows) / 60
    return (
        "## How long a machine takes for the lessons\n\n"
        f"Each lesson in a fresh kernel, on {rows[0]['cores']} cores ({rows[0]['cpu']}, torch "
        f"{rows[0]['torch']}, {rows[0]['date']}); {whole:.1f} minutes in all. A reader needs "
        f"longer: see the README.\n\n{grid(['lesson', 'time', 'peak memory'], table)}\n\n"
        "`python tools/notebooks.py times`"
    )


def versions() -> str:
    """The lessons and parity tests in the lowest and the newest versions."""
    table = []
    for corner in ("lowest", "newest"):
        rows = [row for row in read("matrix.csv") if row["corner"] == corner]
        names = ("python", "torch", "torchvision", "numpy", "pillow", "ipywidgets", "timm")
        counts = [sum(int(row[name]) for row in rows) for name in ("passed", "failed")]
        first = rows[0]
        table.append([corner, *(first[name].split("+")[0] for name in names), *map(str, counts)])
    head = ["versions", "Python", "torch", "torchvision", "NumPy", "Pillow", "ipywidgets", "timm"]
    return (
        "## The versions that the lessons run with\n\n"
        "Every lesson with its stored outputs compared, and the tests of parity with other "
        "libraries, in the lowest versions that pyproject.toml allows and in the newest "
        f"({first['cpu']}, {first['threads']} thread, {first['date']}).\n\n"
        f"{grid([*head, 'passed', 'failed'], table)}\n\n`python tools/matrix.py lowest`"
    )


def page() -> str:
    """docs/results.md."""
    parts = [INTRODUCTION, results_training.cifar10(), results_training.recipe()]
    parts += [results_positions.kinds(), results_positions.starts()]
    parts += [results_positions.learned_tables(), results_positions.weights()]
    parts += [results_looking.looking()]
    parts += [results_relatives.vit_and_cnn(), results_transfer.transfer()]
    parts += [results_sequence.long_range()]
    parts += [results_relatives.distillation(), results_relatives.masked_autoencoder()]
    parts += [results_detection.detection(), results_patterns.attention_patterns()]
    parts += [results_files.little_data()] if results_files.little_is_complete() else []
    parts += [results_files.photographs()]
    parts += [checks_table(), classroom(), results_files.fuzzing(), results_training.faults()]
    parts += [results_training.steps(), results_training.loops(), times(), versions()]
    return "\n\n".join(parts).replace(", 1 threads", ", 1 thread") + "\n"


# --- the pages -----------------------------------------------------------------------------------


def sections() -> dict[Path, dict[str, str]]:
    """What stands between which markers of which page."""
    readme = {
        "lessons": lessons(),
        "findings": five_findings(),
        "cifar10": results_training.cifar10_table(),
        "check": named_mistake(),
    }
    return {
        ROOT / "README.md": readme,
        DOCS / "architecture.md": {"lessons": lesson_modules.table(LESSONS)},
        DOCS / "records.md": {"record": results_record.log()},
    }


def filled(text: str, parts: dict[str, str]) -> str:
    """The text with each part between `<!-- NAME -->` and `<!-- /NAME -->`."""
    for name, part in parts.items():
        before, rest = text.split(f"<!-- {name} -->")
        after = rest.split(f"<!-- /{name} -->")[1]
        text = f"{before}<!-- {name} -->\n\n{part}\n\n<!-- /{name} -->{after}"
    return text


def main() -> None:
    results_pictures.draw(DOCS, results_positions.WEIGHTS[0])
    (DOCS / "results.md").write_text(page(), encoding="utf-8")
    for path, parts in sections().items():
        path.write_text(filled(path.read_text(encoding="utf-8"), parts), encoding="utf-8")


if __name__ == "__main__":
    main()
