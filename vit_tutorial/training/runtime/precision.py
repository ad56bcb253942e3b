"""Which number format to compute in: what is fast on the device, not everything it supports."""

import contextlib
import dataclasses
from pathlib import Path

import torch

from ...common.validation import require_choice

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclasses.dataclass(frozen=True)
class Precision:
    """What `choose_precision` chose: a name (fp32, bf16, fp16), the kind of device, and why."""

    name: str
    device_type: str
    reason: str

    def autocast(self):
        """A context in which matrix products run in this precision; in fp32 it does nothing."""
        if self.name == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.device_type, _DTYPES[self.name])

    def scaler(self) -> torch.amp.GradScaler:
        """Scales the loss in fp16, whose smallest normal number is 6e-5, so that small gradients
        survive; in the other formats it does nothing."""
        return torch.amp.GradScaler(self.device_type, enabled=self.name == "fp16")


def choose_precision(device: torch.device | str, wish: str = "auto") -> Precision:
    """The precision to train in on `device`: `wish`, or for "auto" what is fast on it.

    That is bf16 on GPUs of compute capability 8.0 and up and on CPUs that compute in bf16, fp16 on
    older GPUs (a T4 reports bf16 as supported and emulates it, ten times slower), else fp32.
    Raises ValueError for an unknown wish, or for fp16 on a CPU.
    """
    require_choice("precision", wish, PRECISIONS)
    kind = torch.device(device).type
    if wish == "fp16" and kind == "cpu":
        raise ValueError(
            "precision 'fp16' on a CPU: it is slow there and its gradients underflow. "
            "Use 'bf16', 'fp32' or 'auto'"
        )
    if wish != "auto":
        return Precision(wish, kind, "as asked for")
    if kind == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        name, why = ("bf16", "has bf16 units") if major >= 8 else ("fp16", "is fast in fp16 only")
        return Precision(name, kind, f"compute capability {major}.{minor} {why}")
    if kind == "cpu" and (units := cpu_bf16_units()):
        return Precision("bf16", kind, f"this CPU has {units}")
    return Precision("fp32", kind, f"no fast lower precision known on this {kind}")


def cpu_bf16_units() -> str:
    """The bf16 hardware of this CPU, as Linux reports it; "" for none.

    "bf16 matrix units" (AMX) or "bf16 dot products" (AVX-512 BF16 on x86, BF16 on Arm). torch has
    no public call for it that all versions since 2.6 share. On other systems: "", the safe answer.
    """
    try:
        flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    except OSError:
        return ""
    if "amx_bf16" in flags:
        return "bf16 matrix units"
    return "bf16 dot products" if flags & {"avx512_bf16", "bf16"} else ""


def cpu_has_bf16() -> bool:
    """Whether this CPU multiplies bf16 matrices in hardware (`cpu_bf16_units`)."""
    return cpu_bf16_units() != ""
