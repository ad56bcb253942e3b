"""How a model learns: `train` by passes or by minutes, `evaluate`, `save` and `load_model`; `Keep`, so that no run is lost."""

from .checkpoint import load_model, save
from .evaluation import check_fit, evaluate, predict
from .keep import Keep
from .loop import History, train
from .optimizers import make_optimizer
from .precision import Precision, choose_precision, cpu_has_bf16
from .presets import Preset, preset, presets
from .processes import start as start_processes
from .schedule import learning_rate
from .settings import TrainSettings
