"""How long a lesson takes a person: python tools/reading_time.py

The machine's seconds are another matter (`python tools/notebooks.py times`). The rates below are
estimates: careful readers who were timed on the first lessons took about as long.
"""

import re
from pathlib import Path

import nbformat

WORDS_A_MINUTE, LINES_A_MINUTE = 170, 15
FIGURE, GUESS, EXERCISE = 0.7, 0.6, 7.0  # minutes each
MOST, MOST_WITH_EXERCISES = 45, 60  # minutes: one sitting

# What a reader does not read as words: fenced blocks, badges and HTML tags.
NOT_WORDS = re.compile(r"```.*?```|\[!\[.*?\)\]\(.*?\)|<[^>]+>", re.DOTALL)
GUESS_CELL = re.compile(r"^guess\w*( = |, guess)", re.MULTILINE)


def count(cells) -> dict[str, int]:
    """What there is to read and to do in the cells of a lesson."""
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
    return dict(words=words, lines=lines, figures=figures, guesses=guesses, exercises=exercises)


def estimate(counts: dict[str, int]) -> tuple[float, float]:
    """(minutes to read and guess, minutes with the exercises) from what `count` gives."""
    reading = counts["words"] / WORDS_A_MINUTE + counts["lines"] / LINES_A_MINUTE
    reading += FIGURE * counts["figures"] + GUESS * counts["guesses"]
    return reading, reading + EXERCISE * counts["exercises"]


def minutes(path: Path) -> tuple[float, float]:
    """(minutes to read and guess, minutes with the exercises) of the lesson at `path`."""
    return estimate(count(nbformat.read(path, as_version=4).cells))


def too_long(cells) -> list[str]:
    """A line with the numbers if the lesson takes longer than one sitting; else nothing."""
    counts = count(cells)
    reading, with_exercises = estimate(counts)
    if round(reading) <= MOST and round(with_exercises) <= MOST_WITH_EXERCISES:
        return []
    parts = ", ".join(f"{number:,} {name}" for name, number in counts.items())
    return [
        f"takes {reading:.0f} minutes to read and try, {with_exercises:.0f} with the exercises: at "
        f"most {MOST} and {MOST_WITH_EXERCISES}. It has {parts}"
    ]


def main() -> None:
    print(f"{'lesson':24} {'minutes':>7} {'all':>4}  words lines figures guesses exercises")
    for path in sorted(Path(__file__).resolve().parents[1].glob("notebooks/[0-9][0-9]*_*.ipynb")):
        counts = count(nbformat.read(path, as_version=4).cells)
        reading, with_exercises = estimate(counts)
        words, lines, figures, guesses, exercises = counts.values()
        print(
            f"{path.stem:24} {reading:7.0f} {with_exercises:4.0f}  {words:5} {lines:5} "
            f"{figures:7} {guesses:7} {exercises:9}"
        )


if __name__ == "__main__":
    main()
