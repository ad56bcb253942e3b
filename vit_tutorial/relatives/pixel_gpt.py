"""Image GPT in miniature (Chen et al. 2020): an image is a sentence of 256 pixels, 8 colours."""

import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from ..common.files import atomic_write
from ..common.validation import require_int, require_rank
from ..model import EncoderBlock
from . import attention_patterns
from .attention_patterns import Pattern


def shrink(images: Tensor, side: int = 16) -> Tensor:
    """Images (B, 3, H, W), uint8 -> (B, 3, side, side), float, 0 to 255: means of squares."""
    require_rank("shrink", "images", images, "B, C, H, W")
    return F.adaptive_avg_pool2d(images.float(), side)


def make_palette(pixels: Tensor, colours: int = 8) -> Tensor:
    """The colours (K, 3), darkest first, that k-means finds for pixels (N, 3), 0 to 255.

    It starts from K of the pixels that are evenly spaced in brightness, so chance has no part in
    it. Raises ValueError for fewer pixels than colours.
    """
    from scipy.cluster.vq import kmeans2  # imported late: nothing else here needs it

    if len(pixels) < colours:
        raise ValueError(f"{len(pixels)} pixels for {colours} colours: give more pixels")
    by_brightness = pixels[pixels.sum(dim=1).argsort(stable=True)].double()
    start = by_brightness[torch.linspace(0, len(pixels) - 1, colours).long()]
    found, _ = kmeans2(by_brightness.numpy(), start.numpy(), iter=30, minit="matrix")
    found = torch.from_numpy(found).float()
    return found[found.sum(dim=1).argsort()]


def to_tokens(images: Tensor, palette: Tensor) -> Tensor:
    """Images (B, 3, h, w) -> (B, 1 + h*w), int64: the start token, then the nearest colours.

    The start token is number K, one more than the last colour.
    """
    pixels = images.permute(0, 2, 3, 1).flatten(1, 2)  # (B, T, 3)
    tokens = torch.cdist(pixels, palette).argmin(dim=-1)  # (B, T)
    return F.pad(tokens, (1, 0), value=len(palette))


def to_images(tokens: Tensor, palette: Tensor) -> Tensor:
    """Tokens (B, 1 + h*h), as from `to_tokens` -> images (B, 3, h, h), uint8."""
    side = math.isqrt(tokens.shape[1] - 1)
    pixels = palette[tokens[:, 1:]]  # (B, T, 3)
    return pixels.round().to(torch.uint8).transpose(1, 2).unflatten(2, (side, side))


class PixelGPT(nn.Module):
    """Tokens (B, T), the start token first -> logits (B, T, K), each for the token that follows.

    The blocks of the ViT, behind a mask: no token reads a later one. mask: (side**2, side**2) or a
    list of them, one after the other for the blocks; `raster` if None. palette: (K, 3), kept for
    drawing. Raises ValueError for a mask of another size, or that lets a token read a later one.
    """

    def __init__(
        self, palette: Tensor, side: int = 16, dim: int = 64, depth: int = 4, heads: int = 4,
        mask: Tensor | list[Tensor] | None = None,
    ):  # fmt: skip
        super().__init__()
        for name, value in (("side", side), ("depth", depth)):
            require_int(name, value)
        mask = attention_patterns.raster((side, side)) if mask is None else mask
        masks = [mask] if isinstance(mask, Tensor) else mask
        if any(each.shape != (side**2, side**2) for each in masks):
            shapes = ", ".join(str(tuple(each.shape)) for each in masks)
            raise ValueError(f"masks of {shapes} for {side**2} pixels: give ({side**2}, {side**2})")
        later = sum(each.triu(1).sum().item() for each in masks)
        if later:
            raise ValueError(f"{later} pairs read a later pixel: use mask & raster(grid)")
        self.size = dict(side=side, dim=dim, depth=depth, heads=heads)
        self.register_buffer("palette", palette.clone())
        self.embedding = nn.Embedding(len(palette) + 1, dim)  # one more: the start token
        self.position = nn.Parameter(0.02 * torch.randn(side**2, dim))
        self.patterns = nn.ModuleList(map(Pattern, masks))
        self.blocks = nn.ModuleList(EncoderBlock(dim, heads, 4 * dim) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, len(palette))
        nn.init.normal_(self.embedding.weight, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        if tokens.shape[1] > len(self.position):
            raise ValueError(
                f"{tokens.shape[1]} tokens, but the model reads at most {len(self.position)}: give "
                "tokens[:, :-1], as nothing follows the last one"
            )
        x = self.embedding(tokens) + self.position[: tokens.shape[1]]  # (B, T, D)
        for i, block in enumerate(self.blocks):
            x = block(x, self.patterns[i % len(self.patterns)])
        return self.head(self.norm(x))  # (B, T, K)

    def loss(self, tokens: Tensor) -> Tensor:
        """Mean cross-entropy of images (B, 1 + T): every pixel from those before it, in nats."""
        logits = self(tokens[:, :-1])  # the last pixel predicts nothing
        return F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())

    @torch.no_grad()
    def complete(
        self, tokens: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0
    ) -> Tensor:
        """Beginnings (B, t), the start token first -> whole images (B, 1 + side**2), sampled."""
        if not temperature > 0:
            raise ValueError(f"temperature is {temperature}: it must be above 0; 1 changes nothing")
        while tokens.shape[1] <= self.size["side"] ** 2:
            chances = (self(tokens)[:, -1] / temperature).softmax(dim=-1)  # (B, K)
            tokens = torch.cat([tokens, torch.multinomial(chances, 1, generator=generator)], 1)
        return tokens

    @torch.no_grad()
    def bits_per_pixel(self, tokens: Tensor, batch: int = 100) -> float:
        """What a pixel of images (B, 1 + T) costs on average, in bits: loss / ln 2."""
        total = sum(self.loss(part).item() * len(part) for part in tokens.split(batch))
        return total / len(tokens) / math.log(2)

    def save(self, path: Path) -> None:
        """Write the weights in float16, the palette in float32, and the size in the header."""
        tensors = {name: value.detach().half() for name, value in self.state_dict().items()}
        tensors["palette"] = self.palette
        with atomic_write(path) as file:
            file.write(save(tensors, metadata={"size": json.dumps(self.size)}))

    @classmethod
    def load(cls, path: Path) -> "PixelGPT":
        """The model of `save`, float32, in evaluation mode, with the mask `raster`."""
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}
            size = json.loads(file.metadata()["size"])
        model = cls(tensors["palette"], **size)
        model.load_state_dict(tensors)
        return model.eval()
