"""Attention of one head after the other, and multi-head attention from joined weights."""

import math

import einops
import torch
import torch.nn as nn
import torch.nn.functional as F

from . import known, right, two, unknown

ATT, HEADS = "check_attention", "check_multi_head"


# Attention, one mistake.


@known(ATT, "scale_by_model_width")
def att_model_width(q, k, v):
    B, h, T, d = q.shape
    dim = h * d
    dots = torch.einsum("bhid,bhjd->bhij", q, k) / dim**0.5
    attn = dots.softmax(dim=-1)
    return torch.einsum("bhij,bhjd->bhid", attn, v), attn


@known(ATT, "scale_by_model_width")
def att_model_width_merged(q, k, v):
    width = q.transpose(1, 2).flatten(2).shape[-1]
    weights = F.softmax(q @ k.transpose(-2, -1) / math.sqrt(width), dim=-1)
    return weights @ v, weights


@known(ATT, "scale_by_d")
def att_by_d(q, k, v):
    scale = q.size(-1) ** -1
    w = torch.softmax(scale * (q @ k.mT), -1)
    return w @ v, w


@known(ATT, "scale_by_d")
def att_by_d_mean(q, k, v):
    scores = (q[:, :, :, None] * k[:, :, None]).mean(-1)
    w = scores.softmax(-1)
    return (w[..., None] * v[:, :, None]).sum(-2), w


@known(ATT, "no_scale")
def att_no_scale(q, k, v):
    w = torch.matmul(q, k.permute(0, 1, 3, 2)).softmax(dim=3)
    return w.matmul(v), w


@known(ATT, "no_scale")
def att_no_scale_sdpa(q, k, v):
    out = F.scaled_dot_product_attention(q, k, v, scale=1.0)
    return out, F.softmax(q @ k.mT, dim=-1)


@known(ATT, "multiplied_by_root")
def att_multiplied(q, k, v):
    w = F.softmax(q @ k.mT * math.sqrt(q.shape[-1]), dim=-1)
    return w @ v, w


@known(ATT, "scaled_after_softmax")
def att_scaled_after(q, k, v):
    attn = torch.softmax(q @ k.transpose(2, 3), dim=-1) / math.sqrt(k.shape[-1])
    return attn @ v, attn


@known(ATT, "scaled_after_softmax")
def att_scaled_after_heads(q, k, v):
    outs, ws = [], []
    for i in range(q.shape[1]):
        w = F.softmax(q[:, i] @ k[:, i].mT, dim=-1)
        w = w * q.shape[-1] ** -0.5
        outs.append(w @ v[:, i])
        ws.append(w)
    return torch.stack(outs, 1), torch.stack(ws, 1)


@known(ATT, "softmax_over_queries")
def att_over_queries(q, k, v):
    w = F.softmax(q @ k.mT / q.shape[-1] ** 0.5, dim=2)
    return w @ v, w


@known(ATT, "softmax_over_heads")
def att_over_heads(q, k, v):
    w = nn.Softmax(dim=1)(q @ k.mT / q.shape[-1] ** 0.5)
    return w @ v, w


@unknown(ATT, "softmax_over_batch")  # and exp overflows
def att_over_batch(q, k, v):
    scores = q @ k.mT / q.shape[-1] ** 0.5
    e = scores.exp()
    w = e / e.sum(0)
    return w @ v, w


@known(ATT, "softmax_over_batch")
def att_over_batch_f(q, k, v):
    w = (q @ k.mT / q.shape[-1] ** 0.5).softmax(0)
    return w @ v, w


@known(ATT, "softmax_forgotten")
def att_no_softmax(q, k, v):
    w = q @ k.mT / q.shape[-1] ** 0.5
    return w @ v, w


@known(ATT, "scores_returned")
def att_returns_scores(q, k, v):
    scores = torch.einsum("bhqd,bhkd->bhqk", q, k) * q.shape[-1] ** -0.5
    return F.scaled_dot_product_attention(q, k, v), scores


@known(ATT, "scores_returned")
def att_returns_unscaled_scores(q, k, v):
    scores = q @ k.mT
    return (scores / q.shape[-1] ** 0.5).softmax(-1) @ v, scores


@known(ATT, "keys_reshaped")
def att_keys_view(q, k, v):
    B, h, T, d = k.shape
    w = F.softmax(q @ k.contiguous().view(B, h, d, T) / d**0.5, dim=-1)
    return w @ v, w


@known(ATT, "queries_and_keys_exchanged")
def att_exchanged(q, k, v):
    w = ((k @ q.mT) / q.shape[-1] ** 0.5).softmax(-1)
    return w @ v, w


@known(ATT, "queries_and_keys_exchanged")
def att_exchanged_sdpa(q, k, v):
    w = torch.einsum("bhid,bhjd->bhji", q, k).div(math.sqrt(q.shape[-1])).softmax(-1)
    return F.scaled_dot_product_attention(k, q, v), w


@known(ATT, "weights_transposed")
def att_weights_transposed(q, k, v):
    w = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
    return torch.einsum("bhij,bhid->bhjd", w, v), w


@known(ATT, "keys_read")
def att_keys_read(q, k, v):
    w = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
    return w @ k, w


@known(ATT, "causal_mask")
def att_causal(q, k, v):
    T = q.shape[2]
    mask = torch.tril(torch.ones(T, T, device=q.device))
    scores = (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(mask == 0, float("-inf"))
    w = scores.softmax(-1)
    return w @ v, w


@known(ATT, "causal_mask")
def att_causal_sdpa(q, k, v):
    out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    bias = torch.full((q.shape[2], q.shape[2]), -1e9, dtype=q.dtype, device=q.device).triu(1)
    return out, (q @ k.mT / q.shape[-1] ** 0.5 + bias).softmax(-1)


@known(ATT, "mask_of_the_wrong_sign")
def att_mask_wrong_sign(q, k, v):
    T = q.shape[2]
    mask = torch.ones(T, T, dtype=torch.bool, device=q.device).tril()
    scores = (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(mask, -1e9)
    w = scores.softmax(-1)
    return w @ v, w


@known(ATT, "mask_of_the_wrong_sign")
def att_mask_wrong_sign_inf(q, k, v):
    T = q.shape[2]
    keep = torch.triu(torch.ones(T, T, device=q.device), diagonal=1).bool()
    scores = (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(~keep, float("-inf"))
    w = scores.softmax(-1)
    return w @ v, w


@known(ATT, "mask_of_the_wrong_sign")
def att_mask_wrong_sign_triu(q, k, v):
    T = q.shape[2]
    future = torch.ones(T, T, dtype=torch.bool, device=q.device).triu()
    w = (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(~future, float("-inf")).softmax(-1)
    return w @ v, w


@known(ATT, "results_exchanged")
def att_results_exchanged(q, k, v):
    w = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
    return w, w @ v


@known(ATT, "weights_not_returned")
def att_alone(q, k, v):
    return F.scaled_dot_product_attention(q, k, v)


@known(ATT, "weights_not_returned")
def att_alone_by_hand(q, k, v):
    return (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v


@known(ATT, "dropout_left_on")
def att_dropout(q, k, v):
    w = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
    w = nn.Dropout(0.1)(w)
    return w @ v, w


@known(ATT, "dropout_left_on")
def att_dropout_f(q, k, v, p=0.3):
    w = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
    w = F.dropout(w, p)
    return w @ v, w


@known(ATT, "not_written")
def att_not_written(q, k, v):
    raise NotImplementedError("attention")


@known(ATT, "nothing_returned")
def att_nothing(q, k, v):
    w = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
    w @ v


@known(ATT, "changed_input")
def att_scales_q_in_place(q, k, v):
    q *= q.shape[-1] ** -0.5
    w = (q @ k.mT).softmax(-1)
    return w @ v, w


@known(ATT, "changed_input")
def att_div_in_place(q, k, v):
    w = q.div_(math.sqrt(q.shape[-1])).matmul(k.transpose(-1, -2)).softmax(-1)
    return w @ v, w


@known(ATT, "wrong_dtype")
def att_float(q, k, v):
    w = (q.float() @ k.float().mT / q.shape[-1] ** 0.5).softmax(-1)
    return w @ v.float(), w


@known(ATT, "wrong_dtype")
def att_float_softmax(q, k, v):
    w = F.softmax(q @ k.mT / q.shape[-1] ** 0.5, dim=-1, dtype=torch.float32)
    return w @ v.float(), w


@known(ATT, "wrong_device")
def att_into_cpu_zeros(q, k, v):
    out = torch.zeros(q.shape, dtype=q.dtype)
    w = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
    for i in range(q.shape[1]):
        out[:, i] = w[:, i] @ v[:, i]
    return out, w


@known(ATT, "detached")
def att_detached(q, k, v):
    with torch.no_grad():
        w = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
        return w @ v, w


d = 16  # as in the lesson's notebook


@known(ATT, "wrong_divisor")
def att_notebooks_own_width(q, k, v):
    w = (q @ k.transpose(-2, -1) / d**0.5).softmax(dim=-1)
    return w @ v, w


@known(ATT, "wrong_divisor")
def att_root_of_tokens(q, k, v):
    B, h, T, width = q.shape
    w = torch.einsum("bhid,bhjd->bhij", q, k).div(T**0.5).softmax(-1)
    return torch.einsum("bhij,bhjd->bhid", w, v), w


@known(ATT, "wrong_divisor")
def att_root_of_axis_1(q, k, v):
    w = F.softmax(torch.matmul(q, k.mT) / math.sqrt(q.size(1) + q.size(2)), dim=-1)
    return torch.matmul(w, v), w


@known(ATT, "all_axes_reversed")
def att_capital_t(q, k, v):
    scores = q @ k.permute(*range(k.ndim - 1, -1, -1)) / q.shape[-1] ** 0.5
    w = scores.softmax(-1)
    return w @ v, w


@known(ATT, "transpose_without_axes")
def att_as_numpy(q, k, v):
    w = torch.softmax(torch.matmul(q, k.transpose()) / math.sqrt(q.shape[-1]), dim=-1)
    return w @ v, w


@known(ATT, "keys_not_transposed")
def att_q_times_k(q, k, v):
    w = (torch.matmul(q, k) * q.shape[-1] ** -0.5).softmax(dim=-1)
    return torch.matmul(w, v), w


# Attention, mistakes of no name.


@known(ATT, "sign_of_the_scores")
def att_negative_scores(q, k, v):
    w = (-(q @ k.mT) / q.shape[-1] ** 0.5).softmax(-1)
    return w @ v, w


@known(ATT, "cosine_scores")
def att_cosine(q, k, v):
    w = (F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).mT).softmax(-1)
    return w @ v, w


@known(ATT, "sigmoid_for_softmax")
def att_sigmoid(q, k, v):
    w = (q @ k.mT / q.shape[-1] ** 0.5).sigmoid()
    return w @ v, w


@unknown(ATT)
def att_no_reading_of_oneself(q, k, v):
    scores = q @ k.mT / q.shape[-1] ** 0.5
    scores = scores - 1e4 * torch.eye(q.shape[2], dtype=q.dtype, device=q.device)
    w = scores.softmax(-1)
    return w @ v, w


@unknown(ATT)
def att_head_0_for_all(q, k, v):
    w = (q[:, :1] @ k[:, :1].mT / q.shape[-1] ** 0.5).softmax(-1).expand(-1, q.shape[1], -1, -1)
    return w @ v, w


@known(ATT, "softmax_twice")
def att_softmax_twice(q, k, v):
    w = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1).softmax(-1)
    return w @ v, w


@known(ATT, "averaged_over_heads")
def att_mean_weights(q, k, v):
    w = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
    return w @ v, w.mean(1)


# Attention, two at once.


@two(ATT, "no_scale", "softmax_over_queries")
def att_two_no_scale_queries(q, k, v):
    w = (q @ k.mT).softmax(2)
    return w @ v, w


@two(ATT, "scale_by_model_width", "causal_mask")
def att_two_width_causal(q, k, v):
    B, h, T, d = q.shape
    mask = torch.ones(T, T, dtype=torch.bool, device=q.device).triu(1)
    w = (q @ k.mT / (h * d) ** 0.5).masked_fill(mask, -torch.inf).softmax(-1)
    return w @ v, w


@two(ATT, "scores_returned", "no_scale")
def att_two_scores_no_scale(q, k, v):
    scores = q @ k.mT
    return scores.softmax(-1) @ v, scores


@two(ATT, "keys_reshaped", "keys_read")
def att_two_keys(q, k, v):
    w = (q @ k.reshape(*k.shape[:2], k.shape[3], k.shape[2]) / k.shape[3] ** 0.5).softmax(-1)
    return w @ k, w


@two(ATT, "weights_not_returned", "no_scale")
def att_two_alone_no_scale(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, scale=1)


# Attention, right.


@right(ATT)
def att_vmap(q, k, v):
    def one(q, k, v):
        w = torch.softmax(q @ k.T / math.sqrt(q.shape[-1]), -1)
        return w @ v, w

    return torch.vmap(torch.vmap(one))(q, k, v)


@right(ATT)
def att_module(q, k, v):
    class Attention(nn.Module):
        def __init__(self, d):
            super().__init__()
            self.scale = d**-0.5
            self.softmax = nn.Softmax(dim=-1)

        def forward(self, q, k, v):
            weights = self.softmax(q @ k.transpose(-2, -1) * self.scale)
            return weights @ v, weights

    return Attention(q.size(3)).eval()(q, k, v)


@right(ATT)
def att_bmm(q, k, v):
    B, h, T, d = q.shape
    q, k, v = (x.reshape(B * h, T, d) for x in (q, k, v))
    weights = torch.bmm(q * d**-0.25, k.transpose(1, 2) * d**-0.25).softmax(-1)
    return torch.bmm(weights, v).view(B, h, T, d), weights.view(B, h, T, T)


@right(ATT)
def att_identity_values(q, k, v, need_weights=True):
    eye = torch.eye(k.shape[2], dtype=k.dtype, device=k.device).expand(*k.shape[:2], -1, -1)
    weights = F.scaled_dot_product_attention(q, k, eye)
    return weights @ v, weights


@right(ATT)
def att_list_of_two(q, k, v):
    scores = torch.einsum("...id,...jd->...ij", q / q.shape[-1] ** 0.5, k)
    log_weights = scores - scores.logsumexp(-1, keepdim=True)
    return [einops.einsum(log_weights.exp(), v, "b h i j, b h j d -> b h i d"), log_weights.exp()]


@right(ATT)
def att_views(q, k, v):
    weights = F.softmax((k @ q.mT).mT / q.shape[-1] ** 0.5, -1)
    return (v.mT @ weights.mT).mT, weights


@right(ATT)
def att_double_inside(q, k, v):
    w = F.softmax(q.double() @ k.double().mT / q.shape[-1] ** 0.5, dim=-1)
    return (w @ v.double()).to(q.dtype), w.to(q.dtype)


# Many heads, one mistake.


def read(q, k, v, scale=None):
    return F.scaled_dot_product_attention(q, k, v, scale=scale)


def parts(x, w_qkv, b_qkv, h):
    """(3, B, h, T, d)"""
    return einops.rearrange(F.linear(x, w_qkv, b_qkv), "b t (s h d) -> s b h t d", s=3, h=h)


def merge(z):
    return z.transpose(1, 2).flatten(2)


@known(HEADS, "heads_merged_without_permute")
def heads_merged(x, w_qkv, b_qkv, w_out, b_out, num_heads):
    B, T, D = x.shape
    qkv = (x @ w_qkv.t() + b_qkv).view(B, T, 3, num_heads, D // num_heads).permute(2, 0, 3, 1, 4)
    q, k, v = qkv.unbind(0)
    attn = ((q @ k.transpose(-2, -1)) * (D // num_heads) ** -0.5).softmax(dim=-1)
    return (attn @ v).reshape(B, T, D) @ w_out.t() + b_out


@known(HEADS, "heads_split_without_permute")
def heads_split(x, w_qkv, b_qkv, w_out, b_out, num_heads):
    B, T, D = x.shape
    q, k, v = F.linear(x, w_qkv, b_qkv).chunk(3, dim=-1)
    q, k, v = (t.reshape(B, num_heads, T, D // num_heads) for t in (q, k, v))
    return F.linear(read(q, k, v).reshape(B, T, D), w_out, b_out)


@known(HEADS, "split_alone_without_permute")
def heads_split_alone(x, w_qkv, b_qkv, w_out, b_out, num_heads):
    B, T, D = x.shape
    q, k, v = F.linear(x, w_qkv, b_qkv).chunk(3, dim=-1)
    q, k, v = (t.contiguous().view(B, num_heads, T, -1) for t in (q, k, v))
    return F.linear(merge(read(q, k, v)), w_out, b_out)


@known(HEADS, "keys_first")
def heads_kqv(x, w_qkv, b_qkv, w_out, b_out, h):
    k, q, v = parts(x, w_qkv, b_qkv, h)
    return F.linear(merge(read(q, k, v)), w_out, b_out)


@known(HEADS, "values_second")
def heads_qvk(x, w_qkv, b_qkv, w_out, b_out, h):
    D = x.shape[-1]
    wq, wv, wk = w_qkv.split(D)
    bq, bv, bk = b_qkv.split(D)
    cut = lambda t: t.unflatten(-1, (h, -1)).transpose(1, 2)
    q, k, v = cut(F.linear(x, wq, bq)), cut(F.linear(x, wk, bk)), cut(F.linear(x, wv, bv))
    return F.linear(merge(read(q, k, v)), w_out, b_out)


@known(HEADS, "values_first")
def heads_vkq(x, w_qkv, b_qkv, w_out, b_out, h):
    q, k, v = parts(x, w_qkv, b_qkv, h).flip(0)
    return F.linear(merge(read(q, k, v)), w_out, b_out)


@known(HEADS, "values_then_queries")
def heads_vqk(x, w_qkv, b_qkv, w_out, b_out, h):
    v, q, k = parts(x, w_qkv, b_qkv, h)
    return F.linear(merge(read(q, k, v)), w_out, b_out)


@known(HEADS, "keys_then_values")
def heads_kvq(x, w_qkv, b_qkv, w_out, b_out, h):
    k, v, q = F.linear(x, w_qkv, b_qkv).chunk(3, -1)
    q, k, v = (einops.rearrange(t, "b t (h d) -> b h t d", h=h) for t in (q, k, v))
    return F.linear(merge(read(q, k, v)), w_out, b_out)


@known(HEADS, "shared_projection")
def heads_shared(x, w_qkv, b_qkv, w_out, b_out, h):
    D = x.shape[-1]
    y = F.linear(x, w_qkv[:D], b_qkv[:D]).unflatten(-1, (h, D // h)).transpose(1, 2)
    return F.linear(merge(read(y, y, y)), w_out, b_out)


@known(HEADS, "shared_projection")
def heads_shared_values(x, w_qkv, b_qkv, w_out, b_out, h):
    v = parts(x, w_qkv, b_qkv, h)[2]
    return F.linear(merge(read(v, v, v)), w_out, b_out)


@known(HEADS, "queries_are_keys")
def heads_queries_are_keys(x, w_qkv, b_qkv, w_out, b_out, h):
    D = x.shape[-1]
    proj = lambda i: (
        F.linear(x, w_qkv[i * D : (i + 1) * D], b_qkv[i * D : (i + 1) * D])
        .unflatten(-1, (h, -1))
        .transpose(1, 2)
    )
    return F.linear(merge(read(proj(0), proj(0), proj(2))), w_out, b_out)


@known(HEADS, "queries_are_keys")
def heads_keys_are_queries(x, w_qkv, b_qkv, w_out, b_out, h):
    q, k, v = parts(x, w_qkv, b_qkv, h)
    return F.linear(merge(read(k, k, v)), w_out, b_out)


@known(HEADS, "output_projection_missing")
def heads_no_output(x, w_qkv, b_qkv, w_out, b_out, h):
    q, k, v = parts(x, w_qkv, b_qkv, h)
    return einops.rearrange(read(q, k, v), "b h t d -> b t (h d)")


@known(HEADS, "qkv_bias_forgotten")
def heads_no_qkv_bias(x, w_qkv, b_qkv, w_out, b_out, h):
    q, k, v = parts(x, w_qkv, None, h)
    return F.linear(merge(read(q, k, v)), w_out, b_out)


@known(HEADS, "output_bias_forgotten")
def heads_no_output_bias(x, w_qkv, b_qkv, w_out, b_out, h):
    q, k, v = parts(x, w_qkv, b_qkv, h)
    return merge(read(q, k, v)) @ w_out.T


@known(HEADS, "both_biases_forgotten")
def heads_no_bias(x, w_qkv, b_qkv, w_out, b_out, h):
    q, k, v = einops.rearrange(x @ w_qkv.T, "b t (s h d) -> s b h t d", s=3, h=h)
    return merge(read(q, k, v)) @ w_out.T


@known(HEADS, "scale_by_model_width")
def heads_model_width(x, w_qkv, b_qkv, w_out, b_out, h):
    q, k, v = parts(x, w_qkv, b_qkv, h)
    attn = (q @ k.mT / x.shape[-1] ** 0.5).softmax(-1)
    return F.linear(merge(attn @ v), w_out, b_out)


@known(HEADS, "no_scale")
def heads_no_scale(x, w_qkv, b_qkv, w_out, b_out, h):
    q, k, v = parts(x, w_qkv, b_qkv, h)
    return F.linear(merge(read(q, k, v, scale=1.0)), w_out, b_out)


@known(HEADS, "softmax_over_queries")
def heads_over_queries(x, w_qkv, b_qkv, w_out, b_out, h):
    d = x.shape[-1] // h
    q, k, v = F.linear(x, w_qkv, b_qkv).chunk(3, dim=-1)
    out = []
    for i in range(h):
        s = slice(i * d, (i + 1) * d)
        w = (q[..., s] @ k[..., s].mT / d**0.5).softmax(dim=1)
        out.append(w @ v[..., s])
    return F.linear(torch.cat(out, -1), w_out, b_out)


@known(HEADS, "one_head")
def heads_one_head(x, w_qkv, b_qkv, w_out, b_out, num_heads):
    q, k, v = (x @ w_qkv.T + b_qkv).chunk(3, dim=-1)
    w = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
    return w @ v @ w_out.T + b_out


@known(HEADS, "heads_interleaved")
def heads_interleaved(x, w_qkv, b_qkv, w_out, b_out, h):
    q, k, v = einops.rearrange(F.linear(x, w_qkv, b_qkv), "b t (s d h) -> s b h t d", s=3, h=h)
    return F.linear(einops.rearrange(read(q, k, v), "b h t d -> b t (d h)"), w_out, b_out)


@known(HEADS, "heads_interleaved")
def heads_interleaved_split(x, w_qkv, b_qkv, w_out, b_out, h):
    B, T, D = x.shape
    q, k, v = F.linear(x, w_qkv, b_qkv).view(B, T, 3, D // h, h).permute(2, 0, 4, 1, 3)
    return F.linear(read(q, k, v).transpose(1, 2).reshape(B, T, D), w_out, b_out)


@known(HEADS, "qkv_in_each_head")
def heads_qkv_in_each(x, w_qkv, b_qkv, w_out, b_out, h):
    B, T, D = x.shape
    qkv = F.linear(x, w_qkv, b_qkv).reshape(B, T, h, 3 * D // h).transpose(1, 2)
    q, k, v = qkv.chunk(3, dim=-1)
    return F.linear(merge(read(q, k, v)), w_out, b_out)


@known(HEADS, "weight_not_transposed")
def heads_output_not_transposed(x, w_qkv, b_qkv, w_out, b_out, h):
    q, k, v = parts(x, w_qkv, b_qkv, h)
    return torch.einsum("btd,de->bte", merge(read(q, k, v)), w_out) + b_out


@known(HEADS, "residual_added")
def heads_residual(x, w_qkv, b_qkv, w_out, b_out, h):
    q, k, v = parts(x, w_qkv, b_qkv, h)
    return x + F.linear(merge(read(q, k, v)), w_out, b_out)


@known(HEADS, "not_written")
def heads_not_written(x, w_qkv, b_qkv, w_out, b_out, num_heads):
    raise NotImplementedError("multi-head attention")


@known(HEADS, "nothing_returned")
def heads_nothing(x, w_qkv, b_qkv, w_out, b_out, h):
    q, k, v = parts(x, w_qkv, b_qkv, h)
    F.linear(merge(read(q, k, v)), w_out, b_out)


@known(HEADS, "changed_input")
def heads_changes_x(x, w_qkv, b_qkv, w_out, b_out, h):
    q, k, v = parts(x, w_qkv, b_qkv, h)
    x[:] = F.linear(merge(read(q, k, v)), w_out, b_out)
    return x


@known(HEADS, "wrong_dtype")
def heads_float(x, w_qkv, b_qkv, w_out, b_out, h):
    x, w_qkv, b_qkv, w_out, b_out = (t.to(torch.float32) for t in (x, w_qkv, b_qkv, w_out, b_out))
    q, k, v = parts(x, w_qkv, b_qkv, h)
    return F.linear(merge(read(q, k, v)), w_out, b_out)


@known(HEADS, "wrong_device")
def heads_into_cpu_zeros(x, w_qkv, b_qkv, w_out, b_out, h):
    q, k, v = parts(x, w_qkv, b_qkv, h)
    out = torch.zeros(x.shape, dtype=x.dtype)
    for i in range(len(x)):
        out[i] = F.linear(merge(read(q[i : i + 1], k[i : i + 1], v[i : i + 1]))[0], w_out, b_out)
    return out


@known(HEADS, "detached")
def heads_detached(x, w_qkv, b_qkv, w_out, b_out, h):
    layer = nn.MultiheadAttention(x.shape[-1], h, batch_first=True).to(x)
    layer.in_proj_weight.data, layer.in_proj_bias.data = w_qkv.data, b_qkv.data
    layer.out_proj.weight.data, layer.out_proj.bias.data = w_out.data, b_out.data
    return layer(x, x, x)[0].detach()


# Many heads, mistakes of no name.


@unknown(HEADS)
def heads_reversed(x, w_qkv, b_qkv, w_out, b_out, h):
    q, k, v = parts(x, w_qkv, b_qkv, h)
    return F.linear(merge(read(q, k, v).flip(1)), w_out, b_out)


@known(HEADS, "heads_averaged")
def heads_averaged(x, w_qkv, b_qkv, w_out, b_out, h):
    q, k, v = parts(x, w_qkv, b_qkv, h)
    return F.linear(read(q, k, v).mean(1).repeat(1, 1, h), w_out, b_out)


@unknown(HEADS)
def heads_values_from_x(x, w_qkv, b_qkv, w_out, b_out, h):
    q, k, _ = parts(x, w_qkv, b_qkv, h)
    v = x.unflatten(-1, (h, -1)).transpose(1, 2)
    return F.linear(merge(read(q, k, v)), w_out, b_out)


@known(HEADS, "causal_mask")
def heads_causal(x, w_qkv, b_qkv, w_out, b_out, h):
    q, k, v = parts(x, w_qkv, b_qkv, h)
    return F.linear(merge(F.scaled_dot_product_attention(q, k, v, is_causal=True)), w_out, b_out)


@unknown(HEADS)
def heads_bias_before_attention_only_on_queries(x, w_qkv, b_qkv, w_out, b_out, h):
    D = x.shape[-1]
    bias = torch.cat([b_qkv[:D], torch.zeros_like(b_qkv[D:])])
    q, k, v = parts(x, w_qkv, bias, h)
    return F.linear(merge(read(q, k, v)), w_out, b_out)


# Many heads, mistakes as the lesson invites them.


@known(HEADS, "wrong_divisor")
def heads_notebooks_own_width(x, w_qkv, b_qkv, w_out, b_out, h):
    q, k, v = parts(x, w_qkv, b_qkv, h)
    w = (q @ k.mT / d**0.5).softmax(-1)
    return F.linear(merge(w @ v), w_out, b_out)


@known(HEADS, "wrong_divisor")
def heads_by_the_width_itself(x, w_qkv, b_qkv, w_out, b_out, h):
    q, k, v = parts(x, w_qkv, b_qkv, h)
    return F.linear(merge(read(q, k, v, scale=1 / q.shape[-1])), w_out, b_out)


@known(HEADS, "merge_interleaved")
def heads_merge_d_first(x, w_qkv, b_qkv, w_out, b_out, h):
    y = einops.rearrange(read(*parts(x, w_qkv, b_qkv, h)), "b h t d -> b t (d h)")
    return F.linear(y, w_out, b_out)


@known(HEADS, "merge_interleaved")
def heads_merge_einsum(x, w_qkv, b_qkv, w_out, b_out, h):
    q, k, v = (t.unflatten(-1, (h, -1)) for t in F.linear(x, w_qkv, b_qkv).chunk(3, -1))
    w = (torch.einsum("bihd,bjhd->bhij", q, k) / q.shape[-1] ** 0.5).softmax(-1)
    y = torch.einsum("bhij,bjhd->bidh", w, v).reshape(x.shape)
    return F.linear(y, w_out, b_out)


@known(HEADS, "heads_merged_in_another_order")
def heads_merge_transpose_1_3(x, w_qkv, b_qkv, w_out, b_out, h):
    y = read(*parts(x, w_qkv, b_qkv, h)).transpose(1, 3).reshape(x.shape)
    return F.linear(y, w_out, b_out)


@known(HEADS, "attention_among_heads")
def heads_no_exchange(x, w_qkv, b_qkv, w_out, b_out, h):
    B, T, D = x.shape
    q, k, v = (t.view(B, T, h, D // h) for t in F.linear(x, w_qkv, b_qkv).chunk(3, -1))
    w = (q @ k.transpose(-2, -1) / (D // h) ** 0.5).softmax(-1)
    return F.linear((w @ v).reshape(B, T, D), w_out, b_out)


@known(HEADS, "heads_fixed")
def heads_helper_with_a_default(x, w_qkv, b_qkv, w_out, b_out, h):
    def split(x, h=3):
        return x.view(x.shape[0], x.shape[1], h, x.shape[2] // h).transpose(1, 2)

    q, k, v = (split(t) for t in F.linear(x, w_qkv, b_qkv).chunk(3, -1))
    return F.linear(merge(read(q, k, v)), w_out, b_out)


# Many heads, two at once.


@two(HEADS, "heads_merged_without_permute", "no_scale")
def heads_two_merge_scale(x, w_qkv, b_qkv, w_out, b_out, h):
    q, k, v = parts(x, w_qkv, b_qkv, h)
    return F.linear(read(q, k, v, scale=1.0).reshape(x.shape), w_out, b_out)


@two(HEADS, "scale_by_model_width", "output_bias_forgotten")
def heads_two_width_bias(x, w_qkv, b_qkv, w_out, b_out, h):
    q, k, v = parts(x, w_qkv, b_qkv, h)
    return F.linear(merge(read(q, k, v, scale=x.shape[-1] ** -0.5)), w_out)


@two(HEADS, "keys_first", "output_projection_missing")
def heads_two_order_projection(x, w_qkv, b_qkv, w_out, b_out, h):
    k, q, v = parts(x, w_qkv, b_qkv, h)
    return merge(read(q, k, v))


@two(HEADS, "residual_added", "qkv_bias_forgotten")
def heads_two_residual_bias(x, w_qkv, b_qkv, w_out, b_out, h):
    q, k, v = parts(x, w_qkv, None, h)
    return F.linear(merge(read(q, k, v)), w_out, b_out) + x


# Many heads, right.


@right(HEADS)
def heads_modules_inside(x, w_qkv, b_qkv, w_out, b_out, h):
    class SelfAttention(nn.Module):
        def __init__(self, heads):
            super().__init__()
            self.heads = heads

        def forward(self, x):
            q, k, v = F.linear(x, w_qkv, b_qkv).chunk(3, dim=-1)
            q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (q, k, v))
            y = ((q @ k.mT) / math.sqrt(q.shape[-1])).softmax(dim=-1) @ v
            return F.linear(y.transpose(1, 2).contiguous().view(x.shape), w_out, b_out)

    return SelfAttention(h)(x)


@right(HEADS)
def heads_summed_projections(x, w_qkv, b_qkv, w_out, b_out, h):
    D = x.shape[-1]
    d = D // h
    out = b_out
    for i in range(h):
        a, b = i * d, (i + 1) * d
        q = F.linear(x, w_qkv[a:b], b_qkv[a:b])
        k = F.linear(x, w_qkv[D + a : D + b], b_qkv[D + a : D + b])
        v = F.linear(x, w_qkv[2 * D + a : 2 * D + b], b_qkv[2 * D + a : 2 * D + b])
        out = out + F.linear((q @ k.mT / d**0.5).softmax(-1) @ v, w_out[:, a:b])
    return out


@right(HEADS)
def heads_einsum_of_weights(x, w_qkv, b_qkv, w_out, b_out, h, dropout=0.0):
    w = einops.rearrange(w_qkv, "(s h d) e -> s h d e", s=3, h=h)
    b = einops.rearrange(b_qkv, "(s h d) -> s 1 h 1 d", s=3, h=h)
    q, k, v = torch.einsum("bte,shde->sbhtd", x, w) + b
    attn = F.softmax(torch.einsum("bhid,bhjd->bhij", q, k) / q.shape[-1] ** 0.5, dim=-1)
    return torch.einsum("bhij,bhjd,ehd->bie", attn, v, w_out.unflatten(1, (h, -1))) + b_out


@right(HEADS)
def heads_vmap(x, w_qkv, b_qkv, w_out, b_out, h):
    q, k, v = parts(x, w_qkv, b_qkv, h)
    one = lambda q, k, v: (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v
    y = torch.vmap(one, in_dims=1, out_dims=2)(q, k, v)
    return F.linear(y.flatten(2), w_out, b_out)


@right(HEADS)
def heads_batch_folded(x, w_qkv, b_qkv, w_out, b_out, h):
    q, k, v = (t.tensor_split(h, dim=-1) for t in F.linear(x, w_qkv, b_qkv).tensor_split(3, dim=-1))
    q, k, v = torch.cat(q), torch.cat(k), torch.cat(v)
    y = (
        torch.baddbmm(torch.zeros_like(q @ k.mT), q, k.mT, alpha=q.shape[-1] ** -0.5)
        .softmax(-1)
        .bmm(v)
    )
    return torch.addmm(b_out, torch.cat(y.chunk(h), dim=-1).flatten(0, 1), w_out.T).view_as(x)


@right(HEADS)
def heads_token_by_token(x, w_qkv, b_qkv, w_out, b_out, h):
    q, k, v = parts(x, w_qkv, b_qkv, h)
    rows = [merge(read(q[:, :, t : t + 1], k, v)) for t in range(x.shape[1])]
    return torch.cat([row @ w_out.mT for row in rows], 1) + b_out


# Met in a class, and in public reports.


@known(ATT, "heads_and_tokens_exchanged")
def att_transpose_1_2(q, k, v):
    weights = torch.softmax(q @ k.transpose(1, 2) / q.shape[-1] ** 0.5, dim=-1)
    return weights @ v, weights


@known(ATT, "attention_over_the_batch")
def att_without_batch_first(q, k, v):
    q, k, v = (x.permute(2, 1, 0, 3) for x in (q, k, v))
    weights = (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(-1)
    return (weights @ v).permute(2, 1, 0, 3), weights


@known(ATT, "attention_among_heads")
def att_heads_for_tokens(q, k, v):
    scores = torch.einsum("bhtd,bgtd->bthg", q, k) / q.shape[-1] ** 0.5
    weights = scores.softmax(-1)
    return torch.einsum("bthg,bgtd->bhtd", weights, v), weights


@known(ATT, "mistake_in_the_weights")
def att_cubed(q, k, v):
    weights = ((q @ k.mT) ** 3 / q.shape[3] ** 0.5).softmax(-1)
    return weights @ v, weights


@unknown(ATT)
def att_shifted_values(q, k, v):
    weights = (q @ k.mT / q.shape[3] ** 0.5).softmax(-1)
    return weights @ v.roll(1, 2), weights


@unknown(ATT)
def att_values_plus_one(q, k, v):
    weights = (q @ k.mT / q.shape[3] ** 0.5).softmax(-1)
    return weights @ v + 1, weights


@known(HEADS, "attention_over_the_batch")
def heads_without_batch_first(x, w_qkv, b_qkv, w_out, b_out, h):
    q, k, v = (
        part.unflatten(-1, (h, -1)).permute(1, 2, 0, 3)
        for part in F.linear(x, w_qkv, b_qkv).chunk(3, dim=-1)
    )
    out = F.scaled_dot_product_attention(q, k, v).permute(2, 0, 1, 3).flatten(2)
    return F.linear(out, w_out, b_out)


@known(HEADS, "softmax_over_heads")
def heads_softmax_dim_1(x, w_qkv, b_qkv, w_out, b_out, h):
    q, k, v = (
        part.unflatten(-1, (h, -1)).transpose(1, 2)
        for part in F.linear(x, w_qkv, b_qkv).chunk(3, dim=-1)
    )
    weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(dim=1)
    return F.linear((weights @ v).transpose(1, 2).flatten(2), w_out, b_out)
