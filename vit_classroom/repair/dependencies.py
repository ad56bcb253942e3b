"""What an answer needs: helpers that stand below it, and cells of the lesson that must run."""

from . import python_source
from .matching import MatchedCell, Release


def move_helpers_up(
    release: Release, sources: dict[int, str], extras: list[tuple[int, MatchedCell]]
) -> bool:
    """Move a helper that stands below the answer that needs it above that answer, in place.

    sources: {index of a solution cell: the answer}. extras: the learner's own cells, each with the
    index of the release's cell that it follows. Returns whether anything was moved.
    """
    moved = False
    for i in release.solutions:
        if i not in sources or not release.is_code(i):
            continue
        names = set(python_source.free_names(sources[i]))
        above = {
            name
            for anchor, cell in extras
            if anchor < i
            for name in python_source.bound_names(cell.text)
        }
        for number, (anchor, cell) in enumerate(extras):
            binds = python_source.bound_names(cell.text) if cell.kind == "code" else frozenset()
            if (
                anchor >= i
                and (names & binds) - above
                and all(each.kind != "other" for each in python_source.statements(cell.text))
            ):
                extras[number] = (i - 1, cell)
                names |= python_source.free_names(cell.text)
                above |= binds
                moved = True
    return moved


def tag_needed_cells(
    release: Release,
    sources: dict[int, str],
    extras: list[tuple[int, MatchedCell]],
    notebook,
) -> None:
    """Give the lesson's cells that bind a name which an answer reads the tag `exercise`, in place.

    Grading leaves ordinary cells of the lesson out; those with this tag run. notebook: a copy of
    the release with the answers in it.
    """
    solutions = set(release.solutions)
    own = [text for i, text in sources.items() if i in solutions and release.is_code(i)]
    own += [cell.text for _, cell in extras if cell.kind == "code"]
    bound_by = [
        python_source.bound_names(cell.source) if cell.cell_type == "code" else frozenset()
        for cell in notebook.cells
    ]
    always = {name for i, names in enumerate(bound_by) if release.always_runs(i) for name in names}
    missing = {name for text in own for name in python_source.free_names(text)}
    missing -= {name for text in own for name in python_source.bound_names(text)} | always
    graded = {*release.solutions, *release.checks}
    for i, cell in reversed(list(enumerate(notebook.cells))):
        if i not in graded and bound_by[i] & missing and not release.always_runs(i):
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), "exercise"]
            missing |= python_source.free_names(cell.source) - always
