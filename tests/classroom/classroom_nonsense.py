"""Generated submissions: names, archives, notebooks and forged results, of any kind of nonsense.

`files(seed, base)` gives (kind, path, bytes); `forged(seed)` gives a cell that sends nonsense.
"""

import io
import json
import random
import zipfile

import damage

LETTERS = "abcXYZ019 _-.()éß李ع😀\u202e\x1b\x07\t\n\\'\";=+@%$&<>|*?:#~,"
WORDS = ("01_small", "copy of ", " (1)", "_assignsubmission_file_", "_123_456_", "final", ".ipynb")
VALUES = (None, True, -1, 10**30, 1e308, "", "x", [], {}, [[]], {"a": {}}, "\ud800", "é" * 50)
KEYS = ("cells", "cell_type", "source", "metadata", "nbgrader", "grade_id", "id", "worksheets")
SOURCES = (
    "(" * 3000,
    "x = " * 3000,
    "lambda: " * 2000 + "1",
    " " * 9000 + "?" * 9000,
    "%%time\n" * 300,
    "def my_patchify(images, patch_size):\n" * 200,
    "```\n" * 2000,
    "'''" * 3001,
    "\\\n" * 4000,
    "if 1:\n" + "".join(" " * i + "if 1:\n" for i in range(1, 150)),
    "!ls\n?x\n%y\n" * 400,
    "\x00\x1b[31m\u202e" * 500,
    "f'{" * 300,
    "async def f():\n  await " * 300,
)


def files(seed: int, base):
    """One handed-in file: (kind, path below the folder, bytes). base: a solved notebook."""
    rng = random.Random(seed)
    kind = rng.choice(["name", "archive", "json", "notebook", "bytes"])
    path = f"{rng.choice(['', 'ann/', 'bob b/'])}s{seed}_01_small.ipynb"
    data = damage.utf8(base, None)
    if kind == "name":
        name = "".join(rng.choice(LETTERS + "0" * 20) for _ in range(rng.randint(1, 90)))
        for _ in range(rng.randint(0, 4)):
            at = rng.randrange(len(name))
            name = name[:at] + rng.choice(WORDS) * rng.randint(1, 3) + name[at:]
        name = name.encode("utf-8", "replace")[:180].decode("utf-8", "ignore").strip("/. ") or "x"
        path = f"{seed}{name}{rng.choice(['.ipynb', '', '.zip', '.py'])}"
    elif kind == "archive":
        data = archive(rng, data, rng.randint(0, 3))
        path = path.replace(".ipynb", ".zip")
    elif kind == "json":
        data = json.dumps(structure(rng, 5)).encode("utf-8", "surrogatepass")
    elif kind == "notebook":
        nb = json.loads(json.dumps(base))
        for _ in range(rng.randint(1, 12)):
            cell = rng.choice(nb["cells"])
            how = rng.randrange(4)
            if how == 0:
                cell["source"] = rng.choice(SOURCES)
            elif how == 1:
                cell[rng.choice(KEYS)] = rng.choice(VALUES)
            elif how == 2:
                nb["cells"].insert(rng.randrange(len(nb["cells"])), dict(cell))
            else:
                cell["metadata"] = structure(rng, 3)
        data = json.dumps(nb).encode("utf-8", "surrogatepass")
    if kind == "bytes" or rng.random() < 0.3:
        data = broken(rng, data)
    return kind, path, data


def broken(rng, data: bytes) -> bytes:
    """Bytes lost, doubled, changed, in places."""
    for _ in range(rng.randint(1, 6)):
        at, size = rng.randrange(len(data) + 1), rng.choice([1, 3, 100, 5000])
        new = rng.choice([b"", rng.randbytes(size), data[at : at + size] * 2, b"[" * size])
        data = data[:at] + new + data[at + rng.choice([0, size]) :]
    return data[: rng.choice([None, None, rng.randrange(len(data) + 1)])]


def archive(rng, data: bytes, depth: int) -> bytes:
    made = io.BytesIO()
    how = rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    with zipfile.ZipFile(made, "w", how) as zipped:
        for _ in range(rng.randint(0, 4)):
            name = rng.choice(["x.ipynb", "../../x.ipynb", "/etc/passwd", "a/b/x.py", "", "x.zip"])
            name += "".join(rng.choice(LETTERS) for _ in range(rng.randint(0, 9)))
            date = (rng.randint(1980, 2099), 1, 1, 0, 0, 0)
            about = zipfile.ZipInfo(f"{name}{rng.randrange(99)}", date)
            about.external_attr = rng.choice([0, 0o120777 << 16, 0o100644 << 16])
            inner = archive(rng, data, depth - 1) if depth and rng.random() < 0.5 else data
            zipped.writestr(about, rng.choice([inner, broken(rng, inner), b"0" * 10**6]))
    return made.getvalue()


def structure(rng, depth: int):
    """Something that JSON can hold, with the keys of notebooks in wrong places."""
    if depth == 0 or rng.random() < 0.2:
        return rng.choice([*VALUES, *SOURCES[:6]])
    if rng.random() < 0.5:
        return [structure(rng, depth - 1) for _ in range(rng.randint(0, 4))]
    return {rng.choice(KEYS): structure(rng, depth - 1) for _ in range(rng.randint(0, 4))}


def forged(seed: int) -> str:
    """A cell that sends nonsense in the place of results, and then ends in some way."""
    return f"""import json, os, random, struct, sys, time
rng, channel = random.Random({seed}), sys.stdout.worker.channel
values = [None, True, 1, -1, 10**40, 'x' * 5000, '\\n Hint: x', [], {{}}, [[]] * 50]
for _ in range(rng.randint(1, 60)):
    record = {{key: rng.choice(values) for key in
        rng.sample(['passed', 'limit', 'problem', 'outputs', 'line', 'cut', 'x'], 4)}}
    head = {{str(i): rng.choice([{{'dtype': 'F32', 'shape': [0], 'data_offsets': [0, 0]}}, *values])
        for i in range(rng.choice([0, 3, 400]))}}
    head['__metadata__'] = {{'cases': json.dumps(rng.choice([[record] * 9, *values]))}}
    head = json.dumps(head).encode()
    tensors = struct.pack('<Q', rng.choice([len(head), 2**60, 0])) + head
    data = rng.choice([json.dumps(record).encode(), tensors, rng.randbytes(300), b'[' * 90_000])
    number = rng.choice([0, 1, 3, 4, 6, 7, 99, 2**31])
    if rng.random() < 0.05:
        channel.end.sendall(rng.randbytes(30))
    else:
        channel.send(rng.choice([b'r', b'o', b'o', b'p', b'h', b'e', b'z']), number, data)
rng.choice([lambda: None, lambda: os._exit(rng.randrange(256)), lambda: 1 / 0,
    lambda: channel.end.close(), lambda: os.kill(os.getpid(), 11)])()"""
