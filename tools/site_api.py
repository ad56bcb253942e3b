"""The reference: one page for each package that has public names, made from its docstrings."""

import importlib
import inspect
import pkgutil
import re
import types

# Packages whose names are for people who change this one, or for its command line.
INTERNAL = ("cli", "common", "checks")
ALSO = (  # modules that lessons import by their own names
    "colab", "data.augment", "inspection.analysis", "inspection.plots", "inspection.similarity",
    "inspection.widgets", "training.runtime.memory",
)  # fmt: skip


def modules() -> list[str]:
    """The public modules of the package, in the order of its layers."""
    import vit_tutorial

    packages = [
        found.name
        for found in pkgutil.iter_modules(vit_tutorial.__path__)
        if found.ispkg and found.name not in INTERNAL
    ]
    order = ["model", "data", "interop", "training", "inspection", "studies"]
    place = lambda name: (
        order.index(name.split(".")[0]) if name.split(".")[0] in order else len(order),
        name,
    )
    return sorted([*packages, *ALSO], key=place)


def public(module: types.ModuleType) -> list[str]:
    """The names that a module shows: functions and classes that this package defines."""
    shown = []
    for name, value in vars(module).items():
        home = getattr(value, "__module__", "") or ""
        own = home == module.__name__ or module.__file__.endswith("__init__.py")
        if name.startswith("_") or not home.startswith("vit_tutorial") or not own:
            continue
        if inspect.isclass(value) or inspect.isfunction(value):
            shown.append(name)
    return shown


def page(name: str) -> str:
    """The page of `vit_tutorial.name`, in reStructuredText."""
    module = importlib.import_module(f"vit_tutorial.{name}")
    lines = [f"``{module.__name__}``", "=" * (len(module.__name__) + 4), ""]
    lines += [f".. py:module:: {module.__name__}", ""]
    lines += [*from_plain((module.__doc__ or "").splitlines()), ""]
    for shown in public(module):
        kind = "autoclass" if inspect.isclass(getattr(module, shown)) else "autofunction"
        lines += [f".. {kind}:: {module.__name__}.{shown}", ""]
        if kind == "autoclass":
            lines[-1:] = ["   :members:", ""]
    return "\n".join(lines)


def checks_page() -> str:
    """The checks in the order of the lessons, with what each asks for."""
    from vit_tutorial import checks

    title = "``vit_tutorial.checks``"
    lines = [title, "=" * len(title), "", ".. py:module:: vit_tutorial.checks", ""]
    lines += [*from_plain((checks.__doc__ or "").splitlines()), ""]
    for name in checks.names():
        lines += [f".. py:function:: {name}(my_function)", ""]
        lines += [f"   Asked for: ``{' '.join(checks.get(name).signature.split())}``", ""]
    for name in ("check_guess", "check_recap"):
        lines += [f".. autofunction:: vit_tutorial.checks.{name}", ""]
    lines += [".. autoclass:: vit_tutorial.checks.CheckFailed", ""]
    return "\n".join(lines)


def index(names: list[str]) -> str:
    title = "Reference"
    lines = [title, "=" * len(title), "", "What the lessons import, from its docstrings.", ""]
    lines += [".. toctree::", "   :maxdepth: 1", ""]
    return "\n".join([*lines, *(f"   {name}" for name in names), ""])


def pages() -> dict[str, str]:
    """{file name: its text} of the whole reference."""
    names = modules()
    found = {f"{name}.rst": page(name) for name in names} | {"checks.rst": checks_page()}
    return found | {"index.rst": index(["checks", *names])}


# --- docstrings -----------------------------------------------------------------------------------

ENTRY = re.compile(r"^(\*{0,2}[A-Za-z_][\w.]*(?:, \*{0,2}[A-Za-z_][\w.]*)*): (\S.*)$")


def from_plain(lines: list[str]) -> list[str]:
    """A docstring of this package as reStructuredText.

    Ours are plain text: `code` between single backticks, and "name: what it is" for an argument,
    continued on indented lines. An indented paragraph is code.
    """
    text = inspect.cleandoc("\n".join(lines))
    found: list[str] = []
    for block in re.split(r"\n\s*\n", text):
        found += [*_block(block.splitlines()), ""]
    return found[:-1]


def _block(lines: list[str]) -> list[str]:
    if lines and lines[0].startswith(">>>"):
        return lines
    if lines and all(line.startswith("    ") for line in lines):
        return ["::", "", *lines]
    found, entry = [], False
    for line in lines:
        start = ENTRY.match(line)
        if start:
            if found and not entry:
                found.append("")
            found += [f"``{start[1]}``", f"    {_inline(start[2])}"]
            entry = True
        elif entry and line.startswith(" "):
            found.append(f"    {_inline(line.strip())}")
        else:
            if entry:
                found.append("")
            entry = False
            found.append(_inline(line.strip()))
    return found


def _inline(text: str) -> str:
    """`code` as ``code``; signs that reStructuredText would read as its own are escaped."""
    parts = re.split(r"(`+[^`]+`+)", text)
    return "".join(
        f"``{part.strip('`')}``" if part.startswith("`") else re.sub(r"([*|_\\`])", r"\\\1", part)
        for part in parts
    )
