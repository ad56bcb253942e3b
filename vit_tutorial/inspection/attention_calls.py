"""See the attention weights that a module computes, whoever wrote it, without changing a bit.

Two ways lead from scores to an output, and both pass through functions of torch: the fused
F.scaled_dot_product_attention, or a softmax and a product with the values. A TorchFunctionMode
sees the calls of both and lets them do their work. nn.MultiheadAttention has a third way, one
kernel for everything, which a mode would switch off: its weights are computed a second time.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_SOFTMAX = {torch.softmax, Tensor.softmax, F.softmax, torch.special.softmax}
_PRODUCT = {torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.einsum}
# What may stand between the two and leaves the weights what they are, or drops some in training.
_BETWEEN = {F.dropout, torch.dropout, Tensor.to, Tensor.type_as, Tensor.type, Tensor.contiguous}
_BETWEEN |= {Tensor.half, Tensor.bfloat16, Tensor.float}


@dataclasses.dataclass(frozen=True)
class AttentionCall:
    """One computation of attention: its weights, and where a gradient of them can be read."""

    weights: Tensor  # (B, h, T, T) of the chosen heads, float32, before any dropout, no graph
    num_heads: int  # h of the module
    values: Tensor  # (B, h, T, d) of the chosen heads, no graph
    output: Tensor  # a tensor of the model's own graph
    to_heads: Callable[[Tensor], Tensor]  # gradient of `output` -> of weights @ values

    def gradient(self, of_output: Tensor) -> Tensor:
        """The gradient of the weights, (B, h, T, T), from that of `output`.

        The output of a head is A V, so dL/dA = (dL/d(A V)) V^T: the fused kernel need not be taken
        apart.
        """
        return self.to_heads(of_output).float() @ self.values.float().transpose(-2, -1)


class WatchAttention(TorchFunctionMode):
    """`with WatchAttention(heads) as seen:` collects AttentionCalls in `seen.calls`.

    heads: which ones to keep, or None for all.
    """

    def __init__(self, heads: Sequence[int] | None):
        super().__init__()
        self.heads = heads
        self.calls: list[AttentionCall] = []
        self._softmaxed: dict[int, tuple[Tensor, Tensor]] = {}  # id -> (the tensor, its copy)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func is F.scaled_dot_product_attention:
            self._fused(result, *args, **kwargs)
        elif func in _SOFTMAX and _over_tokens(result, *args, **kwargs):
            # Copied now: a dropout in place would change it.
            copy = choose_heads(result.detach(), self.heads).to(torch.float32, copy=True)
            self._softmaxed[id(result)] = result, copy
        elif func in _BETWEEN and args and id(args[0]) in self._softmaxed:
            self._softmaxed[id(result)] = result, self._softmaxed[id(args[0])][1]
        elif func in _PRODUCT:
            self._product(result, [x for x in args if isinstance(x, Tensor)])
        return result

    def _fused(
        self,
        result,
        query,
        key,
        value,
        attn_mask=None,
        dropout_p=0.0,
        is_causal=False,
        scale=None,
        enable_gqa=False,
    ) -> None:
        if query.ndim != 4 or query.shape[-2] != key.shape[-2]:
            return
        h = query.shape[1]
        with torch.no_grad():
            if enable_gqa:  # several heads of queries share one of keys and values
                key, value = (x.repeat_interleave(h // x.shape[1], dim=1) for x in (key, value))
            if attn_mask is not None:
                shape = (*query.shape[:-1], key.shape[-2])
                attn_mask = choose_heads(attn_mask.expand(shape), self.heads)
            q, k = (choose_heads(x, self.heads) for x in (query, key))
            weights = attention_weights(q, k, attn_mask, is_causal, scale)
        self._add(weights, h, value, result)

    def _product(self, result, tensors: list[Tensor]) -> None:
        weights = tensors[0] if len(tensors) == 2 else None
        if weights is None or id(weights) not in self._softmaxed:
            return
        # Talking heads multiply weights by a matrix of heads: those are no values of tokens.
        if tensors[1].ndim == 4 and tensors[1].shape[:-1] == weights.shape[:-1]:
            kept = self._softmaxed[id(weights)][1]
            self._add(kept, weights.shape[1], tensors[1], result)

    def _add(self, weights: Tensor, h: int, value: Tensor, result: Tensor) -> None:
        values = choose_heads(value.detach(), self.heads)
        self.calls.append(
            AttentionCall(weights, h, values, result, lambda g: choose_heads(g, self.heads))
        )


def multihead_call(
    module: nn.MultiheadAttention, tokens: Tensor, output: Tensor, heads: Sequence[int] | None
) -> AttentionCall:
    """The AttentionCall of an nn.MultiheadAttention that read `tokens` and gave `output`.

    Its one kernel keeps the weights to itself, so queries and keys are projected a second time.
    """

    def split(x: Tensor) -> Tensor:
        x = x if module.batch_first else x.transpose(0, 1)  # (B, T, D)
        x = x.unflatten(-1, (module.num_heads, -1)).transpose(1, 2)  # (B, h, T, d)
        return choose_heads(x, heads)

    with torch.no_grad():
        qkv = F.linear(tokens, module.in_proj_weight, module.in_proj_bias)  # (B, T, 3D)
        q, k, v = (split(x) for x in qkv.chunk(3, dim=-1))
        weights = attention_weights(q, k)
    to_heads = lambda g: split(g @ module.out_proj.weight)
    return AttentionCall(weights, module.num_heads, v, output, to_heads)


def attention_weights(
    q: Tensor,
    k: Tensor,
    mask: Tensor | None = None,
    causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """softmax(q k^T scale + mask), (B, h, T, T) in float32, of q, k (B, h, T, d).

    mask, causal, scale: as F.scaled_dot_product_attention takes them.
    """
    with torch.autocast(q.device.type, enabled=False):
        scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
        scores = q.float() @ k.float().transpose(-2, -1) * scale
        if causal:
            later = scores.new_ones(scores.shape[-2:]).triu(1).bool()
            scores = scores.masked_fill(later, -math.inf)
        if mask is not None:
            hidden = mask.dtype == torch.bool
            scores = scores.masked_fill(~mask, -math.inf) if hidden else scores + mask.float()
        return scores.softmax(dim=-1)


def choose_heads(x: Tensor, heads: Sequence[int] | None) -> Tensor:
    """The chosen heads of (B, h, ...), or all for None. Raises ValueError for a missing one."""
    if heads is None:
        return x
    h = x.shape[1]
    if wrong := [head for head in heads if not -h <= head < h]:
        raise ValueError(f"no head {wrong[0]}: this model has {h} heads, 0 to {h - 1}")
    return x[:, list(heads)]


def _over_tokens(result: Tensor, input, dim=None, *rest, **more) -> bool:
    """Whether a softmax ran over the last axis of (B, h, T, T)."""
    return result.ndim == 4 and result.shape[-2] == result.shape[-1] and dim in (-1, 3)
