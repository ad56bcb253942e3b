"""The whole model: images -> tokens -> encoder -> representation -> logits."""

import torch
from torch import Tensor, nn

from .config import ViTConfig, require_config, require_images
from .encoder import Encoder
from .position_utils import insert_class_token, split_class_token
from .positions import make_position
from .resize import position_for
from .stem import make_stem


class VisionTransformer(nn.Module):
    """The Vision Transformer (Dosovitskiy et al. 2021, section 3.1).

    Images (B, C, H, W), float, normalised -> logits (B, num_classes). Raises ValueError for images
    of another rank, size or number of channels, or of whole numbers; TypeError for what is no
    tensor, or no ViTConfig.
    """

    def __init__(self, config: ViTConfig):
        super().__init__()
        require_config(config)
        self.config = config
        self.dynamic_image_size = False  # True: other sizes too, as resize.py says
        self.patch_embedding = make_stem(config)
        has_token = config.class_token != "none"
        self.class_token = nn.Parameter(0.02 * torch.randn(1, 1, config.dim)) if has_token else None
        self.position = make_position(config) if config.position_site == "stem" else nn.Identity()
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = Encoder(config)
        self.norm = nn.LayerNorm(config.dim, eps=config.norm_eps)
        self.head = nn.Linear(config.dim, config.num_classes)
        self.apply(_init_weights)
        nn.init.normal_(self.head.weight, std=0.02)  # small logits: the first loss is near ln(K)

    def tokens(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) -> what enters the encoder, z_0 (B, T, D) (equation 1)."""
        require_images(images, self.config, self.dynamic_image_size)
        position = position_for(self.position, self.config, images.shape[2:])
        x = self.patch_embedding(images)  # (B, N, D)
        if not self.config.position_class_token:
            x = position(x)  # before the class token joins
        if self.class_token is not None:
            token = self.class_token.expand(x.shape[0], -1, -1)  # (B, 1, D), one for all: no copy
            x = insert_class_token(self.config, x, token)  # (B, N + 1, D)
        if self.config.position_class_token:
            x = position(x)
        return self.dropout(x)

    def pool(self, z: Tensor) -> Tensor:
        """Tokens that leave the encoder (B, T, D) -> one vector for each image (B, D)."""
        patches, token = split_class_token(self.config, z, self.config.num_class_tokens)
        return token[:, 0] if self.config.pool == "class" else patches.mean(dim=1)

    def representation(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) -> y (B, D), which the head reads (equation 4)."""
        z = self.encoder(self.tokens(images))  # (B, T, D)
        # LayerNorm treats each token by itself, so normalising the one class token is enough.
        if self.config.pool == "class" or self.config.norm_after_pool:
            return self.norm(self.pool(z))
        return self.pool(self.norm(z))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.representation(images))


def _init_weights(module: nn.Module) -> None:
    """As in the paper's code: Xavier-uniform weights and zero biases in all linear layers."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
