"""The encoder block, and the way through a whole ViT."""

import functools

import einops
import torch
import torch.nn as nn
import torch.nn.functional as F

from . import known, right, two, unknown

BLOCK, VIT = "check_encoder_block", "check_vit_forward"


# The block, one mistake.


@known(BLOCK, "post_norm")
def block_post_norm(x, norm1, attention, norm2, mlp):
    x = norm1(x + attention(x))
    x = norm2(x + mlp(x))
    return x


@known(BLOCK, "norm_after_the_part")
def block_norm_after(x, norm1, attention, norm2, mlp):
    x = x + norm1(attention(x))
    return x + norm2(mlp(x))


@known(BLOCK, "residuals_forgotten")
def block_no_residuals(x, norm1, attention, norm2, mlp):
    return nn.Sequential(norm1, attention, norm2, mlp)(x)


@known(BLOCK, "first_residual_forgotten")
def block_no_first_residual(x, norm1, attention, norm2, mlp):
    x = attention(norm1(x))
    return mlp(norm2(x)) + x


@known(BLOCK, "second_residual_forgotten")
def block_no_second_residual(x, norm1, attention, norm2, mlp):
    z = attention(norm1(x)) + x
    z = mlp(norm2(z))
    return z


@known(BLOCK, "residual_doubled")
def block_doubled(x, norm1, attention, norm2, mlp):
    y = x + attention(norm1(x))
    x = x + y
    return x + mlp(norm2(x))


@known(BLOCK, "second_residual_doubled")
def block_second_doubled(x, norm1, attention, norm2, mlp):
    x = attention(norm1(x)).add(x)
    y = mlp(norm2(x)) + x
    return x + y


@known(BLOCK, "residual_from_the_start")
def block_from_the_start(x, norm1, attention, norm2, mlp):
    residual = x
    x = norm1(x)
    x = attention(x)
    x = x + residual
    x = norm2(x)
    x = mlp(x)
    return x + residual


@known(BLOCK, "residual_of_the_normed")
def block_normed_residual(x, norm1, attention, norm2, mlp):
    x = norm1(x)
    x = x + attention(x)
    x = norm2(x)
    return x + mlp(x)


@known(BLOCK, "norm_shared")
def block_norm_shared(x, norm1, attention, norm2, mlp):
    norm = norm1
    for part in (attention, mlp):
        x = x + part(norm(x))
    return x


@known(BLOCK, "norms_exchanged")
def block_norms_exchanged(x, norm2, attention, norm1, mlp):
    x = attention(norm1(x)) + x
    return mlp(norm2(x)) + x


@known(BLOCK, "first_norm_missing")
def block_first_norm_missing(x, norm1, attention, norm2, mlp):
    x = attention(x) + x
    return mlp(norm2(x)) + x


@known(BLOCK, "second_norm_missing")
def block_second_norm_missing(x, norm1, attention, norm2, mlp):
    z = x + attention(norm1(x))
    return z + mlp(z)


@known(BLOCK, "norms_missing")
def block_norms_missing(x, norm1, attention, norm2, mlp):
    x = x + attention(x)
    x = x + mlp(x)
    return x


@known(BLOCK, "mlp_before_attention")
def block_mlp_first(x, norm1, attention, norm2, mlp):
    x = x + mlp(norm1(x))
    return x + attention(norm2(x))


@known(BLOCK, "mlp_before_attention")
def block_mlp_first_own_norms(x, norm1, attention, norm2, mlp):
    x = x + mlp(norm2(x))
    return x + attention(norm1(x))


@known(BLOCK, "mlp_beside_attention")
def block_parallel(x, norm1, attention, norm2, mlp):
    return x + attention(norm1(x)) + mlp(norm2(x))


@known(BLOCK, "mlp_forgotten")
def block_no_mlp(x, norm1, attention, norm2, mlp):
    return attention(norm1(x)) + x


@known(BLOCK, "mlp_forgotten")
def block_mlp_not_assigned(x, norm1, attention, norm2, mlp):
    z = attention(norm1(x)) + x
    mlp(norm2(z)) + z
    return z


@known(BLOCK, "attention_forgotten")
def block_no_attention(x, norm1, attention, norm2, mlp):
    return mlp(norm2(x)) + x


@known(BLOCK, "not_written")
def block_not_written(x, norm1, attention, norm2, mlp):
    raise NotImplementedError("the block")


@known(BLOCK, "nothing_returned")
def block_nothing(x, norm1, attention, norm2, mlp):
    x = x + attention(norm1(x))
    x = x + mlp(norm2(x))


@known(BLOCK, "changed_input")
def block_in_place(x, norm1, attention, norm2, mlp):
    z = attention(norm1(x.clone()))
    x += z
    return x + mlp(norm2(x.clone()))


@known(BLOCK, "changed_input")
def block_in_place_plain(x, norm1, attention, norm2, mlp):
    x += attention(norm1(x))
    x += mlp(norm2(x))
    return x


@known(BLOCK, "wrong_dtype")
def block_float(x, norm1, attention, norm2, mlp):
    x = x + attention(norm1(x))
    return (x + mlp(norm2(x))).float()


@known(BLOCK, "wrong_device")
def block_into_cpu_zeros(x, norm1, attention, norm2, mlp):
    out = torch.zeros(x.shape, dtype=x.dtype)
    for i in range(len(x)):
        z = x[i : i + 1] + attention(norm1(x[i : i + 1]))
        out[i : i + 1] = z + mlp(norm2(z))
    return out


@known(BLOCK, "detached")
def block_detached(x, norm1, attention, norm2, mlp):
    with torch.no_grad():
        x = x + attention(norm1(x))
        return x + mlp(norm2(x))


# The block, mistakes of no name.


@unknown(BLOCK)
def block_half_residual(x, norm1, attention, norm2, mlp):
    x = x + 0.5 * attention(norm1(x))
    return x + 0.5 * mlp(norm2(x))


@known(BLOCK, "subtracted_in_the_path")
def block_subtracted(x, norm1, attention, norm2, mlp):
    x = x - attention(norm1(x))
    return x - mlp(norm2(x))


@unknown(BLOCK)
def block_activation_at_the_end(x, norm1, attention, norm2, mlp):
    x = x + attention(norm1(x))
    return F.gelu(x + mlp(norm2(x)))


@unknown(BLOCK)
def block_attention_twice(x, norm1, attention, norm2, mlp):
    x = x + attention(norm1(x))
    x = x + attention(norm1(x))
    return x + mlp(norm2(x))


@unknown(BLOCK, "norm_after_the_part")
def block_sandwich(x, norm1, attention, norm2, mlp):
    x = x + norm1(attention(norm1(x)))
    return x + norm2(mlp(norm2(x)))


# The block, two at once.


@two(BLOCK, "post_norm", "norm_shared")
def block_two_post_shared(x, norm1, attention, norm2, mlp):
    x = norm1(x + attention(x))
    return norm1(x + mlp(x))


@two(BLOCK, "first_residual_forgotten", "second_norm_missing")
def block_two_residual_norm(x, norm1, attention, norm2, mlp):
    x = attention(norm1(x))
    return x + mlp(x)


@two(BLOCK, "mlp_beside_attention", "norm_shared")
def block_two_parallel_one_norm(x, norm1, attention, norm2, mlp):
    y = norm1(x)
    return x + attention(y) + mlp(y)


@two(BLOCK, "residual_doubled", "second_residual_doubled")
def block_two_doubled_both(x, norm1, attention, norm2, mlp):
    x = 2 * x + attention(norm1(x))
    return 2 * x + mlp(norm2(x))


# The block, right.


@right(BLOCK)
def block_module(x, norm1, attention, norm2, mlp):
    class Residual(nn.Module):
        def __init__(self, *parts):
            super().__init__()
            self.path = nn.Sequential(*parts)

        def forward(self, x):
            return x + self.path(x)

    return nn.Sequential(Residual(norm1, attention), Residual(norm2, mlp))(x)


@right(BLOCK)
def block_reduce(x, norm1, attention, norm2, mlp):
    return functools.reduce(
        lambda z, pair: z + pair[1](pair[0](z)), [(norm1, attention), (norm2, mlp)], x
    )


@right(BLOCK)
def block_recursive(x, *parts):
    if not parts:
        return x
    norm, part, *rest = parts
    return block_recursive.fn(x + part(norm(x)), *rest)


@right(BLOCK)
def block_stacked_sum(x, norm1, attention, norm2, mlp, dropout=None):
    z = torch.stack([x, attention(norm1(x))]).sum(0)
    return torch.stack([z, mlp(norm2(z))]).sum(dim=0)


@right(BLOCK)
def block_tokens_one_by_one_in_mlp(x, norm1, attention, norm2, mlp):
    z = torch.lerp(x, x + 2 * attention(norm1(x)), 0.5)
    return torch.stack([t + mlp(norm2(t)) for t in z.unbind(1)], dim=1)


@right(BLOCK)
def block_spelled_out(x, norm1, attention, norm2, mlp):
    residual = x
    x = norm1(x)
    x = attention(x)
    x = residual + x
    residual = x.clone()
    out = torch.empty_like(x)
    out[:] = residual + mlp(norm2(x))
    return out


# The whole ViT, one mistake.


def first(model, x):
    return torch.cat([model.class_token.expand(x.shape[0], -1, -1), x], dim=1)


def start(images, model):
    return model.dropout(model.position(first(model, model.patch_embedding(images))))


@known(VIT, "whole_model_called")
def vit_calls_the_model(images, model):
    return model(images)


@known(VIT, "whole_model_called")
def vit_calls_forward(images, model):
    model.eval()
    with torch.no_grad():
        logits = model.forward(images)
    return logits


@known(VIT, "class_token_appended")
def vit_appended(images, model):
    x = model.patch_embedding(images)
    cls_tokens = einops.repeat(model.class_token, "1 n d -> b n d", b=x.shape[0])
    x = torch.cat((x, cls_tokens), dim=1)
    x = model.encoder(model.dropout(model.position(x)))
    return model.head(model.norm(x)[:, 0])


@known(VIT, "appended_and_read_last")
def vit_appended_read_last(images, model):
    x = model.patch_embedding(images)
    x = torch.cat([x, model.class_token.repeat(len(x), 1, 1)], 1)
    x = model.norm(model.encoder(model.dropout(model.position(x))))
    return model.head(x[:, -1])


@known(VIT, "last_token_read")
def vit_last_token(images, model):
    return model.head(model.norm(model.encoder(start(images, model)))[:, -1, :])


@known(VIT, "first_patch_read")
def vit_first_patch(images, model):
    z = model.norm(model.encoder(start(images, model)))
    return model.head(z[:, 1])


@known(VIT, "mean_of_all_tokens")
def vit_mean(images, model):
    return model.head(model.norm(model.encoder(start(images, model))).mean(dim=1))


@known(VIT, "mean_of_all_tokens")
def vit_mean_of_logits(images, model):
    z = model.norm(model.encoder(start(images, model)))
    return model.head(z).mean(dim=1)


@known(VIT, "mean_of_patches")
def vit_mean_of_patches(images, model):
    z = model.norm(model.encoder(start(images, model)))
    return model.head(z[:, 1:].sum(1) / (z.shape[1] - 1))


@known(VIT, "position_forgotten")
def vit_no_position(images, model):
    x = first(model, model.patch_embedding(images))
    model.position(x)
    return model.head(model.norm(model.encoder(model.dropout(x)))[:, 0])


@known(VIT, "position_added_twice")
def vit_position_twice(images, model):
    x = first(model, model.patch_embedding(images))
    x = model.position(x) + model.position.table
    return model.head(model.norm(model.encoder(model.dropout(x)))[:, 0])


@known(VIT, "position_added_twice")
def vit_position_of_position(images, model):
    x = model.position(model.position(first(model, model.patch_embedding(images))))
    return model.head(model.norm(model.encoder(x)[:, 0]))


@known(VIT, "position_before_the_class_token")
def vit_position_before(images, model):
    x = model.patch_embedding(images)
    x = model.position(x)
    x = first(model, x)
    return model.head(model.norm(model.encoder(model.dropout(x)))[:, 0])


@known(VIT, "rows_shifted")
def vit_rows_shifted(images, model):
    x = model.patch_embedding(images)
    x = x + model.position.table[:, : x.shape[1]]
    x = first(model, x)
    return model.head(model.norm(model.encoder(model.dropout(x)))[:, 0])


@known(VIT, "last_norm_forgotten")
def vit_no_last_norm(images, model):
    z = start(images, model)
    for block in model.encoder.blocks:
        z = block(z)
    return model.head(z[:, 0])


@known(VIT, "norm_before_the_encoder")
def vit_norm_before(images, model):
    return model.head(model.encoder(model.norm(start(images, model)))[:, 0])


@known(VIT, "head_forgotten")
def vit_no_head(images, model):
    return model.norm(model.encoder(start(images, model)))[:, 0]


@known(VIT, "softmax_on_logits")
def vit_softmax(images, model):
    logits = model.head(model.norm(model.encoder(start(images, model)))[:, 0])
    return F.softmax(logits, dim=1)


@known(VIT, "encoder_forgotten")
def vit_no_encoder(images, model):
    return model.head(model.norm(start(images, model))[:, 0])


@known(VIT, "one_block_only")
def vit_one_block(images, model):
    z = start(images, model)
    z = model.encoder.blocks[0](z)
    return model.head(model.norm(z)[:, 0])


@known(VIT, "class_token_for_one_image")
def vit_for_one_image(images, model):
    x = torch.cat([model.class_token, model.patch_embedding(images)], dim=1)
    return model.head(model.norm(model.encoder(model.dropout(model.position(x))))[:, 0])


@known(VIT, "dropout_in_evaluation")
def vit_dropout_always(images, model):
    x = model.position(first(model, model.patch_embedding(images)))
    x = F.dropout(x, model.dropout.p)
    return model.head(model.norm(model.encoder(x))[:, 0])


@known(VIT, "dropout_in_evaluation")
def vit_training_mode(images, model):
    model.train()
    return model.head(model.norm(model.encoder(start(images, model)))[:, 0])


@known(VIT, "dropout_in_evaluation")
def vit_fixed_dropout(images, model):
    x = F.dropout(model.position(first(model, model.patch_embedding(images))), 0.1, training=True)
    return model.head(model.norm(model.encoder(x))[:, 0])


@known(VIT, "not_written")
def vit_not_written(images, model):
    raise NotImplementedError("the whole way")


@known(VIT, "nothing_returned")
def vit_nothing(images, model):
    model.head(model.norm(model.encoder(start(images, model)))[:, 0])


@known(VIT, "changed_input")
def vit_clears_images(images, model):
    logits = model.head(model.norm(model.encoder(start(images, model)))[:, 0])
    images.fill_(0.0)
    return logits


@known(VIT, "wrong_dtype")
def vit_float(images, model):
    return model.head(model.norm(model.encoder(start(images, model)))[:, 0]).float()


@known(VIT, "wrong_dtype")
def vit_into_zeros(images, model):
    logits = torch.zeros(len(images), model.head.out_features, device=images.device)
    for i in range(len(images)):
        logits[i] = model.head(model.norm(model.encoder(start(images[i : i + 1], model)))[0, 0])
    return logits


@known(VIT, "wrong_device")
def vit_into_cpu_zeros(images, model):
    logits = torch.zeros(len(images), model.head.out_features, dtype=images.dtype)
    for i in range(len(images)):
        logits[i] = model.head(model.norm(model.encoder(start(images[i : i + 1], model)))[0, 0])
    return logits


@known(VIT, "wrong_device")
def vit_answer_on_cpu(images, model):
    return model.head(model.norm(model.encoder(start(images, model)))[:, 0]).cpu()


# The whole ViT, mistakes of no name.


@unknown(VIT)
def vit_class_token_zero(images, model):
    x = F.pad(model.patch_embedding(images), (0, 0, 1, 0))
    return model.head(model.norm(model.encoder(model.dropout(model.position(x))))[:, 0])


@known(VIT, "blocks_in_another_order")
def vit_blocks_reversed(images, model):
    z = start(images, model)
    for block in reversed(model.encoder.blocks):
        z = block(z)
    return model.head(model.norm(z)[:, 0])


@unknown(VIT)
def vit_sum_of_class_and_mean(images, model):
    z = model.norm(model.encoder(start(images, model)))
    return model.head(z[:, 0] + z[:, 1:].mean(1))


@known(VIT, "encoder_twice")
def vit_encoder_twice(images, model):
    return model.head(model.norm(model.encoder(model.encoder(start(images, model))))[:, 0])


@known(VIT, "summed_or_largest")
def vit_max_pool(images, model):
    return model.head(model.norm(model.encoder(start(images, model))).amax(1))


@known(VIT, "norm_twice")
def vit_norm_twice(images, model):
    return model.head(model.norm(model.norm(model.encoder(start(images, model))))[:, 0])


# The whole ViT, two at once.


@two(VIT, "class_token_appended", "last_norm_forgotten")
def vit_two_appended_no_norm(images, model):
    x = model.patch_embedding(images)
    x = torch.cat([x, model.class_token.expand(len(x), -1, -1)], 1)
    return model.head(model.encoder(model.dropout(model.position(x)))[:, 0])


@two(VIT, "mean_of_all_tokens", "softmax_on_logits")
def vit_two_mean_softmax(images, model):
    return model.head(model.norm(model.encoder(start(images, model))).mean(1)).softmax(-1)


@two(VIT, "position_forgotten", "one_block_only")
def vit_two_no_position_one_block(images, model):
    z = model.encoder.blocks[0](first(model, model.patch_embedding(images)))
    return model.head(model.norm(z)[:, 0])


@two(VIT, "rows_shifted", "first_patch_read")
def vit_two_rows_and_patch(images, model):
    x = model.patch_embedding(images)
    x = first(model, x + model.position.table[:, : x.shape[1]])
    return model.head(model.norm(model.encoder(x))[:, 1])


# The whole ViT, right.


@right(VIT)
def vit_sequential(images, model):
    tail = nn.Sequential(model.dropout, model.encoder, model.norm)
    return model.head(tail(model.position(first(model, model.patch_embedding(images))))[:, 0, :])


@right(VIT)
def vit_class(images, model):
    class Mine(nn.Module):
        def __init__(self, m):
            super().__init__()
            self.m = m

        def forward(self, x):
            x = self.m.patch_embedding(x)
            x = einops.pack([self.m.class_token.expand(len(x), -1, -1), x], "b * d")[0]
            cls, *_ = self.m.encoder(self.m.dropout(self.m.position(x))).unbind(1)
            return self.m.head(self.m.norm(cls))

    return Mine(model)(images)


@right(VIT)
def vit_writes_into_empty(images, model, return_features=False):
    patches = model.patch_embedding(images)
    B, N, D = patches.shape
    x = patches.new_empty(B, N + 1, D)
    x[:, 0] = model.class_token[0, 0]
    x[:, 1:] = patches
    x += model.position.table
    for block in model.encoder.blocks:
        x = block(x)
    x = F.layer_norm(x, (D,), model.norm.weight, model.norm.bias, model.norm.eps)
    return F.linear(x[:, 0], model.head.weight, model.head.bias)


@right(VIT)
@torch.inference_mode()
def vit_inference_mode(images, model):
    model.eval()
    z = model.norm(model.encoder(start(images, model)))
    return torch.einsum("bd,kd->bk", z[:, 0], model.head.weight).add(model.head.bias)


@right(VIT)
def vit_head_on_every_token(images, model):
    return model.head(model.norm(model.encoder(start(images, model)))).select(1, 0)


@right(VIT)
def vit_view_of_transposed(images, model):
    def halves(images):
        if len(images) == 1:
            return model.head(model.norm(model.encoder(start(images, model)))[:, 0])
        middle = len(images) // 2
        return torch.cat([halves(images[:middle]), halves(images[middle:])])

    return halves(images).T.contiguous().T


@unknown(VIT)
def vit_two_tokens_mixed(images, model):
    z = model.norm(model.encoder(start(images, model)))
    return model.head(0.75 * z[:, 0] + 0.25 * z[:, 1])
