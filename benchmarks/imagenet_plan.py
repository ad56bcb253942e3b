"""The arithmetic of docs/imagenet.md: ViT-S/16 on ImageNet-1k on 8 GPUs. Nothing was run there.

    python benchmarks/imagenet_plan.py            # prints the tables
    python benchmarks/imagenet_plan.py --write    # puts them into docs/imagenet.md

Every row of the tables is a name, its formula in terms of other rows' names, and the value.
Assumptions are marked as such; the rates of reading come from data/results/reading_cpu.csv
(`python benchmarks/reading.py`), FLOPs and parameters from the package.
"""

import re

from common import RESULTS, ROOT, make_parser

from vit_tutorial import VisionTransformer, ViTConfig
from vit_tutorial.common.files import read_rows

PAGE = ROOT / "docs" / "imagenet.md"

GPUS = 8
PEAK = 312e12  # FLOP/s, A100, bf16 with fp32 accumulation, dense (NVIDIA's data sheet)
# assumption: share of the peak, for a whole training step of a model as narrow as ViT-S
SHARES = (0.20, 0.40)
PRICE = 16.0  # assumption: dollars an hour for a machine with 8 GPUs
CORES = 96  # assumption: hardware threads of such a machine
# assumption: bytes a second of all-reduce that a GPU reaches inside one machine (A100 NVLink:
# 300e9 each way)
NVLINK = 200e9
ETHERNET = 12.5e9  # assumption: bytes a second between machines, 100 Gbit/s
BATCH = 1024
TRAIN_IMAGES, VALIDATION_IMAGES, CLASSES = 1_281_167, 50_000, 1000  # ILSVRC 2012
TRAIN_BYTES, VALIDATION_BYTES = 147_897_477_120, 6_744_924_160  # the two archives of JPEGs
EPOCHS = (90, 300)
SIDE = 224
SET_ASIDE = 0.1  # of the training images, for validation: the default of vit_tutorial.data.load


def config() -> ViTConfig:
    return ViTConfig.named("ViT-S/16", image_size=SIDE, num_classes=CLASSES)


def macs(c: ViTConfig) -> dict[str, int]:
    """Multiply-adds of one forward pass with one image, by part.

    Norms, softmax, GELU and additions are left out: under 1 %.
    """
    T, D = c.num_tokens, c.dim
    return {
        "patches": c.num_patches * c.channels * c.patch_size**2 * D,
        "linear": c.depth * T * (4 * D * D + 2 * D * c.mlp_dim),
        "attention": c.depth * 2 * T * T * D,
        "head": D * c.num_classes,
    }


def reading() -> dict[str, float]:
    """Images a CPU second, measured: full-size files, files made smaller before, file checks."""
    rows = read_rows(RESULTS / "reading_cpu.csv")
    names = ("what", "source", "image_size", "workers")
    at = {tuple(row[n] for n in names): row["images_per_cpu_second"] for row in rows}
    full, small = "500x375", "341x256"
    keys = {
        "full": ("read", full, "224", "0"),
        "small": ("read", small, "224", "0"),
        "check": ("check", full, "", ""),
    }
    return {name: float(at[key]) for name, key in keys.items()} | {"hardware": rows[0]["hardware"]}


def tables() -> str:
    """All tables, in Markdown."""
    c, rate = config(), reading()
    parameters = sum(p.numel() for p in VisionTransformer(c).parameters())
    parts = macs(c)
    forward = 2 * sum(parts.values())
    step = 3 * forward
    a_gpu = [share * PEAK / step for share in SHARES]
    speed = [GPUS * one for one in a_gpu]
    T, N, D, P = c.num_tokens, c.num_patches, c.dim, c.patch_size
    work = [
        (
            "multiply-adds of the patch projection",
            f"N C P² D = {N} · 3 · {P}² · {D}",
            giga(parts["patches"]),
        ),
        (
            "of the linear layers",
            f"depth T (4 D² + 2 D mlp) = {c.depth} · {T} · (4 · {D}² + 2 · {D} · {c.mlp_dim})",
            giga(parts["linear"]),
        ),
        (
            "of attention, Q Kᵀ and A V",
            f"depth · 2 T² D = {c.depth} · 2 · {T}² · {D}",
            giga(parts["attention"]),
        ),
        (
            "forward, one image",
            "their sum, with the head's D · classes",
            f"{giga(forward / 2)} multiply-adds = {giga(forward)}FLOP",
        ),
        (
            "training, one image",
            "3 · forward (backward costs twice the forward)",
            f"{giga(step)}FLOP",
        ),
        ("parameters", "counted", f"{parameters / 1e6:.2f} M"),
    ]

    hours = {epochs: [epochs * TRAIN_IMAGES / s / 3600 for s in speed] for epochs in EPOCHS}
    time = [
        (
            "images a second, one GPU",
            f"share · {PEAK / 1e12:.0f} TFLOP/s / FLOP an image",
            *map(whole, a_gpu),
        ),
        (f"images a second, {GPUS} GPUs", f"{GPUS} · one GPU", *map(whole, speed)),
        (
            "seconds an epoch",
            f"{whole(TRAIN_IMAGES)} / images a second",
            *(whole(TRAIN_IMAGES / s) for s in speed),
        ),
        *(
            (
                f"hours, {epochs} epochs",
                f"{epochs} · seconds an epoch / 3600",
                *(f"{h:.1f}" for h in hours[epochs]),
            )
            for epochs in EPOCHS
        ),
        *(
            (
                f"dollars, {epochs} epochs",
                f"hours · {PRICE:.0f} dollars an hour (assumption)",
                *(f"{h * PRICE:.0f}" for h in hours[epochs]),
            )
            for epochs in EPOCHS
        ),
        (
            "minutes for one evaluation on the validation images",
            f"{SET_ASIDE} · {whole(TRAIN_IMAGES)} · forward / (share · {GPUS} · peak) / 60",
            *(
                f"{SET_ASIDE * TRAIN_IMAGES * forward / (share * GPUS * PEAK) / 60:.2f}"
                for share in SHARES
            ),
        ),
    ]

    file_bytes = TRAIN_BYTES / TRAIN_IMAGES
    pixels = 3 * SIDE * SIDE
    limits = {name: CORES * rate[name] for name in ("full", "small")}
    disk = [
        (
            "bytes a file",
            f"{TRAIN_BYTES / 1e9:.1f} GB / {whole(TRAIN_IMAGES)}",
            *[f"{file_bytes / 1e3:.0f} kB"] * 2,
        ),
        (
            "disk or network",
            "images a second · bytes a file",
            *(f"{s * file_bytes / 1e9:.2f} GB/s" for s in speed),
        ),
        (
            "the same in bits, for a network",
            "8 · bytes",
            *(f"{8 * s * file_bytes / 1e9:.0f} Gbit/s" for s in speed),
        ),
        (
            "to each GPU",
            f"images a second of a GPU · 3 · {SIDE}² bytes",
            *(f"{s * pixels / 1e9:.2f} GB/s" for s in a_gpu),
        ),
        (
            "cores needed to decode",
            f"images a second / {rate['full']:.0f} (measured, a CPU second)",
            *(whole(s / rate["full"]) for s in speed),
        ),
        (
            "cores needed, files made smaller beforehand",
            f"images a second / {rate['small']:.0f} (measured)",
            *(whole(s / rate["small"]) for s in speed),
        ),
        (
            f"images a second that {CORES} cores decode",
            f"{CORES} · {rate['full']:.0f}",
            *[whole(limits["full"])] * 2,
        ),
        (
            "the same, files made smaller beforehand",
            f"{CORES} · {rate['small']:.0f}",
            *[whole(limits["small"])] * 2,
        ),
        *(
            (
                f"hours, {epochs} epochs, whichever is slower",
                f"{epochs} · {whole(TRAIN_IMAGES)} / min(GPUs, {CORES} cores) / 3600",
                *(f"{epochs * TRAIN_IMAGES / min(s, limits['full']) / 3600:.1f}" for s in speed),
            )
            for epochs in EPOCHS
        ),
        *(
            (
                f"hours, {epochs} epochs, files made smaller beforehand",
                "the same formula with their rate",
                *(f"{epochs * TRAIN_IMAGES / min(s, limits['small']) / 3600:.1f}" for s in speed),
            )
            for epochs in EPOCHS
        ),
    ]

    gradients = 4 * parameters
    moved = 2 * (GPUS - 1) / GPUS * gradients
    workers = CORES // GPUS
    state = 3 * 4 * parameters
    rest = [
        (
            "storage",
            f"{TRAIN_BYTES / 1e9:.1f} + {VALIDATION_BYTES / 1e9:.1f} GB of JPEGs",
            f"{(TRAIN_BYTES + VALIDATION_BYTES) / 1e9:.0f} GB",
        ),
        (
            "the same as pixels in memory",
            f"{whole(TRAIN_IMAGES + VALIDATION_IMAGES)} · 3 · {SIDE}² bytes",
            f"{(TRAIN_IMAGES + VALIDATION_IMAGES) * pixels / 1e9:.0f} GB",
        ),
        (
            "check each file at the start",
            f"{whole(TRAIN_IMAGES + VALIDATION_IMAGES)} / {whole(rate['check'])} (measured): "
            "each process, one core",
            f"{(TRAIN_IMAGES + VALIDATION_IMAGES) / rate['check']:.0f} s",
        ),
        (
            "mean and deviation of 10,000 images at the start",
            f"10,000 / ({workers // 2} workers · {rate['full']:.0f}): each process",
            f"{10_000 / (workers // 2 * rate['full']):.0f} s",
        ),
        ("steps an epoch", f"{whole(TRAIN_IMAGES)} / {BATCH}", whole(TRAIN_IMAGES // BATCH)),
        (
            "time a step",
            f"{BATCH} / images a second",
            " / ".join(f"{1000 * BATCH / s:.0f} ms" for s in speed),
        ),
        ("gradients", "4 bytes · parameters", f"{gradients / 1e6:.0f} MB"),
        (
            "all-reduce, bytes a GPU sends a step",
            f"2 (n - 1)/n · gradients, n = {GPUS}",
            f"{moved / 1e6:.0f} MB",
        ),
        (
            "time of the all-reduce inside a machine",
            f"bytes / {NVLINK / 1e9:.0f} GB/s (assumption)",
            f"{1000 * moved / NVLINK:.1f} ms",
        ),
        (
            "time of the all-reduce between machines",
            f"bytes / {ETHERNET / 1e9:.1f} GB/s (assumption: 100 Gbit/s)",
            f"{1000 * moved / ETHERNET:.1f} ms",
        ),
        (
            "a checkpoint",
            "weights and two moments of AdamW: 3 · 4 bytes · parameters",
            f"{state / 1e6:.0f} MB",
        ),
        ("writing checkpoints", "one a minute, / 60 s", f"{state / 60e6:.1f} MB/s"),
        (
            "shared memory, batches read ahead",
            f"{GPUS * workers} workers · 2 · {BATCH // GPUS} images · 3 · {SIDE}² bytes",
            f"{GPUS * workers * 2 * (BATCH // GPUS) * pixels / 1e9:.1f} GB",
        ),
        (
            "shared memory at an evaluation, at most",
            f"{SET_ASIDE} · {whole(TRAIN_IMAGES)} · 3 · {SIDE}² bytes",
            f"{SET_ASIDE * TRAIN_IMAGES * pixels / 1e9:.1f} GB",
        ),
    ]
    shares = [f"at {share:.0%} of peak" for share in SHARES]
    return "\n\n".join(
        [
            "### The work\n\n" + table(("what", "formula", "value"), work),
            "### Time and cost, if images always arrive in time\n\n"
            + table(("what", "formula", *shares), time),
            f'### Reading\n\nMeasured rates: one core of "{rate["hardware"]}", '
            "`data/results/reading_cpu.csv`.\n\n" + table(("what", "formula", *shares), disk),
            "### Storage, start, network, checkpoints\n\n"
            + table(("what", "formula", "value"), rest),
        ]
    )


def giga(number: float) -> str:
    """In units of 10⁹; the letter of what is counted follows."""
    return f"{number / 1e9:.2f} G"


def whole(number: float) -> str:
    return f"{number:,.0f}"


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ("---",) * len(head), *rows])


def with_tables(page: str) -> str:
    """`page` with the tables between its two markers."""
    begin, end = "<!-- tables -->\n", "\n<!-- end of tables -->"
    return re.sub(f"(?<={begin}).*(?={end})", lambda _: tables(), page, count=1, flags=re.DOTALL)


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/imagenet.md")
    if parser.parse_args().write:
        PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
        print(f"written to {PAGE.relative_to(ROOT)}")
    else:
        print(tables())


if __name__ == "__main__":
    main()
