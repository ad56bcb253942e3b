"""A learner's text as plain text: nothing in it acts on a terminal, a page or a spreadsheet.

All of it takes a time that grows with the length of the text and no faster.
"""

import re

# Control characters and escape sequences' first bytes, marks that turn the direction of writing
# around, and what has no place in a text at all.
_STRANGE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]{0,30}[ -/]?[@-~]|[@-Z\\-_])")
# What can begin a tag, an entity's tag after decoding, or a comment. A space of no width after it
# leaves it readable and dead.
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_LINK = re.compile(r"\](?=[(\[:])")
# Commands of MathJax that make links, load extensions, or set attributes of the page.
_MATH = re.compile(
    r"\\(?=(?:href|url|require|html\w*|style|class|cssId|data|mmlToken|unicode|texttip|tooltip"
    r"|toggle|action|begingroup|let|def|newcommand|renewcommand|newenvironment|Declare\w*)"
    r"(?![A-Za-z]))",
    re.IGNORECASE,
)
NOTHING = "\u200b"


def one_line(text: str, most: int = 600) -> str:
    """A message of a learner's code in one line, so that it cannot look like one of ours."""
    return " ".join(_STRANGE.sub(" ", _ESCAPES.sub("", text[: 4 * most])).split())[:most]


def printable(text: str) -> str:
    """A file's name for a terminal, with ? for what could move the cursor."""
    return "".join(char if char.isprintable() else "?" for char in text)


def dead_markdown(text: str) -> str:
    """Markdown without HTML, links, pictures and active commands of MathJax.

    Emphasis, lists, tables, code and formulas stay. nbgrader shows markdown as it is, in Jupyter's
    own origin, where a script could do everything that the teacher can.
    """
    text = _STRANGE.sub("", text)
    for pattern in (_TAG, _LINK, _MATH):
        text = pattern.sub(lambda match: match[0] + NOTHING, text)
    return text
