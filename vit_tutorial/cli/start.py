"""The command `start`: the lessons, copied to a folder of the learner's own, in JupyterLab."""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from .options import given_path

COPIED = ".copied.json"  # {name: sha256 of what was copied}, in the folder of the copies
LAB = "jupyterlab"


def add_to(commands) -> None:
    """Add the command to `commands`."""
    start = commands.add_parser(
        "start",
        help="copy the lessons to a folder of your own, and open one in JupyterLab",
        description=(
            "Copy the lessons and their student copies to work/, which git ignores, and open one "
            "in JupyterLab. A lesson that you have changed is never overwritten, and an update of "
            "the repository (git pull) never meets your notes."
        ),
    )
    start.add_argument("lesson", nargs="?", default="00", help="its number (default 00)")
    start.add_argument(
        "--student", action="store_true", help="open the student copy, without solutions"
    )
    start.add_argument(
        "--folder", type=given_path, metavar="DIR", help="folder for the copies (default work/)"
    )
    start.add_argument("--copy-only", action="store_true", help="copy, and open nothing")
    start.set_defaults(run=run_start)


def run_start(args: argparse.Namespace) -> int:
    """Copy the lessons and open one; the exit status of JupyterLab."""
    from ..common.validation import require_choice
    from ..data.paths import clone

    root = clone()
    if root is None or not (root / "notebooks").is_dir():
        raise ValueError(
            "the lessons are in the repository, and this package was installed without it: "
            f"git clone {repository()}, and run this command there"
        )
    folder = (args.folder or root / "work").absolute()
    if folder == root / "notebooks":
        raise ValueError(f"{folder} holds the lessons themselves: give another --folder")
    numbers = {path.stem.partition("_")[0]: path.name for path in lessons(root)}
    named = args.lesson if args.lesson in numbers else f"{args.lesson:0>2}"
    require_choice("lesson", named, tuple(numbers))
    said = copy_lessons(root / "notebooks", folder)
    print(said, flush=True)
    place = folder / ("student" if args.student else "") / numbers[named]
    if not place.exists():
        raise ValueError(f"lesson {named} has no student copy: leave --student out")
    if args.copy_only:
        return 0
    if find_spec(LAB) is None:
        raise ValueError(
            f'JupyterLab is not installed: python -m pip install -e ".[lab]", or open {place} '
            "in the editor that you use for notebooks"
        )
    return open_lab(root if place.is_relative_to(root) else folder, place)


def lessons(root: Path) -> list[Path]:
    """The lessons and the other notebooks beside them."""
    return sorted((root / "notebooks").glob("*.ipynb"))


def repository() -> str:
    """The address of the repository, from the package's metadata."""
    try:
        urls = metadata.metadata("vit_tutorial").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        urls = []
    found = [url.partition(", ")[2] for url in urls if url.startswith("Repository")]
    return found[0] if found else "the repository"


def copy_lessons(source: Path, folder: Path) -> str:
    """Copy every notebook of `source`, and below, that `folder` lacks; what was done, in a line.

    One that is there is brought up to date if nobody has changed it since it was copied.
    """
    record = folder / COPIED
    known = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    new, updated, kept = [], [], []
    for path in sorted([*source.glob("*.ipynb"), *source.glob("student/*.ipynb")]):
        name = path.relative_to(source).as_posix()
        copy, content = folder / name, path.read_bytes()
        if not copy.exists():
            new.append(name)
        elif copy.read_bytes() == content:
            continue
        elif digest(copy.read_bytes()) == known.get(name):
            updated.append(name)
        else:
            if known.get(name) != digest(content):
                kept.append(name)
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(content)
        known[name] = digest(content)
    if new or updated:
        record.write_text(json.dumps(known, indent=1), encoding="utf-8")
    text = f"{folder}: {len(new)} notebooks copied"
    text += f", {len(updated)} brought up to date" if updated else ""
    if kept:
        text += (
            f". Newer lessons exist for {', '.join(kept)}, which you have changed: "
            "rename your copy to get the new one"
        )
    return text


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def open_lab(root: Path, place: Path) -> int:
    """Run JupyterLab until it is closed, with `root` as the folder that its file browser shows."""
    command = [sys.executable, "-m", LAB, f"--ServerApp.root_dir={root}", str(place)]
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # containers and rented GPUs
        command.append("--allow-root")
    with subprocess.Popen(command, cwd=root) as lab:
        while True:
            try:
                return lab.wait()
            except KeyboardInterrupt:  # Lab got it too, asks, and decides
                continue
