"""Images a second of the whole training loop: ours, with other libraries' models, and a plain loop.

    python benchmarks/loop.py                    # bf16 where the machine is fast in it
    python benchmarks/loop.py --compile          # the same loops also with torch.compile

5,000 images of 32 x 32 are drawn at random in the script, so nothing is downloaded; speed does not
depend on what they show. The loops:
    train       `vit_tutorial.training.train`, data on the device as uint8, flipped and shifted
                there a batch at a time, with our model and with timm's, vit-pytorch's and
                torchvision's in its place. Its set-up counts, and its two evaluations on 500
                validation images.
    DataLoader  our model in the loop that tutorials show: PIL images, RandomCrop(32, padding=4),
                RandomHorizontalFlip, ToTensor, Normalize, two worker processes that stay; the same
                optimiser, precision and batch, and as many evaluations on the same images.
    input only  the images of both loops without a model, already on the device. A GPU that could
                take more than that waits.
All take turns of --epochs epochs, after one to warm up: ratios are formed within each round. The
table goes to data/results/loop_<device>.csv; where our loop's time goes, by torch.profiler, to
data/results/profile_<device>.csv.
"""

import argparse
import time

import common
import measured
import speed
import time_groups
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from vit_tutorial import ViTConfig
from vit_tutorial.data import ImageData, Split
from vit_tutorial.data.dataset import channel_statistics
from vit_tutorial.training import TrainSettings, choose_precision, make_optimizer, train
from vit_tutorial.training.batches import Batches

OURS, PLAIN = "train: vit_tutorial", "DataLoader: vit_tutorial"
BATCHES, LOADER = "input only: train", "input only: DataLoader"
PEERS = ("timm", "vit-pytorch", "torchvision")
LOOPS = (OURS, *(f"train: {name}" for name in PEERS), PLAIN, BATCHES, LOADER)


def random_data(count: int, device: torch.device, seed: int = 0) -> ImageData:
    """`count` random training images (3, 32, 32), uint8, in 10 classes; a tenth for validation."""
    draw = torch.Generator().manual_seed(seed)

    def split(n):
        return Split(
            torch.randint(0, 256, (n, 3, 32, 32), generator=draw).byte(),
            torch.randint(0, 10, (n,), generator=draw),
        )

    splits = dict(train=split(count), validation=split(count // 10), test=split(count // 10))
    mean, std = channel_statistics(splits["train"].images)
    names = tuple(f"class {i}" for i in range(10))
    return ImageData(
        "random", names, **splits, mean=mean, std=std, provenance="drawn at random"
    ).to(device)


class Pictures(Dataset):
    """What a tutorial reads: PIL images with their labels, transformed one by one."""

    def __init__(self, split: Split, data: ImageData, augmented: bool):
        self.pictures = [transforms.functional.to_pil_image(image) for image in split.images.cpu()]
        self.labels = split.labels.tolist()
        steps = [transforms.ToTensor(), transforms.Normalize(data.mean, data.std)]
        if augmented:
            crop = transforms.RandomCrop(32, padding=4)
            steps = [crop, transforms.RandomHorizontalFlip(), *steps]
        self.transform = transforms.Compose(steps)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.pictures[i]), self.labels[i]


def peer(name: str, size: dict, precision: str, device: torch.device) -> torch.nn.Module:
    """Another library's model in its faster form (data/results/step_<device>.csv).

    With the configuration that `train` reads.
    """
    explicit = name == "vit-pytorch" or (
        name == "timm" and device.type == "cpu" and precision != "fp32"
    )
    model = speed.MODELS[(name, "explicit" if explicit else "fused")](size)
    model.config = ViTConfig(**size)
    return model


class Loops:
    """Every loop by its name: `run(name, compiled)` trains --epochs and returns images a second."""

    def __init__(self, options, device: torch.device):
        self.options, self.device, self.data = options, device, random_data(options.images, device)
        self.precision = choose_precision(device, options.precision)
        self.size = speed.sizes(options.dim, options.depth, options.heads)
        workers = dict(
            num_workers=options.workers,
            persistent_workers=options.workers > 0,
            pin_memory=device.type == "cuda",
        )
        pictures = Pictures(self.data.train, self.data, augmented=True)
        self.loader = DataLoader(
            pictures, batch_size=options.batch, shuffle=True, drop_last=True, **workers
        )
        self.validation_loader = DataLoader(
            Pictures(self.data.validation, self.data, augmented=False),
            batch_size=options.batch,
            **workers,
        )
        steps = options.epochs * (options.images // options.batch)
        self.seen = steps * options.batch  # images in a turn
        self.models = {}  # trained on from turn to turn, so that each is compiled once

    def settings(self, compiled: bool = False) -> TrainSettings:
        return TrainSettings(
            epochs=self.options.epochs,
            batch_size=self.options.batch,
            precision=self.precision.name,
            augment="flip_shift",
            shift=4,
            micro_batch=self.options.batch,
            checkpoint_activations=False,
            num_evaluations=1,
            compile=compiled,
        )

    def model(self, name: str, compiled: bool) -> torch.nn.Module:
        if (name, compiled) not in self.models:
            torch.manual_seed(0)
            library = name.split(": ")[1]
            model = (
                speed.ours(self.size)
                if library == "vit_tutorial"
                else peer(library, self.size, self.precision.name, self.device)
            )
            self.models[name, compiled] = model.to(self.device)
        return self.models[name, compiled]

    def run(self, name: str, compiled: bool = False) -> float:
        work = {PLAIN: self.plain, BATCHES: self.batches_only, LOADER: self.loader_only}.get(
            name, self.train
        )
        model = None if name in (BATCHES, LOADER) else self.model(name, compiled)
        measured.wait(self.device)
        start = time.perf_counter()
        work(model, compiled)
        measured.wait(self.device)
        return self.seen / (time.perf_counter() - start)

    def train(self, model, compiled) -> None:
        train(model, self.data, self.settings(compiled), progress=False)

    def plain(self, model, compiled) -> None:
        optimizer, scaler = make_optimizer(model, self.settings()), self.precision.scaler()
        forward = torch.compile(model) if compiled else model
        self.validate(model)
        model.train()
        for images, labels in self.loaded():
            with self.precision.autocast():
                loss = F.cross_entropy(forward(images), labels)
            optimizer.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        self.validate(model)

    def validate(self, model) -> float:
        """The share of the validation images that `model` gets right, as a tutorial finds it."""
        model.eval()
        right = 0
        with torch.no_grad(), self.precision.autocast():
            for images, labels in self.validation_loader:
                images, labels = (
                    images.to(self.device, non_blocking=True),
                    labels.to(self.device, non_blocking=True),
                )
                right += (model(images).argmax(dim=1) == labels).sum()
        return (right / len(self.data.validation)).item()

    def loaded(self):
        for _ in range(self.options.epochs):
            for images, labels in self.loader:
                yield (
                    images.to(self.device, non_blocking=True),
                    labels.to(self.device, non_blocking=True),
                )

    def batches_only(self, *_) -> None:
        batches = Batches(self.data, self.settings())
        for _ in range(self.seen // self.options.batch):
            next(batches)

    def loader_only(self, *_) -> None:
        for _ in self.loaded():
            pass


def measure(loops: Loops, options) -> list[dict]:
    keys = [(name, False) for name in options.loops]
    if options.compile:
        keys += [(name, True) for name in options.loops if name not in (BATCHES, LOADER)]
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(loops.precision.name, torch.float32)
    peak, flops = speed.matmul_peak(loops.device, dtype), speed.step_flops(loops.size)
    first, ended, speeds = {}, {}, {}
    for key in keys:  # to warm up: workers start, kernels are chosen, models are compiled
        before = time.perf_counter()
        try:
            if key[1]:
                with common.at_most(options.limit), speed.compiled_anew():
                    loops.run(*key)
            else:
                loops.run(*key)
            speeds[key], ended[key] = [], "measured"
        except common.OutOfTimeError:
            ended[key] = (
                f"left out: its first epoch, with compiling, took more than {options.limit:g} s"
            )
        except Exception as error:
            if not key[1]:
                raise
            ended[key] = speed.failed(error)
        first[key] = time.perf_counter() - before
        print(
            f"  {key[0]}{', compiled' if key[1] else ''}: {ended[key]} "
            f"(first epoch {first[key]:.1f} s)",
            flush=True,
        )
    for key in measured.in_turns(list(speeds), options.rounds):
        speeds[key].append(loops.run(*key))
    return [
        row(key, speeds, first[key], ended[key], flops, peak) | dict(precision=loops.precision.name)
        for key in keys
    ]


def row(key, speeds, first, ended, flops, peak) -> dict:
    """The row of one loop. Ratios: to the DataLoader loop; of the inputs to its input."""
    (name, compiled), mine = key, speeds.get(key)
    found = dict(
        loop=name.split(": ")[0],
        model=name.split(": ")[1],
        compiled="yes" if compiled else "no",
        ended=ended,
    )
    if name in (BATCHES, LOADER):
        found["loop"], found["model"] = name, ""
    found |= dict(first_epoch_seconds=round(first, 1)) | measured.spread(
        "images_per_second", mine, 1
    )
    plain = speeds.get((LOADER, False) if name in (BATCHES, LOADER) else (PLAIN, compiled))
    ours = None if name in (BATCHES, LOADER) else speeds.get((OURS, compiled))
    found |= measured.spread("ratio_to_dataloader", mine and plain and measured.ratios(mine, plain))
    found |= measured.spread("ratio_to_ours", mine and ours and measured.ratios(mine, ours))
    works = mine and name not in (BATCHES, LOADER)
    share = round(flops * measured.quartiles(mine)[1] / peak, 4) if works else ""
    return found | dict(
        flops_an_image=flops if works else "",
        matmul_peak_gflops=round(peak / 1e9, 1),
        share_of_peak=share,
    )


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = common.make_parser(
        __doc__, common.speed_options("loop", rounds=5), common.model_options()
    )
    parser.add_argument(
        "--precision",
        default="auto",
        choices=("auto", "fp32", "bf16", "fp16"),
        help="default: what train chooses",
    )
    parser.add_argument("--loops", nargs="+", choices=LOOPS, default=LOOPS, help="default: all")
    parser.add_argument("--compile", action="store_true", help="also under torch.compile")
    parser.add_argument(
        "--limit",
        type=float,
        default=600,
        help="seconds that a compiled loop's first epoch may take (default: %(default)s)",
    )
    parser.add_argument(
        "--images", type=int, default=5000, help="training images (default: %(default)s)"
    )
    parser.add_argument("--epochs", type=int, help="epochs in a turn (default: 1, on a GPU 20)")
    parser.add_argument(
        "--workers", type=int, default=2, help="of the DataLoader (default: %(default)s)"
    )
    options = parser.parse_args(words)
    if not 1 <= options.batch <= options.images:
        parser.error(f"a batch of {options.batch} does not fit into {options.images} images")
    options.epochs = options.epochs or (20 if torch.device(options.device).type == "cuda" else 1)
    return options


def main(words: list[str] | None = None) -> None:
    options = arguments(words)
    device = torch.device(options.device)
    loops = Loops(options, device)
    rows = measure(loops, options)
    print(
        "\nimages a second (quartiles), ratio to the DataLoader's, share of the peak; "
        f"{loops.precision.name}"
    )
    for r in rows:
        if r["ended"] == "measured":
            compiled = "compiled" if r["compiled"] == "yes" else ""
            name = f"{r['loop']:24} {r['model']:12} {compiled:8}"
            low, high = r["images_per_second_q1"], r["images_per_second_q3"]
            speeds = f"{r['images_per_second']:10.1f} ({low:.1f} to {high:.1f})"
            print(f"  {name} {speeds}   {r['ratio_to_dataloader']}   {r['share_of_peak']}")
    about = dict(
        images=options.images, epochs_a_turn=options.epochs, workers=options.workers
    ) | speed.about(device, "loop.py", options)
    out = options.out or common.table_path("loop", device)
    common.write_table(out, [row | about for row in rows])
    if OURS in options.loops:
        groups = time_groups.profile(lambda: loops.run(OURS), device)
        time_groups.show(groups)
        name = out.name.replace("loop", "profile")
        path = out.with_name(name if "loop" in out.name else f"profile_{name}")
        about |= dict(precision=loops.precision.name)
        common.write_table(path, [group | about for group in groups])


if __name__ == "__main__":
    main()
