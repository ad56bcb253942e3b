"""Small models to set beside the ViT: relatives, teachers, and what its parts are also used for."""

from .cnn import CNN, CNNConfig
from .few_shot import LinearProbe, fit_probe, representations, ridge
from .pixel_gpt import PixelGPT
