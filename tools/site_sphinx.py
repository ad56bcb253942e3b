"""What the site asks of Sphinx beyond its themes: formulas, alternative texts, our docstrings."""

import base64
import hashlib
import re
from pathlib import Path

import nbformat
import site_api
from docutils import nodes
from latex2mathml.converter import convert

ATTACHED = "site_alternative_texts"


def setup(app) -> dict:
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    app.connect("env-before-read-docs", collect_texts)
    app.connect("doctree-read", describe)
    app.connect("autodoc-process-docstring", plain_docstring)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


# --- formulas: MathML, which browsers draw without a script or a font of their own ----------------


def visit_inline(self, node) -> None:
    self.body.append(convert(node.astext(), display="inline"))
    raise nodes.SkipNode


def visit_block(self, node) -> None:
    self.body.append(f'<div class="math">{convert(node.astext(), display="block")}</div>')
    raise nodes.SkipNode


# --- pictures -------------------------------------------------------------------------------------


def collect_texts(app, env, docnames) -> None:
    """{sha256 of a stored picture: its alternative text}, as `plots.show` stored them."""
    texts = {}
    for path in Path(app.srcdir, "notebooks").glob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            for out in cell.get("outputs", []):
                picture = out.get("data", {}).get("image/png")
                alt = out.get("metadata", {}).get("image/png", {}).get("alt")
                if picture and alt:
                    texts[hashlib.sha256(base64.b64decode(picture)).hexdigest()] = alt
    setattr(env, ATTACHED, texts)


def describe(app, doctree) -> None:
    """Give each stored picture its text; myst-nb names the picture's file by its hash."""
    texts = getattr(app.env, ATTACHED)
    for image in doctree.findall(nodes.image):
        name = re.search(r"([0-9a-f]{64})\.", image["uri"])
        if name and name[1] in texts:
            image["alt"] = texts[name[1]]


# --- docstrings -----------------------------------------------------------------------------------


def plain_docstring(app, what, name, obj, options, lines) -> None:
    lines[:] = [*site_api.from_plain(lines), ""]
