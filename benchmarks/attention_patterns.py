"""Attention patterns at equal cost, and a small Image GPT (lesson 26).

    python benchmarks/attention_patterns.py pixels --seeds 0 1 2
    python benchmarks/attention_patterns.py shapes --seeds 0 1 2 3 4
    python benchmarks/attention_patterns.py ship --seeds 0

The images are the embedded shapes.
pixels: autoregressive models of 16 x 16 pixels in 8 colours, one for each pattern, and tables that
    know one or two neighbours; bits per pixel on the test images. All models have the same size and
    number of steps.
shapes: small ViTs that name the shape and the half, one for each pattern, at equal FLOPs; "own
    patch" and "full, 4 blocks" are controls that cost less and more. Accuracy on the test images.
ship: the pixel model that lesson 26 draws from, trained for longer; its weights go to data/weights/
    (--weights) with a card, its bits per pixel into the table.
A run uses the test images once, at its end. But the set-up was fixed after trials with single
seeds, scored on the test images, too. So they were not untouched.

Writes data/results/attention_patterns.csv (--out), a row for each run. A run that the table holds
already is not made again, so `--minutes 8` and another call continue.
"""

import argparse
import dataclasses
import math
import time
from pathlib import Path

import common
import comparison
import torch
import torch.nn.functional as F
from comparison import count, share
from weights import card_table

from vit_tutorial import VisionTransformer, ViTConfig, data, training
from vit_tutorial.common import files, machine
from vit_tutorial.data.dataset import Split
from vit_tutorial.relatives import attention_patterns as patterns
from vit_tutorial.relatives.pixel_gpt import PixelGPT, make_palette, shrink, to_tokens

GRID = (16, 16)  # of the pixel models
NAME = "pixel_gpt_shapes"  # of the weights
RUN = ("task", "pattern", "steps", "seed")  # what tells two runs apart
STEPS = dict(shapes=300, pixels=200, ship=1500)
BATCH = dict(shapes=100, pixels=32, ship=32)
TEST = 500  # images for bits per pixel

# --- classification: masks by block, and what else differs from SMALL ---------------------------

PATCHES = (8, 8)  # the grid
SMALL = dict(patch_size=4, dim=32, depth=4, num_heads=2, mlp_dim=64, pool="mean")


def random_pairs(count: int) -> torch.Tensor:
    """A token reads itself and count - 1 others, drawn once: the control for where they lie."""
    T = PATCHES[0] * PATCHES[1]
    ranks = torch.rand(T, T, generator=torch.Generator().manual_seed(0)).fill_diagonal_(-1)
    return ranks.argsort(dim=1).argsort(dim=1) < count


def variants() -> dict[str, tuple[dict, list[torch.Tensor]]]:
    """{name: (changes of SMALL, masks of the blocks)}."""
    full, block = patterns.full(PATCHES), patterns.blocks(PATCHES, (2, 4))
    rows, columns = patterns.rows(PATCHES), patterns.columns(PATCHES)
    return {
        "full, 3 blocks": (dict(depth=3), [full]),
        "local": ({}, [patterns.local(PATCHES, 1)]),
        "blocks": ({}, [block]),
        "shifted blocks": ({}, [block, patterns.blocks(PATCHES, (2, 4), (1, 2))]),
        "axial": ({}, [rows, columns]),
        "random": ({}, [random_pairs(8)]),
        "larger patches, full": (
            dict(patch_size=8, dim=64, num_heads=4, mlp_dim=128),
            [patterns.full((4, 4))],
        ),
        "own patch": ({}, [torch.eye(len(full), dtype=torch.bool)]),  # no attention
        "full, 4 blocks": ({}, [full]),  # one block more
    }


def build(name: str, seed: int) -> VisionTransformer:
    changes, masks = variants()[name]
    torch.manual_seed(seed)
    return patterns.restrict(VisionTransformer(ViTConfig(**SMALL | changes)), masks)


def cost(name: str) -> tuple[int, int]:
    """(pairs, FLOPs) of one image's forward pass through all blocks, if no other pair is computed.

    A multiplication and an addition are two. Pairs: 2 d for a score and 2 d for its value, in each
    head. The stem and the head, the same few for all, are left out.
    """
    changes, masks = variants()[name]
    c = ViTConfig(**SMALL | changes)
    pairs = sum(masks[i % len(masks)].sum().item() for i in range(c.depth))
    layers = c.dim * (3 * c.dim + c.dim + 2 * c.mlp_dim)  # weights of a block
    return pairs, 2 * c.depth * c.num_patches * layers + 4 * c.dim * pairs


def classify(name: str, seed: int, steps: int, images: data.ImageData) -> dict:
    settings = training.TrainSettings(
        epochs=steps * BATCH["shapes"] / len(images.train), batch_size=BATCH["shapes"], lr=3e-3,
        schedule="linear", seed=seed, num_evaluations=1,
    )  # fmt: skip
    model = build(name, seed)
    history = training.train(model, images, settings, progress=False)
    said, labels = training.predict(model, images.test.images, images).argmax(1), images.test.labels
    pairs, flops = cost(name)
    return dict(
        blocks=model.config.depth, tokens=model.config.num_patches, pairs=pairs,
        forward_flops=flops,
        parameters=count(model), test_accuracy=share(said == labels),
        shape_right=share(said // 2 == labels // 2), half_right=share(said % 2 == labels % 2),
        precision=history.precision.name,
    )  # fmt: skip


# --- pixels --------------------------------------------------------------------------------------


def causal() -> dict[str, torch.Tensor]:
    """The patterns of the pixel models: no token reads a later one."""
    raster = patterns.raster(GRID)
    return {
        "raster": raster,
        "local": patterns.local(GRID, 3) & raster,
        "strided": patterns.strided(GRID),
        "own row": patterns.rows(GRID) & raster,
    }


def palette(split: Split, pixels: int = 8000) -> torch.Tensor:
    """(8, 3): as many pixels of shapes as of backgrounds, or nearly all colours would be dark."""
    colours = shrink(split.images).permute(0, 2, 3, 1)  # (B, 16, 16, 3)
    inside = F.adaptive_avg_pool2d(split.masks[:, None].float(), GRID)[:, 0]
    chosen = [colours[inside == kind] for kind in (0, 1)]
    return make_palette(torch.cat([c[:: max(1, len(c) // pixels)][:pixels] for c in chosen]))


def fit(model: PixelGPT, tokens: torch.Tensor, steps: int, seed: int, batch: int, lr: float = 3e-3):
    """AdamW, a linear warm-up of 5 % and a linear descent; bf16 where the CPU is good at it."""
    optimizer = torch.optim.AdamW(model.parameters(), lr, weight_decay=0.01)
    rate = lambda step: min((step + 1) / (0.05 * steps + 1), 1 - step / steps)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    draw = torch.Generator().manual_seed(seed)
    bf16 = training.cpu_has_bf16()
    for _ in range(steps):
        chosen = torch.randint(len(tokens), (batch,), generator=draw)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = model.loss(tokens[chosen])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return "bf16" if bf16 else "fp32"


def table_bits(train: torch.Tensor, test: torch.Tensor, neighbours: int) -> float:
    """Bits per pixel of a table that knows no neighbour, the one on the left, or the upper as well.

    Tokens (B, 257), the start token first. Counts of the training images, and one more for each
    colour, so that nothing has probability 0.
    """
    K = int(train.max())  # the start token stands for what lies outside of the image

    def contexts(tokens):
        image = tokens[:, 1:].unflatten(1, GRID)
        left = F.pad(image, (1, 0), value=K)[:, :, :-1]
        above = F.pad(image, (0, 0, 1, 0), value=K)[:, :-1]
        number = {0: 0 * left, 1: left, 2: (K + 1) * above + left}[neighbours]
        return number.flatten(), image.flatten()

    counts = torch.ones((K + 1) ** 2, K)
    number, colour = contexts(train)
    counts.index_put_((number, colour), torch.ones(len(colour)), accumulate=True)
    bits = -(counts / counts.sum(dim=1, keepdim=True)).log2()
    return bits[contexts(test)].mean().item()


TABLES = {"uniform": None, "unigram": 0, "previous pixel": 1, "left and upper pixel": 2}


def model_pixels(name: str, seed: int, task: str, steps: int, images: data.ImageData):
    """(trained model or None, its columns of the table)."""
    colours = palette(images.train[:4000])
    train, test = (to_tokens(shrink(s.images), colours) for s in (images.train, images.test[:TEST]))
    if name in TABLES:
        known = TABLES[name]
        bits = math.log2(8) if known is None else table_bits(train, test, known)
        return None, dict(tokens=256, bits_per_pixel=round(bits, 4))
    torch.manual_seed(seed)
    mask = causal()[name]
    model = PixelGPT(colours, dim=64, depth=4, heads=2, mask=mask)
    precision = fit(model, train, steps, seed, BATCH[task])
    bits = model.eval().bits_per_pixel(test)
    return model, dict(
        blocks=4, tokens=256, pairs=4 * mask.sum().item(), parameters=count(model),
        bits_per_pixel=round(bits, 4), precision=precision,
    )  # fmt: skip


def ship(model: PixelGPT, row: dict, folder: Path) -> None:
    """Write the weights, and a card beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{NAME}.safetensors"
    model.save(path)
    facts = {"command": row["command"], "trained on": row["data"]}
    facts["size"] = "16 x 16 pixels, 8 colours, dim 64, 4 blocks, 2 heads"
    facts["test images"] = f"{row['bits_per_pixel']} bits per pixel, before rounding to float16"
    facts |= {key: row[key] for key in ("parameters", "seed", "steps", "precision")}
    facts |= {key: row[key] for key in ("hardware", "torch", "date")}
    lines = [f"# {NAME}", "", "A small Image GPT of the embedded shapes, for lesson 26.", ""]
    files.write_text(folder / f"{NAME}.md", "\n".join([*lines, *card_table(facts, path)]))


# --- the table -----------------------------------------------------------------------------------

COLUMNS = (
    *RUN, "blocks", "tokens", "pairs", "forward_flops", "parameters", "test_accuracy",
    "shape_right", "half_right", "bits_per_pixel", "batch_size", "precision", "data",
)  # fmt: skip


def plan(task: str, seeds: list[int]) -> list[tuple[str, int, int]]:
    """(pattern, steps, seed) of every run; tables are not trained, and have one seed."""
    if task == "ship":
        return [("raster", STEPS[task], seed) for seed in seeds]
    names = list(variants()) if task == "shapes" else list(causal())
    runs = [(name, 0, 0) for name in TABLES] if task == "pixels" else []
    return runs + [(name, STEPS[task], seed) for seed in seeds for name in names]


def arguments() -> argparse.Namespace:
    out = common.run_options(common.RESULTS, "folder for the table (default: data/results)")
    parser = common.make_parser(__doc__, out, comparison.time_option())
    parser.add_argument("task", choices=tuple(STEPS))
    parser.add_argument("--weights", type=Path, default=common.ROOT / "data" / "weights")
    return parser.parse_args()


def main() -> None:
    args, start = arguments(), time.monotonic()
    table = common.SharedTable(args.out / "attention_patterns.csv")
    key = lambda run: dict(zip(RUN, (args.task, *run)))
    missing = [run for run in plan(args.task, args.seeds) if not table.find(**key(run))]
    images = data.load("shapes") if missing else None
    if missing and args.task == "shapes":
        images = dataclasses.replace(images, validation=images.validation[:500])  # not looked at
    for run in missing:
        if time.monotonic() - start > 60 * args.minutes:
            break
        name, steps, seed = run
        model = None
        if args.task == "shapes":
            found = classify(name, seed, steps, images)
        else:
            model, found = model_pixels(name, seed, args.task, steps, images)
        found |= key(run) | dict(data=images.provenance, batch_size=BATCH[args.task])
        about = common.provenance("attention_patterns.py", machine.hardware(images.device))
        row = {column: found.get(column, "") for column in COLUMNS} | about
        if args.task == "ship":
            ship(model, row, args.weights)
        print({k: v for k, v in row.items() if k in COLUMNS and v != ""}, flush=True)
        table.add(row, instead_of=RUN)
    table.sort_by(RUN)


if __name__ == "__main__":
    main()
