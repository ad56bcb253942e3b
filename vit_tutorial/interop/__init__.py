"""Weights to and from torchvision, timm and vit-pytorch: the same numbers, under their own names.

`load_from(theirs)` makes one of our models out of one of theirs, `export_to(ours, theirs)` goes the
other way. Both first read a ViTConfig from the other library's model and compare everything else
before a number is copied. A feature that one side lacks raises a ValueError that names it, so no
weight is silently left behind.

One file describes each library; none of the three libraries is imported before it is needed.
"""

from .convert import LIBRARIES, export_to, load_from
