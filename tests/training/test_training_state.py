"""Checkpoints: every value comes back exactly, and no kill, damage or full disk takes the last."""

import errno
import math
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from vit_tutorial.training.runtime import checkpoint as states
from vit_tutorial.training.runtime.checkpoint import (
    CURRENT,
    PREVIOUS,
    CheckpointNotSavedError,
    copy_checkpoint,
    load_checkpoint,
    save_checkpoint,
)


def same(a, b) -> bool:
    """Whether the two are the same to the last bit: types, keys, order, dtypes, shapes, NaNs."""
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        bits = lambda t: t.contiguous().reshape(-1).view(torch.uint8)
        return a.dtype == b.dtype and a.shape == b.shape and torch.equal(bits(a), bits(b))
    if isinstance(a, dict):
        return (
            list(a) == list(b)
            and all(type(p) is type(q) for p, q in zip(a, b))
            and all(same(a[k], b[k]) for k in a)
        )
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return a.hex() == b.hex()
    return a == b


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def small(step: int) -> dict:
    return {"step": step, "weights": torch.full((50,), float(step))}


DTYPES = "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool complex64".split()
DTYPES.append("float8_e4m3fn")


@pytest.mark.parametrize("name", DTYPES)
def test_every_dtype_comes_back_to_the_last_bit(tmp_path, name):
    dtype = getattr(torch, name)
    raw = torch.arange(
        240, dtype=torch.uint8
    )  # as float16 or bfloat16 some of these bytes are NaNs with a payload
    raw = raw % 2 if dtype == torch.bool else raw
    sent = {
        "filled": raw.view(dtype),
        "one": raw.view(dtype)[3].clone(),
        "none": torch.empty(0, 3, dtype=dtype),
    }
    assert sent["one"].shape == ()
    save_checkpoint(tmp_path, sent)
    assert same(load_checkpoint(tmp_path), (sent, ""))


def test_numbers_text_and_nesting_come_back_exactly(tmp_path):
    floats = [
        0.1,
        1 / 3,
        -0.0,
        5e-324,
        1.7976931348623157e308,
        1e22,
        3.0,
        math.inf,
        -math.inf,
        math.nan,
    ]
    sent = {
        "floats": floats,
        "ints": [0, -1, 2**70, True, False],
        "text": ["", "Grüße\n\"'\\", "\ud800", '{"tensor": "0"}'],
        "nothing": None,
        "empty": [{}, [], ()],
        "tuple": (0.9, (0.95, [1])),
        "keys": {1: "int", "1": "str", -3: {"deep": {0: torch.arange(3)}}},
        "looks like ours": {"tensor": "0", "dict": [["a", 1]], "tuple": [1], "float": "nan"},
    }
    save_checkpoint(tmp_path, sent)
    assert same(load_checkpoint(tmp_path)[0], sent)


def test_views_shared_memory_and_parameters(tmp_path):
    base = torch.arange(24.0).reshape(4, 6)
    sent = {
        "a": base,
        "row": base[1],
        "turned": base.T,
        "strided": base[::2, 1::3],
        "wide": torch.ones(1).expand(5),
        "again": base,
    }
    save_checkpoint(tmp_path, sent | {"parameter": torch.nn.Parameter(base)})
    found, _ = load_checkpoint(tmp_path)
    assert same({name: found[name] for name in sent}, sent)
    assert same(found["parameter"], base), "a parameter comes back as a plain tensor"
    found["a"].zero_()
    assert base[1, 1] == 7 and found["row"][1] == 7, "what comes back is each tensor's own memory"


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD])
def test_training_goes_on_to_the_same_weights(tmp_path, kind):
    def fresh():
        torch.manual_seed(0)
        model = torch.nn.Sequential(
            torch.nn.Linear(5, 7), torch.nn.Dropout(0.3), torch.nn.Linear(7, 2)
        )
        return model, kind([{"params": p, "weight_decay": 0.1} for p in model.parameters()], lr=0.1)

    def steps(model, optimizer, number):
        for _ in range(number):
            optimizer.zero_grad()
            model(torch.randn(16, 5)).square().mean().backward()
            optimizer.step()

    model, optimizer = fresh()
    steps(model, optimizer, 3)
    save_checkpoint(
        tmp_path,
        {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "random": torch.get_rng_state(),
        },
    )
    steps(model, optimizer, 3)
    other, its = fresh()
    torch.rand(99)
    found, _ = load_checkpoint(tmp_path)
    other.load_state_dict(found["model"])
    its.load_state_dict(found["optimizer"])
    torch.set_rng_state(found["random"])
    steps(other, its, 3)
    assert same(dict(other.state_dict()), dict(model.state_dict()))


@pytest.mark.parametrize(
    "bad, words",
    [
        ({"a": [1, {2, 3}]}, r"state\['a'\]\[1\] is a set"),
        ({"a": {(1, 2): 0}}, r"state\['a'\] has the key \(1, 2\), a tuple"),
        ({True: 1}, "key True, a bool"),
        ({"s": torch.eye(3).to_sparse()}, "sparse"),
        ({"f": len}, "builtin"),
    ],
)
def test_what_cannot_be_saved_is_named_and_nothing_is_touched(tmp_path, bad, words):
    save_checkpoint(tmp_path, small(1))
    with pytest.raises(TypeError, match=words):
        save_checkpoint(tmp_path, bad)
    assert files(tmp_path) == [CURRENT] and load_checkpoint(tmp_path)[0]["step"] == 1


def test_the_one_before_is_kept_and_left_over_parts_go(tmp_path):
    folder = tmp_path / "new" / "deep"
    for step in (1, 2, 3):
        assert save_checkpoint(folder, small(step)) == folder / CURRENT
        (folder / f".{CURRENT}.{10**7 + step}.partial").write_bytes(b"part")
    (folder / ".model.safetensors.1.partial").write_bytes(b"another's")
    save_checkpoint(folder, small(4))
    assert files(folder) == [".model.safetensors.1.partial", PREVIOUS, CURRENT]
    assert load_checkpoint(folder)[0]["step"] == 4
    (folder / CURRENT).unlink()
    found, note = load_checkpoint(folder)
    assert found["step"] == 3 and "missing" in note, "killed between the two renamings"


@pytest.mark.parametrize("share", [0, 3, 0.1, 0.5, 0.999])
def test_a_truncated_state_is_noticed_and_does_not_push_out_the_good_one(tmp_path, share):
    for step in (1, 2):
        save_checkpoint(tmp_path, small(step), label=f"step {step}")
    whole = (tmp_path / CURRENT).read_bytes()
    (tmp_path / CURRENT).write_bytes(whole[: share if share > 1 else int(share * len(whole))])
    found, note = load_checkpoint(tmp_path)
    assert (
        found["step"] == 1
        and note.startswith(f"{CURRENT} is damaged (")
        and note.endswith("the one before (step 1)")
    )
    save_checkpoint(tmp_path, small(3))
    (tmp_path / CURRENT).unlink()
    assert load_checkpoint(tmp_path)[0]["step"] == 1


@pytest.mark.slow
def test_every_flipped_bit_is_noticed_or_changes_nothing(tmp_path):
    """One bit in every byte, one after the other: never a wrong value, never a strange error."""
    sent = {"w": torch.arange(8, dtype=torch.bfloat16).reshape(2, 4), "i": torch.arange(2), 5: 0.1}
    save_checkpoint(tmp_path, {"before": True})
    path = save_checkpoint(tmp_path, sent, label="step 2")
    whole, noticed = path.read_bytes(), 0
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        found, note = load_checkpoint(tmp_path)
        noticed += "damaged" in note
        assert same(found, {"before": True}) if note else same(found, sent), place
    assert noticed > 0.9 * len(whole), noticed  # the rest: spaces of the header, and the like
    for before, after in (
        (b'"shape":[2,4]', b'"shape":[4,2]'),
        (b'"I64"', b'"F64"'),
    ):  # as many bytes: safetensors says nothing
        assert before in whole
        path.write_bytes(whole.replace(before, after))
        assert "SHA-256" in load_checkpoint(tmp_path)[1]


def test_none_and_none_whole_say_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint in"):
        load_checkpoint(tmp_path / "nowhere")
    (tmp_path / f".{CURRENT}.77.partial").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=CURRENT):
        load_checkpoint(tmp_path)
    (tmp_path / CURRENT).write_bytes(b"")
    (tmp_path / PREVIOUS).mkdir()
    with pytest.raises(
        ValueError, match=f"no whole checkpoint.*{CURRENT}: .*; {PREVIOUS}: .*begin again"
    ):
        load_checkpoint(tmp_path)


def test_loading_never_unpickles_and_knows_its_own_files(tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path(tmp_path / "ran").touch, ())

    (tmp_path / CURRENT).write_bytes(pickle.dumps(Evil()))
    torch.save({"x": Evil()}, tmp_path / PREVIOUS)
    with pytest.raises(ValueError, match="no whole checkpoint"):
        load_checkpoint(tmp_path)
    assert not (tmp_path / "ran").exists()
    import safetensors.torch

    safetensors.torch.save_file({"a": torch.ones(2)}, tmp_path / CURRENT)
    with pytest.raises(ValueError, match="is no checkpoint of a run"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EIO]
)
@pytest.mark.parametrize("at", ["open", "fsync", "replace"])
def test_a_system_error_is_reported_and_leaves_the_last_checkpoint(
    tmp_path, monkeypatch, number, at
):
    save_checkpoint(tmp_path, small(7), label="step 7")

    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(
            *{"open": (Path, "open"), "fsync": (os, "fsync"), "replace": (os, "replace")}[at],
            refuse,
        )
        with pytest.raises(CheckpointNotSavedError) as caught:
            save_checkpoint(tmp_path, {"big": torch.zeros(500_000)}, label="step 8")
    words = str(caught.value)
    assert (
        os.strerror(number) in words
        and "needed 2.0 MB" in words
        and "MB free" in words
        and str(tmp_path) in words
    )
    assert (
        words.endswith("the last good checkpoint (step 7) is untouched")
        and caught.value.errno == number
    )
    assert files(tmp_path) == [CURRENT] and load_checkpoint(tmp_path)[0]["step"] == 7


def test_a_refusal_between_the_two_renamings_leaves_the_last_state(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, small(7), label="step 7")
    real, calls = os.replace, []

    def second(*names):
        calls.append(names)
        if len(calls) == 2:
            raise OSError(errno.EIO, "Input/output error")
        real(*names)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", second)
        with pytest.raises(CheckpointNotSavedError, match=r"step 7\) is untouched"):
            save_checkpoint(tmp_path, small(8))
    assert load_checkpoint(tmp_path)[0]["step"] == 7
    save_checkpoint(tmp_path, small(9))
    assert load_checkpoint(tmp_path)[0]["step"] == 9


def test_a_file_in_the_way_and_no_state_before(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(CheckpointNotSavedError, match="there was none before"):
        save_checkpoint(tmp_path / "taken" / "run", small(1))


def test_a_write_that_really_stops_halfway(tmp_path):
    resource = pytest.importorskip("resource", reason="Windows has no limit on a file's size")
    save_checkpoint(tmp_path, small(1), label="step 1")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(
            CheckpointNotSavedError,
            match=r"File too large \(needed 4.2 MB.*\(step 1\) is untouched",
        ):
            save_checkpoint(tmp_path, {"w": torch.zeros(1 << 20)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files(tmp_path) == [CURRENT] and load_checkpoint(tmp_path)[0]["step"] == 1


WRITER = """
import sys
from pathlib import Path
import torch
from vit_tutorial.training.runtime.checkpoint import save_checkpoint
for step in range(1, 10**6):
    state = {"step": step, "w": torch.full((100_000,), float(step))}
    save_checkpoint(Path(sys.argv[1]), state, label=str(step))
    print(step, flush=True)
"""


@pytest.mark.slow
def test_a_process_killed_while_it_writes_leaves_a_whole_state(tmp_path):
    """It is killed in the middle of a write: what it had finished is the least that comes back."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, tmp_path], stdout=subprocess.PIPE, text=True
    ) as writer:
        for _ in range(5):
            done = int(writer.stdout.readline())
        until = time.monotonic() + 5
        while time.monotonic() < until and not list(tmp_path.glob(".*.partial")):
            pass
        writer.kill()
        done = max([done, *map(int, writer.stdout.read().split())])
    found, _ = load_checkpoint(tmp_path)
    assert found["step"] in (done, done + 1) and torch.all(found["w"] == found["step"])
    save_checkpoint(tmp_path, small(0))
    assert files(tmp_path) == [PREVIOUS, CURRENT]


def test_a_copy_elsewhere_is_whole_keeps_the_one_before_and_takes_other_files(tmp_path):
    here, there = tmp_path / "here", tmp_path / "drive" / "run"
    for step in (1, 2):
        save_checkpoint(here, small(step))
        (here / "run.json").write_text(f"{step}")
        copy_checkpoint(here, there, also=["run.json", "not there yet"])
    assert files(there) == [PREVIOUS, CURRENT, "run.json"]
    assert (there / CURRENT).read_bytes() == (here / CURRENT).read_bytes() and (
        there / "run.json"
    ).read_text() == "2"
    (there / CURRENT).unlink()
    assert load_checkpoint(there)[0]["step"] == 1


def test_a_copy_that_fails_names_the_other_folder_and_leaves_both(tmp_path, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "drive"
    save_checkpoint(here, small(1), label="step 1")
    copy_checkpoint(here, there)
    save_checkpoint(here, small(2), label="step 2")
    before = {path: path.read_bytes() for folder in (here, there) for path in folder.iterdir()}

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(states.shutil, "copyfileobj", full)
        with pytest.raises(
            CheckpointNotSavedError,
            match=r"drive was not brought up to date: No space.*\(step 1\) is untouched",
        ):
            copy_checkpoint(here, there)
    assert before == {
        path: path.read_bytes() for folder in (here, there) for path in folder.iterdir()
    }
    with pytest.raises(CheckpointNotSavedError, match="No such file"):
        copy_checkpoint(tmp_path / "nowhere", there)
