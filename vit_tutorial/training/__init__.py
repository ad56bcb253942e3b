"""How a model learns: `train` by passes or by minutes, `evaluate`, `save` and `load_model`."""

from .checkpoint import load_model, save
from .loop import History, check_fit, evaluate, make_optimizer, predict, train
from .precision import Precision, choose_precision, cpu_has_bf16
from .schedule import learning_rate
from .settings import TrainSettings
