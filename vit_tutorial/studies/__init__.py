"""Studies of position embeddings: a grid of runs, paired by seed, with intervals."""

from .run import read_rows, run_study
from .statistics import difference, interval, summary
from .studies import STUDIES, Variant, budget, variants
