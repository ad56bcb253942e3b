"""The parameters and the FLOPs of a whole ViT."""

import math

import numpy as np
import torch

from vit_tutorial import VisionTransformer, ViTConfig

from . import known, right, two, unknown

PAR, OPS = "check_count_parameters", "check_count_flops"


def linear(a, b):
    return a * b + b


# Parameters, one mistake.


@known(PAR, "rows_missing")
def par_no_class_token(image_size, patch_size, dim, depth, mlp_dim, num_classes):
    n = (image_size // patch_size) ** 2
    total = linear(3 * patch_size**2, dim) + (n + 1) * dim
    total += depth * (4 * linear(dim, dim) + linear(dim, mlp_dim) + linear(mlp_dim, dim) + 4 * dim)
    return total + 2 * dim + linear(dim, num_classes)


@known(PAR, "rows_missing")
def par_positions_for_patches_only(S, P, D, L, M, K):
    tokens = (S // P) ** 2
    embed = (3 * P * P + 1) * D + D + tokens * D
    block = 2 * 2 * D + 4 * (D + 1) * D + (D + 1) * M + (M + 1) * D
    return embed + L * block + 2 * D + (D + 1) * K


@known(PAR, "rows_missing")
def par_no_last_norm(S, P, D, L, M, K):
    N = (S * S) // (P * P)
    block = linear(D, 3 * D) + linear(D, D) + linear(D, M) + linear(M, D) + 2 * (2 * D)
    return linear(P * P * 3, D) + D + (N + 1) * D + L * block + linear(D, K)


@known(PAR, "rows_missing_in_each_block")
def par_no_norms(S, P, D, L, M, K):
    N = (S // P) ** 2
    block = linear(D, 3 * D) + linear(D, D) + linear(D, M) + linear(M, D)
    return linear(P * P * 3, D) + D + (N + 1) * D + L * block + 2 * D + linear(D, K)


@known(PAR, "rows_missing_in_each_block")
def par_norms_without_bias(S, P, D, L, M, K):
    N = (S // P) ** 2
    block = 2 * D + linear(D, 3 * D) + linear(D, D) + linear(D, M) + linear(M, D)
    return linear(P * P * 3, D) + D + (N + 1) * D + L * block + 2 * D + linear(D, K)


@known(PAR, "rows_missing_in_each_block")
def par_qkv_without_bias(S, P, D, L, M, K):
    N = (S // P) ** 2
    block = 4 * D + D * 3 * D + linear(D, D) + linear(D, M) + linear(M, D)
    return linear(P * P * 3, D) + D + (N + 1) * D + L * block + 2 * D + linear(D, K)


@known(PAR, "biases_left_out")
def par_weights_only(S, P, D, L, M, K):
    N = (S // P) ** 2
    return 3 * P * P * D + D + (N + 1) * D + L * (4 * D * D + 2 * D * M + 4 * D) + 2 * D + D * K


@known(PAR, "head_left_out")
def par_no_head(S, P, D, L, M, K):
    N = (S // P) ** 2
    block = 4 * D + 4 * linear(D, D) + linear(D, M) + linear(M, D)
    return linear(P * P * 3, D) + D + (N + 1) * D + L * block + 2 * D


@known(PAR, "head_bias_left_out")
def par_head_without_bias(S, P, D, L, M, K):
    N = (S // P) ** 2
    block = 4 * D + 4 * linear(D, D) + linear(D, M) + linear(M, D)
    return linear(P * P * 3, D) + D + (N + 1) * D + L * block + 2 * D + D * K


@known(PAR, "positions_left_out")
def par_no_positions(S, P, D, L, M, K):
    block = 4 * D + 4 * linear(D, D) + linear(D, M) + linear(M, D)
    return linear(P * P * 3, D) + D + L * block + 2 * D + linear(D, K)


@known(PAR, "grid_side_not_squared")
def par_side(S, P, D, L, M, K):
    N = S // P
    block = 4 * D + 4 * linear(D, D) + linear(D, M) + linear(M, D)
    return linear(P * P * 3, D) + D + (N + 1) * D + L * block + 2 * D + linear(D, K)


@known(PAR, "one_channel")
def par_grey(S, P, D, L, M, K):
    N = (S // P) ** 2
    block = 4 * D + 4 * linear(D, D) + linear(D, M) + linear(M, D)
    return linear(P * P, D) + D + (N + 1) * D + L * block + 2 * D + linear(D, K)


@known(PAR, "output_projection_left_out")
def par_three_layers(S, P, D, L, M, K):
    N = (S // P) ** 2
    block = 4 * D + 3 * linear(D, D) + linear(D, M) + linear(M, D)
    return linear(P * P * 3, D) + D + (N + 1) * D + L * block + 2 * D + linear(D, K)


@known(PAR, "qkv_counted_once")
def par_two_layers(S, P, D, L, M, K):
    N = (S // P) ** 2
    block = 4 * D + 2 * linear(D, D) + linear(D, M) + linear(M, D)
    return linear(P * P * 3, D) + D + (N + 1) * D + L * block + 2 * D + linear(D, K)


@known(PAR, "mlp_one_layer")
def par_half_mlp(S, P, D, L, M, K):
    N = (S // P) ** 2
    block = 4 * D + 4 * linear(D, D) + linear(D, M)
    return linear(P * P * 3, D) + D + (N + 1) * D + L * block + 2 * D + linear(D, K)


@known(PAR, "one_block")
def par_one_block(S, P, D, L, M, K):
    N = (S // P) ** 2
    block = 4 * D + 4 * linear(D, D) + linear(D, M) + linear(M, D)
    return linear(P * P * 3, D) + D + (N + 1) * D + block + 2 * D + linear(D, K)


@known(PAR, "everything_times_depth")
def par_bracket(S, P, D, L, M, K):
    N = (S // P) ** 2
    block = 4 * D + 4 * linear(D, D) + linear(D, M) + linear(M, D)
    return L * (linear(P * P * 3, D) + D + (N + 1) * D + block + 2 * D + linear(D, K))


@known(PAR, "in_millions")
def par_millions(S, P, D, L, M, K):
    return par_right_plain.fn(S, P, D, L, M, K) / 10**6


@unknown(PAR)  # four times the width, whatever mlp_dim says
def par_mlp_dim_ignored(S, P, D, L, M, K):
    return par_right_plain.fn(S, P, D, L, 4 * D, K)


@unknown(PAR)  # a table of positions in every block
def par_positions_everywhere(S, P, D, L, M, K):
    return par_right_plain.fn(S, P, D, L, M, K) + (L - 1) * ((S // P) ** 2 + 1) * D


@unknown(PAR)  # bytes of float32
def par_bytes(S, P, D, L, M, K):
    return 4 * par_right_plain.fn(S, P, D, L, M, K)


@two(PAR, "one_channel", "head_left_out")
def par_grey_no_head(S, P, D, L, M, K):
    return par_grey.fn(S, P, D, L, M, K) - linear(D, K)


@two(PAR, "one_block", "rows_missing")
def par_one_block_no_token(S, P, D, L, M, K):
    return par_one_block.fn(S, P, D, L, M, K) - D


@two(PAR, "mlp_one_layer", "head_bias_left_out")
def par_half_mlp_no_bias(S, P, D, L, M, K):
    return par_half_mlp.fn(S, P, D, L, M, K) - K


@right(PAR)
def par_right_plain(S, P, D, L, M, K):
    N = (S // P) ** 2
    block = 4 * D + 4 * linear(D, D) + linear(D, M) + linear(M, D)
    return linear(P * P * 3, D) + D + (N + 1) * D + L * block + 2 * D + linear(D, K)


@right(PAR)
def par_right_loop(image_size, patch_size, dim, depth, mlp_dim, num_classes):
    total = 3 * patch_size * patch_size * dim + dim
    total += dim * (2 + image_size // patch_size * (image_size // patch_size))
    for _ in range(depth):
        total += dim * 3 * dim + 3 * dim + dim * dim + dim
        total += dim * mlp_dim + mlp_dim + mlp_dim * dim + dim + 2 * dim + 2 * dim
    return total + dim + dim + dim * num_classes + num_classes


@right(PAR)
def par_right_float(S, P, D, L, M, K):
    return float(par_right_plain.fn(S, P, D, L, M, K))


@right(PAR)
def par_right_numpy(*sizes):
    return np.int64(par_right_plain.fn(*sizes))


@right(PAR)
def par_right_counted(S, P, D, L, M, K):
    config = ViTConfig(
        image_size=S, patch_size=P, dim=D, depth=L, num_heads=1, mlp_dim=M, num_classes=K
    )
    with torch.device("meta"):
        return sum(p.numel() for p in VisionTransformer(config).parameters())


# FLOPs, one mistake.


def ops(S, P, D, L, M, K, qkv=6, out=2, scores=2, total=2, mlp=4, embed=6, head=2, cls=1):
    N = math.prod((S // P, S // P))
    T = N + cls
    block = (qkv + out) * T * D * D + (scores + total) * T * T * D + mlp * T * D * M
    return embed * N * P * P * D + L * block + head * D * K


@known(OPS, "macs")
def ops_macs(S, P, D, L, M, K):
    N = (S // P) ** 2
    T = N + 1
    return 3 * N * P * P * D + L * (4 * T * D**2 + 2 * T**2 * D + 2 * T * D * M) + D * K


@known(OPS, "class_token_forgotten")
def ops_no_class_token(S, P, D, L, M, K):
    N = (S // P) ** 2
    block = 8 * N * D**2 + 4 * N**2 * D + 4 * N * D * M
    return 2 * N * (3 * P**2) * D + L * block + 2 * D * K


@known(OPS, "class_token_embedded")
def ops_embeds_all(S, P, D, L, M, K):
    T = (S // P) ** 2 + 1
    block = 8 * T * D**2 + 4 * T**2 * D + 4 * T * D * M
    return 2 * T * (3 * P**2) * D + L * block + 2 * D * K


@known(OPS, "grid_side_not_squared")
def ops_side(S, P, D, L, M, K):
    N = S // P
    T = N + 1
    block = 8 * T * D**2 + 4 * T**2 * D + 4 * T * D * M
    return 2 * N * (3 * P**2) * D + L * block + 2 * D * K


@known(OPS, "one_channel")
def ops_grey(*sizes):
    return ops(*sizes, embed=2)


@known(OPS, "embedding_left_out")
def ops_no_embedding(*sizes):
    return ops(*sizes, embed=0)


@known(OPS, "embedding_once")
def ops_embedding_once(S, P, D, L, M, K):
    return ops(S, P, D, L, M, K, embed=0) + 6 * P * P * D


@known(OPS, "head_left_out")
def ops_no_head(*sizes):
    return ops(*sizes, head=0)


@known(OPS, "head_for_every_token")
def ops_head_everywhere(S, P, D, L, M, K):
    return ops(S, P, D, L, M, K, head=0) + 2 * ((S // P) ** 2 + 1) * D * K


@known(OPS, "quadratic_part_left_out")
def ops_linear_only(*sizes):
    return ops(*sizes, scores=0, total=0)


@known(OPS, "half_of_the_quadratic_part")
def ops_scores_only(*sizes):
    return ops(*sizes, total=0)


@known(OPS, "output_projection_left_out")
def ops_no_output(*sizes):
    return ops(*sizes, out=0)


@known(OPS, "qkv_counted_once")
def ops_one_layer(*sizes):
    return ops(*sizes, qkv=2)


@known(OPS, "mlp_one_layer")
def ops_half_mlp(*sizes):
    return ops(*sizes, mlp=2)


@known(OPS, "one_block")
def ops_one_block(S, P, D, L, M, K):
    return ops(S, P, D, 1, M, K)


@known(OPS, "in_billions")
def ops_billions(*sizes):
    return ops(*sizes) / 1e9


@unknown(OPS)  # biases as well
def ops_with_biases(S, P, D, L, M, K):
    T = (S // P) ** 2 + 1
    return ops(S, P, D, L, M, K) + (T - 1) * D + L * T * (5 * D + M) + K


@unknown(OPS)  # forward and backward
def ops_training(*sizes):
    return 3 * ops(*sizes)


@unknown(OPS)  # four times the width, whatever mlp_dim says
def ops_mlp_dim_ignored(S, P, D, L, M, K):
    return ops(S, P, D, L, 4 * D, K)


@two(OPS, "macs", "class_token_forgotten")
def ops_macs_no_token(*sizes):
    return ops(*sizes, cls=0) // 2


@two(OPS, "one_channel", "head_left_out")
def ops_grey_no_head(*sizes):
    return ops(*sizes, embed=2, head=0)


@two(OPS, "mlp_one_layer", "half_of_the_quadratic_part")
def ops_halves(*sizes):
    return ops(*sizes, mlp=2, total=0)


@right(OPS)
def ops_right_plain(S, P, D, L, M, K):
    N = (S // P) ** 2
    T = N + 1
    block = 8 * T * D**2 + 4 * T**2 * D + 4 * T * D * M
    return 2 * N * (3 * P**2) * D + L * block + 2 * D * K


@right(OPS)
def ops_right_parts(*sizes):
    return ops(*sizes)


@right(OPS)
def ops_right_products(image_size, patch_size, dim, depth, mlp_dim, num_classes):
    def product(a, b, c):
        return 2 * a * b * c

    patches = image_size // patch_size * (image_size // patch_size)
    tokens = patches + 1
    total = product(patches, 3 * patch_size * patch_size, dim)
    for _ in range(depth):
        total += product(tokens, dim, 3 * dim) + product(tokens, dim, dim)
        total += product(tokens, dim, tokens) + product(tokens, tokens, dim)
        total += product(tokens, dim, mlp_dim) + product(tokens, mlp_dim, dim)
    return total + product(1, dim, num_classes)


@right(OPS)
def ops_right_float(*sizes):
    return float(ops(*sizes))


@right(OPS)
def ops_right_tensor(*sizes):
    return torch.tensor(ops(*sizes))
