"""DeiT in small: a ViT taught by labels, and by a CNN or a ViT, hard and soft, at equal FLOPs.

    python benchmarks/distillation.py shapes --seeds 0 1 2 3 4
    python benchmarks/distillation.py cifar10 --images FOLDER --provenance "CIFAR-10 (JPEG copy)"
    python benchmarks/distillation.py cifar10_all  # on a GPU

Student and teachers are the CNN and the ViT of benchmarks/vit_and_cnn.py, of one size. They learn
from the same images, changed by the same random numbers. The teachers of a seed come first: a CNN,
a ViT with other first weights than the student's, and "early CNN", the CNN stopped as soon as it is
as good as the ViT teacher on the validation images: another inductive bias without more accuracy.

    distillation.csv         a row for each run: accuracy of each head and of their mean, FLOPs, and
                             the cosine of the two tokens at the stem, then after each block
    distillation_errors.csv  a row for each student and each other model of its seed: images that
                             both get wrong, how many that is by chance, and Cohen's kappa

"alone" has the steps of the distilled students; "alone, equal FLOPs" has as many more as the CNN's
forward passes cost. "two class tokens" is the control without a teacher: both learn the labels.
cifar10_all has all images and 31 epochs. A seed takes about 630 TFLOP by the arithmetic of
`step_flops`, which is 4 minutes at 3 TFLOP/s. Nobody has measured it.
A run that is in the table is not made again. --work keeps the teachers and the answers that later
runs are compared with.
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path

import common
import comparison
import torch
import torch.nn.functional as F
from comparison import count, share

from vit_tutorial import VisionTransformer, ViTConfig, data, training
from vit_tutorial.common import machine
from vit_tutorial.data import subset
from vit_tutorial.relatives import CNN, CNNConfig
from vit_tutorial.relatives.distillation import (
    DistilledViT,
    distillation_loss,
    error_consistency,
    token_cosines,
)
from vit_tutorial.training.batches import Batches

STUDENT = ViTConfig(dim=64, depth=2, num_heads=2, mlp_dim=128)
TEACHER = CNNConfig(widths=(8, 16, 32, 64))
TASKS = dict(  # training images, steps, and the probability that CutMix mixes a batch
    shapes=dict(images=200, steps=300, cutmix=0.9),
    cifar10=dict(images=2_000, steps=400, cutmix=0.9),
    cifar10_all=dict(images=45_000, steps=14_000, cutmix=0.5),  # for a GPU
)
TEACHERS = ("CNN", "ViT", "early CNN")
# name: (has a distillation token, kind of loss, teacher). "labels": the second token learns from
# the labels, as the first does.
STUDENTS = {
    "alone": (False, "", ""),
    "alone, equal FLOPs": (False, "", ""),
    "two class tokens": (True, "labels", ""),
    "hard, CNN": (True, "hard", "CNN"),
    "soft, CNN": (True, "soft", "CNN"),
    "hard, ViT": (True, "hard", "ViT"),
    "soft, ViT": (True, "soft", "ViT"),
    "hard, early CNN": (True, "hard", "early CNN"),
    "hard, CNN, no token": (False, "hard", "CNN"),
}
BATCH, LR, TEMPERATURE = 100, 3e-3, 3.0
RUN = ("task", "student", "seed")  # what tells two runs apart


def build(name: str, seed: int) -> torch.nn.Module:
    """A teacher or a student, untrained. Students of one seed begin with the same ViT."""
    if name in TEACHERS:
        torch.manual_seed(1000 + seed)  # not the student's own weights
        return VisionTransformer(STUDENT) if name == "ViT" else CNN(TEACHER)
    torch.manual_seed(seed)
    return DistilledViT(STUDENT) if STUDENTS[name][0] else VisionTransformer(STUDENT)


def both_heads(model: torch.nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return model.heads(images) if isinstance(model, DistilledViT) else (model(images),) * 2


def fit(model, images, task: dict, seed: int, steps: int, kind="", teacher=None, stop_at=None):
    """Train `model`; the number of steps made. stop_at: the validation accuracy that is enough."""
    settings = training.TrainSettings(
        epochs=1, batch_size=BATCH, lr=LR, seed=seed, cutmix=task["cutmix"]
    )
    batches, optimizer = Batches(images, settings), training.make_optimizer(model, settings)
    precision = training.choose_precision(images.device)
    schedule = "linear" if stop_at is None else "constant"
    for step in range(steps):
        model.train()
        for group in optimizer.param_groups:
            group["lr"] = training.learning_rate(step, steps, 0.1 * steps, LR, schedule)
        x, labels = next(batches)
        with precision.autocast():
            heads = both_heads(model, x)
            if teacher is not None:
                with torch.no_grad():
                    said = teacher(x)
        heads = tuple(logits.float() for logits in heads)
        if kind in ("hard", "soft"):
            loss = distillation_loss(heads, labels, said.float(), kind, TEMPERATURE)
        else:
            loss = sum(F.cross_entropy(logits, labels) for logits in heads) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if stop_at is not None and step % 3 == 2:  # a CNN improves in leaps
            if training.evaluate(model, images.validation, images)[1] >= stop_at:
                break
    model.eval()
    return step + 1


def forward_flops(name: str) -> int:
    """Of one image, for the model of this name."""
    return comparison.forward_flops(build(name, 0))


def step_flops(name: str) -> int:
    """Of a training step, for one image: three forward passes of what learns, one of its teacher.

    Going back costs about twice as much as going forward.
    """
    teacher = STUDENTS[name][2]
    return 3 * forward_flops(name) + (forward_flops(teacher) if teacher else 0)


def steps_of(name: str, steps: int) -> int:
    """The steps that a student makes: more for the one with equal FLOPs."""
    if name != "alone, equal FLOPs":
        return steps
    return round(steps * step_flops("hard, CNN") / step_flops("alone"))


def load(task: str, source: str) -> data.ImageData:
    images = data.load("shapes" if task == "shapes" else source)
    # A folder's images come class by class, so take every n-th and not the first thousand.
    step = max(1, len(images.validation) // 1000)
    return dataclasses.replace(images, validation=images.validation[::step])


# --- one seed ------------------------------------------------------------------------------------


class Seed:
    """The teachers of a task and seed, and the right answers that students are compared with."""

    def __init__(self, task: str, seed: int, images: data.ImageData, work: Path):
        self.task, self.seed, self.work = task, seed, work
        self.settings = TASKS[task]
        self.images = subset(images, self.settings["images"], seed)
        self.models, self.answers = {}, {}

    def path(self, name: str) -> Path:
        return self.work / f"{self.task}_{self.seed}_{name}.pt"

    def teacher(self, name: str) -> torch.nn.Module:
        """Trained, or read from the folder --work."""
        if name in self.models:
            return self.models[name]
        model, steps = build(name, self.seed), self.settings["steps"]
        if self.path(name).is_file():
            model.load_state_dict(torch.load(self.path(name), weights_only=True))
        elif name == "early CNN":
            enough = self.accuracy(self.teacher("ViT"), "validation")
            made = fit(model, self.images, self.settings, self.seed, steps, stop_at=enough)
            print(f"{self.task}, seed {self.seed}: early CNN stopped after {made} steps")
        else:
            fit(model, self.images, self.settings, self.seed, steps)
        self.save(model.state_dict(), name)
        self.models[name] = model.eval()
        return model

    def save(self, what, name: str) -> None:
        self.work.mkdir(parents=True, exist_ok=True)
        torch.save(what, self.path(name))

    def accuracy(self, model: torch.nn.Module, split: str) -> float:
        return training.evaluate(model, getattr(self.images, split), self.images)[1]

    def right(self, model: torch.nn.Module) -> dict[str, torch.Tensor]:
        """Where the class head, the distillation head and their mean are right: (n,), bool each."""
        test = self.images.test
        with torch.inference_mode():
            parts = [both_heads(model, self.images.normalise(x)) for x, _ in test.iter_batches(250)]
        one, other = (torch.cat(logits) for logits in zip(*parts))
        every = dict(one=one, other=other, mean=(one + other) / 2)
        return {name: logits.argmax(dim=1) == test.labels for name, logits in every.items()}

    def others(self) -> dict[str, torch.Tensor]:
        """Right answers of the teachers, and of the student alone where it has been trained."""
        for name in TEACHERS:
            if name not in self.answers:
                self.answers[name] = self.right(self.teacher(name))["mean"]
        if self.path("alone").is_file():
            self.answers["alone"] = torch.load(self.path("alone"), weights_only=True)
        return self.answers

    def run(self, name: str, args) -> tuple[dict, list[dict]]:
        """(row of distillation.csv, rows of distillation_errors.csv) of one student."""
        has_token, kind, teacher = STUDENTS[name]
        model, steps = build(name, self.seed), steps_of(name, self.settings["steps"])
        test = self.images.test.images
        images = self.images.normalise(test[:: max(1, len(test) // 500)])  # of all classes
        before = token_cosines(model.eval(), images) if has_token else []
        taught_by = self.teacher(teacher) if teacher else None
        fit(model, self.images, self.settings, self.seed, steps, kind, taught_by)
        right = self.right(model)
        if name == "alone":
            self.save(right["mean"], "alone")
        key = dict(zip(RUN, (self.task, name, self.seed)))
        cosines = lambda values: json.dumps([round(value, 4) for value in values]) if values else ""
        row = key | dict(
            teacher=teacher,
            kind=kind,
            images=len(self.images.train),
            steps=steps,
            gflops=round(steps * BATCH * step_flops(name) / 1e9),
            accuracy=share(right["mean"]),
            class_head=share(right["one"]),
            distillation_head=share(right["other"]) if has_token else "",
            teacher_accuracy=share(self.others()[teacher]) if teacher else "",
            cosines_before=cosines(before),
            cosines=cosines(token_cosines(model, images) if has_token else []),
            parameters=count(model),
            cutmix=self.settings["cutmix"],
            lr=LR,
            batch_size=BATCH,
            temperature=TEMPERATURE,
            precision=training.choose_precision(self.images.device).name,
            data=args.provenance or self.images.provenance,
        )
        print(f"{self.task}, {name}, seed {self.seed}: {row['accuracy']:.1%}", flush=True)
        errors = []
        for other, answers in self.others().items():
            if other != name:
                found = error_consistency(right["mean"], answers)
                found = {column: round(value, 4) for column, value in found.items()}
                errors.append(key | dict(other=other, other_accuracy=share(answers)) | found)
        return row, errors


def arguments() -> argparse.Namespace:
    folder = common.run_options(common.RESULTS, "folder for the tables (default: data/results)")
    parents = comparison.photograph_options(), comparison.time_option()
    parser = common.make_parser(__doc__, folder, *parents)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--students", nargs="+", choices=STUDENTS, default=list(STUDENTS))
    parser.add_argument("--work", type=Path, default=common.ROOT / "runs" / "distillation")
    return parser.parse_args()


def main() -> None:
    args, start = arguments(), time.monotonic()
    table = common.SharedTable(args.out / "distillation.csv")
    errors = common.SharedTable(args.out / "distillation_errors.csv")
    images = None
    for seed in args.seeds:
        runs = [name for name in STUDENTS if name in args.students]  # "alone" is the first
        key = lambda name, seed=seed: dict(zip(RUN, (args.task, name, seed)))
        missing = [name for name in runs if not table.find(**key(name))]
        if missing and images is None:
            images = load(args.task, args.images)
        of_seed = Seed(args.task, seed, images, args.work) if missing else None
        for name in missing:
            if time.monotonic() - start > 60 * args.minutes:
                return
            row, found = of_seed.run(name, args)
            for each in found:  # before the run's own row: a run that is in its table is complete
                errors.add(each, instead_of=(*RUN, "other"))
            hardware = machine.hardware(images.device)
            about = common.provenance("distillation.py", hardware, source=args.images)
            table.add(row | about, instead_of=RUN)
    order = lambda row: (row["task"], list(STUDENTS).index(row["student"]), int(row["seed"]))
    for each in (table, errors):
        each.sort(order)


if __name__ == "__main__":
    main()
