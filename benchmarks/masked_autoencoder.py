"""What a masked autoencoder is worth: mask ratios, loss and target, few labels (lesson 24).

    python benchmarks/masked_autoencoder.py shapes --study variants --epochs 3 --seeds 0 1 2 3 4
    python benchmarks/masked_autoencoder.py shapes --study labels --epochs 4 --tune 2 \
        --seeds 0 1 2 3 4
    python benchmarks/masked_autoencoder.py FOLDER_OR_cifar10 --provenance "CIFAR-10 (JPEG copy)" \
        --study variants --epochs 1 --seeds 0
    python benchmarks/masked_autoencoder.py FOLDER_OR_cifar10 --provenance "CIFAR-10 (JPEG copy)" \
        --study labels --epochs 3 --tune 0.3 --seeds 0
    python benchmarks/masked_autoencoder.py FOLDER_OR_cifar10 --provenance "CIFAR-10 (JPEG copy)" \
        --study pictures --epochs 4 --seeds 0

The encoder has mean pooling and fixed 2-D sines: width 64 and two blocks on the embedded shapes,
CIFAR-96x4/4 otherwise. The decoder is one block of width 64. Pre-training sees all training images
without their labels, for --epochs.
variants: pre-train with mask ratios of 25, 50, 75 and 90 %, and, at 75 %, with the other target
    (normalised or plain pixels), with the loss on all patches, and with a decoder that adds no
    positions. Each encoder is judged by a linear probe, and so is one that was not pre-trained.
labels: pre-train at 75 %, then use few labels, or more. "probe" is a ridge regression on the
    frozen encoder's mean token, "fine-tuned" trains all weights on as many images as --tune epochs
    hold, and "from scratch" trains the same ViT from random weights for the FLOPs of pre-training
    and fine-tuning together. "from scratch, equal steps" gets the steps of fine-tuning alone: then
    pre-training is free. "probe, random encoder" is the control.
pictures: pre-train at 75 % with plain pixels as the target, which can be shown without the hidden
    patches' own mean and contrast, and ship the weights in data/weights/ with a card.
Choices (the ridge, and the target for shapes) are made on the validation images. The test images
are looked at once for each row. Each row goes into data/results/masked_autoencoder_STUDY.csv
(--out) as it is done, and a row that is there already is skipped: a stopped study goes on where it
was.
"""

import dataclasses
import time
from pathlib import Path

import common
import torch
import torch.nn.functional as F
from comparison import explicit_attention
from safetensors.torch import save_file
from torch.utils.flop_counter import FlopCounterMode
from weights import card_table

from vit_tutorial import VisionTransformer, ViTConfig, training
from vit_tutorial import data as sources
from vit_tutorial.common import files, machine
from vit_tutorial.data import augment, dataset, subset
from vit_tutorial.relatives.masked_autoencoder import (
    MaskedAutoencoder,
    masked_loss,
    neighbour_mean,
)

SINES = dict(pool="mean", position="sinusoidal_2d")
MODELS = {
    "shapes": ViTConfig(patch_size=4, dim=64, depth=2, num_heads=4, mlp_dim=128, **SINES),
    "photographs": ViTConfig.named("CIFAR-96x4/4", **SINES),
}
LABELS = {"shapes": (100, 300, 1000), "photographs": (500, 5000)}
PROBE_LABELS = 10_000  # of the study `variants`
# Is each patch of the target brought to mean 0 and variance 1? Chosen on validation images: on
# shapes, most patches are noise, which that makes as loud as an edge.
NORMALIZED = {"shapes": False, "photographs": True}
ALL, BLIND, UNTRAINED = "loss on all patches", "decoder without positions", "not pre-trained"
WEIGHTS = common.ROOT / "data" / "weights"
RATIOS = (0.25, 0.5, 0.75, 0.9)
EQUAL_STEPS = "from scratch, equal steps"
STARTS = ("probe, random encoder", "probe", "fine-tuned", EQUAL_STEPS, "from scratch")
RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # times the mean variance of a feature
RATE, WARMUP, BATCH = 2e-3, 0.1, 128  # of pre-training
TUNING = dict(lr=1e-3, schedule="linear", num_evaluations=1)


def variants_of(kind: str) -> dict[str, dict]:
    """{name: options of the autoencoder}; the last three differ in something else."""
    usual = dict(mask_ratio=0.75, norm_patches=NORMALIZED[kind])
    found = {f"mask {round(100 * x)} %": usual | dict(mask_ratio=x) for x in RATIOS}
    other = "plain pixels" if NORMALIZED[kind] else "normalised pixels"
    found[other] = usual | dict(norm_patches=not NORMALIZED[kind])
    return found | dict.fromkeys((ALL, BLIND, UNTRAINED), usual)


def pretrain(model: MaskedAutoencoder, data, epochs: float, seed: int, hidden_only: bool = True):
    """Train `model` on the training images of `data`, whose labels are not read."""
    precision = training.choose_precision(data.device)
    settings = training.TrainSettings(epochs=epochs, lr=RATE)
    optimizer = training.make_optimizer(model, settings)
    draw = torch.Generator().manual_seed(seed)
    steps_per_epoch = len(data.train) // BATCH
    total = round(epochs * steps_per_epoch)
    for step in range(total):
        if step % steps_per_epoch == 0:
            order = torch.randperm(len(data.train), generator=draw)
        at = order[step % steps_per_epoch * BATCH :][:BATCH]
        images = data.train.images[at]
        if data.name not in dataset.MADE:  # where something lies is part of their labels
            images = augment.flip_and_shift(images, 2, generator=draw)
        images = data.normalise(images)
        noise = torch.rand(len(images), len(model.positions), generator=draw)
        rate = training.learning_rate(step, total, WARMUP * total, RATE)
        for group in optimizer.param_groups:
            group["lr"] = rate
        with precision.autocast():
            prediction, target, mask = model.predict(images, noise)
        counted = mask if hidden_only else torch.ones_like(mask)
        loss = masked_loss(prediction.float(), target, counted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()


@torch.no_grad()
def features(encoder: VisionTransformer, split, data) -> torch.Tensor:
    """The mean token after the last norm, (n, D)."""
    with training.choose_precision(data.device).autocast():
        parts = [
            encoder.representation(data.normalise(images)) for images, _ in split.iter_batches(500)
        ]
    return torch.cat(parts).float()


def probe(encoder: VisionTransformer, data, count: int, seed: int) -> tuple[float, float]:
    """(validation, test) accuracy of a ridge regression onto one-hot labels, `count` of them."""
    train = subset(data, count, seed).train
    x = features(encoder, train, data)
    mean, std = x.mean(0), x.std(0) + 1e-6
    with_one = lambda x: torch.cat([(x - mean) / std, torch.ones(len(x), 1)], dim=1).double()
    X, Y = with_one(x), F.one_hot(train.labels, data.num_classes).double()
    splits = {
        name: (with_one(features(encoder, split, data)), split.labels)
        for name, split in (("validation", data.validation), ("test", data.test))
    }
    accuracy = lambda name, W: (splits[name][0] @ W).argmax(1).eq(splits[name][1]).double().mean()
    solved = {}
    for ridge in RIDGES:
        penalty = ridge * len(X) * torch.eye(X.shape[1], dtype=X.dtype)
        penalty[-1, -1] = 0  # the bias is free
        solved[ridge] = torch.linalg.solve(X.T @ X + penalty, X.T @ Y)
    best = max(RIDGES, key=lambda ridge: accuracy("validation", solved[ridge]))
    return tuple(accuracy(name, solved[best]).item() for name in ("validation", "test"))


@torch.no_grad()
def reconstruction(model: MaskedAutoencoder, data) -> dict:
    """Mean squared error on the hidden patches of 1,000 validation images, in the model's target.

    Beside it, the error of the mean of the visible neighbours, and the target's variance.
    """
    images = data.normalise(data.validation.images[:1000])
    noise = torch.rand(
        len(images), len(model.positions), generator=torch.Generator().manual_seed(0)
    )
    prediction, target, mask = model.predict(images, noise)
    guess = neighbour_mean(target, mask, model.encoder.config.grid)
    return dict(
        error=round(masked_loss(prediction, target, mask).item(), 4),
        error_of_neighbours=round(masked_loss(guess, target, mask).item(), 4),
        target_variance=round(target.var().item(), 4),
    )


def step_flops(model: torch.nn.Module) -> int:
    """FLOPs of a training step for one image, attention in its explicit form."""
    images = torch.zeros(1, 3, 32, 32)
    explicit_attention(model)
    with FlopCounterMode(display=False) as counter:
        model(images).sum().backward()
    return counter.get_total_flops()


def tune(vit: VisionTransformer, data, count: int, images: int, seed: int) -> tuple:
    """Train all of `vit` on `count` labels for `images` images; (validation, test) accuracy."""
    small = subset(data, count, seed)
    epochs = images / len(small.train)
    batch_size = min(BATCH, len(small.train))
    settings = training.TrainSettings(epochs=epochs, seed=seed, batch_size=batch_size, **TUNING)
    training.train(vit, small, settings, progress=False)
    return tuple(training.evaluate(vit, part, data)[1] for part in (data.validation, data.test))


def main() -> None:
    table = common.RESULTS / "masked_autoencoder_STUDY.csv"
    parser = common.make_parser(__doc__, common.image_options(), common.run_options(table))
    parser.add_argument("--study", choices=("variants", "labels", "pictures"), required=True)
    parser.add_argument("--epochs", type=float, default=2)
    parser.add_argument("--tune", type=float, default=0.5, help="epochs of all training images")
    args = parser.parse_args()
    out = common.SharedTable(Path(str(args.out).replace("STUDY", args.study)))
    with common.images_in(args.data) as folder:
        for seed in args.seeds:
            data = sources.load(folder, seed=seed, device="cpu")
            run = dict(variants=variants, labels=labels, pictures=pictures)[args.study]
            run(args, data, seed, out)


def has(out: common.SharedTable, **key) -> bool:
    return out.find(**key) is not None


def kind_of(data) -> str:
    return data.name if data.name in MODELS else "photographs"


def config_of(data) -> ViTConfig:
    return dataclasses.replace(MODELS[kind_of(data)], num_classes=data.num_classes)


def row_of(args, data, seed: int, **facts) -> dict:
    source = common.provenance(
        "masked_autoencoder.py", machine.hardware(data.device), source=args.data
    )
    return (
        dict(data=kind_of(data), seed=seed, pretraining_epochs=args.epochs)
        | facts
        | dict(images=args.provenance or data.provenance, threads=torch.get_num_threads(), **source)
    )


def variants(args, data, seed: int, out: common.SharedTable) -> None:
    for name, options in variants_of(kind_of(data)).items():
        if has(out, data=kind_of(data), variant=name, seed=seed):
            continue
        begin = time.perf_counter()
        torch.manual_seed(seed)
        model = MaskedAutoencoder(config_of(data), **options)
        if name == BLIND:
            model.positions.zero_()
        if name != UNTRAINED:
            pretrain(model, data, args.epochs, seed, hidden_only=name != ALL)
        seconds = time.perf_counter() - begin
        found = reconstruction(model, data)
        validation, test = probe(model.encoder, data, PROBE_LABELS, seed)
        facts = dict(variant=name, labels=PROBE_LABELS, validation_accuracy=round(validation, 4))
        facts |= dict(test_accuracy=round(test, 4), seconds=round(seconds, 1)) | found
        out.add(row_of(args, data, seed, **facts))
        print(seed, name, facts, flush=True)


def labels(args, data, seed: int, out: common.SharedTable) -> None:
    wanted = [(name, count) for name in STARTS for count in LABELS[kind_of(data)]]
    key = dict(data=kind_of(data), seed=seed)
    missing = [pair for pair in wanted if not has(out, **key, variant=pair[0], labels=pair[1])]
    if not missing:
        return
    torch.manual_seed(seed)
    config = config_of(data)
    model = MaskedAutoencoder(config, norm_patches=NORMALIZED[kind_of(data)])
    random_start = VisionTransformer(config)
    begin = time.perf_counter()
    pretrain(model, data, args.epochs, seed)
    seconds = time.perf_counter() - begin
    ratio = step_flops(MaskedAutoencoder(config)) / step_flops(VisionTransformer(config))
    tune_images = round(args.tune * len(data.train))
    scratch_images = tune_images + round(ratio * args.epochs * len(data.train))
    for name, count in missing:
        start = model.encoder if name in ("probe", "fine-tuned") else random_start
        vit = VisionTransformer(config)
        vit.load_state_dict(start.state_dict())
        vit.head.load_state_dict(random_start.head.state_dict())
        begin = time.perf_counter()
        if name.startswith("probe"):
            validation, test = probe(vit.eval(), data, count, seed)
            images = 0
        else:
            images = scratch_images if name == "from scratch" else tune_images
            validation, test = tune(vit, data, count, images, seed)
        facts = dict(variant=name, labels=count, validation_accuracy=round(validation, 4))
        facts |= dict(test_accuracy=round(test, 4), seconds=round(time.perf_counter() - begin, 1))
        facts |= dict(images_with_labels=images, flop_ratio=round(ratio, 4))
        facts |= dict(pretraining_seconds=round(seconds, 1))
        out.add(row_of(args, data, seed, **facts))
        print(seed, facts, flush=True)


def pictures(args, data, seed: int, out: common.SharedTable) -> None:
    torch.manual_seed(seed)
    model = MaskedAutoencoder(config_of(data), norm_patches=False)
    begin = time.perf_counter()
    pretrain(model, data, args.epochs, seed)
    ship(model, args, data, seed, time.perf_counter() - begin)


def ship(model: MaskedAutoencoder, args, data, seed: int, seconds: float) -> None:
    """The whole autoencoder in half precision, and its card."""
    name = f"masked_autoencoder_{kind_of(data)}"
    path = WEIGHTS / f"{name}.safetensors"
    tensors = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    model.load_state_dict({name: value.float() for name, value in tensors.items()})
    config, found = model.encoder.config, reconstruction(model, data)
    source = common.provenance(
        "masked_autoencoder.py", machine.hardware(data.device), source=args.data
    )
    facts = dict(command=source.pop("command"))
    facts["trained on"] = (
        f"{args.provenance or data.provenance}, {len(data.train):,} images without their labels"
    )
    facts |= dict(
        encoder=f"{config.depth} blocks of width {config.dim}, {config.num_heads} heads, "
        f"patches of {config.patch_size}, fixed 2-D sines, mean pooling",
        decoder=f"one block of width {model.positions.shape[1]}, plain pixels",
        mean=" ".join(f"{value:.4f}" for value in data.mean),
        std=" ".join(f"{value:.4f}" for value in data.std),
        epochs=args.epochs,
        seed=seed,
        minutes=round(seconds / 60, 1),
        **{f"validation {key.replace('_', ' ')}": value for key, value in found.items()},
        **source,
    )
    save_file(tensors, path, metadata={key: str(value) for key, value in facts.items()})
    lines = [f"# {name}", "", "A small masked autoencoder whose pictures lesson 24 shows.", ""]
    files.write_text(path.with_suffix(".md"), "\n".join([*lines, *card_table(facts, path)]))


if __name__ == "__main__":
    main()
