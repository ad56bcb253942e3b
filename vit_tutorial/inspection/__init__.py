"""What a model has learned. `analysis`: tensors in, tensors out. `plots`: tensors in, a matplotlib Figure out.

`plots` is loaded when it is asked for (`from vit_tutorial.inspection import plots`): this room alone does not need matplotlib.
"""

from . import analysis
