"""A folder of 50 pictures a class: fine-tuned from shipped weights, and trained from scratch.

    python benchmarks/little_data.py FOLDER --provenance "CIFAR-10 (JPEG copy)" --seeds 0 1 2 3 4

Each run is the command that a person would type, with equal seconds for every method:
    scratch  train --data PICTURES
    all      train --data PICTURES --from data/weights/vit_cifar10_start_0.02.safetensors
    head     the same with --freeze body
These weights were trained on CIFAR-10's training images. The tasks differ in what they share with
that:
    textures  crops of ten photographs of scikit-image, grey: which photograph is it? Training crops
              come from the left of each, test crops from the right. Neither the photographs nor the
              classes were in the weights' training.
    shapes    the embedded shapes, enlarged from 32 to 48 pixels, so that positions are resampled.
              Neither the images nor the classes were in the weights' training.
    cifar10   FOLDER/test/<class>/*: other images than the weights' own, but of the same classes. It
              shows the best case, not what a new subject brings.
A seed draws the pictures, the new weights and the batches. Of the 50 pictures, `train` sets 5 aside
for validation. Each run is a row of data/results/little_data.csv (--out); a run that is in the
table is not made again.
"""

import argparse
import contextlib
import functools
import io
import json
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import common
import torch
from PIL import Image

from vit_tutorial.cli.main import main as command_line
from vit_tutorial.common import machine
from vit_tutorial.data import make_shapes, weights_path
from vit_tutorial.data.shapes import CLASS_NAMES

PER_CLASS, TEST = 50, 200  # pictures of each class
WEIGHTS = "vit_cifar10_start_0.02.safetensors"
FROM = f"data/weights/{WEIGHTS}"
METHODS = {"scratch": [], "all": ["--from"], "head": ["--from", "--freeze", "body"]}
PHOTOGRAPHS = ("brick", "cell", "coins", "grass", "gravel")
PHOTOGRAPHS += ("hubble_deep_field", "immunohistochemistry", "moon", "retina", "stereo_motorcycle")
CROP, BIG = 64, 48  # sides in pixels: of a crop, and of the enlarged shapes
# A picture, its class and its split.
Pictures = Iterator[tuple[Image.Image, str, str]]


def textures(seed: int) -> Pictures:
    """Crops of photographs, grey: training from the left 45 %, test from the right 45 %."""
    from skimage import data

    draw = random.Random(seed)
    for name in PHOTOGRAPHS:
        pixels = getattr(data, name)()
        pixels = pixels[0] if isinstance(pixels, tuple) else pixels  # of two cameras, the left one
        photo = Image.fromarray(pixels).convert("L")
        width, height = photo.size
        room = int(0.45 * width) - CROP
        for split, left, count in (("train", 0, PER_CLASS), ("test", width - room - CROP, TEST)):
            for _ in range(count):
                x, y = left + draw.randint(0, room), draw.randint(0, height - CROP)
                yield photo.crop((x, y, x + CROP, y + CROP)), name, split


def shapes(seed: int) -> Pictures:
    """The embedded shapes at 48 pixels; the test images are those of no other seed."""
    classes = len(CLASS_NAMES)
    for split, count, offset in (("train", PER_CLASS, 0), ("test", TEST, 1)):
        made = make_shapes(classes * count, 2 * (1000 + seed) + offset)
        for image, label in zip(made.images.permute(0, 2, 3, 1).numpy(), made.labels.tolist()):
            large = Image.fromarray(image).resize((BIG, BIG), Image.Resampling.BICUBIC)
            yield large, CLASS_NAMES[label], split


def cifar10(seed: int, folder: Path) -> Pictures:
    """Test images of CIFAR-10: of each class 50 to train on, 200 others to test on."""
    draw = random.Random(seed)
    for place in sorted(path for path in (folder / "test").iterdir() if path.is_dir()):
        files = draw.sample(sorted(place.iterdir()), PER_CLASS + TEST)
        for number, file in enumerate(files):
            with Image.open(file) as image:
                yield image.copy(), place.name, "train" if number < PER_CLASS else "test"


def write(pictures: Pictures, folder: Path) -> None:
    """Write `pictures` as folder/<split>/<class>/<number>.png."""
    for number, (image, name, split) in enumerate(pictures):
        path = folder / split / name / f"{number:05}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)


def run(task: str, method: str, seed: int, folder: Path, args) -> dict:
    """One run of the command line on the pictures in `folder`; its row of the table."""
    words = ["train", "--data", str(folder), "--minutes", str(args.seconds / 60)]
    words += ["--seed", str(seed), "--device", args.device, "--quiet"]
    words += ["--image-size", str(BIG)] if task == "shapes" else []
    for word in METHODS[method]:
        words += [word, str(weights_path(WEIGHTS))] if word == "--from" else [word]
    out = folder.parent / f"{method}_{seed}"
    with contextlib.redirect_stdout(io.StringIO()) as said:
        status = command_line([*words, "--out", str(out)])
    if status:
        raise SystemExit(f"{task}, {method}, seed {seed}: status {status}\n{said.getvalue()}")
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    shutil.rmtree(out)
    settings = record["settings"]
    row = dict(
        task=task,
        method=method,
        seed=seed,
        test_accuracy=round(record["test_accuracy"], 4),
        validation_accuracy=round(record["validation_accuracy"], 4),
        seconds=args.seconds,
        epochs=round(record["epochs"], 1),
        pictures_a_class=PER_CLASS,
        test_images=record["images"]["test"],
        image_size=record["config"]["image_size"][0],
        lr=settings["lr"],
        batch_size=settings["batch_size"],
        weights="" if method == "scratch" else FROM,
        parameters=record["parameters"],
        precision=record["precision"],
    )
    print(f"{task}, {method}, seed {seed}: test {row['test_accuracy']:.1%}", flush=True)
    return row | common.provenance(
        "little_data.py",
        machine.hardware(torch.device(args.device)),
        source=args.data,
        data=args.provenance,
    )


def arguments() -> argparse.Namespace:
    table = common.RESULTS / "little_data.csv"
    parser = common.make_parser(__doc__)
    parser.add_argument("data", type=Path, help="CIFAR-10 as FOLDER/test/<class>/*")
    parser.add_argument("--provenance", default="", help="what the images in FOLDER are")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--tasks", nargs="+", default=["textures", "shapes", "cifar10"])
    parser.add_argument("--seconds", type=float, default=20, help="of each run (default 20)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=table, help="default: %(default)s")
    args = parser.parse_args()
    args.data = str(args.data)
    return args


def tasks(folder: Path) -> dict[str, Callable[[int], Pictures]]:
    """The makers of each task's pictures."""
    return {
        "textures": textures,
        "shapes": shapes,
        "cifar10": functools.partial(cifar10, folder=folder),
    }


def main() -> None:
    args = arguments()
    table, makers = common.SharedTable(args.out), tasks(Path(args.data))
    for seed in args.seeds:
        for task in args.tasks:
            left = [name for name in METHODS if not table.find(task=task, method=name, seed=seed)]
            if not left:
                continue
            with tempfile.TemporaryDirectory() as place:
                folder = Path(place) / task
                write(makers[task](seed), folder)
                for method in left:
                    table.add(run(task, method, seed, folder, args))
    table.sort(lambda row: (list(makers).index(row["task"]), list(METHODS).index(row["method"])))


if __name__ == "__main__":
    main()
