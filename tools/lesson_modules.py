"""Which modules each lesson builds up to, and which it imports: python tools/lesson_modules.py"""

import ast
import importlib
from pathlib import Path
from types import ModuleType

import nbformat

# What a lesson builds by hand and proves equal to the package's, which no import says.
BUILDS = {
    "01": ("model.patches",),
    "02": ("model.vit",),
    "03": ("model.positions", "model.relative"),
    "04": ("model.attention",),
    "05": ("model.encoder", "model.vit"),
    "06": ("training.schedule", "training.evaluation", "training.loop"),
    "06b": ("training.optimizers", "data.augment"),
    "07": ("inspection.attention_maps", "inspection.map_scores"),
    "08": ("studies.statistics",),
    "14": ("model.positions", "model.relative"),
    "15": ("studies.statistics",),
    "17": ("training.optimizers", "data.augment"),
    "22": ("model.transfer", "relatives.few_shot"),
    "24": ("relatives.masked_autoencoder",),
    "26": ("relatives.attention_patterns", "relatives.pixel_gpt"),
}


def imports(path: Path) -> list[str]:
    """The modules of the package that the lesson at `path` imports, without `vit_tutorial.`."""
    found = set()
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != "code":
            continue
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vit_tutorial"):
                found |= {_home(node.module, alias.name) for alias in node.names}
    found -= {"", "colab"}  # every lesson's set-up cell
    return sorted(found)


def _home(module: str, name: str) -> str:
    """The module in which `from module import name` finds the name defined."""
    try:
        value = getattr(importlib.import_module(module), name)
    except AttributeError:
        value = importlib.import_module(f"{module}.{name}")
    home = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", module)
    return home.removeprefix("vit_tutorial").removeprefix(".")


def table(lessons: list[Path]) -> str:
    """A row for each lesson: what it builds, and what it imports."""
    rows = ["| lesson | builds | imports |", "| --- | --- | --- |"]
    for path in lessons:
        number = path.name.partition("_")[0]
        link = f"[{number}](../notebooks/{path.name})"
        cells = [", ".join(map(_code, names)) for names in (BUILDS.get(number, ()), imports(path))]
        rows.append(f"| {link} | {cells[0] or '-'} | {cells[1] or '-'} |")
    return "\n".join(rows)


def _code(module: str) -> str:
    return f"`{module}`"


if __name__ == "__main__":
    root = Path(__file__).resolve().parents[1]
    print(table(sorted((root / "notebooks").glob("[0-9][0-9]*_*.ipynb"))))
