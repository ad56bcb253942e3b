"""What a training run is asked to do, as run.json holds it: enough to begin or resume it."""

import dataclasses
import json

import torch

from .. import data
from ..data import ImageData
from ..inspection.models import load_pretrained
from ..model import VisionTransformer, ViTConfig
from ..model.transfer import freeze_body, with_new_head
from ..training import TrainSettings


@dataclasses.dataclass(frozen=True)
class DataSource:
    """Where images come from: the arguments of `data.load` that a command offers."""

    source: str = "shapes"  # shapes, cifar10, or the path of a folder of images
    # Side in pixels, or (H, W), that a folder's images are resized to.
    image_size: int | tuple[int, int] | None = None
    root: str | None = None  # folder for downloads
    stream: bool | None = None  # read a folder's images as needed; None: what the memory allows

    def __post_init__(self):
        if isinstance(self.image_size, list):  # as JSON gives it back
            object.__setattr__(self, "image_size", tuple(self.image_size))

    def load(self, device: torch.device, seed: int = 0) -> ImageData:
        """The images, on `device`. Raises ValueError and FileNotFoundError as `data.load` does."""
        options = dict(image_size=self.image_size, root=self.root, stream=self.stream)
        return data.load(self.source, device=device, seed=seed, **options)


@dataclasses.dataclass(frozen=True)
class RunSpec:
    """A model by name, its data and its settings; a wrong name is refused before data is read."""

    source: DataSource
    model: str  # as in `ViTConfig.named`
    settings: TrainSettings
    changes: dict = dataclasses.field(default_factory=dict)  # to the model's configuration
    save_every: float = 60.0  # seconds between two checkpoints
    copy_to: str | None = None  # a second folder for each checkpoint
    command: str = ""  # as it was typed
    note: str = ""  # how this machine made the run differ from the recipe
    recipe: str = ""  # its name; "" for a run that was put together by hand
    why: str = ""  # what the recipe auto chose, and why
    weights: str = ""  # what to start from: a file, a run's folder, timm:NAME, torchvision:NAME
    freeze: str = "none"  # or "body": only the new head learns

    def __post_init__(self):
        if self.weights:
            return  # the weights bring their own model
        size = self.source.image_size
        ViTConfig.named(
            self.model, **({} if size is None else {"image_size": size}), **self.changes
        )

    def make_model(
        self, images: ImageData, stored: dict | None = None
    ) -> tuple[VisionTransformer, ImageData]:
        """The model before its first step, drawn from the seed or from `weights`; and the images.

        With weights, the images are normalised as in the training of those.
        stored: the run.json of a run with a checkpoint. The weights are then not needed again.
        """
        if not self.weights:
            torch.manual_seed(self.settings.seed)
            return VisionTransformer(self.model_config(images)), images
        if stored:
            model = VisionTransformer(ViTConfig(**stored["config"]))
            model = freeze_body(model) if self.freeze == "body" else model
            mean, std = (tuple(stored[name]) for name in ("mean", "std"))
            return model, dataclasses.replace(images, mean=mean, std=std)
        source = load_pretrained(self.weights)
        model = with_new_head(source.model, images.num_classes, images.image_size)
        config = dataclasses.replace(model.config, **self.changes)
        if config != model.config:  # such as a drop path rate, which changes no weight's shape
            changed = VisionTransformer(config)
            changed.load_state_dict(model.state_dict())
            model = changed
        if self.freeze == "body":
            freeze_body(model)
        return model, dataclasses.replace(images, mean=source.mean, std=source.std)

    def model_config(self, images: ImageData) -> ViTConfig:
        """The configuration of the model, for these images."""
        shape = dict(image_size=images.image_size, channels=images.channels)
        return ViTConfig.named(self.model, **shape, num_classes=images.num_classes, **self.changes)

    def to_json(self) -> dict:
        """As numbers, strings, lists and dicts; `from_json` reads it back."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_json(cls, stored: dict) -> "RunSpec":
        """The RunSpec in `stored`, which may hold more, as run.json does.

        Raises ValueError when it was written by a version with other fields.
        """
        try:
            fields = {field.name: stored[field.name] for field in dataclasses.fields(cls)}
            fields["source"] = DataSource(**fields["source"])
            fields["settings"] = TrainSettings(**fields["settings"])
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"the run was made by another version of vit_tutorial ({error}): "
                "resume it with that version, or train again"
            ) from error
        return cls(**fields)
