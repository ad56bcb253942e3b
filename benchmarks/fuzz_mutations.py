"""Damage: valid files and values, changed as accidents and careless hands change them.

Every function draws from the `random.Random` it is given, so that a number makes the input again.
"""

import copy
import json
import random
import struct

# What people, other programs and broken programs write where a value was expected.
VALUES = (None, True, False, 0, 1, -1, 2, 3, 0.5, -0.5, 1e-300, 1e300, 2**31, 2**63, 10**30)
VALUES += (float("nan"), float("inf"), float("-inf"), "", " ", "x", "0", "none", "32", "1e3", "nan")
VALUES += (
    "../outside",
    "/",
    "~",
    "~nobody/x",
    "cafe\u0301",
    "\u202e",
    "\x1b[31m",
    "a\nb",
    "x" * 5000,
)
VALUES += ([], [1], [32, 32], [1, 2, 3], ["a", "b"], [[0.5, 16]], {}, {"a": 1}, {"tensor": "0"})
INTEGERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
DEEP = 3000  # brackets in each other: more than a reader that calls itself can follow


def some_value(draw: random.Random):
    """One of VALUES, a copy."""
    return copy.deepcopy(draw.choice(VALUES))


def damaged_bytes(content: bytes, draw: random.Random, other: bytes = b"") -> tuple[bytes, str]:
    """`content` with one to three faults, and the name of the first. other: to splice with."""
    first = ""
    for _ in range(draw.choice((1, 1, 2, 3))):
        fault = draw.choice(list(FAULTS))
        content = FAULTS[fault](bytearray(content), draw, other)
        first = first or fault
    return content, first


def _flip(content, draw, other):
    for _ in range(draw.choice((1, 1, 4, 32))):
        if content:
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    return bytes(content)


def _cut(content, draw, other):
    return bytes(content[: draw.randrange(len(content) + 1)])


def _remove(content, draw, other):
    start = draw.randrange(len(content) + 1)
    return bytes(content[:start] + content[start + draw.randrange(1, 64) :])


def _insert(content, draw, other):
    start = draw.randrange(len(content) + 1)
    return bytes(content[:start] + draw.randbytes(draw.randrange(1, 64)) + content[start:])


def _number(content, draw, other):
    """A field of two, four or eight bytes becomes a number at the edge of what it can hold."""
    kind = draw.choice(("<H", ">H", "<I", ">I", "<Q", ">Q"))
    value = struct.pack(kind, draw.choice(INTEGERS) & (256 ** struct.calcsize(kind) - 1))
    start = draw.randrange(max(1, min(len(content), draw.choice((64, 10**6)))))
    content[start : start + len(value)] = value
    return bytes(content)


def _blank(content, draw, other):
    start, length = draw.randrange(len(content) + 1), draw.randrange(1, 512)
    length = min(length, len(content) - start)
    content[start : start + length] = bytes([draw.choice((0, 255))]) * length
    return bytes(content)


def _splice(content, draw, other):
    return (
        bytes(content[: draw.randrange(len(content) + 1)]) + other[draw.randrange(len(other) + 1) :]
    )


def _twice(content, draw, other):
    return bytes(content) * 2


def _noise(content, draw, other):
    return draw.randbytes(draw.choice((0, 1, 16, 2000)))


FAULTS = {
    "flip": _flip,
    "cut": _cut,
    "remove": _remove,
    "insert": _insert,
    "number": _number,
    "blank": _blank,
    "splice": _splice,
    "twice": _twice,
    "noise": _noise,
}


def damaged_value(value, draw: random.Random):
    """A copy of a nested value (dicts, lists, numbers, strings) with one to three faults."""
    value = json.loads(json.dumps(value))
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        value = _one_fault(value, draw)
    return value


def _one_fault(value, draw: random.Random):
    """`value` with one place of it removed, replaced, renamed or added to."""
    if not isinstance(value, dict | list) or not value or draw.random() < 0.1:
        return some_value(draw)
    key = draw.choice(list(value)) if isinstance(value, dict) else draw.randrange(len(value))
    kind = draw.choice(("inside", "inside", "inside", "remove", "replace", "replace", "add"))
    if kind == "inside" and isinstance(value[key], dict | list) and value[key]:
        value[key] = _one_fault(value[key], draw)
    elif kind == "remove":
        del value[key]
    elif kind == "add" and isinstance(value, dict):
        value[draw.choice(("extra", "", "0", "class", "__class__", key + "s"))] = draw.choice(
            VALUES
        )
    elif kind == "add":
        value.insert(key, some_value(draw))
    else:
        value[key] = some_value(draw)
    return value


def damaged_json(value, draw: random.Random) -> bytes:
    """`value` with faults, as JSON; sometimes the text is damaged as well."""
    if draw.random() < 0.02:
        return b"[" * DEEP + b"]" * DEEP
    text = json.dumps(damaged_value(value, draw)).encode(draw.choice(("utf-8",) * 9 + ("utf-16",)))
    return damaged_bytes(text, draw)[0] if draw.random() < 0.2 else text


def damaged_table(text: str, draw: random.Random) -> bytes:
    """A CSV table with cells, rows, columns or bytes changed."""
    lines = [line.split(",") for line in text.splitlines()]
    for _ in range(draw.choice((1, 1, 2, 4))):
        row = draw.choice(lines)
        kind = draw.choice(("cell", "cell", "cell", "cut", "add", "drop", "again", "head", "quote"))
        if kind == "cell" and row:
            row[draw.randrange(len(row))] = str(some_value(draw))[:300]
        elif kind == "cut":
            del row[draw.randrange(len(row) + 1) :]
        elif kind == "add":
            row.extend(["", "x"])
        elif kind == "drop" and len(lines) > 1:
            lines.remove(row)
        elif kind == "again":
            lines.append(list(row))
        elif kind == "head" and lines[0]:
            lines[0][draw.randrange(len(lines[0]))] = draw.choice(
                ("", "seed", "extra", "\ufeffstudy")
            )
        elif kind == "quote" and row:
            row[0] = '"' + row[0]
    end = draw.choice(("\n", "\n", "\r\n", "\r", ";"))
    made = end.join(",".join(row) for row in lines).encode(
        draw.choice(("utf-8",) * 8 + ("utf-8-sig", "utf-16")), errors="surrogatepass"
    )
    return damaged_bytes(made, draw)[0] if draw.random() < 0.15 else made
