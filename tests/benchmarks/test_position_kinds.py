"""The positions that lesson 14 draws: small, with a true card, and one command that makes them."""

import hashlib

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from script_common import script
from test_weights import small

from vit_tutorial import data

NAME = "position_kinds_shapes"


@pytest.fixture(scope="module")
def benchmark():
    return script("benchmarks/position_kinds.py")


def test_shipped_positions_and_their_card(benchmark):
    path = data.weights_path(f"{NAME}.safetensors")
    card = path.with_suffix(".md").read_text()
    assert path.stat().st_size < 20_000
    assert hashlib.sha256(path.read_bytes()).hexdigest() in card
    with safe_open(path, "pt") as file:
        accuracies = file.metadata()
    assert set(accuracies) == set(benchmark.KINDS)
    for kind, accuracy in accuracies.items():
        assert f"| test accuracy, {kind} | {accuracy} |" in card and float(accuracy) > 0.99


def test_what_lesson_14_says_about_them():
    tensors = load_file(data.weights_path(f"{NAME}.safetensors"))
    upper = torch.arange(16) < 8
    same = upper[:, None] == upper
    for kind in ("learned_1d", "learned_2d"):  # they know the half
        unit = torch.nn.functional.normalize(tensors[kind], dim=-1)
        cosine = unit @ unit.T
        assert cosine[same].mean() > cosine[~same].mean() + 0.5
    rows = tensors["learned_2d"].view(4, 4, 64)
    assert torch.equal(rows[:, :1, :32].expand(-1, 4, -1), rows[:, :, :32])
    # Row 0 of the offsets: the patch that is read lies three rows below its reader.
    looks_down = tensors["relative"][1].view(7, 7).mean(dim=1)
    assert looks_down[0] > 0.5 > 0 > looks_down[6]


def test_one_call_trains_and_writes_the_card(benchmark, tmp_path, monkeypatch, capsys):
    little = small()
    monkeypatch.setattr(benchmark.sources, "load", lambda *_, **__: little)
    words = ["position_kinds.py", "--epochs", "1", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", words)
    benchmark.main()
    tensors = load_file(tmp_path / f"{NAME}.safetensors")
    shapes = {kind: tuple(tensor.shape) for kind, tensor in tensors.items()}
    assert shapes == {"learned_1d": (16, 64), "learned_2d": (16, 64), "relative": (4, 49)}
    card = (tmp_path / f"{NAME}.md").read_text()
    assert "`python benchmarks/position_kinds.py --epochs 1`" in card and str(tmp_path) not in card
    assert "relative: test accuracy" in capsys.readouterr().out
