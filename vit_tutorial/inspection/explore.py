"""One picture in front of two models, the trained one and its random start: what each sees.

No widgets and no drawing here: `widgets_explore` puts this behind sliders, `plots.explore_strip`
draws it.
"""

import dataclasses
import importlib.util
import io
import os
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ..data.decode import UNREADABLE, opened
from ..data.photographs import PHOTOGRAPHS, photograph
from ..data.shapes import CLASS_NAMES, make_shapes
from ..model import VisionTransformer
from .analysis import cosine_similarity
from .attention_maps import reading_map, rollout, token_map
from .classify import Classifier, likeliest, load_classifier, resized
from .layout import TokenLayout
from .position_tables import position_table
from .recording import record

# The kernel's connection closes at 10 MiB a message, and 50 million pixels take 150 MB as RGB.
MOST_BYTES, MOST_PIXELS = 8_000_000, 50_000_000
MOST_PATCHES = 400
EXAMPLES = PHOTOGRAPHS + CLASS_NAMES  # pictures that need no file
SHIPPED = {
    "CIFAR-10, 32 pixels": "weights:vit_cifar10_start_0.02",
    "shapes, 32 pixels": "weights:vit_shapes",
}
OTHERS = ("timm:vit_tiny_patch16_224", "timm:vit_small_patch32_224", "timm:deit_tiny_patch16_224")


def known_models(runs: str | os.PathLike = "runs") -> dict[str, str]:
    """Label -> name of the models at hand: shipped weights, your runs, and timm where it is.

    runs: a folder of run folders, as train leaves them. timm's weights are downloaded when chosen.
    """
    folders = sorted(path.parent for path in Path(runs).glob("*/model.safetensors"))
    own = {f"your run {folder.name}": str(folder) for folder in folders}
    timm = OTHERS if importlib.util.find_spec("timm") else ()
    return SHIPPED | own | {name: name for name in timm}


def example(name: str) -> bytes:
    """One of EXAMPLES as the bytes of a PNG file."""
    if name in CLASS_NAMES:
        pixels = make_shapes(len(CLASS_NAMES), seed=7).images[CLASS_NAMES.index(name)]
    else:
        pixels = (photograph(name, 448) * 255).round().byte()
    file = io.BytesIO()
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(file, "PNG")
    return file.getvalue()


def check_picture(content: bytes) -> None:
    """Raise ValueError for what is too large to be shown, or no picture. It decodes no pixel."""
    if len(content) > MOST_BYTES:
        raise ValueError(
            f"the file has {len(content) / 1e6:.1f} MB, {MOST_BYTES / 1e6:.0f} MB is the most: "
            "save it smaller"
        )
    try:
        with opened(io.BytesIO(content)) as image:
            width, height = image.size
    except UNREADABLE as error:
        reason = "too many pixels" if "Bomb" in type(error).__name__ else "cannot be read"
        raise ValueError(f"the file is no picture that can be shown: {reason}") from error
    if width * height > MOST_PIXELS:
        raise ValueError(
            f"the picture has {width} x {height} pixels, {MOST_PIXELS / 1e6:.0f} million is the "
            "most: save it smaller"
        )


@dataclasses.dataclass(frozen=True)
class Side:
    """What one model makes of the picture."""

    classes: tuple[tuple[str, float], ...]  # the likeliest (name, probability)
    cosines: Tensor | None  # (N, N) of the patches' position embeddings; None without a table
    weights: Tensor  # (L, h, T, T)
    flow: Tensor  # (T, T), the rollout
    layout: TokenLayout

    def maps(self, layer: int, head: int | None, patch: int, by_patch: bool) -> dict[str, Tensor]:
        """Label -> (rows, columns): the position similarity of the patch, attention, rollout.

        head: None for the mean of all. by_patch: whether the patch reads; else the class token
        does, or all patches on average where there is none. Without a table of positions the map
        of their similarity is left out.
        """
        one = self.weights[layer].mean(dim=0) if head is None else self.weights[layer, head]
        found = {"attention": self._read(one, patch, by_patch)}
        found["rollout"] = self._read(self.flow, patch, by_patch)
        if self.cosines is None:
            return found
        return {"positions": self.cosines[patch].view(self.layout.grid)} | found

    def _read(self, weights: Tensor, patch: int, by_patch: bool) -> Tensor:
        layout = self.layout
        if by_patch:
            return token_map(weights, layout, layout.prefix + patch)
        return reading_map(weights, layout)


class Explorer:
    """A picture and a model; `sides` are what the trained and the random model make of it.

    Raises ValueError as `choose` and `show` do.
    """

    def __init__(self, model: str = SHIPPED["CIFAR-10, 32 pixels"], picture: bytes | None = None):
        self.picture = example(PHOTOGRAPHS[0]) if picture is None else picture
        self.choose(model)

    def choose(self, name: str) -> None:
        """Take another model, by its name (`classify.load_classifier`), as it was trained.

        Raises ValueError, OSError or ModuleNotFoundError for one that cannot be had or recorded;
        the model before it then stays.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # timm's random start is the same each time, too
            models = {kind: load_classifier(name, pretrained=kind == "trained") for kind in KINDS}
        self._take(name, models, models)

    def scales(self) -> list[tuple[int, int]]:
        """The image sizes (height, width) that can be chosen: half, as trained, double.

        The patch keeps its pixels, so that it covers another part of the picture. One of our models
        with positions at the stem can do that; another has one size.
        """
        model = self.trained["trained"].model
        if not isinstance(model, VisionTransformer) or model.config.position_site != "stem":
            return []
        (height, width), P = model.config.image_size, model.config.patch_size
        sizes = [(height // 2, width // 2), (height, width), (2 * height, 2 * width)]
        most = MOST_PATCHES * P * P
        return [(h, w) for h, w in sizes if not h % P and not w % P and P * P < h * w <= most]

    def scale(self, image_size: tuple[int, int]) -> None:
        """Take one of `scales`."""
        models = {kind: resized(model, image_size) for kind, model in self.trained.items()}
        self._take(self.name, models, self.trained)

    def show(self, picture: bytes) -> None:
        """Take another picture, the bytes of a file. Raises ValueError; the one before it stays."""
        check_picture(picture)
        before, self.picture = self.picture, picture
        try:
            self._take(self.name, self.models, self.trained)
        except UNREADABLE as error:
            self.picture = before
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ValueError(f"the picture cannot be read: {reason}") from error

    def _take(self, name: str, models: dict[str, Classifier], trained: dict) -> None:
        image = models["trained"].read(io.BytesIO(self.picture))
        sides = {kind: _side(model, image) for kind, model in models.items()}
        self.name, self.models, self.trained, self.sides = name, models, trained, sides
        self.pixels = models["trained"].pixels(image)  # (3, H, W), what the model sees

    @property
    def layout(self) -> TokenLayout:
        return self.sides["trained"].layout


KINDS = ("trained", "random")  # the sides, in their order


def _side(classifier: Classifier, image: Tensor) -> Side:
    recorded = record(classifier.model, image[None])
    (classes,) = likeliest(recorded.output, classifier.class_names, 5)
    try:
        cosines = cosine_similarity(position_table(classifier.model).patches)
    except ValueError:  # rotary, relative or no positions
        cosines = None
    weights = torch.stack(list(recorded.weights.values()))[:, 0]
    flow = rollout(recorded.weights)[0]
    return Side(classes, cosines, weights, flow, recorded.layout)
