"""Where the time of a piece of work goes: torch.profiler's operations in a few groups."""

from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, record_function

GROUPS = (
    "data",
    "matmul",
    "attention",
    "norm",
    "elementwise",
    "copies and casts",
    "optimizer",
    "the rest",
)
# The first group that has a part of an operation's name takes it.
PARTS = {
    "optimizer": ("adam", "muon", "foreach", "multi_tensor"),
    "attention": ("aten::_softmax", "scaled_dot_product", "flash", "fmha", "bmm", "baddbmm"),
    "matmul": (
        "aten::mm",
        "addmm",
        "aten::linear",
        "convolution",
        "gemm",
        "cutlass",
        "cublas",
        "nvjet",
        "mkldnn_linear",
    ),
    "norm": ("layer_norm", "layernorm"),
    "copies and casts": (
        "copy",
        "cat",
        "memcpy",
        "aten::to",
        "contiguous",
        "clone",
        "memset",
        "fill_",
        "zero_",
    ),
    "elementwise": (
        "gelu",
        "add",
        "mul",
        "div",
        "sum",
        "sub",
        "dropout",
        "elementwise",
        "reduce",
        "mean",
        "nll",
        "log",
    ),
}


def group_of(name: str) -> str:
    """The group of an operation (aten::mm) or of a GPU kernel, by its name."""
    name = name.lower()
    return next(
        (group for group in PARTS if any(part in name for part in PARTS[group])), "the rest"
    )


def profile(work: Callable[[], object], device: torch.device) -> list[dict]:
    """Rows (group, milliseconds, share, longest) of one call of `work`.

    An operation counts with its own time, without that of operations that it calls: on a CPU its
    own, on a GPU its kernels'. "data" is what happens inside `Batches.__next__` (choosing,
    shifting, normalising), whichever operations it uses. longest: the three that took longest.
    """
    from vit_tutorial.training.batches import Batches

    on_gpu = device.type == "cuda"
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if on_gpu else [])
    plain = Batches.__next__

    def marked(batches):
        with record_function("data"):
            return plain(batches)

    Batches.__next__ = marked
    try:
        with torch.profiler.profile(activities=activities) as profiled:
            work()
            if on_gpu:
                torch.cuda.synchronize(device)
    finally:
        Batches.__next__ = plain
    events = [event for event in profiled.events() if counts(event, on_gpu)]
    return add_up([(name(event), own_time(event, on_gpu)) for event in events])


def counts(event, on_gpu: bool) -> bool:
    """On a GPU an operation that started kernels; on a CPU every operation."""
    return event.device_type == torch.autograd.DeviceType.CPU and (
        not on_gpu or event.self_device_time_total > 0
    )


def own_time(event, on_gpu: bool) -> float:
    """Microseconds of the operation itself, or of its kernels."""
    return event.self_device_time_total if on_gpu else event.self_cpu_time_total


def name(event) -> str:
    """The operation's name, or "data" for all that is called inside the mark."""
    above = event
    while above is not None:
        if above.name == "data":
            return "data"
        above = above.cpu_parent
    return event.name


def add_up(times: list[tuple[str, float]]) -> list[dict]:
    """(name, microseconds) -> rows in the order of GROUPS; the shares add up to 1."""
    by_name: dict[str, float] = {}
    for operation, microseconds in times:
        by_name[operation] = by_name.get(operation, 0) + microseconds
    whole = sum(by_name.values())
    rows = []
    for group in GROUPS:
        mine = {
            op: spent
            for op, spent in by_name.items()
            if (op if op == "data" else group_of(op)) == group
        }
        longest = sorted(mine, key=mine.get, reverse=True)[:3]
        names = ", ".join(f"{op} {mine[op] / whole:.1%}" for op in longest if mine[op] > 0)
        spent = sum(mine.values())
        rows.append(
            dict(
                group=group,
                milliseconds=round(spent / 1e3, 1),
                share=round(spent / whole, 4),
                longest=names,
            )
        )
    return rows


def show(rows: list[dict]) -> None:
    print("\nwhere the time of our loop goes")
    for row in rows:
        print(f"  {row['group']:17} {row['share']:6.1%}   {row['longest']}")
