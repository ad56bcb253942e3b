"""What both small detectors share: their configuration, the CNN, and the heads."""

import dataclasses

import torch
from torch import Tensor, nn

from ..common.validation import require_choice, require_heads, require_int
from .cnn import CNN, CNNConfig

QUERIES = ("points", "vectors")


@dataclasses.dataclass(frozen=True)
class DetectorConfig:
    """All the choices that define a `DETR` or a `DenseDetector`. ValueError for impossible ones."""

    image_size: int = 48  # side in pixels
    num_classes: int = 5  # K; "no object" is one more
    widths: tuple[int, ...] = (16, 16, 32, 64)  # channels of the CNN, as in CNNConfig
    padding: str = "zeros"  # of its convolutions, as in CNNConfig
    dim: int = 64  # D
    num_heads: int = 4  # h
    mlp_dim: int = 128  # width inside the MLPs
    encoder_depth: int = 2  # encoder blocks
    decoder_depth: int = 3  # decoder blocks, each with an answer of its own
    num_queries: int = 10  # Q: the most objects that can be found
    # "vectors": a query is a learned vector, as in DETR. "points": it also has a place in the
    # image, which each decoder block moves, as in Conditional DETR and DAB-DETR: learns sooner.
    queries: str = "points"
    positions: bool = True  # False: the tokens of the image have no position embedding

    def __post_init__(self):
        for field in dataclasses.fields(self):
            if field.type is int:
                require_int(field.name, getattr(self, field.name))
        require_heads(self.dim, self.num_heads)
        require_choice("queries", self.queries, QUERIES)
        if self.dim % 4:
            raise ValueError(f"dim is {self.dim}: 2-D sinusoidal positions need a multiple of 4")
        self.backbone()

    def backbone(self) -> CNNConfig:
        return CNNConfig(image_size=self.image_size, widths=self.widths, padding=self.padding)

    @property
    def grid(self) -> int:
        """Tokens on a side: the CNN's last feature map."""
        return self.image_size // self.backbone().stride


class Heads(nn.Module):
    """Vectors (..., D) -> logits (..., K + 1) and boxes (..., 4), these before the sigmoid."""

    def __init__(self, c: DetectorConfig):
        super().__init__()
        self.classes = nn.Linear(c.dim, c.num_classes + 1)
        self.boxes = nn.Sequential(nn.Linear(c.dim, c.dim), nn.ReLU(), nn.Linear(c.dim, 4))
        nn.init.zeros_(self.boxes[-1].weight)  # at first: a box of a quarter of the image's sides
        self.boxes[-1].bias.data = torch.tensor([0.0, 0.0, -1.1, -1.1])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.classes(x), self.boxes(x)


def make_backbone(c: DetectorConfig) -> CNN:
    """The CNN of lesson 21 without its head: its `features` are used."""
    backbone = CNN(c.backbone())
    backbone.head = nn.Identity()
    return backbone
