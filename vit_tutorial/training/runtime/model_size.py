"""How large a model is, before it is built: a mistyped number must not take all the memory."""

from ...model import ViTConfig


def weight_bytes(config: ViTConfig) -> int:
    """About how many bytes the float32 weights and position tables of `config` take.

    Within 5 % for models of over a million weights: biases and LayerNorms are left out.
    """
    c = config
    D, T = c.dim, c.num_tokens
    numbers = c.depth * (4 * D * D + 2 * D * c.mlp_dim) + c.patch_dim * D + D * c.num_classes
    tables = c.depth if c.position_site == "every_layer" else 1
    if c.position == "relative":
        numbers += tables * (2 * T * T + c.num_heads * 4 * c.num_patches)  # T x T indices, 8 bytes
    elif c.position != "none":
        numbers += tables * T * D
    return 4 * numbers


def require_memory(config: ViTConfig, free: int | None) -> None:
    """Raise ValueError when the weights of `config` alone take more than `free` bytes.

    free: as `machine.free_bytes` gives it; None where that is not known.
    """
    need = weight_bytes(config)
    if free is not None and need > free:
        raise ValueError(
            f"a model of width {config.dim}, {config.depth} blocks and {config.num_tokens} tokens "
            f"takes {need / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB of memory are free: make it "
            "smaller, or use fewer or larger patches"
        )
