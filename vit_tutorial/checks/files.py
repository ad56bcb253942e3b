"""Cases and observations as files, so that a learner's function can run in one process and be judged in another.

safetensors and JSON only: nothing that is loaded can run code.
"""

import json
import os
from pathlib import Path

import safetensors.torch
import torch

from .case import Case, Module, Observation
from .check import Check
from .failure import Verdict

MAX_BYTES = 64_000_000
META = "cases"


def save(path: Path, tensors: dict[str, torch.Tensor], text: object) -> None:
    """Write whole or not at all."""
    path = Path(path)
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(
        safetensors.torch.save(
            {k: v.contiguous() for k, v in tensors.items()}, {META: json.dumps(text)}
        )
    )
    os.replace(temporary, path)


def load(path: Path) -> tuple[dict[str, torch.Tensor], object]:
    """The tensors and the text of a file that `save` wrote. Raises ValueError for anything else."""
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ValueError(f"{path.name} has {size:,} bytes, at most {MAX_BYTES:,} are read")
        with safetensors.safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            return tensors, json.loads((file.metadata() or {})[META])
    except (
        OSError,
        KeyError,
        json.JSONDecodeError,
        RecursionError,
        safetensors.SafetensorError,
    ) as error:
        raise ValueError(
            f"{path.name} cannot be read: {type(error).__name__}: {error}"[:300]
        ) from None


def save_cases(path: Path, cases: list[Case]) -> None:
    """All inputs of the cases, modules as recipes."""
    tensors, rows = {}, []
    for i, case in enumerate(cases):
        inputs = {}
        for name, value in case.inputs.items():
            if isinstance(value, torch.Tensor):
                tensors[f"{i}/{name}"] = value
                inputs[name] = {"tensor": f"{i}/{name}"}
            elif isinstance(value, Module):
                keys = {key: f"{i}/{name}/{key}" for key in value.state}
                tensors |= {keys[key]: tensor for key, tensor in value.state.items()}
                inputs[name] = {"module": value.kind, "settings": value.settings, "state": keys}
            elif isinstance(value, tuple):
                inputs[name] = {"tuple": list(value)}
            else:
                inputs[name] = {"value": value}
        rows.append(
            {"about": case.about, "grad": case.grad, "device": case.device, "inputs": inputs}
        )
    save(path, {key: tensor.detach().clone() for key, tensor in tensors.items()}, rows)


def load_cases(path: Path) -> list[Case]:
    """The cases that save_cases wrote."""
    tensors, rows = load(path)
    cases = []
    for row in rows:
        inputs = {}
        for name, entry in row["inputs"].items():
            if "tensor" in entry:
                inputs[name] = tensors[entry["tensor"]]
            elif "module" in entry:
                settings = {
                    k: tuple(v) if isinstance(v, list) else v for k, v in entry["settings"].items()
                }
                inputs[name] = Module(
                    entry["module"], settings, {k: tensors[v] for k, v in entry["state"].items()}
                )
            else:
                inputs[name] = tuple(entry["tuple"]) if "tuple" in entry else entry["value"]
        cases.append(Case(row["about"], inputs, row["grad"], row["device"]))
    return cases


def save_observations(path: Path, observations: list[Observation]) -> None:
    """What a learner's function gave on each case."""
    tensors = {
        f"{i}/{name}": t for i, seen in enumerate(observations) for name, t in seen.tensors.items()
    }
    rows = [{"tensors": list(seen.tensors), "facts": seen.facts} for seen in observations]
    save(path, tensors, rows)


def load_observations(path: Path, number: int) -> list[Observation]:
    """The observations of `number` cases. It comes from beside untrusted code: ValueError unless in form."""
    tensors, rows = load(path)
    if not isinstance(rows, list) or len(rows) != number:
        raise ValueError(
            f"{Path(path).name} does not hold the {number} observations that were asked for"
        )
    observations = []
    for i, row in enumerate(rows):
        if (
            not isinstance(row, dict)
            or not isinstance(row.get("facts"), dict)
            or not isinstance(row.get("tensors"), list)
        ):
            raise ValueError(f"observation {i} of {Path(path).name} is not in form")
        if any(f"{i}/{name}" not in tensors for name in row["tensors"]):
            raise ValueError(f"observation {i} of {Path(path).name} lacks a tensor that it names")
        observations.append(
            Observation(
                {name: tensors[f"{i}/{name}"] for name in row["tensors"]}, tidy(row["facts"])
            )
        )
    return observations


def tidy(facts: dict) -> dict:
    """The facts, each of the type that the judge expects; what is not, is left out."""
    kinds = {
        "error": str,
        "line": str,
        "backward_error": str,
        "types": dict,
        "devices": dict,
        "changed": list,
        "detached": list,
        "no_gradient": list,
        "values": dict,
    }
    kept = {key: value for key, value in facts.items() if isinstance(value, kinds.get(key, ()))}
    for key in ("error", "line", "backward_error"):
        if key in kept:
            kept[key] = kept[key][:400]
    for key in ("changed", "detached", "no_gradient"):
        if key in kept:
            kept[key] = [str(name)[:40] for name in kept[key][:8]]
    for key in ("types", "devices"):
        if key in kept:
            kept[key] = {
                str(name)[:40]: str(value)[:80] for name, value in list(kept[key].items())[:8]
            }
    return kept


def observe_file(check: Check, fn, cases_path: Path, result_path: Path) -> None:
    """Call fn on the cases of one file, write what came back into another."""
    save_observations(result_path, check.observe(fn, load_cases(cases_path)))


def judge_file(check: Check, seed: int, result_path: Path) -> Verdict:
    """The verdict on a file of observations; the cases are drawn anew from the seed. Never raises for a bad file."""
    cases = check.draw(seed)
    try:
        seen = load_observations(result_path, len(cases))
        return check.judge(cases, seen)
    except (
        Exception
    ) as error:  # whatever untrusted code left behind, one submission must not stop the others
        return Verdict(
            False,
            None,
            f"{check.name}: the result of your function could not be read. {type(error).__name__}: {error}"[
                :400
            ],
        )
