"""What the first cell of a lesson says: its number, group, title, needs and time.

The header is the one place where a lesson's needs are written. The README's table and the map in
lesson 00 are made from it.
"""

import csv
import re
from pathlib import Path

import nbformat
import reading_time

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
TIMES = ROOT / "data" / "results" / "lesson_times.csv"
PATTERN = "[0-9][0-9]*_*.ipynb"
# The first number of each group, and what the README calls it.
GROUPS = {0: "core", 8: "deeper", 21: "beyond"}
NEEDS = re.compile(r"^\*\*Needs\.\*\*(?P<text>.*)$", re.MULTILINE)
TIME = re.compile(r"^(?P<comment>(?:# )?)\*\*Time\.\*\*(?P<text>.*)$", re.MULTILINE)
GPU = re.compile(r"(?:; on a GPU: |On a GPU: )(?P<text>.*)$")
SMALL_NUMBERS = {1: "one", 2: "two", 4: "four", 8: "eight"}


def number(path: Path) -> str:
    """What a lesson's name starts with: two digits, and a letter for one that came in between."""
    return path.stem.partition("_")[0]


def lessons(folder: Path = NOTEBOOKS) -> list[Path]:
    """The lessons, core before extras."""
    return sorted(folder.glob(PATTERN))


def group(path: Path) -> str:
    """The name of the group that the lesson belongs to."""
    if not number(path).isdigit():  # 06b came in between
        return "deeper"
    return GROUPS[max(first for first in GROUPS if first <= int(number(path)))]


def head(path: Path) -> str:
    """The first cell of the lesson."""
    return nbformat.read(path, as_version=4).cells[0].source


def title(source: str) -> str:
    """The title in the first cell, without its number and its question."""
    return re.split(r"[:,?]", source.split("\n")[0].partition(" · ")[2])[0]


def needs(source: str) -> tuple[str, ...]:
    """The numbers of the lessons that the first cell asks for: "lessons 01 and 03 to 05".

    None, where its first sentence has no numbers. Raises ValueError where there is no such line.
    """
    line = NEEDS.search(source)
    if not line:
        raise ValueError("the first cell has no line that starts with **Needs.**")
    found = []
    text = line["text"].partition(".")[0]  # what follows the first sentence explains
    for first, last in re.findall(r"\b(\d\d[a-z]?)\b(?: (?:to|–|-) (\d\d)\b)?", text):
        found += [f"{n:02}" for n in range(int(first), int(last) + 1)] if last else [first]
    return tuple(dict.fromkeys(found))


def needs_text(numbers: tuple[str, ...]) -> str:
    """For a table: "01, 03", or "01 to 04" for more than two in a row."""
    last = len(numbers) > 2 and f"{int(numbers[0]) + len(numbers) - 1:02}"
    if last and numbers[-1] == last:
        return f"{numbers[0]} to {last}"
    return ", ".join(numbers) or "-"


def minutes_text(path: Path) -> str:
    """For a table: "41 (55)", minutes without exercises and with them."""
    reading, with_exercises = (f"{minutes:.0f}" for minutes in reading_time.minutes(path))
    return reading if reading == with_exercises else f"{reading} ({with_exercises})"


def measured(stem: str, table: Path = TIMES) -> dict | None:
    """The row of a lesson in the table of times, or None."""
    if not table.exists():
        return None
    with table.open(newline="", encoding="utf-8") as file:
        return next((row for row in csv.DictReader(file) if row["lesson"] == stem), None)


def time_text(minutes: tuple[float, float], row: dict | None, gpu: str = "") -> str:
    """What stands behind **Time.**: the reader's minutes, then the machine's seconds."""
    reading, with_exercises = (round(each) for each in minutes)
    text = f"About {reading} minutes to read and try"
    text += f", {with_exercises} with the exercises." if with_exercises > reading else "."
    if row:
        cores = int(row["cores"])
        plural = "core" if cores == 1 else "cores"
        text += f" The computer needs {max(1, round(float(row['seconds'])))} s on "
        text += f"{SMALL_NUMBERS.get(cores, cores)} {plural}."
    return text + (f" On a GPU: {gpu}" if gpu else "")


def with_time(source: str, minutes: tuple[float, float], row: dict | None) -> str:
    """The text with its **Time.** line written again; what it says of a measured GPU stays."""

    def line(old: re.Match) -> str:
        gpu = GPU.search(old["text"])
        gpu = gpu["text"] if gpu and "not measured" not in gpu["text"] else ""
        return f"{old['comment']}**Time.** {time_text(minutes, row, gpu)}"

    return TIME.sub(line, source, count=1)


# --- the map in lesson 00 ------------------------------------------------------------------------


def filled_map(source: str, facts: dict[str, dict]) -> str:
    """A Markdown cell with a table of lessons, its columns `minutes` and `needs` filled in.

    Rows are known by their link to NN_topic.ipynb; other columns and rows stay as they are.
    facts: {stem: {"minutes": ..., "needs": ...}}, as `facts` gives them.
    """
    lines, columns = source.split("\n"), {}
    for at, line in enumerate(lines):
        if not line.lstrip().startswith("|"):
            columns = {}
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not columns:
            columns = {
                name: column
                for column, cell in enumerate(cells)
                for name in ("minutes", "needs")
                if cell.strip("* ").lower().startswith(name)
            } or {"": -1}
        link = re.search(r"\]\((?:notebooks/)?(\d\d[a-z]?_\w+)\.ipynb\)", line)
        if link and link[1] in facts and "" not in columns:
            for name, column in columns.items():
                cells[column] = facts[link[1]][name]
            lines[at] = "| " + " | ".join(cells) + " |"
    return "\n".join(lines)


def facts(folder: Path = NOTEBOOKS) -> dict[str, dict]:
    """{stem: {"minutes": "41 (55)", "needs": "01, 02"}} of the lessons that are there."""
    found = {}
    for path in lessons(folder):
        try:
            wanted = needs_text(needs(head(path)))
        except ValueError:  # a lesson whose header has no such line yet
            wanted = "?"
        found[path.stem] = {"minutes": minutes_text(path), "needs": wanted}
    return found
