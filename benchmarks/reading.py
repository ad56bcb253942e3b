"""Images a second that come from disk while training (vit_tutorial.data.stream), on a CPU.

    python benchmarks/reading.py

Makes JPEGs of ImageNet's usual size in a temporary folder (about 500x375 pixels and 110 KB: smooth
colours and a texture with a photograph's spectrum), and the same ones made smaller once (the short
side 256 pixels). They are read by 0, 1 and 2 worker processes. The settings take turns, a pass over
all images each, so that a machine that slows down slows down all of them. Shown are the median over
rounds and the quartiles.
Files come out of the system's cache: this is the cost of decoding and resizing, not of a disk. With
0 workers CPU time is known too: images a CPU second do not depend on what else runs. "check" rows
measure the check of each file when a folder is loaded. The table goes to
data/results/reading_cpu.csv.
"""

import argparse
import io
import os
import statistics
import tempfile
import time
from pathlib import Path

import common
import numpy as np
import torch
from measured import in_turns, spread
from PIL import Image

from vit_tutorial.common import machine
from vit_tutorial.data.decode import unreadable
from vit_tutorial.data.file_loader import PackedPaths
from vit_tutorial.data.stream import FileSplit

WIDTH, HEIGHT, BYTES = 500, 375, 110_000
SHORT_SIDE = 256
BATCH = 32


def picture(draw: np.random.Generator) -> Image.Image:
    """Smooth colours, and a texture whose spectrum falls as 1/f, as in photographs."""
    rows, columns = np.mgrid[0 : 1 : HEIGHT * 1j, 0 : 1 : WIDTH * 1j]
    frequency = np.hypot(np.fft.fftfreq(HEIGHT)[:, None], np.fft.rfftfreq(WIDTH)[None])
    frequency[0, 0] = np.inf
    texture = np.fft.irfft2(
        np.exp(2j * np.pi * draw.random(frequency.shape)) / frequency, s=(HEIGHT, WIDTH)
    )
    slopes = draw.uniform(-60, 60, (2, 3))
    smooth = 128 + rows[..., None] * slopes[0] + columns[..., None] * slopes[1]
    return Image.fromarray(
        (smooth + 45 * (texture / texture.std())[..., None]).clip(0, 255).astype(np.uint8)
    )


def jpeg(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def make(folder: Path, count: int) -> dict[str, list[str]]:
    """File names by the size of their images: "500x375" and the same images smaller.

    One JPEG quality for all, the one whose files come nearest to BYTES.
    """
    draw = np.random.default_rng(0)
    images = [picture(draw) for _ in range(16)]
    quality = min(
        range(50, 99),
        key=lambda q: abs(statistics.mean(len(jpeg(image, q)) for image in images[:2]) - BYTES),
    )
    small = (round(WIDTH * SHORT_SIDE / HEIGHT), SHORT_SIDE)
    found = {}
    for size in ((WIDTH, HEIGHT), small):
        contents = [
            jpeg(
                image if image.size == size else image.resize(size, Image.Resampling.LANCZOS),
                quality,
            )
            for image in images
        ]
        found[f"{size[0]}x{size[1]}"] = names = [
            str(folder / f"{size[0]}_{number:04}.jpg") for number in range(count)
        ]
        for number, name in enumerate(names):
            Path(name).write_bytes(contents[number % len(contents)])
    return found


class Reading:
    """One setting. `one_pass()`: images a second, and a CPU second (None with workers)."""

    def __init__(self, names: list[str], image_size: int, workers: int):
        count = len(names)
        index, labels = torch.arange(count), torch.zeros(count, dtype=torch.int64)
        self.split = FileSplit(
            PackedPaths(names), index, labels, (image_size, image_size), workers=workers
        )
        self.workers = workers
        next(self.split.iter_batches(BATCH))  # starts the workers: they wait for the passes

    def one_pass(self) -> tuple[float, float | None]:
        start, cpu = time.perf_counter(), time.process_time()
        seen = sum(len(labels) for _, labels in self.split.iter_batches(BATCH))
        wall, busy = time.perf_counter() - start, time.process_time() - cpu
        return seen / wall, None if self.workers else seen / busy


class Checking:
    """The check of every file's header and end when a folder is loaded."""

    def __init__(self, names: list[str]):
        self.names = names

    def one_pass(self) -> tuple[float, float]:
        start, cpu = time.perf_counter(), time.process_time()
        if unreadable(self.names, ""):
            raise RuntimeError("a picture made here cannot be read")
        wall, busy = time.perf_counter() - start, time.process_time() - cpu
        return len(self.names) / wall, len(self.names) / busy


def measure(options, folder: Path) -> list[dict]:
    found = make(folder, options.images)
    full, small = found
    settings = {
        ("read", full, size, workers): Reading(found[full], size, workers)
        for size in (32, 224)
        for workers in (0, 1, 2)
    }
    settings |= {
        ("read", small, 224, workers): Reading(found[small], 224, workers) for workers in (0, 1, 2)
    }
    settings["check", full, "", ""] = Checking(found[full])
    speeds = {key: [] for key in settings}
    for key in in_turns(list(settings), options.rounds, step=3):
        speeds[key].append(settings[key].one_pass())
    rows = []
    for (what, source, size, workers), passes in speeds.items():
        a_core = [speed for _, speed in passes if speed is not None]
        rows.append(
            dict(
                what=what,
                source=source,
                bytes_a_file=round(statistics.mean(map(os.path.getsize, found[source]))),
                image_size=size,
                workers=workers,
                **spread("images_per_second", [speed for speed, _ in passes], 1, "images"),
                images_per_cpu_second=round(statistics.median(a_core), 1) if a_core else "",
            )
        )
    return rows


def arguments() -> argparse.Namespace:
    parser = common.make_parser(__doc__)
    parser.add_argument("--images", type=int, default=192, help="files a pass (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each setting (%(default)s)")
    parser.add_argument("--out", type=Path, default=common.RESULTS / "reading_cpu.csv")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    torch.set_num_threads(1)
    load = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else ""
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(options, Path(folder))
    for row in rows:
        what = f"{row['what']} {row['source']}"
        if row["image_size"]:
            what += f" to {row['image_size']} px, {row['workers']} workers"
        print(
            f"{what:36} {row['images_per_second']:8.1f} images a second "
            f"({row['images_q1']} to {row['images_q3']})",
            f"{row['images_per_cpu_second']} a CPU second" if row["images_per_cpu_second"] else "",
        )
    about = common.provenance(
        "reading.py",
        machine.cpu_name(),
        packages=("torch", "pillow"),
        batch=BATCH,
        images=options.images,
        rounds=options.rounds,
        cores=os.cpu_count(),
        load_at_start=load,
    )
    print(f"{about['hardware']}, {about['cores']} cores, load {load} at the start")
    common.write_table(options.out, [row | about for row in rows])


if __name__ == "__main__":
    main()
