"""What step.py and loop.py share: the four libraries' models, FLOPs, and compiling anew."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import common
import timm
import torch
import vit_pytorch
from measured import wait
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.vision_transformer import VisionTransformer as TorchvisionViT

from vit_tutorial import VisionTransformer, ViTConfig
from vit_tutorial.model import MultiHeadSelfAttention

PACKAGES = ("torch", "torchvision", "timm", "vit-pytorch")


def ours(size: dict, fused: bool | None = None) -> torch.nn.Module:
    model = VisionTransformer(ViTConfig(**size))
    for part in model.modules():
        if isinstance(part, MultiHeadSelfAttention):
            part.fused = fused
    return model


def timms(size: dict, fused: bool) -> torch.nn.Module:
    s = size
    model = timm.models.vision_transformer.VisionTransformer(
        img_size=s["image_size"],
        patch_size=s["patch_size"],
        num_classes=s["num_classes"],
        embed_dim=s["dim"],
        depth=s["depth"],
        num_heads=s["num_heads"],
        mlp_ratio=s["mlp_dim"] / s["dim"],
    )
    for block in model.blocks:
        block.attn.fused_attn = fused
    return model


def vit_pytorchs(size: dict) -> torch.nn.Module:
    s = {name: value for name, value in size.items() if name != "num_heads"}
    return vit_pytorch.ViT(**s, heads=size["num_heads"], dim_head=size["dim"] // size["num_heads"])


def torchvisions(size: dict) -> torch.nn.Module:
    s = size
    return TorchvisionViT(
        s["image_size"],
        s["patch_size"],
        s["depth"],
        s["num_heads"],
        s["dim"],
        s["mlp_dim"],
        num_classes=s["num_classes"],
    )


# (library, attention): how to build it. By themselves timm and torchvision choose the fused call,
# vit-pytorch the explicit form.
MODELS = {
    ("vit_tutorial", "explicit"): lambda size: ours(size, fused=False),
    ("vit_tutorial", "fused"): lambda size: ours(size, fused=True),
    ("timm", "fused"): lambda size: timms(size, fused=True),
    ("timm", "explicit"): lambda size: timms(size, fused=False),
    ("vit-pytorch", "explicit"): vit_pytorchs,
    ("torchvision", "fused"): torchvisions,
}


def sizes(dim: int, depth: int, heads: int) -> dict:
    """What every model is built from: images of 32 x 32 pixels, patches of 4 x 4, an MLP of 4 D."""
    return dict(
        image_size=32,
        patch_size=4,
        num_classes=10,
        dim=dim,
        depth=depth,
        num_heads=heads,
        mlp_dim=4 * dim,
    )


def step_flops(size: dict) -> int:
    """FLOPs of a training step for one image.

    The forward pass as torch counts it (matrix products; additions and multiplications one each),
    and twice that for the backward pass. Of our model; a test says that the others have as many.
    """
    side = size["image_size"]
    with torch.device("meta"):  # shapes without memory
        model, image = ours(size, fused=False), torch.empty(1, 3, side, side)
    with FlopCounterMode(display=False) as counter:
        model(image)
    return 3 * counter.get_total_flops()


def matmul_peak(
    device: torch.device, dtype: torch.dtype, sides: tuple[int, ...] | None = None, tries: int = 5
) -> float:
    """FLOPs a second of the fastest square matrix product among `sides`.

    Each is tried `tries` times after a warm-up.
    """
    best = 0.0
    for side in sides or ((1024, 2048) if device.type == "cpu" else (4096, 8192)):
        a, b = torch.randn(2, side, side, device=device).to(dtype).unbind()
        count = 1 if device.type == "cpu" else 20
        a @ b
        for _ in range(tries):
            wait(device)
            start = time.perf_counter()
            for _ in range(count):
                a @ b
            wait(device)
            best = max(best, count * 2 * side**3 / (time.perf_counter() - start))
    return best


@contextlib.contextmanager
def compiled_anew() -> Iterator[None]:
    """An empty kernel cache in the block: nothing that an earlier run left on the disk counts."""
    from torch._inductor import utils

    fresh = getattr(utils, "fresh_cache", None) or getattr(
        utils, "fresh_inductor_cache", contextlib.nullcontext
    )
    with fresh():
        yield


def failed(error: Exception) -> str:
    """What the table says of a model that could not be compiled."""
    first_line = (str(error).strip().splitlines() or [""])[0]
    return f"left out: {type(error).__name__} in compiling: {first_line}"


def about(device: torch.device, script: str, options) -> dict:
    """The last columns of both tables: sizes and provenance."""
    hardware, info = common.processor(device), Path("/proc/cpuinfo")
    if device.type == "cpu" and info.exists() and "amx_bf16" in info.read_text(encoding="utf-8"):
        hardware += ", bf16 matrix units"
    return common.provenance(
        script,
        hardware,
        packages=PACKAGES,
        width=options.dim,
        depth=options.depth,
        heads=options.heads,
        patch=4,
        tokens=65,
        batch=options.batch,
        rounds=options.rounds,
        threads="" if device.type == "cuda" else torch.get_num_threads(),
    )
