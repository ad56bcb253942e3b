"""A card for each core lesson, for slides: python tools/cards.py

docs/cards/NN.png holds the lesson's title, the drawing of the whole ViT with the lesson's part lit,
and the first three lines of its summary. What a card was made from is hashed into the PNG's text,
so a test sees when one is out of date.
"""

import ast
import hashlib
import io
import re
import sys
from pathlib import Path

import lesson_heads
import nbformat

ROOT = Path(__file__).resolve().parents[1]
CARDS = ROOT / "docs" / "cards"
DRAWN_BY = (
    Path(__file__),
    *(ROOT / f"vit_tutorial/inspection/plots/{name}.py" for name in ("architecture", "canvas")),
)
INCHES, DPI = (12.8, 7.2), 100  # a slide
DRAWING = 1120  # pixels of the drawing's width on the card
MOST_BYTES = 200_000
LINES, MOST_CHARACTERS = 3, 115  # of the summary


def lit_part(nb) -> str | None:
    """What `plots.architecture(...)` lights in the lesson; raises ValueError if it is not drawn."""
    for cell in nb.cells:
        if cell.cell_type != "code" or "architecture(" not in cell.source:
            continue
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("architecture"):
                given = [*node.args, *(k.value for k in node.keywords if k.arg == "lit")]
                return ast.literal_eval(given[0]) if given else None
    raise ValueError("no cell draws plots.architecture(lit=...)")


def summary_lines(nb) -> list[str]:
    """The first lines of the numbered list below `## Summary`, without marks of Markdown."""
    text = "\n\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")
    below = re.split(r"^## Summary\s*$", text, maxsplit=1, flags=re.MULTILINE)
    lines = re.findall(r"^\d+\. (.+)$", below[1], re.MULTILINE)[:LINES] if len(below) > 1 else []
    if len(lines) < LINES:
        raise ValueError(f"## Summary has {len(lines)} numbered lines: a card shows {LINES}")
    lines = [_plain(line) for line in lines]
    for line in lines:
        if len(line) > MOST_CHARACTERS:
            raise ValueError(
                f"{line!r} in ## Summary has {len(line)} characters: a card has room for "
                f"{MOST_CHARACTERS}"
            )
    return lines


def _plain(text: str) -> str:
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)  # links
    return re.sub(r"\*\*|[*`]|\$", "", text)


def inputs(path: Path) -> dict:
    """What the card of the lesson at `path` shows: number, title, lit part, lines."""
    nb = nbformat.read(path, as_version=4)
    title = _plain(nb.cells[0].source.split("\n")[0].lstrip("# "))
    return dict(title=title, lit=lit_part(nb), lines=summary_lines(nb))


def fingerprint(shown: dict) -> str:
    """A hash of what is shown, and of the code that draws it."""
    digest = hashlib.sha256(repr(sorted(shown.items())).encode())
    for file in DRAWN_BY:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def stored_fingerprint(card: Path) -> str | None:
    from PIL import Image

    with Image.open(card) as image:
        return image.info.get("inputs")


def core() -> list[Path]:
    return [path for path in lesson_heads.lessons() if lesson_heads.group(path) == "core"]


def draw(shown: dict) -> bytes:
    """The card as a PNG."""
    import numpy as np
    from PIL import Image, PngImagePlugin

    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    from vit_tutorial.inspection import plots
    from vit_tutorial.inspection.plots.base import new_figure

    width, height = (round(DPI * side) for side in INCHES)
    drawing = plots.architecture(shown["lit"])
    drawing.set_dpi(DPI * DRAWING / DPI / drawing.get_figwidth())
    drawing.canvas.draw()
    pixels = np.asarray(drawing.canvas.buffer_rgba())
    figure = new_figure(*INCHES)
    figure.set_layout_engine("none")
    left = (width - pixels.shape[1]) // 2
    figure.text(left / width, 0.945, shown["title"], fontsize=24, weight="bold", va="center")
    top = 76  # pixels from the upper edge
    figure.figimage(pixels, left, height - top - pixels.shape[0], origin="upper")
    y = (height - top - pixels.shape[0] - 14) / height
    for number, line in enumerate(shown["lines"], start=1):
        figure.text(left / width, y, f"{number}", fontsize=14, weight="bold", va="top")
        figure.text((left + 26) / width, y, line, fontsize=14, va="top")
        y -= 35 / height
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI)
    info = PngImagePlugin.PngInfo()
    info.add_text("inputs", fingerprint(shown))
    small = Image.open(file).convert("RGB").quantize(128)  # a drawing has few colours
    out = io.BytesIO()
    small.save(out, format="PNG", pnginfo=info, optimize=True)
    return out.getvalue()


def main() -> int:
    CARDS.mkdir(parents=True, exist_ok=True)
    failed = 0
    for path in core():
        try:
            shown = inputs(path)
        except ValueError as error:
            print(f"{path.name}: {error}", file=sys.stderr)
            failed = 1
            continue
        card = CARDS / f"{lesson_heads.number(path)}.png"
        if card.exists() and stored_fingerprint(card) == fingerprint(shown):
            continue
        card.write_bytes(draw(shown))
        print(f"docs/cards/{card.name}: {card.stat().st_size / 1000:.0f} kB")
    return failed


if __name__ == "__main__":
    sys.exit(main())
