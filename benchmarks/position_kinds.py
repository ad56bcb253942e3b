"""Train three small models on the embedded shapes and ship the positions that they learned.

    python benchmarks/position_kinds.py

The models of lesson 03, with mean pooling, differ in their positions alone: learned_1d, learned_2d
and relative. Written to data/weights/ (--out):
    position_kinds_shapes.safetensors  learned_1d and learned_2d: the table that is added, (16, 64);
                                       relative: the bias of the first block, (heads, 49)
    position_kinds_shapes.md           the card: command, seed, epochs, accuracies, hardware
Lesson 14 draws them: training takes half a minute on two quiet cores and minutes on busy ones.
"""

import argparse
import hashlib
from pathlib import Path

import common
import torch
from safetensors.torch import save_file

from vit_tutorial import VisionTransformer, ViTConfig, training
from vit_tutorial import data as sources
from vit_tutorial.common import files, machine

NAME = "position_kinds_shapes"
KINDS = ("learned_1d", "learned_2d", "relative")
SIZE = dict(image_size=32, patch_size=8, dim=64, depth=2, num_heads=4, mlp_dim=128, pool="mean")


def train(kind: str, data, settings) -> tuple[torch.Tensor, float]:
    """What a model with positions of this kind has learned about them, and its test accuracy."""
    torch.manual_seed(settings.seed)
    vit = VisionTransformer(ViTConfig(**SIZE, position=kind))
    training.train(vit, data, settings, progress=False)
    _, accuracy = training.evaluate(vit, data.test, data)
    learned = vit.encoder.positions[0].bias if kind == "relative" else vit.position.table[0]
    return learned.detach().float().cpu().contiguous(), accuracy


def card(facts: dict, path: Path) -> str:
    content = path.read_bytes()
    lines = [f"# {NAME}", "", "Positions learned on the embedded shapes, for lesson 14.", ""]
    lines += ["| | |", "| --- | --- |"]
    lines += [f"| {key} | {value} |" for key, value in facts.items()]
    digest = hashlib.sha256(content).hexdigest()
    return "\n".join([*lines, f"| file | {len(content):,} bytes, sha256 {digest} |", ""])


def main() -> None:
    parser = common.make_parser(__doc__)
    parser.add_argument("--epochs", type=float, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=common.ROOT / "data" / "weights")
    args: argparse.Namespace = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    data = sources.load("shapes", device=torch.device("cpu"))
    settings = training.TrainSettings(
        epochs=args.epochs, lr=3e-3, seed=args.seed, num_evaluations=1, precision="fp32"
    )
    tensors, accuracies = {}, {}
    for kind in KINDS:
        tensors[kind], accuracies[kind] = train(kind, data, settings)
        print(f"{kind}: test accuracy {accuracies[kind]:.2%}", flush=True)
    path = args.out / f"{NAME}.safetensors"
    notes = {kind: f"{accuracy:.4f}" for kind, accuracy in accuracies.items()}
    save_file(tensors, path, metadata=notes)
    source = common.provenance("position_kinds.py", machine.hardware(data.device))
    facts = {"command": f"`{source.pop('command')}`", "epochs": args.epochs, "seed": args.seed}
    facts |= {f"test accuracy, {kind}": value for kind, value in notes.items()} | source
    files.write_text(args.out / f"{NAME}.md", card(facts, path))


if __name__ == "__main__":
    main()
