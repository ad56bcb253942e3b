"""Command-line options made from the fields of a dataclass: name, type, comment and default."""

import argparse
import dataclasses
import functools
import inspect
import io
import re
import sys
import tokenize
import typing

from ..training.runtime.resolutions import parse_stage


@functools.cache
def field_comments(config: type) -> dict[str, str]:
    """The comment of each field in the source of a dataclass; "" for a field without one.

    It is beside the field and may continue below, indented (#     like this), or be directly
    above it. The name of a tuple in the class's module, such as POSITIONS, stands for its items.
    """
    beside = {field.name: [] for field in dataclasses.fields(config)}
    above, pending, name = {}, [], None
    source = inspect.getsource(config)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        alone = not token.line[: token.start[1]].strip()  # the first on its line
        if token.type == tokenize.NAME and alone:
            name = token.string if token.line.lstrip().startswith(f"{token.string}:") else None
            above[name], pending = pending, []
        elif token.type == tokenize.NL and not token.line.strip():
            name, pending = None, []  # a comment before an empty line belongs to none
        elif token.type == tokenize.COMMENT and not token.string.startswith("# ---"):  # a heading
            if alone and not token.string.startswith("#  "):
                pending.append(token.string)
            elif name in beside:
                beside[name].append(token.string)
    module = vars(sys.modules[config.__module__])
    listed = lambda found: ", ".join(module[found[0]]) if found[0] in module else found[0]
    texts = {
        name: " ".join(part.lstrip("# ") for part in parts or above.get(name, []))
        for name, parts in beside.items()
    }
    return {name: re.sub(r"\b[A-Z_]{4,}S\b", listed, text) for name, text in texts.items()}


def add_field_options(parser, config: type, names=None, **defaults) -> None:
    """Add an option for each field of the dataclass `config` in `names` (all of them if None).

    An option that is not given is None, so that a recipe can tell it from one that was given. The
    help is the field's comment and the default: that of `defaults`, else the field's own.
    """
    comments, types = field_comments(config), typing.get_type_hints(config)
    for field in dataclasses.fields(config):
        if names is None or field.name in names:
            default = defaults.get(field.name, field.default)
            parser.add_argument(
                f"--{field.name.replace('_', '-')}",
                help=_help(comments[field.name], default),
                **_reading(types[field.name]),
            )


def given_options(args: argparse.Namespace, config: type) -> dict:
    """The fields of `config` whose options were given, with their values."""
    values = {field.name: getattr(args, field.name, None) for field in dataclasses.fields(config)}
    return {name: value for name, value in values.items() if value is not None}


def _stage(text: str) -> tuple[float, int]:
    try:
        return parse_stage(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(error) from None


def _help(comment: str, default) -> str:
    shown = {True: "yes", False: "no"}[default] if isinstance(default, bool) else default
    text = comment if default in (None, ()) else f"{comment} (default {shown})"
    return text.replace("%", "%%")


def _reading(annotation) -> dict:
    """How argparse reads a value of this type: int, float, str, and bool alone or beside str.

    A tuple is read as stages of resolution.
    """
    if typing.get_origin(annotation) is tuple:
        return dict(nargs="*", type=_stage, metavar="SHARE@PX")
    types = set(typing.get_args(annotation) or (annotation,)) - {type(None)}
    if types == {bool}:
        return dict(action=argparse.BooleanOptionalAction)
    if types == {bool, str}:  # --compile, --compile no, --compile auto
        return dict(nargs="?", const=True, type=_yes_no, metavar="NAME")
    (kind,) = types
    return dict(type=kind, metavar={int: "N", float: "X", str: "NAME"}[kind])


def _yes_no(text: str) -> bool | str:
    return {"yes": True, "no": False}.get(text, text)
