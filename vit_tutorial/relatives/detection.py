"""DETR in miniature: a small CNN, an encoder, and a decoder whose queries each give one box."""

import torch
from torch import Tensor, nn

from ..model.attention import attention, fast_attention
from ..model.encoder import MLP, EncoderBlock
from ..model.positions import sinusoidal_2d
from .detection_parts import DetectorConfig, Heads, make_backbone


class CrossAttention(nn.Module):
    """Queries (B, Q, D) read tokens (B, T, D): (B, Q, D). `to_keys` are the tokens with positions.

    Multi-head attention as in `MultiHeadSelfAttention`, but its queries come from another set.
    """

    def __init__(self, dim: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.q, self.k, self.v, self.projection = (nn.Linear(dim, dim) for _ in range(4))

    def split_heads(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, h, T, d)."""
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def weights(self, to_queries: Tensor, to_keys: Tensor, to_values: Tensor) -> Tensor:
        """(B, h, Q, T): row q is what query q reads."""
        parts = self.q(to_queries), self.k(to_keys), self.v(to_values)
        return attention(*map(self.split_heads, parts))[1]

    def forward(self, to_queries: Tensor, to_keys: Tensor, to_values: Tensor) -> Tensor:
        parts = self.q(to_queries), self.k(to_keys), self.v(to_values)
        heads = fast_attention(*map(self.split_heads, parts))  # (B, h, Q, d)
        return self.projection(heads.transpose(1, 2).flatten(2))


class DecoderBlock(nn.Module):
    """Queries (B, Q, D) read each other, then the image, then an MLP: (B, Q, D). Pre-norm."""

    def __init__(self, dim: int, num_heads: int, mlp_dim: int):
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(dim) for _ in range(3))
        self.among_queries = CrossAttention(dim, num_heads)
        self.to_image = CrossAttention(dim, num_heads)
        self.mlp = MLP(dim, mlp_dim)

    def forward(self, x: Tensor, place: Tensor, tokens: Tensor, positions: Tensor) -> Tensor:
        """place (B, Q, D) says where each query looks, positions (T, D) where each token is."""
        y = self.norm1(x)
        x = x + self.among_queries(y + place, y + place, y)
        x = x + self.to_image(self.norm2(x) + place, tokens + positions, tokens)
        return x + self.mlp(self.norm3(x))


class DETR(nn.Module):
    """Images (B, 3, H, W), float -> of each decoder block logits (B, Q, K + 1), boxes (B, Q, 4).

    The last logit is "no object". A box is its middle and its size, (x, y, w, h), as shares of the
    image's sides. After Carion et al. 2020, "End-to-End Object Detection with Transformers"; the
    points of the queries after Meng et al. 2021 (Conditional DETR) and Liu et al. 2022 (DAB-DETR).
    """

    def __init__(self, config: DetectorConfig):
        super().__init__()
        self.config = c = config
        self.backbone, self.projection = make_backbone(c), nn.Linear(c.widths[-1], c.dim)
        table = sinusoidal_2d((c.grid, c.grid), c.dim)  # (T, D)
        self.register_buffer("positions", table if c.positions else torch.zeros_like(table))
        sizes = c.dim, c.num_heads, c.mlp_dim
        self.encoder = nn.Sequential(*(EncoderBlock(*sizes) for _ in range(c.encoder_depth)))
        self.norm = nn.LayerNorm(c.dim)
        # With points, what a query looks for is small at first.
        spread = 1 if c.queries == "vectors" else 0.02
        self.queries = nn.Parameter(spread * torch.randn(c.num_queries, c.dim))
        if c.queries == "points":
            self.points = nn.Parameter(torch.rand(c.num_queries, 2).logit(eps=0.05))
            self.place = nn.Sequential(nn.Linear(c.dim, c.dim), nn.ReLU(), nn.Linear(c.dim, c.dim))
        self.decoder = nn.ModuleList(DecoderBlock(*sizes) for _ in range(c.decoder_depth))
        self.decoder_norm = nn.LayerNorm(c.dim)
        self.heads = Heads(c)

    def encode(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) -> tokens (B, T, D), row by row; each has read all others."""
        x = self.backbone.features(images).flatten(2).transpose(1, 2)  # (B, T, C)
        return self.norm(self.encoder(self.projection(x) + self.positions))

    def forward(self, images: Tensor) -> list[tuple[Tensor, Tensor]]:
        tokens = self.encode(images)
        queries = self.queries.expand(len(images), -1, -1)  # (B, Q, D)
        moving = self.config.queries == "points"
        x, point = (queries, self.points) if moving else (torch.zeros_like(queries), None)
        answers = []
        for block in self.decoder:
            place = self.place(sine_of(point.sigmoid(), self.config)) if moving else queries
            x = block(x, place, tokens, self.positions)
            logits, box = self.heads(self.decoder_norm(x))
            if moving:  # the box is given relative to the query's point, which moves there
                box = torch.cat([box[..., :2] + point, box[..., 2:]], dim=-1)
                point = box[..., :2].detach()
            answers.append((logits, box.sigmoid()))
        return answers


def sine_of(points: Tensor, c: DetectorConfig) -> Tensor:
    """Sinusoidal positions (Q, D) of points (..., Q, 2), x and y as shares of the image's sides.

    In the middle of a token this is the token's row of `sinusoidal_2d`.
    """
    frequency = 10_000 ** (-torch.arange(c.dim // 4, device=points.device) / (c.dim // 4))
    angle = (points * c.grid - 0.5)[..., None] * frequency  # (..., 2, D/4)
    waves = torch.cat([angle.sin(), angle.cos()], dim=-1)  # (..., 2, D/2)
    return waves.flip(-2).flatten(-2)  # the row's half comes first
