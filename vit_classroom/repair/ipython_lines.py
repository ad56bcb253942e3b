"""Lines that IPython understands and Python does not, with every line kept in its place."""

# IPython reads a cell anew for each of its magics: this bounds the time.
MOST_MAGICS, LONGEST_WITH_MAGICS = 20, 10_000


def without_cell_magic(source: str) -> str:
    """The same lines with a comment for `%%time` at the top: what is below it is Python, too."""
    lines = source.split("\n")
    first = next((n for n, line in enumerate(lines) if line.strip()), 0)
    if lines[first].startswith("%%"):
        lines[first] = f"# {lines[first]}"
    return "\n".join(lines)


def as_ipython_reads(source: str) -> str | None:
    """The Python that IPython makes of a cell, or None where its lines are not the same lines."""
    marked = sum(_is_for_ipython(line) for line in source.split("\n"))
    if marked > MOST_MAGICS or len(source) > LONGEST_WITH_MAGICS:
        return None
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        made = TransformerManager().transform_cell(source)
    except (SyntaxError, RecursionError, RuntimeError):
        return None
    same = made.rstrip("\n").count("\n") == source.rstrip("\n").count("\n")
    return made if same else None


def masked(source: str) -> str:
    """The source with `pass` for each line that only IPython understands."""
    lines, continued, indent = [], False, ""
    for line in source.split("\n"):
        if continued or _is_for_ipython(line):
            if not continued:
                indent = line[: len(line) - len(line.lstrip())]
            name = line.partition("=")[0].strip()
            assigns = not continued and name.isidentifier()
            lines.append(f"{indent}{f'{name} = None' if assigns else 'pass'}  # for IPython")
            continued = line.endswith("\\")
        else:
            lines.append(line)
    return "\n".join(lines)


def _is_for_ipython(line: str) -> bool:
    """`%time x`, `!ls`, `?x`, `x?` or `files = !ls`. Takes time in proportion to the line."""
    line = line.strip()
    value = line.partition("=")[2].lstrip()
    return line[:1] in ("%", "!", "?") or line.endswith("?") or value[:1] in ("%", "!")
