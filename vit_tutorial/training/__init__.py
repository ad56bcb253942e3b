"""How a model learns: `train` by passes or by minutes, `evaluate`, `save` and `load_model`; `Keep`, so that no run is lost."""

from .evaluation import check_fit, evaluate, predict
from .loop import History, train
from .model_file import load_model, save_model
from .optimizers import make_optimizer
from .recipes import Recipe, recipe, recipes
from .runtime.checkpointer import Checkpointer
from .runtime.precision import Precision, choose_precision, cpu_has_bf16
from .runtime.processes import init_processes
from .schedule import learning_rate
from .settings import TrainSettings
