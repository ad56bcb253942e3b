"""Name what is on pictures: any model with its classes, any file that the reader reads."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from ..common.validation import require_int
from ..data.decode import UNREADABLE, open_upright, read_image
from ..model.resize import resize_model
from ..training import load_model
from .models import load_by_name, model_file, random_start

BATCH = 32  # pictures at a time


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A model with what is needed to show it a file."""

    model: nn.Module  # images (B, C, H, W) -> logits (B, K), in evaluation mode
    class_names: tuple[str, ...]  # of the K logits
    # A file, by its path or open, -> (C, H, W), float32, as in the model's training.
    read: Callable[[Path], Tensor]
    device: torch.device
    # Of each channel, of pixels scaled to 0..1: how `read` normalises.
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)

    def pixels(self, images: Tensor) -> Tensor:
        """Images (..., C, H, W) that `read` made, in 0..1 again, for looking at."""
        mean, std = (torch.tensor(numbers).view(-1, 1, 1) for numbers in (self.mean, self.std))
        return (images.cpu() * std + mean).clamp(0, 1)


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What a model says about one file: the likeliest classes first, or why it cannot be read."""

    file: Path
    classes: tuple[tuple[str, float], ...] = ()  # (name, probability 0 to 1)
    error: str = ""


def load_classifier(
    name: str | Path, *, pretrained: bool = True, device: torch.device | str = "cpu"
) -> Classifier:
    """The classifier `name`: a model file, the folder that train left, timm:NAME, torchvision:NAME.

    Pictures are cut, resized and normalised as the model's training did it: its own header says
    how, timm's and torchvision's configurations say it for theirs. Class names are those of the
    training folder, or of ImageNet where the library has them; else "class 17".
    pretrained: False gives random weights.
    Raises ValueError for a file without class names, and as `load_by_name` and `load_model` do.
    """
    library = str(name).partition(":")[0]
    if library == "timm":
        model = load_by_name(str(name), pretrained)
        read, class_names, mean, std = _timm(model)
    elif library == "torchvision":
        model = load_by_name(str(name), pretrained)
        read, class_names, mean, std = _torchvision(str(name).partition(":")[2])
    else:
        model, read, class_names, mean, std = _our_own(model_file(name))
        model = model if pretrained else random_start(model)
    device = torch.device(device)
    return Classifier(model.to(device).eval(), class_names, read, device, tuple(mean), tuple(std))


def resized(classifier: Classifier, image_size: tuple[int, int]) -> Classifier:
    """The classifier of one of our models for images of (height, width) pixels: `resize_model`."""
    read = functools.partial(_normalised, image_size, classifier.mean, classifier.std)
    model = resize_model(classifier.model, image_size)
    return dataclasses.replace(classifier, model=model, read=read)


def classify(
    classifier: Classifier, files: Iterable[str | Path], top: int = 3
) -> Iterator[Prediction]:
    """The `top` likeliest classes of each of `files`, in their order, a few files at a time.

    A file that cannot be read gives a Prediction with an error and no classes. Raises ValueError
    when the model does not return one logit for each class, FloatingPointError when a logit is not
    a number.
    """
    require_int("top", top)
    files = map(Path, files)
    while some := list(itertools.islice(files, BATCH)):
        images, errors = {}, {}
        for file in some:
            try:
                images[file] = classifier.read(file)
            except UNREADABLE as error:
                errors[file] = " ".join(str(error).split()) or type(error).__name__
        found = dict(zip(images, _classes(classifier, list(images.values()), top)))
        for file in some:
            yield Prediction(file, found.get(file, ()), errors.get(file, ""))


@torch.no_grad()
def _classes(classifier: Classifier, images: list[Tensor], top: int) -> list[tuple]:
    """((class name, probability), ...) of each image."""
    if not images:
        return []
    logits = classifier.model(torch.stack(images).to(classifier.device))
    expected = (len(images), len(classifier.class_names))
    if not isinstance(logits, Tensor) or logits.shape != expected:
        got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(
            f"this model does not classify: {expected} logits were expected for "
            f"{len(images)} pictures, it returned {got}"
        )
    if not logits.isfinite().all():
        raise FloatingPointError("the model's logits are not numbers: its weights are damaged")
    return likeliest(logits, classifier.class_names, top)


def likeliest(logits: Tensor, class_names: tuple[str, ...], top: int) -> list[tuple]:
    """The `top` likeliest ((class name, probability), ...) of each row of logits (n, K)."""
    best = logits.float().softmax(1).topk(min(top, len(class_names)))
    return [
        tuple((class_names[i], p) for i, p in zip(indices, probabilities))
        for indices, probabilities in zip(best.indices.tolist(), best.values.tolist())
    ]


# The three below give (model,) reader, class names, mean, std, as `Classifier` holds them.


def _our_own(path: Path) -> tuple:
    model, header = load_model(path)
    if "data" not in header:
        raise ValueError(
            f"{path} has no class names: it was saved by save_model(path, model) without its "
            "data. Save it with save_model(path, model, data)"
        )
    if model.config.channels != 3:
        raise ValueError(f"{path} takes {model.config.channels} channels: pictures have 3")
    data = header["data"]
    read = functools.partial(_normalised, model.config.image_size, data["mean"], data["std"])
    return model, read, tuple(data["class_names"]), data["mean"], data["std"]


def _normalised(image_size: tuple[int, int], mean, std, file: Path) -> Tensor:
    pixels = torch.from_numpy(read_image(file, image_size).copy()).permute(2, 0, 1)
    mean, std = (torch.tensor(numbers).view(-1, 1, 1) for numbers in (mean, std))
    return (pixels.float() / 255 - mean) / std


def _timm(model: nn.Module) -> tuple:
    from timm.data import create_transform, resolve_model_data_config

    config = resolve_model_data_config(model)
    transform = create_transform(**config, is_training=False)
    read = functools.partial(_through, transform)
    return read, _timm_class_names(model), config["mean"], config["std"]


def _timm_class_names(model: nn.Module) -> tuple[str, ...]:
    from timm.data import ImageNetInfo, infer_imagenet_subset

    given = (model.pretrained_cfg or {}).get("label_names")
    if given and len(given) == model.num_classes:
        return tuple(given)
    subset = infer_imagenet_subset(model)
    if subset is None:
        return tuple(f"class {label}" for label in range(model.num_classes))
    info = ImageNetInfo(subset)
    return tuple(info.index_to_description(label) for label in range(model.num_classes))


def _torchvision(name: str) -> tuple:
    from torchvision import models

    weights = models.get_model_weights(name).DEFAULT
    if "categories" not in weights.meta:
        raise ValueError(f"torchvision:{name} has no class names: it does not classify pictures")
    shown = weights.transforms()
    read = functools.partial(_through, shown)
    return read, tuple(weights.meta["categories"]), shown.mean, shown.std


def _through(transform: Callable[[Image.Image], Tensor], file: Path) -> Tensor:
    return transform(open_upright(file))
