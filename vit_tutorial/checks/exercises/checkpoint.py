"""check_checkpoint: what must be saved so that a stopped run can be resumed."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from ..engine.case import Case, ModuleRecipe, choice, numbers
from ..engine.check import Check
from ..engine.mistake import Evidence, Mistake
from ..engine.modules import build_module
from ..engine.observe import type_name
from .general import general_mistakes

ENTRIES = ("model", "optimizer", "generator")


def checkpoint(model, optimizer, generator):
    """Copies of the three states, in a dict."""
    states = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    return copy.deepcopy(states) | {"generator": generator.get_state()}


class Run:
    """A run that draws its batches and some noise from its own generator."""

    def __init__(self, model: nn.Module, images, labels, seed: int):
        self.model, self.images, self.labels = model, images, labels
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
        self.generator = torch.Generator().manual_seed(seed)

    def train(self, steps: int) -> None:
        for _ in range(steps):
            batch = torch.randint(len(self.labels), (6,), generator=self.generator)
            images = self.images[batch]
            images = images + 0.3 * torch.randn(images.shape, generator=self.generator)
            self.optimizer.zero_grad()
            F.cross_entropy(self.model(images), self.labels[batch]).backward()
            self.optimizer.step()

    def restore(self, saved: dict) -> None:
        """Take over what `saved` holds. TypeError, with the entry's name, for another kind."""
        if "model" in saved:
            self.model.load_state_dict(of_kind(saved, "model", dict))
        if "optimizer" in saved:
            self.optimizer.load_state_dict(of_kind(saved, "optimizer", dict))
        if "generator" in saved:
            self.generator.set_state(of_kind(saved, "generator", torch.Tensor))


NOT_A_STATE = "is not a state"


def of_kind(saved: dict, name: str, kind: type):
    if not isinstance(saved[name], kind):
        raise TypeError(f"the entry {name!r} holds a {type_name(saved[name])}, which {NOT_A_STATE}")
    return saved[name]


def stop_and_resume(fn, inputs):
    """A run calls fn half-way and goes on; a new run starts from what fn returned.

    The weights at the end of the new run, as one vector; what fn returned, if that is no dict.
    """
    own, stranger = (copy.deepcopy(inputs["model"]) for _ in range(2))
    first = Run(own, inputs["images"], inputs["labels"], inputs["seed"])
    first.train(inputs["before"])
    saved = fn(first.model, first.optimizer, first.generator)
    if not isinstance(saved, dict):
        return saved
    first.train(1)  # the run goes on: what was saved must not notice
    with torch.no_grad():
        for parameter in stranger.parameters():
            parameter.fill_(0.1)
    second = Run(stranger, inputs["images"], inputs["labels"], inputs["seed"] + 1)
    second.restore(saved)
    second.train(inputs["after"])
    return torch.cat([p.detach().flatten() for p in second.model.parameters()])


def record_weights(value, inputs) -> tuple[dict, dict]:
    """The weights at the end of the resumed run."""
    facts = {"types": {"the checkpoint": type_name(value)}, "form": "a dict"}
    return ({"the checkpoint": value} if type(value) is torch.Tensor else {}), facts


def checkpoint_cases(generator: torch.Generator) -> list[Case]:
    """A run is stopped early, late, and before its first step."""

    def case(about, before, after, features=4, classes=3, kind="Linear"):
        settings = {"in_features": features, "out_features": classes}
        state = {
            name: numbers(generator, *value.shape).abs()
            if "norm" in kind.lower()
            else numbers(generator, *value.shape)
            for name, value in build_module(kind, settings).state_dict().items()
        }
        return Case(
            about,
            {
                "model": ModuleRecipe(kind, settings | {"training": True}, state),
                "images": numbers(generator, 20, features),
                "labels": torch.randint(classes, (20,), generator=generator),
                "seed": choice(generator, 1, 2, 3),
                "before": before,
                "after": after,
            },
        )

    return [
        case("stopped in the middle", 4, 4),
        case("stopped early", 1, 5),
        case("stopped late", 5, 2),
        case("another size", 3, 3, features=7, classes=5),
        case("a model with a batch norm", 2, 2, kind="NormThenLinear"),
    ]


def entries_of(**changes):
    """The right checkpoint, with entries replaced: name=function of (model, optimizer, generator).

    None leaves an entry out.
    """

    def made(model, optimizer, generator):
        saved = checkpoint(model, optimizer, generator)
        for name, make in changes.items():
            saved.pop(name)
            if make is not None:
                saved[name] = make(model, optimizer, generator)
        return saved

    return made


def names_missing(e: Evidence) -> bool:
    return any(NOT_A_STATE in (actual.error or "") for actual in e.actual)


LIVE_MODEL = {"model": lambda model, optimizer, generator: model.state_dict()}
LIVE_OPTIMIZER = {"optimizer": lambda model, optimizer, generator: optimizer.state_dict()}


def rounded(dtype):
    return entries_of(
        model=lambda model, optimizer, generator: {
            name: value.to(dtype) for name, value in model.state_dict().items()
        }
    )


MISTAKES = (
    Mistake(
        name="not_copied",
        explanation=(
            "What you saved changed when the run went on: your dict holds the run's own tensors, "
            "and the optimizer writes into them in place."
        ),
        hint=(
            "state_dict() returns a dict of the very tensors that the run works with. Does "
            "dict(...) or .copy() copy the tensors, too?"
        ),
        # {"model": model.state_dict(), ...} as it stands in most tutorials, before torch.save
        buggy=entries_of(**LIVE_MODEL, **LIVE_OPTIMIZER),
        variants=(
            entries_of(**LIVE_MODEL),
            entries_of(**LIVE_OPTIMIZER),
            entries_of(**LIVE_MODEL, optimizer=None),
            entries_of(**LIVE_MODEL, optimizer=None, generator=None),
        ),
    ),
    Mistake(
        name="optimizer_forgotten",
        explanation=(
            "The optimizer's state is missing: AdamW's averages started again from 0, and the "
            "resumed run took a different path."
        ),
        hint="What does AdamW remember from step to step?",
        buggy=entries_of(optimizer=None),
    ),
    Mistake(
        name="generator_forgotten",
        explanation=("The generator's state is missing: the resumed run drew different batches."),
        hint="Which images would the next step have seen?",
        buggy=entries_of(generator=None),
        variants=(
            # a fresh generator with the first one's seed: the run would see its first batches again
            entries_of(
                generator=lambda model, optimizer, generator: (
                    torch.Generator().manual_seed(generator.initial_seed()).get_state()
                )
            ),
        ),
    ),
    Mistake(
        name="weights_only",
        explanation="Only the weights were saved. A run is more than its weights.",
        hint="What else changes from step to step, and what draws the next batch?",
        buggy=entries_of(optimizer=None, generator=None),
    ),
    Mistake(
        name="model_forgotten",
        explanation="The model's weights are missing: the resumed run started from different ones.",
        hint="Under which name should they be stored?",
        buggy=entries_of(model=None),
        variants=(
            entries_of(model=None, optimizer=None),
            entries_of(model=None, generator=None),
            entries_of(model=None, optimizer=None, generator=None),
        ),
    ),
    Mistake(
        name="rounded",
        explanation="The weights were rounded to 16 bits.",
        hint="In which dtype does the run hold its weights?",
        # .half(), to make the file smaller
        buggy=rounded(torch.bfloat16),
        variants=(rounded(torch.float16),),
    ),
    Mistake(
        name="not_a_state",
        explanation=(
            "An entry holds an object or a number instead of a state: it should hold a state_dict, "
            "or what get_state() returns."
        ),
        hint="Which method gives the state of a module, of an optimizer, of a generator?",
        buggy=lambda model, optimizer, generator: {
            "model": model,
            "optimizer": optimizer,
            "generator": generator,
        },
        detect=names_missing,
    ),
    Mistake(
        name="global_random_state",
        explanation=(
            "You saved the state of torch's own generator. The run draws its batches from the "
            "generator that it hands to you."
        ),
        hint="Which of your function's inputs draws the batches, and which method gives its state?",
        # torch.get_rng_state()
        buggy=entries_of(generator=lambda model, optimizer, generator: torch.get_rng_state()),
    ),
    Mistake(
        name="buffers_forgotten",
        explanation=(
            "The model's parameters were saved without its buffers, such as the running mean of a "
            "batch norm."
        ),
        hint="What does state_dict() hold that named_parameters() does not?",
        buggy=entries_of(
            model=lambda model, optimizer, generator: {
                name: p.detach().clone() for name, p in model.named_parameters()
            }
        ),
        detect=lambda e: (
            e.wrong_exactly_where(lambda case: case.inputs["model"].kind == "NormThenLinear")
            and "Missing key(s)" in (e.observation.error or "")
        ),
    ),
)


check_checkpoint = Check(
    name="check_checkpoint",
    signature=(
        "fn(model, optimizer, generator) -> a dict with the entries 'model' and 'optimizer' "
        "(state dicts) and 'generator' (its state), from which a new run can continue as if "
        "nothing had happened; later steps of this run must not change it"
    ),
    cases=checkpoint_cases,
    reference=checkpoint,
    mistakes=MISTAKES
    + general_mistakes(
        checkpoint, without=("changed_input", "wrong_dtype", "wrong_device", "detached")
    ),
    record=record_weights,
    call=stop_and_resume,
    hidden=("images", "labels", "seed", "before", "after"),
)
