"""The control of lesson 25: a detector without a transformer."""

import torch
from torch import Tensor, nn

from .detection_parts import DetectorConfig, Heads, make_backbone


class DenseDetector(nn.Module):
    """The control: the same CNN, and each of the T places of its feature map gives one box.

    Input and output as those of `DETR` with one block and T queries. There is no transformer:
    before the heads stand two 3 x 3 convolutions. As in anchor-free detectors such as FCOS.
    """

    def __init__(self, config: DetectorConfig):
        super().__init__()
        self.config = c = config
        self.backbone = make_backbone(c)
        layers = (nn.Conv2d(n, c.dim, 3, padding=1) for n in (c.widths[-1], c.dim))
        self.tower = nn.Sequential(*(part for layer in layers for part in (layer, nn.GELU())))
        self.heads = Heads(c)
        middles = (torch.arange(c.grid) + 0.5) / c.grid
        points = torch.cartesian_prod(middles, middles).flip(1)  # (T, 2): x, y, row by row
        self.register_buffer("points", points.logit())

    def forward(self, images: Tensor) -> list[tuple[Tensor, Tensor]]:
        features = self.tower(self.backbone.features(images)).flatten(2).transpose(1, 2)
        logits, box = self.heads(features)
        box = torch.cat([box[..., :2] + self.points, box[..., 2:]], dim=-1)
        return [(logits, box.sigmoid())]
