"""What a training run is asked to do, as run.json holds it: enough to begin or resume it."""

import dataclasses
import json
from pathlib import Path

import torch

from .. import data
from ..common.machine import free_bytes
from ..common.validation import require_choice, require_types, shortened
from ..data import ImageData
from ..inspection.models import load_pretrained
from ..model import VisionTransformer, ViTConfig
from ..model.transfer import freeze_body, with_new_head
from ..training import TrainSettings
from ..training.runtime.model_size import require_memory


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
        require_types(self)

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
        require_types(self)
        require_choice("freeze", self.freeze, ("none", "body"))
        if not self.save_every > 0:
            raise ValueError(f"save_every is {self.save_every}: a number of seconds above 0")
        known = [field.name for field in dataclasses.fields(ViTConfig)]
        if not isinstance(self.changes, dict) or not set(self.changes) <= set(known):
            raise ValueError(
                f"changes is {shortened(self.changes)}: fields of ViTConfig with their values"
            )
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
            config = self.model_config(images)
            require_memory(config, free_bytes("cpu"))
            return VisionTransformer(config), images
        if stored:
            # Of a run that has begun, the record was checked by `read_record`.
            model = VisionTransformer(ViTConfig(**stored["config"]))
            model = freeze_body(model) if self.freeze == "body" else model
            mean, std = (tuple(map(float, stored[name])) for name in ("mean", "std"))
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

        Raises ValueError when a field is missing or cannot be what it is, as when it was written by
        a version with other fields.
        """
        try:
            fields = {field.name: stored[field.name] for field in dataclasses.fields(cls)}
            fields["source"] = DataSource(**fields["source"])
            fields["settings"] = TrainSettings(**fields["settings"])
            return cls(**fields)
        except (KeyError, TypeError, ValueError) as error:
            trouble = f"it has no {error}" if isinstance(error, KeyError) else error
            raise ValueError(
                f"it is damaged, or the run was made by another version of vit_tutorial ({trouble})"
                ": resume it with that version, or train again"
            ) from error


def read_record(path: Path) -> dict:
    """What the run.json at `path` holds, checked as far as resuming and reporting need it.

    Raises ValueError that names the file.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(record, dict) or not isinstance(record["stopped"], str):
            raise ValueError("it holds no run")
        if "config" in record:  # of a run that has begun
            channels = ViTConfig(**record["config"]).channels
            for name in ("mean", "std"):
                if len([float(value) for value in record[name]]) != channels:
                    raise ValueError(f"{name} is {shortened(record[name])}")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        trouble = (
            f"it has no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
        )
        raise ValueError(
            f"{path} cannot be read ({trouble[:200]}): it is damaged. Use a copy, or train again"
        ) from error
    return record
