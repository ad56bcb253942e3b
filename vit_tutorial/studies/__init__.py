"""Studies of position embeddings: a grid of runs, paired by seed, with intervals."""

from ..common.files import read_rows  # lessons read the committed tables with it
from .definitions import STUDIES, variants
from .runner import run_study
from .statistics import difference, interval, p_value, share_interval, summary
