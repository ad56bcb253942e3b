"""What turns an image into tokens: the patch projection, or overlapping convolutions."""

from torch import Tensor, nn

from .config import ViTConfig
from .patches import PatchEmbedding


def make_stem(config: ViTConfig) -> nn.Module:
    """What `config.stem` names: images (B, C, H, W), float -> tokens (B, N, D)."""
    return PatchEmbedding(config) if config.stem == "patches" else ConvolutionalStem(config)


class ConvolutionalStem(nn.Module):
    """Images (B, C, H, W), float -> tokens (B, N, D), as many as patches would give.

    3 x 3 convolutions of stride 2, whose channels double up to D, and a linear layer at the end
    (Xiao et al. 2021, "Early convolutions help transformers see better"). A token sees 2P - 1
    pixels on a side, so neighbours overlap; a patch has P.
    The paper normalises over the batch. This stem normalises each image by itself (GroupNorm with
    one group), so that an image gives the same tokens whatever else is in the batch.
    """

    def __init__(self, config: ViTConfig):
        super().__init__()
        halvings = config.patch_size.bit_length() - 1  # 2 ** halvings = P
        widths = [config.channels, *(config.dim >> i for i in reversed(range(halvings)))]
        self.convolutions = nn.Sequential()
        for before, after in zip(widths, widths[1:]):
            # No bias: the norm that follows has one.
            conv = nn.Conv2d(before, after, kernel_size=3, stride=2, padding=1, bias=False)
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
            self.convolutions.extend([conv, nn.GroupNorm(1, after, eps=config.norm_eps), nn.ReLU()])
        self.projection = nn.Linear(config.dim, config.dim)

    def forward(self, images: Tensor) -> Tensor:
        features = self.convolutions(images)  # (B, D, H/P, W/P)
        tokens = features.flatten(2).transpose(1, 2)  # (B, N, D), row by row as patches are
        return self.projection(tokens)
