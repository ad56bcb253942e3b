"""What the lessons build, piece by piece: `from vit_tutorial.model import attention`, and so on."""

from .attention import MultiHeadSelfAttention, attention, fast_attention
from .config import ViTConfig
from .encoder import MLP, Encoder, EncoderBlock
from .patches import PatchEmbedding, patchify, unpatchify
from .positions import Learned2D, PositionEmbedding, make_position, sinusoidal_1d, sinusoidal_2d
from .relative import RelativeBias, Rotary
from .stem import ConvolutionalStem
from .vit import VisionTransformer
