"""The landing page's drawing of the ViT: an SVG whose parts are links to their lessons."""

import html
import io
import re
from pathlib import Path

import cards
import lesson_heads
import nbformat

# Where each part of `plots.architecture` lies: left, lower edge, width and height in its pixels. A
# later part lies on top of an earlier one, as attention does on the encoder.
PLACES = {
    "patches": (8, 182, 330, 128),
    "class_token": (368, 182, 66, 137),
    "positions": (446, 182, 102, 137),
    "encoder": (32, 22, 434, 142),
    "attention": (118, 72, 146, 87),
    "looking": (121, 88, 80, 48),
    "head": (474, 62, 220, 103),
    "training": (582, 22, 112, 32),
}


def lessons_of_parts(paths: list[Path] | None = None) -> dict[str, Path]:
    """The lesson that lights each part in its own drawing, the first of them; not every part has
    one."""
    found: dict[str, Path] = {}
    for path in lesson_heads.lessons() if paths is None else paths:
        try:
            lit = cards.lit_part(nbformat.read(path, as_version=4))
        except ValueError:  # an extra without the drawing
            continue
        if lit in PLACES:
            found.setdefault(lit, path)
    if "head" not in found and "encoder" in found:  # the lesson of the whole model has the head
        found["head"] = found["encoder"]
    return found


def svg(address=lambda path: f"notebooks/{path.stem}.html") -> str:
    """The drawing as SVG text for a page, with a link on each part that has a lesson.

    address: the path of a lesson -> where its page is.
    """
    import matplotlib

    from vit_tutorial.inspection import plots

    figure = plots.architecture()
    file = io.StringIO()
    # Letters as outlines look the same in every browser; the same file each time.
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": "architecture"}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    drawing = re.sub(r"^.*?(?=<svg)", "", file.getvalue(), flags=re.DOTALL)
    body = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    body = body[body.index(">") + 1 : body.rindex("</svg>")]
    points = 72 / figure.dpi  # matplotlib's SVG counts in points, from the upper left corner
    wide, high = (72 * inches for inches in figure.get_size_inches())
    links = []
    parts = lessons_of_parts()
    for part, (x, y, w, h) in PLACES.items():
        if part not in parts:
            continue
        label = html.escape(lesson_label(parts[part], part))
        box = " ".join(
            f'{name}="{value * points:.1f}"'
            for name, value in dict(
                x=x, y=figure.get_figheight() * figure.dpi - y - h, width=w, height=h
            ).items()
        )
        links.append(
            f'<a href="{address(parts[part])}" aria-label="{label}" data-part="{part}">'
            f'<title>{label}</title><rect {box} rx="5"/></a>'
        )
    return (
        f'<svg class="vit" xmlns="http://www.w3.org/2000/svg" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 {wide:g} {high:g}" '
        'role="group" aria-labelledby="vit-title" aria-describedby="vit-description">\n'
        '<title id="vit-title">The whole Vision Transformer</title>\n'
        f'<desc id="vit-description">{html.escape(figure.alt)}</desc>\n'
        f'<g aria-hidden="true">{body}</g>\n' + "\n".join(links) + "\n</svg>"
    )


def lesson_label(path: Path, part: str) -> str:
    """What a link on the drawing says: "Positions: lesson 03, Position embeddings"."""
    number, title = lesson_heads.number(path), lesson_heads.title(lesson_heads.head(path))
    name = part.replace("_", " ").capitalize()
    return f"{name}: lesson {number}, {title}"
