"""How long a lesson takes a person: python tools/reading_time.py

The machine's seconds are another matter (`python tools/notebooks.py times`). The rates below are
estimates: careful readers who were timed on the first lessons took about as long.
"""

import re
from pathlib import Path

import nbformat

WORDS_A_MINUTE, LINES_A_MINUTE = 170, 15
FIGURE, GUESS, EXERCISE = 0.7, 0.6, 7.0  # minutes each

# What a reader does not read as words: fenced blocks, badges and HTML tags.
NOT_WORDS = re.compile(r"```.*?```|\[!\[.*?\)\]\(.*?\)|<[^>]+>", re.DOTALL)
GUESS_CELL = re.compile(r"^guess\w*( = |, guess)", re.MULTILINE)


def minutes(path: Path) -> tuple[float, float]:
    """(minutes to read and guess, minutes with the exercises) of the lesson at `path`."""
    cells = nbformat.read(path, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code" and cell.source.strip()]
    words = sum(
        len(NOT_WORDS.sub(" ", cell.source).split())
        for cell in cells
        if cell.cell_type == "markdown"
    )
    lines = sum(bool(line.strip()) for cell in code for line in cell.source.split("\n"))
    figures = sum("image/png" in out.get("data", {}) for cell in code for out in cell.outputs)
    guesses = sum(bool(GUESS_CELL.search(cell.source)) for cell in code)
    exercises = sum("### BEGIN SOLUTION" in cell.source for cell in code)
    reading = words / WORDS_A_MINUTE + lines / LINES_A_MINUTE + FIGURE * figures + GUESS * guesses
    return reading, reading + EXERCISE * exercises


def main() -> None:
    for path in sorted(Path(__file__).resolve().parents[1].glob("notebooks/[0-9][0-9]*_*.ipynb")):
        reading, with_exercises = minutes(path)
        print(f"{path.stem:24} {reading:4.0f} min, {with_exercises:4.0f} with the exercises")


if __name__ == "__main__":
    main()
