"""A small residual CNN, to compare with a ViT and to teach one."""

import dataclasses

import torch
from torch import Tensor, nn

from ..common.validation import both_sides, require_choice, require_int

PADDINGS = ("zeros", "circular")


@dataclasses.dataclass(frozen=True)
class CNNConfig:
    """All the choices that define a `CNN`. Raises ValueError for one that cannot be built."""

    image_size: int | tuple[int, int] = 32  # side in pixels, or (height, width)
    channels: int = 3  # C, 1 for grey images
    num_classes: int = 10  # length of the logits
    # Channels after the stem, then after each stage. Each stage halves height and width.
    widths: tuple[int, ...] = (32, 32, 64, 128, 256)
    # What a convolution meets outside of the image: "zeros", or the opposite edge ("circular").
    padding: str = "zeros"

    def __post_init__(self):
        size = both_sides(self.image_size)
        object.__setattr__(self, "image_size", size)
        object.__setattr__(self, "widths", tuple(self.widths))
        for name in ("channels", "num_classes"):
            require_int(name, getattr(self, name))
        for width in self.widths:
            require_int("a width", width)
        require_choice("padding", self.padding, PADDINGS)
        if len(self.widths) < 2 or any(side % self.stride for side in size):
            raise ValueError(
                f"widths has {len(self.widths)} entries: one for the stem and at least one for a "
                f"stage. The stages halve the image {len(self.widths) - 1} times, so "
                f"{self.stride} must divide its sides, {size[0]} and {size[1]}"
            )

    @property
    def stride(self) -> int:
        """Pixels from one place of the last feature map to the next: 2 for each stage."""
        return 2 ** (len(self.widths) - 1)


class CNN(nn.Module):
    """Images (B, C, H, W), float, normalised -> logits (B, num_classes).

    3x3 convolutions with batch norm and GELU, residual connections (He et al. 2016, "Deep residual
    learning"), and the mean over all places at the end, as in a ResNet. `features` is everything
    before that mean: (B, widths[-1], H / stride, W / stride).
    """

    def __init__(self, config: CNNConfig):
        super().__init__()
        self.config = config
        widths, padding = config.widths, config.padding
        self.stem = conv(config.channels, widths[0], padding)
        self.stages = nn.Sequential(*(Stage(a, b, padding) for a, b in zip(widths, widths[1:])))
        self.head = nn.Linear(widths[-1], config.num_classes)
        self.to(memory_format=torch.channels_last)  # the layout in which CPUs and GPUs convolve

    def features(self, images: Tensor) -> Tensor:
        x = images.contiguous(memory_format=torch.channels_last)
        return self.stages(self.stem(x))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images).mean(dim=(2, 3)))


class Stage(nn.Module):
    """Feature maps (B, inputs, H, W) -> (B, outputs, H / 2, W / 2)."""

    def __init__(self, inputs: int, outputs: int, padding: str):
        super().__init__()
        self.down = nn.Sequential(conv(inputs, outputs, padding), nn.MaxPool2d(2))
        self.same = conv(outputs, outputs, padding)

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        return x + self.same(x)


def conv(inputs: int, outputs: int, padding: str) -> nn.Sequential:
    """A 3x3 convolution with its norm and activation function: (B, inputs, H, W) -> outputs."""
    # No bias: the norm that follows has one.
    layer = nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode=padding, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.GELU())
