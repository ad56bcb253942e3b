"""Pictures for the lessons: tensors in, a matplotlib Figure out.

No function uses pyplot or changes a global setting. A figure on the last line of a notebook cell is
shown once; `show(figure, alt)` shows any figure with a description; `save(figure, path)` or
`figure.savefig(path)` writes it. COLORS holds one colour for each part of a ViT.
"""

from .architecture import architecture
from .attention import (
    map_rows,
    path_lengths,
    reading,
    ring,
    split_and_merge,
    weight_tables,
)
from .base import COLORS, save
from .block import encoder_block
from .blocks import similarity_blocks
from .explore import explore_strip
from .images import image_grid, most_confident_errors, patches
from .kinds import position_kinds
from .learning import confusion, curves, intervals
from .map_tables import clouds, lines, map_table
from .maps import map_panels
from .plateau import plateau
from .positions import attention_map, position_similarity
from .scaling import scaling
from .showing import show
from .tokens import token_rows
