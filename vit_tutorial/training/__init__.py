"""How a model learns: `train` for epochs or minutes, `evaluate`, `save_model`, `load_model`.

Read settings, recipes, schedule, optimizers, batches, step, loop, evaluation and model_file, in
this order; runtime/ keeps a run going on a real machine and can wait.
"""

from .evaluation import evaluate, predict
from .loop import History, train
from .model_file import load_model, save_model
from .optimizers import make_optimizer
from .recipes import DEFAULT_MODEL, Recipe, recipe, recipes
from .runtime.checkpointer import Checkpointer
from .runtime.fit import check_fit
from .runtime.precision import Precision, choose_precision, cpu_has_bf16
from .runtime.processes import init_processes
from .schedule import learning_rate
from .settings import TrainSettings
