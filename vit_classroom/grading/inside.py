"""Code that looks into the grader, for the teacher's list. No points depend on it."""

import re

# What no answer needs: the grader's own package, and Python's ways into other code and its frames.
WORDS = re.compile(
    r"\b(?:vit_classroom|__code__|__closure__|__globals__|f_locals|f_back|_getframe|get_objects"
    r"|get_referrers|ctypes|sys\.stdout\.worker)\b"
)
MOST = 3


def looks_inside(notebook, released: set[str]) -> list[str]:
    """One sentence for each cell with such words that is not one of the lesson's own."""
    found = []
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type != "code" or cell.source.strip() in released:
            continue
        words = sorted(set(WORDS.findall(cell.source)))[:MOST]
        if words:
            named = ", ".join(f"`{word}`" for word in words)
            found.append(
                f"cell {number + 1}: it uses {named}, which can look into the grader. "
                "Points do not depend on that: read the cell."
            )
    return found
