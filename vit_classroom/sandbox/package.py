"""The copy of our two packages that a sandbox sees in which learners' code runs.

It has what the lessons need, and of the checks only what observes a function: no right answers, no
cases, no known mistakes, no answers to the questions at the end of a lesson. What `record` and
`call` of a check need is found by following names, so a new exercise needs nothing here.
"""

import ast
import shutil
from pathlib import Path

from .own_solutions import OWN_SOLUTIONS
from .visible import ROOT

CHECKS = Path("vit_tutorial/checks")
# Of this package only what runs in the sandbox.
OURS = (
    *("__init__.py", "reading/__init__.py", "reading/plain.py"),
    *(
        f"sandbox/{name}.py"
        for name in ("__init__", "inner", "like_a_kernel", "observing", "own_solutions")
        + ("wire", "worker", "zygote")
    ),
)
KEPT = ("name", "signature", "record", "call")  # of a Check, see vit_tutorial
RECAPS = '''"""The questions at the end of a lesson: their answers are not in the sandbox."""


def check_recap(*args, **more) -> None:
    print("answers: not in the sandbox")
'''


def observing_package(target: Path, root: Path = ROOT) -> None:
    """Write vit_tutorial and vit_classroom below `target`, without right answers.

    Raises ValueError when what observes a check needs its reference or its mistakes.
    """
    left_out = shutil.ignore_patterns("__pycache__", "exercises", "recaps", "_results", "_weights")
    shutil.copytree(root / "vit_tutorial", target / "vit_tutorial", ignore=left_out)
    for name, text in observing_modules(root / CHECKS / "exercises").items():
        _write(target / CHECKS / "exercises" / f"{name}.py", text)
    _write(target / CHECKS / "recaps/__init__.py", RECAPS)
    for name in OURS:
        path = Path("vit_classroom") / name
        _write(target / path, (root / path).read_text("utf-8"))
    for path in {_file(place) for place in _places()}:
        tree = ast.parse((root / path).read_text(encoding="utf-8"))
        for place in _places():
            if _file(place) == path:
                _ask_for(place, _definition(tree, place))
        _write(target / path, ast.unparse(tree) + "\n")


def own_solutions(root: Path = ROOT) -> dict[str, str]:
    """{place: its definition} of the package's own solutions, without decorators, which stay in the
    copy. A prepared process gets them as bytes, so no file that learners' code can read has them.
    """
    texts = {}
    for place in _places():
        tree = ast.parse((root / _file(place)).read_text(encoding="utf-8"))
        node = _definition(tree, place)
        node.decorator_list = []
        texts[place] = "from __future__ import annotations\n" + ast.unparse(node)
    return texts


def _places() -> list[str]:
    return [place for places in OWN_SOLUTIONS.values() for place in places]


def _file(place: str) -> Path:
    return Path(*place.partition(":")[0].split(".")).with_suffix(".py")


def _definition(tree: ast.Module, place: str) -> ast.FunctionDef:
    node = tree
    for name in place.partition(":")[2].split("."):
        node = next(each for each in node.body if getattr(each, "name", None) == name)
    return node


def _ask_for(place: str, node: ast.FunctionDef) -> None:
    """Put a call of observing.own in the place of the function's body."""
    given = node.args
    words = [each.arg for each in (*given.posonlyargs, *given.args)]
    words += [f"*{given.vararg.arg}"] if given.vararg else []
    words += [f"{each.arg}={each.arg}" for each in given.kwonlyargs]
    words += [f"**{given.kwarg.arg}"] if given.kwarg else []
    body = f"from vit_classroom.sandbox.observing import own\nreturn own({place!r})"
    kept = node.body[:1] if ast.get_docstring(node) else []
    node.body = kept + ast.parse(f"{body}({', '.join(words)})").body


def observing_modules(exercises: Path) -> dict[str, str]:
    """{module: its text} of the exercises, with nothing but what observes."""
    trees = {
        path.stem: ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(exercises.glob("*.py"))
        if path.stem != "__init__"
    }
    needed: dict[str, set[str]] = {name: set() for name in trees}
    ends, waiting = {}, []
    for module, tree in trees.items():
        check = _check(tree, f"check_{module}")
        if check is None:
            continue
        given = {keyword.arg: keyword.value for keyword in check.keywords}
        kept = {
            name: given[name] for name in ("name", "signature", "record", "call") if name in given
        }
        text = ", ".join(f"{name}={ast.unparse(value)}" for name, value in kept.items())
        ends[module] = f"check_{module} = observer({text})"
        waiting += [(module, name) for value in kept.values() for name in _reads(value)]
    while waiting:
        module, name = waiting.pop()
        if name in needed[module]:
            continue
        node = _binding(trees[module], name)
        if node is None:
            continue  # a builtin
        needed[module].add(name)
        if isinstance(node, ast.ImportFrom):
            if node.level == 1 and node.module in trees:
                waiting.append((node.module, _imported(node, name)))
        elif not isinstance(node, ast.Import):
            waiting += [(module, each) for each in _reads(node)]
    made = {"__init__": '"""What observes a learner\'s function in each exercise."""\n'}
    for module, tree in trees.items():
        if module in ends:
            _refuse_answers(module, tree, needed[module])
        parts = [_kept(node, needed[module]) for node in tree.body]
        lines = ["from vit_classroom.sandbox.observing import observer", *filter(None, parts)]
        made[module] = "\n\n".join([*lines, ends.get(module, "")]).strip() + "\n"
    return made


def _check(tree: ast.Module, name: str) -> ast.Call | None:
    """The call `Check(...)` that `name` is bound to."""
    node = _binding(tree, name)
    return node.value if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) else None


def _refuse_answers(module: str, tree: ast.Module, needed: set[str]) -> None:
    given = _check(tree, f"check_{module}").keywords
    answers = {"MISTAKES", "Mistake", f"check_{module}"}
    answers |= {
        name
        for keyword in given
        if keyword.arg in ("reference", "mistakes", "cases")
        for name in _reads(keyword.value)
    }
    if found := sorted(answers & needed):
        raise ValueError(
            f"{module}: what observes a learner's function needs {', '.join(found)}, which would "
            "show the right answer in the sandbox. Take it apart"
        )


def _reads(node) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def _binding(tree: ast.Module, name: str):
    """The statement at the top level that binds `name`, or None."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == name:
            return node
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            if any((alias.asname or alias.name.split(".")[0]) == name for alias in node.names):
                return node
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(name in _reads(target) for target in targets):
                return node
    return None


def _imported(node: ast.ImportFrom, name: str) -> str:
    return next(alias.name for alias in node.names if (alias.asname or alias.name) == name)


def _kept(node, needed: set[str]) -> str:
    """The statement with what is needed of it, or an empty text."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        kept = [a for a in node.names if (a.asname or a.name.split(".")[0]) in needed]
        if not kept:
            return ""
        fields = dict(ast.iter_fields(node)) | {"names": kept}
        node = ast.copy_location(type(node)(**fields), node)
        return ast.unparse(node)
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return ast.unparse(node) if node.name in needed else ""
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return ast.unparse(node) if any(_reads(t) & needed for t in targets) else ""
    return ""


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
