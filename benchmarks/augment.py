"""Augmented images a second: our functions beside torchvision's transforms.v2, in one run.

    python benchmarks/augment.py                    # on a GPU when there is one
    python benchmarks/augment.py --device cpu

Ours augment a whole batch at once on --device. torchvision's run image by image on the CPU, in this
one process, as in one worker of a data loader: its batched calls give all images of a batch the
same operation, which is something else. Its CutMix, made for batches, runs on --device.
Both do two operations of RandAugment at 9 tenths of their ranges, bilinear. All take turns, so that
a machine that slows down slows down all of them, and ratios are formed within each round. Shown are
the median over rounds and the quartiles. The table goes to data/results/augment_<device>.csv.
"""

import argparse
import time
from collections.abc import Callable

import common
import torch
from measured import in_turns, ratios, spread, wait
from torchvision.transforms import v2

from vit_tutorial.data.augment import cutmix, flip_and_shift, rand_augment

CLASSES = 10


def contenders(images: torch.Tensor, labels: torch.Tensor) -> dict[tuple[str, str, str], Callable]:
    """What is measured: (task, library, device) -> a call that augments all of `images` once."""
    device, host = images.device.type, images.cpu()
    draw = torch.Generator(images.device).manual_seed(0)

    def all_of_ours():
        moved = flip_and_shift(images, generator=draw)
        return cutmix(rand_augment(moved, generator=draw), labels, CLASSES, generator=draw)

    crop = v2.Compose(
        [
            v2.RandomCrop(images.shape[2:], padding=4, padding_mode="reflect"),
            v2.RandomHorizontalFlip(),
        ]
    )
    bilinear = v2.InterpolationMode.BILINEAR
    rand = v2.RandAugment(num_ops=2, magnitude=27, interpolation=bilinear)  # bin 27 of 0..30
    mix = v2.CutMix(num_classes=CLASSES)

    def each(transform):
        return torch.stack([transform(image) for image in host])

    return {
        ("flip and shift", "vit_tutorial", device): lambda: flip_and_shift(images, generator=draw),
        ("flip and shift", "torchvision", "cpu"): lambda: each(crop),
        ("RandAugment", "vit_tutorial", device): lambda: rand_augment(images, generator=draw),
        ("RandAugment", "torchvision", "cpu"): lambda: each(rand),
        ("CutMix", "vit_tutorial", device): lambda: cutmix(images, labels, CLASSES, generator=draw),
        ("CutMix", "torchvision", device): lambda: mix(images, labels),
        ("all three", "vit_tutorial", device): all_of_ours,
        ("all three", "torchvision", "cpu"): lambda: mix(
            each(lambda image: rand(crop(image))).to(images.device), labels
        ),
    }


def seconds(call: Callable, times: int, device: torch.device) -> float:
    """Seconds of one call, the mean over `times` of them, the device's work included."""
    wait(device)
    start = time.perf_counter()
    for _ in range(times):
        call()
    wait(device)
    return (time.perf_counter() - start) / times


def measure(options, device: torch.device) -> list[dict]:
    """One row for each contender: images a second, and their ratio to torchvision's."""
    torch.manual_seed(0)
    images = torch.randint(
        0, 256, (options.batch, 3, options.size, options.size), dtype=torch.uint8
    ).to(device)
    labels = torch.randint(CLASSES, (options.batch,)).to(device)
    calls = contenders(images, labels)
    times = {}
    for name, call in calls.items():
        seconds(call, 2, device)  # warm-up: memory and kernels
        times[name] = max(1, round(options.turn / seconds(call, 1, device)))
    speeds = {name: [] for name in calls}
    for name in in_turns(list(calls), options.rounds):
        speeds[name].append(options.batch / seconds(calls[name], times[name], device))
    theirs = {name[0]: speed for name, speed in speeds.items() if name[1] == "torchvision"}
    rows = []
    for (task, library, place), speed in speeds.items():
        row = dict(task=task, library=library, device=place)
        row |= spread("images_per_second", speed, 1, "images")
        row |= spread("ratio_to_torchvision", ratios(speed, theirs[task]), 3, "ratio")
        rows.append(row | dict(calls_a_round=times[task, library, place]))
    return rows


def arguments() -> argparse.Namespace:
    parser = common.make_parser(__doc__, common.speed_options("augment", rounds=9))
    parser.add_argument("--batch", type=int, default=256, help="images (default: %(default)s)")
    parser.add_argument("--size", type=int, default=32, help="pixels a side (default: %(default)s)")
    parser.add_argument(
        "--turn",
        type=float,
        default=0.3,
        help="seconds a turn, at least one call (default: %(default)s)",
    )
    return parser.parse_args()


def main() -> None:
    options = arguments()
    device = torch.device(options.device)
    rows = measure(options, device)
    print(
        "images a second (quartiles), ratio to torchvision; "
        f"batches of {options.batch}, {options.size}x{options.size}"
    )
    for row in rows:
        print(
            f"  {row['task']:14} {row['library']:12} {row['device']:4} "
            f"{row['images_per_second']:11.0f} "
            f"({row['images_q1']:.0f} to {row['images_q3']:.0f})   "
            f"{row['ratio_to_torchvision']:.2f} "
            f"({row['ratio_q1']:.2f} to {row['ratio_q3']:.2f})"
        )
    about = common.provenance(
        "augment.py",
        common.processor(device),
        packages=("torch", "torchvision"),
        batch=options.batch,
        image_size=options.size,
        operations=2,
        magnitude=9,
        rounds=options.rounds,
        host=common.processor(torch.device("cpu")),
        threads=torch.get_num_threads(),
    )
    print(f"\n{about['hardware']}, {about['versions']}")
    path = options.out or common.table_path("augment", device)
    common.write_table(path, [row | about for row in rows])


if __name__ == "__main__":
    main()
