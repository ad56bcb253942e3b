"""Cases and observations as bytes: observed in one process, judged in another, never believed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vit_classroom.sandbox import wire
from vit_tutorial import checks, patchify
from vit_tutorial.checks.engine.case import ModuleRecipe, Observation

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_observed_in_one_process_judged_in_another():
    code = (
        "import sys; from vit_classroom.sandbox import wire; from vit_tutorial import patchify\n"
        "flipped = lambda images, P: patchify(images, P).flip(1)\n"
        "cases = sys.stdin.buffer.read()\n"
        "sys.stdout.buffer.write(wire.observe('check_patchify', flipped, cases))"
    )
    cases = wire.draw_cases("check_patchify", 41)
    run = subprocess.run(
        [sys.executable, "-c", code], input=cases, capture_output=True, check=True, cwd=ROOT
    )
    verdict = wire.judge("check_patchify", 41, run.stdout)
    assert not verdict.passed and "reverse order along axis 1" in verdict.message


def test_right_numbers_for_other_cases_are_wrong():
    observed = wire.observe("check_patchify", patchify, wire.draw_cases("check_patchify", 41))
    assert wire.judge("check_patchify", 41, observed).passed
    assert not wire.judge("check_patchify", 42, observed).passed


@pytest.mark.parametrize("name", checks.names())
def test_cases_survive_the_way_through_bytes(name):
    drawn = checks.get(name).draw(3)
    read = wire.unpack_cases(wire.pack_cases(drawn))
    assert len(read) == len(drawn)
    for one, two in zip(drawn, read):
        assert (one.about, one.grad, one.device) == (two.about, two.grad, two.device)
        assert list(one.inputs) == list(two.inputs)
        for key, value in one.inputs.items():
            other = two.inputs[key]
            if isinstance(value, torch.Tensor):
                assert torch.equal(value, other) and value.dtype == other.dtype
            elif isinstance(value, ModuleRecipe):
                assert (value.kind, value.settings) == (other.kind, other.settings)
                assert all(torch.equal(t, other.state[k]) for k, t in value.state.items())
            else:
                assert value == other and type(value) is type(other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int64])
def test_observations_survive_the_way_through_bytes(dtype):
    tensors = {
        "full": torch.arange(6).reshape(2, 3).to(dtype),
        "empty": torch.empty(0, 3).to(dtype),
    }
    tensors["transposed"], tensors["number"] = tensors["full"].T, torch.tensor(2).to(dtype)
    facts = {"error": None, "changed": ["tokens"], "values": {"stride": "(1, 1)"}}
    (read,) = wire.unpack_observations(wire.pack_observations([Observation(tensors, facts)]), 1)
    for name, tensor in tensors.items():
        assert torch.equal(read.tensors[name], tensor) and read.tensors[name].dtype == dtype
    assert read.facts == {"changed": ["tokens"], "values": {"stride": "(1, 1)"}}


BAD = {
    "nothing": b"",
    "text": b"not safetensors",
    "0xff": b"\xff" * 5000,
    "a header that is no JSON": (9).to_bytes(8, "little") + b"{not JSON",
    "no metadata": (2).to_bytes(8, "little") + b"{}",
    "deep JSON": wire.pack({}, "x").replace(b'\\"x\\"', b"[" * 5),
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_bad_bytes_are_a_failed_check(content):
    verdict = wire.judge("check_patchify", 1, content)
    assert not verdict.passed and "could not be read" in verdict.message


def test_deep_metadata_is_a_failed_check():
    deep = json.dumps({"__metadata__": {"cases": "[" * 100_000}}).encode()
    verdict = wire.judge("check_patchify", 1, len(deep).to_bytes(8, "little") + deep)
    assert not verdict.passed and "could not be read" in verdict.message


def test_too_many_bytes_are_not_read(monkeypatch):
    observed = wire.observe("check_patchify", patchify, wire.draw_cases("check_patchify", 1))
    monkeypatch.setattr(wire, "MAX_BYTES", len(observed) - 1)
    verdict = wire.judge("check_patchify", 1, observed)
    assert not verdict.passed and f"there are {len(observed):,} bytes" in verdict.message


def test_forged_facts_are_no_right_answer():
    forged = {"values": None, "error": None, "changed": [], "types": 7}
    rows = [{"tensors": [], "facts": forged} for _ in checks.get("check_patchify").draw(1)]
    assert not wire.judge("check_patchify", 1, wire.pack({}, rows)).passed


def test_a_tensor_that_is_named_and_missing_is_a_failed_check():
    rows = [{"tensors": ["output"], "facts": {}} for _ in checks.get("check_patchify").draw(1)]
    verdict = wire.judge("check_patchify", 1, wire.pack({}, rows))
    assert not verdict.passed and "lacks a tensor that it names" in verdict.message


def test_facts_are_cut_to_their_types_and_sizes():
    facts = {"error": "x" * 1000, "changed": list(range(50)), "types": {"a": "b" * 500}, "mine": 1}
    clean = wire.sanitise_facts(facts | {"line": 3})
    assert clean == {
        "error": "x" * 400,
        "changed": [str(i) for i in range(8)],
        "types": {"a": "b" * 80},
    }
