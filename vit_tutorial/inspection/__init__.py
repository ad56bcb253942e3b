"""What a model has learned, in numbers and in pictures.

`analysis`: tensors in, tensors out. `position_tables`: where a model keeps its positions.
`plots`: tensors in, a matplotlib Figure out. `plots` is loaded only when it is imported
(`from vit_tutorial.inspection import plots`): nothing else in this folder needs matplotlib.
"""

from . import analysis
from .layout import TokenLayout
