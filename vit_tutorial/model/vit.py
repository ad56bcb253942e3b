"""The whole model: images -> tokens -> encoder -> representation -> logits."""

import torch
from torch import nn

from .config import ViTConfig
from .encoder import Encoder
from .positions import make_position
from .stem import make_stem


class VisionTransformer(nn.Module):
    """The Vision Transformer of Dosovitskiy et al. 2021 (section 3.1): images (B, C, H, W), float -> logits (B, num_classes).

    Linear layers start as in the paper's code: Xavier-uniform weights, zero biases. The class token starts at a standard
    deviation of 0.02, learned positions at `config.position_std`, the head at 0.02 (the first loss is close to ln num_classes).
    """

    def __init__(self, config: ViTConfig):
        super().__init__()
        self.config = config
        self.patch_embedding = make_stem(config)
        self.class_token = (
            nn.Parameter(0.02 * torch.randn(1, 1, config.dim))
            if config.class_token != "none"
            else None
        )
        self.position = make_position(config) if config.position_site == "stem" else nn.Identity()
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = Encoder(config)
        self.norm = nn.LayerNorm(config.dim, eps=config.norm_eps)
        self.head = nn.Linear(config.dim, config.num_classes)
        self.apply(_init_weights)
        nn.init.normal_(self.head.weight, std=0.02)

    def tokens(self, images: torch.Tensor) -> torch.Tensor:
        """Images (B, C, H, W) -> what enters the encoder, z_0 (B, T, D): patch tokens, the class token, positions (equation 1).

        Raises ValueError for images of another rank, size or channel count, or of whole numbers.
        """
        self._check(images)
        x = self.patch_embedding(images)  # (B, N, D)
        if self.class_token is None:
            return self.dropout(self.position(x))
        if not self.config.position_class_token:
            x = self.position(x)
        token = self.class_token.expand(len(x), -1, -1)  # one token, shared by the batch: no copy
        x = torch.cat(
            [token, x] if self.config.class_token == "first" else [x, token], dim=1
        )  # (B, N + 1, D)
        if self.config.position_class_token:
            x = self.position(x)
        return self.dropout(x)

    def pool(self, z: torch.Tensor) -> torch.Tensor:
        """Tokens that leave the encoder (B, T, D) -> one vector an image (B, D)."""
        first = self.config.class_token == "first"
        if self.config.pool == "class":
            return z[:, 0] if first else z[:, -1]
        if self.config.class_token == "none":
            return z.mean(dim=1)
        return (z[:, 1:] if first else z[:, :-1]).mean(dim=1)

    def representation(self, images: torch.Tensor) -> torch.Tensor:
        """Images (B, C, H, W) -> the image representation y (B, D), what the head reads (equation 4)."""
        z = self.encoder(self.tokens(images))  # (B, T, D)
        if self.config.pool == "class" or self.config.norm_after_pool:
            return self.norm(
                self.pool(z)
            )  # LayerNorm treats each token by itself: one class token is enough to normalise
        return self.pool(self.norm(z))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.representation(images))

    def _check(self, images: torch.Tensor) -> None:
        c = self.config
        expected = (c.channels, *c.image_size)
        if images.ndim != 4 or tuple(images.shape[1:]) != expected:
            raise ValueError(
                f"this model takes images (B, {', '.join(map(str, expected))}), got {tuple(images.shape)}. "
                "One image needs a batch axis, image[None]; another size needs a resize or a config of its own"
            )
        if not images.is_floating_point():
            raise ValueError(
                f"images are {images.dtype}, the model computes with floats: images.float() / 255, then normalise"
            )


def _init_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
