"""Do maps show what a small ViT looks at? Measured on the embedded shapes, where masks exist.

    python benchmarks/looking.py

For each seed, two models of 4 blocks learn the shapes: one with a class token, one with mean
pooling. The maps of the class-token model, and of the same model before training, are compared with
the masks (inspection/map_scores.py) and tried by deletion (inspection/occlusion.py). The best and
the worst of its 16 heads are chosen by the pointing game on validation images.
Written to data/results/ (--out), rows for each seed:
    looking_maps.csv      by method: the scores on test images, and on images with two shapes, of
                          which the trained model names one, how often the map has more of its sum
                          on that one
    looking_deletion.csv  by method: the accuracy after covering the patches ranked highest
    looking_layers.csv    by model and block: cosines within and between classes, the nearest
                          neighbour's class, what the head makes of the tokens (logit lens), and
                          how far the heads read
and to data/weights/ the class-token model of seed 0, for lesson 07, with its card.
"""

import argparse
import copy
import time
from pathlib import Path

import common
import torch
from filelock import FileLock
from torch import Tensor
from torch.nn import functional as F
from weights import card_table, ship

from vit_tutorial import VisionTransformer, ViTConfig, patchify, training
from vit_tutorial import data as sources
from vit_tutorial.common import files, machine
from vit_tutorial.inspection import attention_maps, map_scores
from vit_tutorial.inspection.occlusion import deletion_curve, occlusion_map
from vit_tutorial.inspection.recording import record

NAME = "vit_shapes_4_blocks"
P = 4
SIZE = dict(image_size=32, patch_size=P, dim=64, depth=4, num_heads=4, mlp_dim=128)
# Between the two starts of data/results/study_start_shapes.csv, where a smaller model reaches 90 %
# after 5.4 epochs from 0.02 and after 1.8 from 1. 0.2 itself was not compared with other starts.
SIZE |= dict(position_std=0.2)
POOLS = ("class", "mean")
COUNTS = (0, 1, 2, 4, 6, 8, 12, 16, 24)  # patches covered
BEFORE, AFTER, NONE = "before training", "trained", "no model"


# --- maps --------------------------------------------------------------------------------------


def maps_of(vit, images: Tensor, classes: Tensor) -> dict[str, Tensor]:
    """Method -> maps (B, 8, 8); "heads" -> (B, 16, 8, 8), those of the first block first."""
    relevance, seen = attention_maps.gradient_attention(vit, images, classes)
    tables = list(seen.weights.values())

    def on_grid(table: Tensor) -> Tensor:
        return attention_maps.class_token_map(table, seen.layout).detach()

    return {
        "last attention": on_grid(tables[-1].mean(dim=1)),
        "rollout": on_grid(attention_maps.rollout(tables)),
        "gradient-weighted": on_grid(relevance),
        "occlusion": occlusion_map(vit, images, classes, P),
        "heads": on_grid(torch.cat(tables, dim=1)),
    }


def with_heads(maps: dict[str, Tensor], best: int, worst: int) -> dict[str, Tensor]:
    """The same maps, with two heads in place of all of them."""
    heads = maps.pop("heads")
    return maps | {"best head": heads[:, best], "worst head": heads[:, worst]}


def choose_heads(vit, data, count: int) -> tuple[int, int]:
    """(best, worst) of all heads in the pointing game on validation images."""
    split = data.validation[:count]
    seen = record(vit, data.normalise(split.images))
    tables = torch.cat(list(seen.weights.values()), dim=1)
    heads = attention_maps.class_token_map(tables, seen.layout)  # (B, 16, 8, 8)
    inside = map_scores.patches_inside(split.masks, P)
    score = torch.stack([map_scores.pointing(maps, inside).mean() for maps in heads.unbind(1)])
    return score.argmax().item(), score.argmin().item()


def maps_without_model(images: Tensor, draw: torch.Generator) -> dict[str, Tensor]:
    """Maps (B, 8, 8) of no model: distance from the middle, contrast of colour, random numbers."""
    side = torch.arange(8) - 3.5
    near = -(side[:, None] ** 2 + side[None, :] ** 2)
    return {
        "centre": (near - near.min()).expand(len(images), 8, 8),
        "contrast": contrast(images),
        "random order": torch.rand(len(images), 8, 8, generator=draw),
    }


def contrast(images: Tensor) -> Tensor:
    """How far each patch's mean colour is from the median patch of its half: (B, 8, 8).

    Of its half, because the two halves may come from two images, with two backgrounds.
    """
    means = patchify(images, P).unflatten(-1, (P * P, 3)).mean(dim=2)  # (B, 64, 3)
    halves = means.unflatten(1, (2, 32))
    far = (halves - halves.median(dim=2, keepdim=True).values).norm(dim=-1)  # (B, 2, 32)
    return far.flatten(1).unflatten(1, (8, 8))


def scores(maps: Tensor, inside: Tensor) -> dict[str, float]:
    return dict(
        pointing=map_scores.pointing(maps, inside).mean().item(),
        inside=map_scores.share_inside(maps, inside).mean().item(),
        auc=map_scores.auc(maps, inside).mean().item(),
    )


def two_shapes(split, data) -> tuple[Tensor, Tensor]:
    """Images (n, 3, 32, 32) with a shape in each half, and their classes (n, 2), the upper first.

    The upper half of one image and the lower half of another, with another shape in it: the one
    whose contrast in total is most like the first's, so that neither of them stands out. Both
    halves are whole patches that training has shown at this place.
    """
    upper, lower = split[torch.arange(0, len(split), 2)], split[torch.arange(1, len(split), 2)]
    loud, other = (
        contrast(data.normalise(part.images))[:, rows].sum(dim=(1, 2))
        for part, rows in ((upper, slice(0, 4)), (lower, slice(4, 8)))
    )
    gap = (loud[:, None] - other).abs()  # (n, n)
    gap[upper.labels[:, None] // 2 == lower.labels // 2] = torch.inf  # not the same shape twice
    match = gap.argmin(dim=1)
    images = torch.cat([upper.images[:, :, :16], lower.images[match][:, :, 16:]], dim=2)
    return images, torch.stack([upper.labels, lower.labels[match]], dim=1)


def named_shape(vit, data, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Images with two shapes, normalised, of which `vit` names one: with its answers (n,), and
    whether the shape that it names is the lower one, (n,)."""
    images, classes = two_shapes(data.test[:count], data)
    images = data.normalise(images)
    with torch.no_grad():
        answers = vit(images).argmax(dim=1)
    named = answers[:, None] == classes  # (n, 2)
    kept = named.any(dim=1)
    return images[kept], answers[kept], named[kept, 1]


def on_named(maps: Tensor, lower: Tensor) -> float:
    """How often more of a map's sum lies on the half with the named shape. maps: (n, 8, 8)."""
    above, below = maps.double().clamp(min=0).unflatten(1, (2, 4)).sum(dim=(2, 3)).unbind(1)
    named, other = torch.where(lower, below, above), torch.where(lower, above, below)
    return ((named > other).double() + 0.5 * (named == other)).mean().item()


def maps_and_deletion(start, vit, data, count: int) -> tuple[list[dict], list[dict]]:
    """The rows of one seed for looking_maps.csv and looking_deletion.csv."""
    split = data.test[:count]
    images, inside = data.normalise(split.images), map_scores.patches_inside(split.masks, P)
    both, answers, lower = named_shape(vit, data, 2 * count)
    # The image's own background, as the other way to cover: the median colour of its pixels.
    background = images.flatten(2).median(dim=2).values[:, :, None, None]
    draw = torch.Generator().manual_seed(0)
    found = {NONE: (maps_without_model(images, draw), maps_without_model(both, draw))}
    for state, model in ((AFTER, vit), (BEFORE, start)):
        heads = choose_heads(model, data, count)
        found[state] = tuple(
            with_heads(maps_of(model, x, classes), *heads)
            for x, classes in ((images, split.labels), (both, answers))
        )
    rows, curves = [], []
    for state, (one, two) in found.items():
        for method, maps in one.items():
            named = dict(named=on_named(two[method], lower), named_of=len(lower))
            rows.append(dict(state=state, method=method) | scores(maps, inside) | named)
            fills = {"mean colour": 0.0, "background": background}
            if state == BEFORE:
                fills.pop("background")
            for name, fill in fills.items():
                curve = deletion_curve(vit, images, split.labels, maps, COUNTS, P, fill)
                values = {f"covered_{k}": value for k, value in zip(COUNTS, curve)}
                curves.append(dict(state=state, method=method, fill=name) | values)
    return rows, curves


# --- layers ------------------------------------------------------------------------------------


@torch.no_grad()
def layers(vit, data, state: str) -> list[dict]:
    """What the tokens know of the class after each block; block 0 is what enters the first."""
    gallery, asked = data.train[:1000], data.test[:500]
    known, seen = (record(vit, data.normalise(split.images)) for split in (gallery, asked))
    far = attention_maps.attention_distance(seen.weights, seen.layout)  # (L, h), in patches
    has_token = vit.config.pool == "class"
    rows = []
    stages = [(r.entering, *r.tokens.values()) for r in (known, seen)]
    for block, (one, other) in enumerate(zip(*stages)):
        z = vit.norm(other)
        logits = vit.head(vit.pool(z))
        right = (logits.argmax(dim=1) == asked.labels).float().mean().item()
        distance = far[block - 1].tolist() if block else []
        for read in ("class token", "patches") if has_token else ("patches",):
            x, y = ((t[:, 0] if read == "class token" else t[:, has_token:].mean(dim=1))
                    for t in (one, other))  # fmt: skip
            nearest = (F.normalize(y, dim=1) @ F.normalize(x, dim=1).T).argmax(dim=1)
            same = (gallery.labels[nearest] == asked.labels).float().mean().item()
            row = dict(state=state, block=block, read=read)
            row |= class_cosines(y, asked.labels) | dict(neighbour=same)
            if read == "class token" or not has_token:  # what this model's head reads
                row["lens"] = right
                row |= {f"distance_{h}": value for h, value in enumerate(distance)}
            rows.append(row)
    return rows


def class_cosines(x: Tensor, labels: Tensor) -> dict[str, float]:
    """The mean cosine of two images of one class, and of two classes, of vectors x (n, D)."""
    same = labels[:, None] == labels
    itself = torch.eye(len(labels), dtype=torch.bool)
    y = F.normalize(x.double(), dim=1)
    table = y @ y.T
    within, between = table[same & ~itself].mean(), table[~same].mean()
    return dict(within=within.item(), between=between.item())


# --- one seed ----------------------------------------------------------------------------------


def train(pool: str, data, settings):
    """(the model before training, the trained model, what identifies the run)."""
    torch.manual_seed(settings.seed)
    vit = VisionTransformer(ViTConfig(**SIZE, pool=pool))
    start = copy.deepcopy(vit).eval()
    began = time.perf_counter()
    history = training.train(vit, data, settings, progress=False)
    if history.stopped != "finished":
        raise KeyboardInterrupt
    accuracy = training.evaluate(vit, data.test, data)[1]
    minutes = (time.perf_counter() - began) / 60
    facts = dict(precision=history.precision.name, epochs=settings.epochs, lr=settings.lr)
    print(f"seed {settings.seed}, {pool}: {accuracy:.2%} after {minutes:.1f} min", flush=True)
    return start, vit.eval(), dict(seed=settings.seed, test_accuracy=round(accuracy, 5)) | facts


def study(seed: int, pool: str, args) -> dict[str, list[dict]]:
    """The rows of one seed and one kind of pooling, by table."""
    data = sources.load("shapes", seed=seed)
    settings = training.TrainSettings(epochs=args.epochs, lr=args.lr, seed=seed, num_evaluations=1)
    start, vit, facts = train(pool, data, settings)
    tables = {"layers": layers(start, data, BEFORE) + layers(vit, data, AFTER)}
    if pool == "class":
        tables["maps"], tables["deletion"] = maps_and_deletion(start, vit, data, args.images)
        if seed == 0:
            ship_with_card(args.weights, vit, data, settings, facts)
    source = common.provenance("looking.py", machine.hardware(data.device))
    return {
        name: [dict(pool=pool) | rounded(row) | facts | source for row in rows]
        for name, rows in tables.items()
    }


def ship_with_card(folder: Path, vit, data, settings, facts: dict) -> None:
    """The weights in half precision, and what a person needs to know to use them."""
    path = folder / f"{NAME}.safetensors"
    shipped = ship(path, vit, data, facts)
    accuracy = training.evaluate(shipped, data.test, data)[1]
    source = common.provenance("looking.py", machine.hardware(data.device))
    about = {
        "command": source.pop("command"),
        "trained on": data.provenance,
        "size": ", ".join(f"{key} {value}" for key, value in SIZE.items()) + ", a class token",
        "parameters": sum(p.numel() for p in vit.parameters()),
        "test accuracy": f"{accuracy:.4f}, as shipped in float16",
        **{key: facts[key] for key in ("seed", "epochs", "lr", "precision")},
        "schedule": settings.schedule,
        **source,
    }
    lines = [f"# {NAME}", "", "A small ViT trained on the embedded shapes, for lesson 07.", ""]
    lines += card_table(about, path)
    files.write_text(folder / f"{NAME}.md", "\n".join(lines))


def rounded(row: dict) -> dict:
    return {key: round(v, 5) if isinstance(v, float) else v for key, v in row.items()}


def add(path: Path, rows: list[dict]) -> None:
    """Write `rows` into the table at `path`, in place of earlier rows of this seed and pooling."""
    mine = (str(rows[0]["seed"]), rows[0]["pool"])
    with FileLock(f"{path}.lock"):  # two seeds may run at the same time
        others = [row for row in files.read_rows(path) if (row["seed"], row["pool"]) != mine]
        every = [*others, *rows]
        every.sort(key=lambda row: (POOLS.index(row["pool"]), int(row["seed"])))
        common.write_table(path, every)


def main() -> None:
    parser = common.make_parser(__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--pools", nargs="+", choices=POOLS, default=list(POOLS))
    parser.add_argument("--epochs", type=float, default=6)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--images", type=int, default=100, help="for maps (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=common.RESULTS)
    parser.add_argument("--weights", type=Path, default=common.ROOT / "data" / "weights")
    args: argparse.Namespace = parser.parse_args()
    for pool in args.pools:
        for seed in args.seeds:
            for name, rows in study(seed, pool, args).items():
                add(args.out / f"looking_{name}.csv", rows)  # a stopped study keeps what it has


if __name__ == "__main__":
    main()
