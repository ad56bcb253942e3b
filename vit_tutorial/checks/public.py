"""What a learner calls: one function a check. Each prints one line when the learner's function passes, or raises CheckFailed."""

from collections.abc import Callable

from .catalogue import get
from .failure import CheckFailed


def run(name: str, fn: Callable, seed: int = 0) -> None:
    """Try fn; print the line, or raise CheckFailed. TypeError when fn cannot be called."""
    if not callable(fn):
        raise TypeError(
            f"{name} takes your function itself, got {type(fn).__name__}: write {name}(my_function), without brackets behind it"
        )
    check = get(name)
    cases = check.draw(seed)
    verdict = check.judge(cases, check.observe(fn, cases))
    if not verdict.passed:
        # "from None": what the learner's code raised stands in the message, with its line.
        raise CheckFailed(verdict.message, name, verdict.mistake) from None
    print(verdict.message)


def check_patchify(fn: Callable) -> None:
    """fn(images (B, C, H, W), patch_size P) -> patches (B, N, P*P*C): row by row, in each patch row by row, channel fastest."""
    run("check_patchify", fn)


def check_unpatchify(fn: Callable) -> None:
    """fn(patches (B, N, P*P*C), patch_size P, (H, W)) -> images (B, C, H, W): the inverse of patchify."""
    run("check_unpatchify", fn)


def check_linear_to_conv(fn: Callable) -> None:
    """fn(linear, patch_size P, channels C) -> nn.Conv2d that gives, for an image, what linear gives for its patches."""
    run("check_linear_to_conv", fn)


def check_prepend_class_token(fn: Callable) -> None:
    """fn(tokens (B, N, D), class_token (1, 1, D)) -> (B, N+1, D): the one token in front, the same for each image."""
    run("check_prepend_class_token", fn)


def check_add_position(fn: Callable) -> None:
    """fn(tokens (B, T, D), position (1, T, D)) -> (B, T, D): each token gets its own row, the same for each image."""
    run("check_add_position", fn)


def check_sincos_2d(fn: Callable) -> None:
    """fn((rows, cols), dim) -> (rows*cols, dim), float32: first half of dim from the row, second half from the column."""
    run("check_sincos_2d", fn)


def check_attention(fn: Callable) -> None:
    """fn(q, k, v), each (B, h, T, d) -> (output (B, h, T, d), weights (B, h, T, T))."""
    run("check_attention", fn)


def check_multi_head(fn: Callable) -> None:
    """fn(x (B, T, D), w_qkv (3D, D), b_qkv (3D), w_out (D, D), b_out (D), num_heads) -> (B, T, D)."""
    run("check_multi_head", fn)


def check_encoder_block(fn: Callable) -> None:
    """fn(x (B, T, D), norm1, attention, norm2, mlp) -> (B, T, D): the pre-norm block from four callables."""
    run("check_encoder_block", fn)


def check_vit_forward(fn: Callable) -> None:
    """fn(images (B, C, H, W), model) -> logits (B, classes), composed from the parts of a VisionTransformer."""
    run("check_vit_forward", fn)


def check_warmup_cosine(fn: Callable) -> None:
    """fn(step, total_steps, warmup_steps, peak) -> learning rate: up in a line from 0, then down to 0 along a cosine."""
    run("check_warmup_cosine", fn)


def check_evaluate(fn: Callable) -> None:
    """fn(model, images, labels, batch_size) -> accuracy from 0 to 1, over all images, in evaluation mode, without gradients."""
    run("check_evaluate", fn)
