"""Cases and observations as bytes: a function runs in the sandbox and is judged outside.

The grader draws cases from a secret seed and packs them. The sandbox calls the function on them and
packs what came back; that is all that runs beside untrusted code. The grader then draws the same
cases again and judges. The bytes are safetensors and JSON: nothing that is unpacked can run code.
"""

import json
from collections.abc import Callable

import safetensors
import safetensors.torch
import torch

from vit_tutorial import checks
from vit_tutorial.checks import Verdict
from vit_tutorial.checks.engine.case import Case, ModuleRecipe, Observation

from ..reading.plain import one_line

MAX_BYTES = 64_000_000
MAX_HEADER = 2_000_000
MAX_TENSORS = 5_000  # the largest check has some hundred
_KEY = "cases"  # of the JSON text in the metadata
_FACTS = {  # that the judge reads, with their types
    "error": str,
    "line": str,
    "backward_error": str,
    "types": dict,
    "devices": dict,
    "changed": list,
    "detached": list,
    "no_gradient": list,
    "random": list,
    "values": dict,
}


def draw_cases(name: str, seed: int) -> bytes:
    """The cases of the check called `name`, for a seed that the learner does not know."""
    return pack_cases(checks.get(name).draw(seed))


def observe(name: str, fn: Callable, cases: bytes) -> bytes:
    """Call fn on the cases, and pack what came back."""
    return pack_observations(checks.get(name).observe(fn, unpack_cases(cases)))


def judge(name: str, seed: int, observed: bytes) -> Verdict:
    """The verdict on what `observe` gave, for the same name and seed. Bad bytes fail the check."""
    check = checks.get(name)
    cases = check.draw(seed)
    try:
        return check.judge(cases, unpack_observations(observed, len(cases)))
    except Exception as error:  # whatever one submission left behind must not stop the others
        message = (
            f"{name}: the result of your function could not be read. "
            f"{type(error).__name__}: {error}"
        )
        return Verdict(False, None, message[:400])


def pack(tensors: dict[str, torch.Tensor], text: object) -> bytes:
    """Tensors by name, and anything that JSON can hold."""
    contiguous = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
    return safetensors.torch.save(contiguous, {_KEY: json.dumps(text)})


def unpack(data: bytes) -> tuple[dict[str, torch.Tensor], object]:
    """What `pack` was given. Raises ValueError for anything else."""
    if len(data) > MAX_BYTES:
        raise ValueError(f"there are {len(data):,} bytes, at most {MAX_BYTES:,} are read")
    # safetensors reads metadata from files only. The header is JSON behind its length.
    end = 8 + int.from_bytes(data[:8], "little")
    if end - 8 > MAX_HEADER:
        raise ValueError(f"its header has {end - 8:,} bytes, at most {MAX_HEADER:,} are read")
    try:
        header = json.loads(data[8:end])
        if len(header) > MAX_TENSORS:
            raise ValueError(f"there are {len(header):,} tensors, at most {MAX_TENSORS:,} are read")
        return safetensors.torch.load(data), json.loads(header["__metadata__"][_KEY])
    except (KeyError, TypeError, ValueError, RecursionError, safetensors.SafetensorError) as error:
        raise ValueError(f"not readable: {type(error).__name__}: {error}"[:300]) from None


def pack_cases(cases: list[Case]) -> bytes:
    """All inputs of the cases, modules as recipes."""
    tensors, rows = {}, []
    for i, case in enumerate(cases):
        inputs = {}
        for name, value in case.inputs.items():
            if isinstance(value, torch.Tensor):
                tensors[f"{i}/{name}"] = value
                inputs[name] = {"tensor": f"{i}/{name}"}
            elif isinstance(value, ModuleRecipe):
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
    return pack(tensors, rows)


def unpack_cases(data: bytes) -> list[Case]:
    """The cases that pack_cases was given."""
    tensors, rows = unpack(data)
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
                state = {k: tensors[v] for k, v in entry["state"].items()}
                inputs[name] = ModuleRecipe(entry["module"], settings, state)
            else:
                inputs[name] = tuple(entry["tuple"]) if "tuple" in entry else entry["value"]
        cases.append(Case(row["about"], inputs, row["grad"], row["device"]))
    return cases


def pack_observations(observations: list[Observation]) -> bytes:
    """What a learner's function gave on each case."""
    tensors = {
        f"{i}/{name}": tensor
        for i, observation in enumerate(observations)
        for name, tensor in observation.tensors.items()
    }
    rows = [{"tensors": list(each.tensors), "facts": each.facts} for each in observations]
    return pack(tensors, rows)


def unpack_observations(data: bytes, number: int) -> list[Observation]:
    """The observations of `number` cases.

    They come from beside untrusted code: ValueError unless everything is in form.
    """
    tensors, rows = unpack(data)
    if not isinstance(rows, list) or len(rows) != number:
        raise ValueError(f"it does not hold the {number} observations that were asked for")
    observations = []
    for i, row in enumerate(rows):
        if (
            not isinstance(row, dict)
            or not isinstance(row.get("facts"), dict)
            or not isinstance(row.get("tensors"), list)
        ):
            raise ValueError(f"observation {i} is not in form")
        if any(f"{i}/{name}" not in tensors for name in row["tensors"]):
            raise ValueError(f"observation {i} lacks a tensor that it names")
        named = {name: tensors[f"{i}/{name}"] for name in row["tensors"]}
        observations.append(Observation(named, sanitise_facts(row["facts"])))
    return observations


def sanitise_facts(facts: dict) -> dict:
    """The facts of the types that the judge expects, cut to a size; all others are left out."""
    clean = {key: value for key, value in facts.items() if isinstance(value, _FACTS.get(key, ()))}
    for key in ("error", "line", "backward_error"):
        if key in clean:
            clean[key] = one_line(clean[key], 400)
    for key in ("changed", "detached", "no_gradient", "random"):
        if key in clean:
            clean[key] = [one_line(str(name)[:40]) for name in clean[key][:8]]
    for key in ("types", "devices"):
        if key in clean:
            pairs = list(clean[key].items())[:8]
            clean[key] = {
                one_line(str(name)[:40]): one_line(str(value)[:80]) for name, value in pairs
            }
    return clean
