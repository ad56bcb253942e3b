"""What becomes of positions: their maps under other hyperparameters, and at other image sizes.

    python benchmarks/positions.py maps      data/results/figure9_maps_shapes.csv
    python benchmarks/positions.py sizes     data/results/sizes_shapes.csv

maps: the variants of the study `figure9` on one grid, seed 0, embedded shapes; one row a patch,
    with the cosines of its position and every patch's, after training.
sizes: four kinds of positions, trained at 32 pixels for 5 epochs with a loud start, then used at
    32, 48 and 64 pixels on the same test images, enlarged; one row for each seed, kind and size.
Tables are written anew. About 5 and 2 minutes on one CPU core.
"""

import common
import torch
import torch.nn.functional as F

from vit_tutorial import VisionTransformer, ViTConfig, data, training
from vit_tutorial.common import machine
from vit_tutorial.inspection.analysis import cosine_similarity
from vit_tutorial.model.resize import resize_model
from vit_tutorial.studies.definitions import resolve_variant, variants
from vit_tutorial.studies.runner import added_table, match_other_weights

KINDS = ("none", "learned_1d", "sinusoidal_2d", "rotary")
SIZES = (32, 48, 64)


def maps(device: torch.device, seed: int = 0) -> list[dict]:
    """The rows of all maps of one seed."""
    images, rows = data.load("shapes", seed=seed, device=device), []
    for variant in variants("figure9"):
        if variant.name.startswith("patch"):
            continue  # a map of another grid is no comparison
        config, settings = resolve_variant(variant, images, seed)
        torch.manual_seed(seed)
        model = VisionTransformer(config)
        match_other_weights(model, seed)
        training.train(model, images, settings, progress=False)
        for patch, cosines in enumerate(cosine_similarity(added_table(model)).tolist()):
            text = " ".join(f"{cosine:.2f}" for cosine in cosines)
            rows.append(dict(variant=variant.name, seed=seed, patch=patch, cosines=text))
        print(variant.name, flush=True)
    return rows


def sizes(device: torch.device, seeds: list[int]) -> list[dict]:
    """How many test images have the right half and the right shape at each size."""
    small = dict(image_size=32, patch_size=8, dim=64, depth=2, num_heads=4, mlp_dim=128)
    small |= dict(pool="mean", position_std=1.0)
    rows = []
    for seed in seeds:
        images = data.load("shapes", device=device)  # the seed draws the weights and the order
        labels = images.test.labels
        for kind in KINDS:
            torch.manual_seed(seed)
            model = VisionTransformer(ViTConfig(**small, position=kind))
            settings = training.TrainSettings(epochs=5, lr=3e-3, seed=seed, num_evaluations=1)
            training.train(model, images, settings, progress=False)
            for side in SIZES:
                larger = F.interpolate(images.test.images.float(), size=side, mode="bilinear")
                logits = training.predict(resize_model(model, side), larger.round().byte(), images)
                answers = logits.argmax(dim=1).to(labels.device)
                row = dict(kind=kind, seed=seed, pixels=side)
                for name, right in {
                    "half_right": answers % 2 == labels % 2,
                    "shape_right": answers // 2 == labels // 2,
                }.items():
                    row[name] = round(right.float().mean().item(), 4)
                rows.append(row)
            print(f"{kind}, seed {seed}", flush=True)
    return rows


def main() -> None:
    parser = common.make_parser(__doc__)
    parser.add_argument("table", choices=["maps", "sizes"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of sizes")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    device = torch.device(args.device)
    rows = maps(device) if args.table == "maps" else sizes(device, args.seeds)
    name = {"maps": "figure9_maps_shapes.csv", "sizes": "sizes_shapes.csv"}[args.table]
    origin = common.provenance("positions.py", machine.hardware(device), source="shapes")
    common.write_table(common.RESULTS / name, [row | origin for row in rows])


if __name__ == "__main__":
    main()
