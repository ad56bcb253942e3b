"""What a model learns from: three sources, one result.

Images are tensors on the training device, split by seed and augmented there.
"""

from . import augment
from .dataset import MADE, ImageData, Split, split_validation
from .few import held_out, subset
from .landscape import LANDSCAPE, landscape
from .load import load, sources
from .paths import data_root, find_cifar10, results_path, weights_path
from .photographs import PHOTOGRAPHS, photograph
from .shapes import SHAPES, make_shapes
