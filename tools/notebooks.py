"""Build, check and time the lessons.

    python tools/notebooks.py text          make .lessons/NN_topic.py, the text form to edit
    python tools/notebooks.py build 01 04   text form -> notebook: set-up cell and badges in place,
                                            executed, stripped
    python tools/notebooks.py student       make notebooks/student/NN_topic.ipynb, the lesson
                                            without solutions and outputs
    python tools/notebooks.py check         what must hold for every committed lesson and student
                                            copy; the tests call it too
    python tools/notebooks.py times         execute, write data/results/lesson_times.csv and each
                                            lesson's **Time.** line
    python tools/notebooks.py head          write each lesson's **Time.** line, its badges and its
                                            set-up cell, and the minutes and needs in lesson 00's
                                            map, without executing anything; without numbers,
                                            explore.ipynb too
    python tools/notebooks.py rename 06b 17 --topic recipe
                                            give a lesson another number or topic, everywhere

Without numbers, a command takes all lessons. A thin script over jupytext (text form), nbclient
(execution) and nbstripout (clean-up).
"""

import argparse
import csv
import datetime
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jupytext
import lesson_heads
import nbformat
import reading_time
from jupytext.combine import combine_inputs_with_outputs
from lesson_heads import number
from nbclient import NotebookClient

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
TEXT = ROOT / ".lessons"
TIMES = ROOT / "data" / "results" / "lesson_times.csv"
REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "urls"
]["Repository"]

# The one notebook that is no lesson: it has no number, time, needs or student copy, and is named to
# be built or checked. pytest runs it with the others.
EXPLORE = "explore"
SETUP_TAGS = ["setup", "nbval-ignore-output"]
MAX_BYTES = 2_000_000
MAX_STUDENT_BYTES = 300_000
# What execution and Colab leave in a notebook and nobody reads; outputs, execution counts and ids
# stay.
STRIP = [
    "nbstripout",
    "--keep-output",
    "--keep-count",
    "--keep-id",
    "--unix-newlines",
    "--extra-keys",
] + [
    "metadata.widgets metadata.colab metadata.accelerator metadata.jupytext "
    "metadata.language_info.version "
    "cell.metadata.id cell.metadata.outputId cell.metadata.colab cell.metadata.execution"
]
# As JupyterLab writes it, but for Python's version: opening and saving a lesson changes no more.
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {
        "codemirror_mode": {"name": "ipython", "version": 3},
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
    },
}
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
# A path of one machine. The look-behind leaves words with a slash alone (read/work), and addresses.
ABSOLUTE = re.compile(
    r"(?<![\w.~/-])/(?:work|root|tmp|home|Users|content|private)/[\w.-]+|\b[A-Z]:\\\\?Users\b"
)


def setup_cell(path: Path) -> str:
    """The source of the one set-up cell, for the lesson at `path`."""
    template = Path(__file__).with_name("setup_cell.txt").read_text(encoding="utf-8").rstrip("\n")
    own = {"{repository}": REPOSITORY, "{number}": number(path), "{version}": version()}
    for name, value in own.items():
        template = template.replace(name, value)
    return template


def version() -> str:
    """The package's version: a lesson installs the wheel of its own release."""
    source = (ROOT / "vit_tutorial" / "__init__.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "(.+)"$', source, re.MULTILINE)[1]


def colab_address(place: str) -> str:
    """Where Colab opens the notebook at `place`, a path in the repository."""
    owner_and_name = REPOSITORY.removeprefix("https://github.com/")
    return f"https://colab.research.google.com/github/{owner_and_name}/blob/main/{place}"


def badge(path: Path) -> str:
    """The lines that open the lesson at `path` in Colab: one, and one for its student copy."""
    picture = "https://colab.research.google.com/assets/colab-badge.svg"
    lesson = f"[![Open in Colab]({picture})]({colab_address(f'notebooks/{path.stem}.ipynb')})"
    if path.stem == EXPLORE:  # it has nothing to solve
        return lesson
    student = colab_address(f"notebooks/student/{path.stem}.ipynb")
    return f"{lesson}\n[![Open the student copy in Colab]({picture})]({student})"


def student_path(lesson: Path) -> Path:
    """Where the student copy of the lesson at `lesson` belongs."""
    return lesson.parent / "student" / lesson.name


def student_copy(nb):
    """The student copy of a lesson, by this checkout's package."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    from vit_classroom.course.student import (
        student_copy,
    )  # only this needs the package and nbgrader

    return student_copy(nb)


def write_student(lesson: Path) -> Path:
    """Write the student copy of the lesson at `lesson`; its path. A ValueError says which cell
    gives a solution away."""
    path = student_path(lesson)
    nb = student_copy(nbformat.read(lesson, as_version=4))
    path.parent.mkdir(exist_ok=True)
    nbformat.write(nb, path)
    return path


def is_setup(cell) -> bool:
    return cell.cell_type == "code" and "setup" in cell.metadata.get("tags", [])


def code_cells(nb) -> list:
    return [cell for cell in nb.cells if cell.cell_type == "code"]


def write(nb, path: Path) -> None:
    """Write the notebook, without what execution left in it."""
    for cell in code_cells(
        nb
    ):  # a widget lives as long as its kernel: stored, its view is an error message on the page
        for out in cell.outputs:
            out.get("data", {}).pop(WIDGET_VIEW, None)
    nbformat.write(nb, path)
    subprocess.run([sys.executable, "-m", *STRIP, str(path)], check=True)


# --- text form ----------------------------------------------------------------------------------


def to_text(path: Path, text: Path) -> None:
    """Make the text form of the notebook at `path`."""
    text.parent.mkdir(exist_ok=True)
    jupytext.write(nbformat.read(path, as_version=4), text, fmt="py:percent")


def from_text(text: Path, path: Path):
    """The notebook that the text form gives. Cells that the notebook at `path` has already keep
    their ids."""
    nb = jupytext.read(text)
    if path.exists():
        nb = combine_inputs_with_outputs(nb, nbformat.read(path, as_version=4), fmt="py:percent")
    # What stands before the first mark of a cell, or between two, must not become an empty cell.
    nb.cells = [cell for cell in nb.cells if cell.source.strip() or is_setup(cell)]
    nb.nbformat, nb.nbformat_minor = 4, 5
    put_in_place(nb, path)
    return nb


def put_in_place(nb, path: Path) -> None:
    """Give the notebook its metadata, the one set-up cell, and the two badges, with this lesson's
    number and name."""
    nb.metadata = nbformat.from_dict(METADATA)
    setup = [cell for cell in nb.cells if is_setup(cell)]
    if not setup:
        setup = [nbformat.v4.new_code_cell()]
        nb.cells.insert(1, setup[0])
    setup[0].source = setup_cell(path)
    setup[0].metadata["tags"] = SETUP_TAGS
    lines = [
        line
        for line in nb.cells[0].source.split("\n")
        if not line.startswith("[![Open the student copy in Colab]")
    ]
    if not any(line.startswith("[![Open in Colab]") for line in lines):  # a new lesson
        lines.insert(1, "[![Open in Colab]")
    nb.cells[0].source = "\n".join(
        badge(path) if line.startswith("[![Open in Colab]") else line for line in lines
    )


# --- execution ----------------------------------------------------------------------------------


def execute(nb, folder: Path) -> tuple[float, float]:
    """Execute the notebook in place, in a fresh kernel that starts in `folder`: (seconds, peak
    memory of the kernel in MB).

    The seconds include the start of the kernel. Raises nbclient's CellExecutionError, which shows
    the cell, at the first error.
    """
    empty = Path(tempfile.gettempdir()) / "vit_tutorial_no_data"
    environment = os.environ | {
        # figures as in a browser, whatever the shell says
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONPATH": os.pathsep.join(
            filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
        ),  # this checkout's package
        "VIT_TUTORIAL_DATA": str(empty),  # no CIFAR-10 at hand: its images must not be stored
        # nor fetched, where the machine could train on it
        "VIT_TUTORIAL_LESSON_SOURCE": "shapes",
    }
    client = NotebookClient(
        nb,
        timeout=600,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    )
    start = time.perf_counter()
    with client.setup_kernel(env=environment):
        for index, cell in enumerate(nb.cells):
            client.execute_cell(cell, index)
        seconds = time.perf_counter() - start
        return seconds, peak_memory(client)


def peak_memory(client) -> float:
    """The most memory, in MB, that the client's kernel has held; asked of the kernel itself, in a
    cell that is not kept."""
    probe = nbformat.v4.new_code_cell(
        "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    client.nb.cells.append(probe)
    client.execute_cell(probe, len(client.nb.cells) - 1, store_history=False)
    client.nb.cells.pop()
    peak = int(probe.outputs[0].text)
    return peak / (1e6 if sys.platform == "darwin" else 1e3)  # bytes on macOS, kilobytes on Linux


def build(text: Path) -> dict:
    """Make, execute and write the lesson of one text form; its row of times. If it fails, the
    notebook stays as it was."""
    path = NOTEBOOKS / f"{text.stem}.ipynb"
    nb = from_text(text, path)
    seconds, peak = execute(nb, NOTEBOOKS)
    if path.stem != EXPLORE:
        write_head(nb, lesson_heads.measured(path.stem, TIMES) or time_row(path, seconds, peak))
    write(nb, path)
    lengths = sorted(
        len([line for line in cell.source.split("\n") if line.strip()]) for cell in code_cells(nb)
    )
    print(
        f"{path.stem}: {seconds:.1f} s, peak {peak:.0f} MB, {len(lengths)} code cells, "
        f"median {lengths[len(lengths) // 2]} and longest {lengths[-1]} lines, "
        f"{path.stat().st_size / 1000:.0f} kB",
        flush=True,
    )
    return time_row(path, seconds, peak)


# --- checks -------------------------------------------------------------------------------------


def check(path: Path) -> list[str]:
    """What is wrong with the lesson at `path`, one line each; an empty list when it is fit to be
    committed."""
    nb = nbformat.read(path, as_version=4)
    found = check_cells(nb) + addresses(path.read_text(encoding="utf-8"))
    found += check_start(nb, path) if path.stem == EXPLORE else check_head(nb, path)
    found += reading_time.too_long(nb.cells)
    if nb.metadata != METADATA:
        found.append(
            "its metadata are not what JupyterLab writes: run python tools/notebooks.py head"
        )
    if path.stat().st_size > MAX_BYTES:
        found.append(
            f"{path.stat().st_size:,} bytes: at most {MAX_BYTES:,}, so that GitHub shows "
            f"it and a clone stays small"
        )
    if subprocess.run(
        [sys.executable, "-m", *STRIP, "--verify", str(path)], capture_output=True
    ).returncode:
        found.append("holds metadata that execution or Colab left: build it again")
    return [f"{path.name}: {line}" for line in found]


def check_cells(nb) -> list[str]:
    """Every code cell executed, in order, without an error; no path of one machine; no tag that
    nbval would not know; a description of each picture."""
    from nbval.plugin import metadata_tags

    found = undescribed(nb)
    for count, cell in enumerate(code_cells(nb), start=1):
        head = cell.source.split("\n")[0][:60]
        if cell.execution_count != count:
            found.append(
                f"code cell {count} ({head!r}) was executed as number "
                f"{cell.execution_count}: build the lesson again"
            )
        found += [
            f"code cell {count} ({head!r}) stores a {out.ename}"
            for out in cell.outputs
            if out.output_type == "error"
        ]
        if any(WIDGET_VIEW in out.get("data", {}) for out in cell.outputs):
            found.append(
                f"code cell {count} ({head!r}) stores the view of a widget that is gone: "
                f"build the lesson again"
            )
        unknown = [
            tag
            for tag in cell.metadata.get("tags", [])
            if tag.startswith("nbval") and tag not in metadata_tags
        ]
        found += [
            f"code cell {count} ({head!r}) has the tag {tag!r}, which nbval does not know"
            for tag in unknown
        ]
    for cell in nb.cells:
        texts = [cell.source] + [
            text for out in cell.get("outputs", []) for text in output_texts(out)
        ]
        found += [
            f"the path {path!r} of one machine stands in a cell"
            for text in texts
            for path in ABSOLUTE.findall(text)
        ]
    return found


def undescribed(nb) -> list[str]:
    """Stored pictures without an alt text, which `plots.show(figure, alt)` stores, and without a
    paragraph that starts with *Picture: in the cells below, as older lessons have it."""
    found = []
    for at, cell in enumerate(nb.cells):
        below = [other.source for other in nb.cells[at + 1 : at + 3]]
        for out in cell.get("outputs", []):
            alt = out.get("metadata", {}).get("image/png", {}).get("alt", "")
            described = alt.strip() or any("*Picture:" in source for source in below)
            if "image/png" in out.get("data", {}) and not described:
                head = cell.source.strip().split("\n")[-1][:60]
                found.append(
                    f"the picture of the cell that ends with {head!r} has no description: show it "
                    "with plots.show(figure, alt='what it shows')"
                )
    return found


def output_texts(output) -> list[str]:
    """The texts in one stored output; pictures are left out (base64 may spell anything)."""
    data = {
        key: value
        for key, value in output.get("data", {}).items()
        if not key.startswith("image/") or "svg" in key
    }
    return [
        str(value)
        for value in [*data.values(), output.get("text", ""), *output.get("traceback", [])]
    ]


def check_head(nb, path: Path) -> list[str]:
    """Title, badges, needs and time line in the first cell; the set-up cell (`check_start`)."""
    found = check_start(nb, path)
    first = nb.cells[0].source
    if not first.startswith(f"# {number(path)} · "):
        found.append(f"the first cell does not start with '# {number(path)} · ' and a title")
    if not lesson_heads.TIME.search(first):
        found.append("the first cell has no line that starts with **Time.**")
    else:
        minutes = reading_time.estimate(reading_time.count(nb.cells))
        row = lesson_heads.measured(path.stem, TIMES)
        if row and lesson_heads.with_time(first, minutes, row) != first:
            line = lesson_heads.time_text(minutes, row)
            found.append(
                f"the **Time.** line is not {line!r}: run python tools/notebooks.py head "
                f"{number(path)}"
            )
    try:
        lesson_heads.needs(first)
    except ValueError as error:
        found.append(str(error))
    return found


def check_start(nb, path: Path) -> list[str]:
    """The badges in the first cell; the one set-up cell first among the code cells."""
    found = []
    if f"\n{nb.cells[0].source}\n".count(f"\n{badge(path)}\n") != 1:
        lines = "badge line" if path.stem == EXPLORE else "two badge lines, one after the other"
        found.append(f"the first cell does not hold the {lines}:\n{badge(path)}")
    cells = code_cells(nb)
    if [is_setup(cell) for cell in cells].count(True) != 1 or not is_setup(cells[0]):
        found.append("the cell tagged 'setup' must be there once, as the first code cell")
    elif cells[0].source != setup_cell(path) or list(cells[0].metadata["tags"]) != SETUP_TAGS:
        found.append("the set-up cell differs from tools/setup_cell.txt: build the lesson again")
    return found


def check_student(lesson: Path) -> list[str]:
    """What is wrong with the student copy of the lesson at `lesson`, one line each; an empty list
    when it is in step and fit."""
    path = student_path(lesson)
    again = f"run python tools/notebooks.py student {number(lesson)}"
    if not path.exists():
        return [f"student/{path.name}: is not there: {again}"]
    nb, text = nbformat.read(path, as_version=4), path.read_text(encoding="utf-8")
    found = addresses(text)
    try:
        if nb != student_copy(nbformat.read(lesson, as_version=4)):
            found.append(f"is not in step with the lesson: {again}")
    except ValueError as error:
        found.append(f"cannot be made: {error}")
    badges = [line for line in nb.cells[0].source.split("\n") if line.startswith("[![")]
    if badges != badge(lesson).split("\n")[1:]:
        found.append("the first cell does not hold the student copy's badge, and no other")
    if any(cell.outputs or cell.execution_count for cell in code_cells(nb)):
        found.append("holds outputs")
    if path.stat().st_size > MAX_STUDENT_BYTES:
        found.append(
            f"{path.stat().st_size:,} bytes: at most {MAX_STUDENT_BYTES:,}; is a picture "
            f"attached to a cell?"
        )
    found += [
        f"the path {found_path!r} of one machine stands in a cell"
        for found_path in ABSOLUTE.findall(text)
    ]
    return [f"student/{path.name}: {line}" for line in found]


def addresses(text: str) -> list[str]:
    """Addresses of a repository called vit_tutorial in `text` that are not the one in
    pyproject.toml."""
    owner_and_name = REPOSITORY.removeprefix("https://github.com/")
    hosts = r"github\.com|githubusercontent\.com|colab\.research\.google\.com/github"
    pattern = rf"(?:{hosts})/([\w.-]+/vit_tutorial)\b"
    wrong = {name for name in re.findall(pattern, text) if name != owner_and_name}
    return [f"points to {name}, but pyproject.toml says {owner_and_name}" for name in sorted(wrong)]


# --- times --------------------------------------------------------------------------------------


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def measure(path: Path) -> dict:
    """One row of the table of times; the notebook on disk is not touched."""
    return time_row(path, *execute(nbformat.read(path, as_version=4), path.parent))


def time_row(path: Path, seconds: float, peak: float) -> dict:
    """One row of the table of times, with what it was measured on."""
    import torch  # only this needs it and the package

    from vit_tutorial.common.machine import cpu_name

    return {
        "lesson": path.stem,
        "seconds": f"{seconds:.1f}",
        "peak_mb": f"{peak:.0f}",
        "cores": cores(),
        "cpu": cpu_name(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "date": datetime.date.today().isoformat(),
    }


def write_head(nb, row: dict | None) -> None:
    """Write what the notebook says of minutes and needs: its **Time.** line, and the columns of a
    map of lessons."""
    facts = lesson_heads.facts(NOTEBOOKS)
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            cell.source = lesson_heads.filled_map(cell.source, facts)
    for _ in range(2):  # another line may have another number of words, and so of minutes
        minutes = reading_time.estimate(reading_time.count(nb.cells))
        nb.cells[0].source = lesson_heads.with_time(nb.cells[0].source, minutes, row)


def rewrite_head(path: Path) -> None:
    """Bring the head of the lesson at `path`, and of its text form, up to date."""
    nb, text = nbformat.read(path, as_version=4), TEXT / f"{path.stem}.py"
    row = lesson_heads.measured(path.stem, TIMES)
    put_in_place(nb, path)
    write_head(nb, row)
    write(nb, path)
    if text.exists():
        source = text.read_text(encoding="utf-8")
        source = lesson_heads.with_time(source, reading_time.minutes(path), row)
        text.write_text(source, encoding="utf-8")


def write_times(rows: list[dict]) -> None:
    """Merge the rows into the table, and bring the **Time.** line of each of their lessons up to
    date."""
    old = list(csv.DictReader(TIMES.open(newline="", encoding="utf-8"))) if TIMES.exists() else []
    merged = {row["lesson"]: row for row in [*old, *rows]}
    TIMES.parent.mkdir(parents=True, exist_ok=True)
    with TIMES.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(
            file, fieldnames=list(rows[0]), extrasaction="ignore", lineterminator="\n"
        )
        table.writeheader()
        table.writerows(
            merged[name] for name in sorted(merged) if (NOTEBOOKS / f"{name}.ipynb").exists()
        )
    for row in rows:
        rewrite_head(NOTEBOOKS / f"{row['lesson']}.ipynb")


# --- command line -------------------------------------------------------------------------------


def chosen(folder: Path, pattern: str, numbers: list[str]) -> list[Path]:
    """The files of the lessons with these numbers (all of them for none), in order."""
    files = sorted(folder.glob(f"[0-9][0-9]*_*{pattern}"))
    if EXPLORE in numbers:
        files += folder.glob(f"{EXPLORE}{pattern}")
    missing = set(numbers) - {number(file) for file in files}
    if missing:
        sys.exit(
            f"no lesson {', '.join(sorted(missing))} in {folder.name}/: there are "
            f"{', '.join(map(number, files)) or 'none'}"
        )
    return [file for file in files if not numbers or number(file) in numbers]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "command", choices=["text", "build", "student", "check", "times", "head", "rename"]
    )
    parser.add_argument(
        "numbers", nargs="*", metavar="NN", help="lesson numbers; all lessons without them"
    )
    parser.add_argument(
        "--force", action="store_true", help="text: overwrite a text form that is there already"
    )
    parser.add_argument(
        "--times", action="store_true", help="build: let this execution count as the measured time"
    )
    parser.add_argument("--topic", help="rename: the new topic; the old one without it")
    args = parser.parse_args()

    if args.command == "rename":
        if len(args.numbers) != 2:
            parser.error("rename takes the old number and the new one: rename 06b 17")
        import rename_lesson

        return rename_lesson.main(ROOT, *args.numbers, args.topic)
    if args.command == "build":
        for text in chosen(TEXT, ".py", args.numbers):
            row = build(text)
            if args.times:
                write_times([row])
        return 0
    lessons = chosen(NOTEBOOKS, ".ipynb", args.numbers)
    if args.command == "head":
        if not args.numbers:
            lessons += NOTEBOOKS.glob(f"{EXPLORE}.ipynb")
        for path in [*lessons, *lessons]:  # the map in lesson 00 shows what the others say now
            rewrite_head(path)
        return 0
    if args.command == "text":
        for path in lessons:
            text = TEXT / f"{path.stem}.py"
            if text.exists() and not args.force:
                print(
                    f".lessons/{text.name} is there already and was left as it is; "
                    f"--force makes it anew"
                )
            else:
                to_text(path, text)
        return 0
    if args.command == "times":
        rows = []
        for path in lessons:
            rows.append(measure(path))
            print(f"{path.stem}: {rows[-1]['seconds']} s, peak {rows[-1]['peak_mb']} MB")
        write_times(rows)
        print(f"together {sum(float(row['seconds']) for row in rows):.0f} s")
        return 0
    if args.command == "student":
        failed = []
        for path in lessons:
            try:
                print(
                    f"student/{write_student(path).name}: "
                    f"{student_path(path).stat().st_size / 1000:.0f} kB"
                )
            except ValueError as error:
                failed.append(f"{path.name}: {error}")
        print("\n".join(failed), file=sys.stderr, end="\n" if failed else "")
        return 1 if failed else 0
    problems = [line for path in lessons for line in check(path)]
    problems += [line for path in lessons if path.stem != EXPLORE for line in check_student(path)]
    print(
        "\n".join(problems)
        or f"{len(lessons)} lessons and their student copies checked: nothing to fix"
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
