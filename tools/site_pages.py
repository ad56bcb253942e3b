"""The pages of the site that nobody writes by hand: landing, cards, and the lessons as a reader
needs them.
"""

import re
from pathlib import Path

import cards
import glossary
import lesson_heads
import nbformat
import results_findings
import site_drawing

import notebooks

ROOT = Path(__file__).resolve().parents[1]
REPOSITORY = notebooks.REPOSITORY
GROUPS = {  # what the README's map calls them, and what a reader wants to know
    "core": "Core: one after the other",
    "deeper": "Deeper: once you know the core",
    "beyond": "Beyond",
}
BADGE = re.compile(r"^\[!\[[^\]]*\]\([^)]*\)\]\([^)]*\)\s*$", re.MULTILINE)
LINK = re.compile(r"(?<!!)\[([^\]\n]*)\]\((?!https?:|mailto:|#)([^)\s#]+)(#[^)\s]*)?\)")


def readable_notebooks() -> list[Path]:
    """Every notebook beside the lessons, the lessons first, in their order."""
    lessons = lesson_heads.lessons()
    others = sorted(set((ROOT / "notebooks").glob("*.ipynb")) - set(lessons))
    return [*lessons, *others]


# --- lessons -------------------------------------------------------------------------------------


def lesson(path: Path, staged: set[str]):
    """The notebook at `path` as the site shows it: its badges as plain links, its set-up cell and
    its solutions folded away, links to what the site does not hold leading to the repository."""
    nb = nbformat.read(path, as_version=4)
    first = nb.cells[0]
    title, _, rest = BADGE.sub("", first.source).partition("\n")
    first.source = f"{title}\n\n{lesson_links(path)}\n\n{rest.strip()}"
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            cell.source = with_links(cell.source, path.relative_to(ROOT), staged)
        elif notebooks.is_setup(cell):
            fold(cell, "Show the set-up cell")
        elif "### BEGIN SOLUTION" in cell.source:
            fold(cell, "Show a solution", "Hide the solution")
        cell.metadata.pop("nbgrader", None)
    return nb


def fold(cell, show: str, hide: str = "Hide it") -> None:
    """Have the code of a cell hidden until a reader wants it."""
    cell.metadata["tags"] = [*cell.metadata.get("tags", []), "hide-input"]
    cell.metadata["mystnb"] = {"code_prompt_show": show, "code_prompt_hide": hide}


def lesson_links(path: Path) -> str:
    """Open in Colab and download, for the lesson and for its student copy."""
    rows = [("Lesson", path), ("Student copy, without solutions", notebooks.student_path(path))]
    found = []
    for name, file in rows:
        if not file.exists():
            continue
        inside = file.relative_to(ROOT / "notebooks").as_posix()
        number = lesson_heads.number(path) if path in lesson_heads.lessons() else path.stem
        of = f"{number}, {name.lower()}"
        found.append(
            f'<span>{name}:</span> <a href="{colab(file)}" aria-label="Open in Colab: {of}">'
            f'Open in Colab</a> <a href="../ipynb/{inside}" download '
            f'aria-label="Download: {of}">Download</a>'
        )
    return '<p class="lesson-links">' + "<br>".join(found) + "</p>"


def colab(path: Path) -> str:
    return notebooks.colab_address(path.relative_to(ROOT).as_posix())


def with_links(text: str, page: Path, staged: set[str]) -> str:
    """Markdown of `page`, a path in the repository: a relative link to a file that is not in
    `staged` leads to the repository."""

    def line(found: re.Match) -> str:
        label, target, anchor = found.groups()
        place = (ROOT / page.parent / target).resolve()
        if not place.is_relative_to(ROOT) or place.relative_to(ROOT).as_posix() in staged:
            return found[0]
        kind = "tree" if place.is_dir() else "blob"
        address = f"{REPOSITORY}/{kind}/main/{place.relative_to(ROOT).as_posix()}"
        return f"[{label}]({address}{anchor or ''})"

    return LINK.sub(line, text)


# --- pages ---------------------------------------------------------------------------------------


def toctree(entries: list[str], caption: str = "") -> str:
    head = f":caption: {caption}\n" if caption else ""
    return "```{toctree}\n:hidden:\n" + head + "\n".join(entries) + "\n```\n"


def title_of(path: Path) -> str:
    """The first line of a notebook without its mark, "03 Position embeddings" for a lesson."""
    source = lesson_heads.head(path)
    if path in lesson_heads.lessons():
        return f"{lesson_heads.number(path)} {lesson_heads.title(source)}"
    return source.split("\n")[0].lstrip("# ").partition(":")[0]


def grouped() -> dict[str, list[Path]]:
    """The notebooks by what the site calls their group."""
    found: dict[str, list[Path]] = {}
    lessons = lesson_heads.lessons()
    for path in readable_notebooks():
        name = GROUPS[lesson_heads.group(path)] if path in lessons else "Explore"
        found.setdefault(name, []).append(path)
    return found


def lessons_page() -> str:
    """The map of the lessons, and the site's tree of them."""
    text = ["# Lessons", "", *_map("##"), ""]
    for name, paths in grouped().items():
        entries = [f"{title_of(path)} <notebooks/{path.stem}>" for path in paths]
        text.append(toctree(entries, name))
    return "\n".join(text)


def _map(level: str) -> list[str]:
    lines = []
    for name, paths in grouped().items():
        lines += [f"{level} {name}", ""]
        for path in paths:
            link = f"[{title_of(path)}](notebooks/{path.name})"
            if path not in lesson_heads.lessons():
                lines.append(f"- {link}")
                continue
            finding = results_findings.FINDINGS.get(lesson_heads.number(path))
            minutes = lesson_heads.minutes_text(path)
            found = f" {finding.text()}" if finding else ""
            lines.append(f"- {link}, {minutes} minutes.{found}")
        lines.append("")
    return lines


def landing(others: list[str]) -> str:
    """The first page: the drawing, how to start, the lessons. others: the rest of the menu."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    between = lambda name: re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", readme, re.S)[1]
    command = re.search(r"<!-- lessons command -->\n```\w*\n(.*?)\n```", readme, re.S)[1]
    first = lesson_heads.lessons()[0]
    address = lambda path: f"notebooks/{path.stem}.html"
    return "\n".join(
        [
            "---\nhtml_theme.sidebar_secondary.remove: true\n---",
            "# A Vision Transformer, piece by piece",
            "",
            "You build each part of the model in a notebook, prove that it equals a reference, and "
            "train the whole: on a laptop or on Colab. Choose a part, and read its lesson.",
            "",
            f'<div class="vit-frame">\n{site_drawing.svg(address)}\n</div>',
            "",
            '<p class="start">',
            f'<a class="button" href="{address(first)}">Read lesson 00</a>',
            f'<a class="button" href="{colab(first)}">Open it in Colab</a>',
            "</p>",
            "",
            "On your own machine, with Python 3.10 or newer:",
            "",
            "```sh",
            f"git clone {REPOSITORY} && cd vit_tutorial",
            command.replace(" && ", " &&\n    "),
            "```",
            "",
            "## Lessons",
            "",
            *_map("###"),
            "## Five findings",
            "",
            between("findings").strip(),
            "",
            "† A tiny model on CIFAR-10 after 3 epochs, three seeds; intervals corrected for all "
            "comparisons in [their tables](docs/results.md).",
            "",
            toctree(["lessons", "cards", "glossary", *others]),
        ]
    )


def cards_page() -> str:
    """Every card, each a link to its lesson; what is on it is its alternative text."""
    text = [
        "# Cards",
        "",
        "A slide for each core lesson: the part that it builds, and its summary in three lines.",
        "",
    ]
    for path in cards.core():
        card = cards.CARDS / f"{lesson_heads.number(path)}.png"
        if not card.exists():
            continue
        shown = cards.inputs(path)
        lines = " ".join(f"{number}. {line}" for number, line in enumerate(shown["lines"], 1))
        text += [
            f"## {title_of(path)}",
            "",
            f"```{{figure}} docs/cards/{card.name}",
            f":alt: {shown['title']}: the drawing of the model with this part lit. {lines}",
            f":target: notebooks/{path.stem}.html",
            "```",
            "",
        ]
    return "\n".join(text)


def glossary_page() -> str:
    return glossary.page(glossary.collect())
