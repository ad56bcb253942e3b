"""What a model learns from: three sources, one result. Tensors on the training device, split by seed, augmented there."""

from . import augment
from .images import ImageData, Split, split_validation
from .load import load, sources
from .location import data_root, find_cifar10, results_path, weights_path
from .shapes import SHAPES, make_shapes
