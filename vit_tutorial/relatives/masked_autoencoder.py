"""A masked autoencoder: an encoder that sees some patches, a small decoder that fills in the rest.

He et al. 2022, "Masked Autoencoders Are Scalable Vision Learners" (arXiv 2111.06377). Axes: B
images, N patches, K of them visible, D the width of the encoder, W that of the decoder, P the side
of a patch.
"""

import dataclasses

import torch
from torch import Tensor, nn

from ..model import VisionTransformer, ViTConfig, patchify
from ..model.encoder import Encoder
from ..model.positions import sinusoidal_2d

EPS = 1e-6  # on the variance of a patch, as in the authors' code


def random_masking(noise: Tensor, ratio: float) -> tuple[Tensor, Tensor]:
    """Choose the patches that stay visible: those with the smallest noise.

    noise: (B, N), a random number for each patch. ratio: the share that is hidden, at least 0 and
    below 1. Returns keep (B, K), int64, the visible patches in ascending order, with
    K = round(N * (1 - ratio)), and mask (B, N), bool, True where a patch is hidden.
    Raises ValueError where the ratio leaves nothing to see.
    """
    B, N = noise.shape
    K = round(N * (1 - ratio))
    if not 1 <= K <= N:
        raise ValueError(f"a mask ratio of {ratio} leaves {K} of {N} patches visible: use less")
    keep = noise.argsort(dim=1)[:, :K].sort(dim=1).values
    mask = torch.ones(B, N, dtype=torch.bool, device=noise.device).scatter(1, keep, False)
    return keep, mask


def gather(tokens: Tensor, keep: Tensor) -> Tensor:
    """The tokens (B, N, D) that `keep` (B, K) names: (B, K, D)."""
    return tokens.gather(1, keep[..., None].expand(-1, -1, tokens.shape[2]))


def fill_in(visible: Tensor, keep: Tensor, mask_token: Tensor, num_patches: int) -> Tensor:
    """Visible tokens (B, K, W) at their places, the mask token (1, 1, W) elsewhere: (B, N, W)."""
    B, _, W = visible.shape
    full = mask_token.to(visible.dtype).expand(B, num_patches, W)
    return full.scatter(1, keep[..., None].expand(-1, -1, W), visible)


def normalize_patches(patches: Tensor) -> Tensor:
    """Patches (B, N, P*P*C), each with mean 0 and variance 1: what the decoder has to predict."""
    mean = patches.mean(dim=-1, keepdim=True)
    return (patches - mean) / (patches.var(dim=-1, keepdim=True) + EPS).sqrt()


def masked_loss(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error over the hidden patches alone: a number.

    prediction, target: (B, N, P*P*C). mask: (B, N), True where a patch is hidden.
    """
    return ((prediction - target) ** 2).mean(dim=-1)[mask].mean()


def neighbour_mean(patches: Tensor, mask: Tensor, grid: tuple[int, int]) -> Tensor:
    """Guess hidden patches without a network: each is the mean of its visible neighbours.

    patches: (B, N, P*P*C). mask: (B, N), True where a patch is hidden. grid: (rows, columns).
    Neighbours share a side, and lie in the image. Without a visible neighbour, the mean of all
    visible patches of the image takes the place. Visible patches stay as they are.
    """
    seen = (~mask)[..., None].to(patches.dtype)  # (B, N, 1)
    both = torch.cat([patches * seen, seen], dim=-1)  # sums and counts travel together
    both = both.unflatten(1, grid)  # (B, rows, columns, P*P*C + 1)
    around = torch.zeros_like(both)
    around[:, 1:] += both[:, :-1]  # from above
    around[:, :-1] += both[:, 1:]  # from below
    around[:, :, 1:] += both[:, :, :-1]  # from the left
    around[:, :, :-1] += both[:, :, 1:]  # from the right
    around = around.flatten(1, 2)  # (B, N, P*P*C + 1)
    overall = (patches * seen).sum(dim=1, keepdim=True) / seen.sum(dim=1, keepdim=True)
    counts = around[..., -1:]
    guess = torch.where(counts > 0, around[..., :-1] / counts.clamp(min=1), overall)
    return torch.where(mask[..., None], guess, patches)


class MaskedAutoencoder(nn.Module):
    """Images (B, C, H, W), float, normalised -> the loss on hidden patches.

    config: of the encoder, a VisionTransformer without a class token and with positions at the
        stem. Its head stays untrained; after pre-training, `encoder` is an ordinary ViT.
    decoder_dim, decoder_depth, decoder_heads: of the decoder, which is dropped after pre-training.
    norm_patches: False predicts pixels as they are, True each patch with mean 0 and variance 1.
    Raises ValueError for an encoder with a class token or with positions elsewhere.
    """

    def __init__(
        self,
        config: ViTConfig,
        mask_ratio: float = 0.75,
        decoder_dim: int = 64,
        decoder_depth: int = 1,
        decoder_heads: int = 4,
        norm_patches: bool = True,
    ):
        super().__init__()
        if config.class_token != "none" or config.position_site != "stem":
            raise ValueError(
                "this autoencoder's encoder has no class token and adds positions at the stem: "
                f"use pool='mean', class_token='none', got class_token={config.class_token!r}, "
                f"position_site={config.position_site!r}"
            )
        self.mask_ratio, self.norm_patches = mask_ratio, norm_patches
        self.encoder = VisionTransformer(config)
        self.to_decoder = nn.Linear(config.dim, decoder_dim)
        self.mask_token = nn.Parameter(0.02 * torch.randn(1, 1, decoder_dim))
        self.register_buffer("positions", sinusoidal_2d(config.grid, decoder_dim), persistent=False)
        sizes = dict(dim=decoder_dim, depth=decoder_depth, num_heads=decoder_heads, mlp_dim=None)
        self.decoder = Encoder(dataclasses.replace(config, **sizes))
        self.norm = nn.LayerNorm(decoder_dim, eps=config.norm_eps)
        self.to_pixels = nn.Linear(decoder_dim, config.patch_dim)

    def encode(self, images: Tensor, keep: Tensor) -> Tensor:
        """Images (B, C, H, W) and visible patches (B, K) -> their tokens (B, K, D)."""
        tokens = gather(self.encoder.tokens(images), keep)  # positions are in them already
        return self.encoder.norm(self.encoder.encoder(tokens))

    def decode(self, latent: Tensor, keep: Tensor) -> Tensor:
        """Tokens (B, K, D) of the visible patches -> a prediction for all patches (B, N, P*P*C)."""
        x = fill_in(self.to_decoder(latent), keep, self.mask_token, len(self.positions))
        x = self.decoder(x + self.positions)  # without them, all mask tokens are the same
        return self.to_pixels(self.norm(x))

    def forward(self, images: Tensor, noise: Tensor | None = None) -> Tensor:
        prediction, target, mask = self.predict(images, noise)
        return masked_loss(prediction, target, mask)

    def predict(self, images: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """(prediction (B, N, P*P*C), target (B, N, P*P*C), mask (B, N)) for one random mask.

        noise: (B, N), chooses the mask; None draws it.
        """
        if noise is None:
            noise = torch.rand(len(images), len(self.positions), device=images.device)
        keep, mask = random_masking(noise, self.mask_ratio)
        patches = patchify(images, self.encoder.config.patch_size)  # (B, N, P*P*C)
        target = normalize_patches(patches) if self.norm_patches else patches
        return self.decode(self.encode(images, keep), keep), target, mask
