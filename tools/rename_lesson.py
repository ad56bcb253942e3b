"""Give a lesson another number or topic: python tools/notebooks.py rename 06b 17 --topic recipe

What names the lesson follows: its notebook, student copy and text form; badges and set-up cell;
section numbers in its headings; links in all lessons, in README.md and docs/; rows of the tables in
data/results/; the tools' and tests' lists; its recap and card. What only a reader can judge, such
as "section 6b.3" in a sentence of another lesson, is printed at the end.
"""

import re
import sys
from pathlib import Path

import lesson_heads

# The log of what was done once keeps the old names.
PAGES = ("README.md", "CONTRIBUTING.md", "docs/*.md")
CODE = ("tools/*.py", "tests/**/*.py", "vit_tutorial/**/*.py", "vit_classroom/**/*.py")
TABLES = ("data/results/lesson_times.csv", "data/results/matrix.csv")
LESSONS = ("notebooks/*.ipynb", "notebooks/student/*.ipynb", ".lessons/*.py")


def short(number: str) -> str:
    """The number as sections have it: "06b" -> "6b"."""
    return number.lstrip("0") or "0"


def moved(path: Path, old: str, new: str) -> None:
    """Rename the file, if it is there."""
    if path.exists():
        path.rename(path.with_name(path.name.replace(old, new, 1)))


def replaced(text: str, patterns: list[tuple[str, str]]) -> str:
    for pattern, new in patterns:
        text = re.sub(pattern, new, text, flags=re.MULTILINE)
    return text


def links(old: str, new: str, old_stem: str, new_stem: str) -> list[tuple[str, str]]:
    """What changes in every text that may name the lesson."""
    return [
        (rf"\b{old_stem}\b", new_stem),
        # "lesson 06b" and "Lesson 06b", as a link or not
        (rf"\b([Ll]esson) {old}\b(?!\.)", rf"\1 {new}"),
    ]


def own(old: str, new: str) -> list[tuple[str, str]]:
    """What else changes in the lesson itself: title, set-up cell, recap, numbers in headings."""
    quote = r"\\?\""  # as it stands in a notebook's JSON, and in a text form
    return [
        (rf"# {old} · ", f"# {new} · "),
        (rf"(lesson=)({quote}){old}({quote})", rf"\1\g<2>{new}\g<3>"),
        (rf"(check_recap\()({quote}){old}({quote})", rf"\1\g<2>{new}\g<3>"),
        (rf"(#+ ){short(old)}\.(\d)", rf"\g<1>{short(new)}.\2"),
        (rf"([Ee]xercise ){short(old)}\.(\d)", rf"\g<1>{short(new)}.\2"),
        (rf"([Ss]ections? ){short(old)}\.(\d)", rf"\g<1>{short(new)}.\2"),
    ]


def rename(root: Path, old: str, new: str, topic: str | None = None) -> list[str]:
    """Rename the lesson; the lines that a reader should look at.

    Raises ValueError for a number that is not there, or one that is taken.
    """
    lessons = {lesson_heads.number(path): path for path in lesson_heads.lessons(root / "notebooks")}
    if old not in lessons:
        raise ValueError(f"no lesson {old}: there are {', '.join(lessons)}")
    if not re.fullmatch(r"\d\d", new):
        raise ValueError(f"{new!r} is no number of a lesson: two digits")
    if new in lessons and new != old:
        raise ValueError(f"lesson {new} is there already: {lessons[new].name}")
    old_stem = lessons[old].stem
    new_stem = f"{new}_{topic or old_stem.partition('_')[2]}"
    everywhere, inside = links(old, new, old_stem, new_stem), own(old, new)
    files = [path for pattern in (*LESSONS, *PAGES, *TABLES) for path in root.glob(pattern)]
    for path in files:
        text = path.read_text(encoding="utf-8")
        changed = replaced(text, everywhere + (inside if path.stem == old_stem else []))
        if changed != text:
            path.write_text(changed, encoding="utf-8")
    examples = {"rename_lesson.py", "test_rename.py"}  # of old names, which stay
    code = (path for pattern in CODE for path in root.glob(pattern) if path.name not in examples)
    for path in code:
        text = path.read_text(encoding="utf-8")
        changed = replaced(text, everywhere)
        if path.parent == root / "tools":  # the tools' lists: {"06b": ...}
            changed = re.sub(rf'"{old}":', f'"{new}":', changed)
        if changed != text:
            path.write_text(changed, encoding="utf-8")
    for pattern in LESSONS:
        moved(root / pattern.replace("*", old_stem), old_stem, new_stem)
    moved(root / f"vit_tutorial/checks/recaps/lesson_{old}.py", f"_{old}", f"_{new}")
    moved(root / f"docs/cards/{old}.png", old, new)
    return left(root, old, files)


def left(root: Path, old: str, files: list[Path]) -> list[str]:
    """Lines that may still mean the old number: sections, lists such as "lessons 06 and 06b"."""
    wanted = re.compile(
        rf"(?:[Ll]essons?|[Ss]ections?)\b[^.\n]{{0,25}}\b(?:{old}|{short(old)}\.\d+)\b"
    )
    found = []
    for path in files:
        if path.exists() and path.suffix in (".ipynb", ".md") and path.parent.name != "student":
            for line in path.read_text(encoding="utf-8").split("\n"):
                if hit := wanted.search(line):
                    found.append(f"{path.relative_to(root)}: ...{hit[0]}...")
    return found


def main(root: Path, old: str, new: str, topic: str | None) -> int:
    try:
        lines = rename(root, old, new, topic)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    if lines:
        print("Look at these, which may mean the old number:")
        print("\n".join(lines))
    print("Then run: python tools/notebooks.py student; python tools/results.py")
    return 0
