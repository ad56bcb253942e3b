"""Bad input over the public surface: each kind gets the error that is documented, in words.

One row of KINDS is one kind: a name, the call, the exception, and words that its message must hold:
the numbers that were wrong, and what to do.
"""

import json
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from vit_tutorial import (
    MultiHeadSelfAttention,
    VisionTransformer,
    ViTConfig,
    checks,
    interop,
    patchify,
    unpatchify,
)
from vit_tutorial.cli.main import main
from vit_tutorial.data import (
    Split,
    augment,
    load,
    make_shapes,
    photograph,
    results_path,
    weights_path,
)
from vit_tutorial.inspection import analysis, plots
from vit_tutorial.inspection.layout import TokenLayout
from vit_tutorial.inspection.models import load_by_name
from vit_tutorial.inspection.position_tables import position_table
from vit_tutorial.inspection.similarity import neighbour_cosine
from vit_tutorial.inspection.widgets import similarity_map
from vit_tutorial.model import attention, fast_attention, sinusoidal_1d, sinusoidal_2d
from vit_tutorial.model.resize import resize_model
from vit_tutorial.studies import difference, interval, run_study, variants
from vit_tutorial.training import (
    TrainSettings,
    choose_precision,
    evaluate,
    learning_rate,
    load_model,
    predict,
    recipe,
    save_model,
    train,
)

SMALL = dict(image_size=8, patch_size=4, dim=8, depth=1, num_heads=2, num_classes=3, channels=3)


def config(**changes) -> ViTConfig:
    return ViTConfig(**SMALL | changes)


def model(**changes) -> VisionTransformer:
    torch.manual_seed(0)
    return VisionTransformer(config(**changes))


def split(count=6, **changes) -> Split:
    made = dict(
        images=torch.zeros(count, 3, 8, 8, dtype=torch.uint8), labels=torch.arange(count) % 3
    )
    return Split(**made | changes)


def images_data(**changes):
    from vit_tutorial.data import ImageData

    parts = dict(train=split(), validation=split(3), test=split(3))
    facts = dict(name="tiny", class_names=("a", "b", "c"), mean=(0.5,) * 3, std=(0.2,) * 3)
    return ImageData(**facts | parts | dict(provenance="made here") | changes)


def settings(**changes) -> TrainSettings:
    return TrainSettings(**dict(epochs=1, batch_size=2) | changes)


def picture(folder, name="x.png", mode="RGB", size=(8, 8), **options):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size).save(path, **options)
    return path


def classes(folder, *names, count=4):
    for name in names:
        for number in range(count):
            picture(folder / name, f"{number}.png")
    return folder


def written(folder, content: bytes, name="model.safetensors"):
    (folder / name).write_bytes(content)
    return folder / name


def cut(folder):
    path = save_model(folder / "model.safetensors", model())
    return written(folder, path.read_bytes()[:-50])


def other_version(folder):
    fields = vars(config()) | {"moon": 3}
    header = {"vit_tutorial": json.dumps({"config": fields, "notes": {}})}
    save_file({"x": torch.zeros(1)}, folder / "m.safetensors", metadata=header)
    return folder / "m.safetensors"


def foreign(folder):
    save_file({"x": torch.zeros(1)}, folder / "m.safetensors")
    return folder / "m.safetensors"


def wrong_tensors(folder):
    header = {"vit_tutorial": json.dumps({"config": vars(config()), "notes": {}})}
    state = model(dim=16).state_dict()
    save_file(state, folder / "m.safetensors", metadata=header)
    return folder / "m.safetensors"


def float_tiff(folder):
    path = folder / "a.tiff"
    Image.fromarray(np.zeros((8, 8), dtype=np.float32)).save(path)
    return path


def with_nan():
    images = torch.rand(2, 3, 8, 8)
    images[0, 0, 0, 0] = float("nan")
    return images


def nan_weights():
    made = model()
    torch.nn.init.constant_(made.head.weight, float("nan"))
    return made


IM, F, Z = torch.zeros(2, 3, 8, 8), torch.rand(2, 3, 8, 8), torch.zeros
LABELS = torch.tensor([0, 1])
U8 = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
V, T = ValueError, TypeError

# (name, call with an empty folder, exception, words)
KINDS = [
    # --- patches
    ("patchify: one image without a batch", lambda d: patchify(IM[0], 4), V, ["rank 3", "image[None]"]),
    ("patchify: a flat row", lambda d: patchify(Z(5), 4), V, ["rank 1", "(5,)"]),
    ("patchify: P does not divide", lambda d: patchify(IM, 3), V, ["3x3", "8x8", "9x9", "[1, 2, 4, 8]"]),
    ("patchify: P of 0", lambda d: patchify(IM, 0), V, ["patch_size is 0"]),
    ("patchify: P negative", lambda d: patchify(IM, -4), V, ["patch_size is -4"]),
    ("patchify: P a float", lambda d: patchify(IM, 4.0), V, ["patch_size is 4.0", "whole number"]),
    ("patchify: P a text", lambda d: patchify(IM, "4"), V, ["patch_size is '4'"]),
    ("patchify: P larger than the image", lambda d: patchify(IM, 16), V, ["16x16", "8x8"]),
    ("patchify: an image without pixels", lambda d: patchify(Z(1, 3, 0, 8), 4), V, ["height is 0"]),
    ("patchify: numpy", lambda d: patchify(np.zeros((2, 3, 8, 8)), 4), T, ["ndarray", "from_numpy"]),
    ("patchify: a list", lambda d: patchify([[1]], 4), T, ["list", "tensor"]),
    ("unpatchify: rank", lambda d: unpatchify(Z(4, 48), 4, 8), V, ["rank 2", "B, N, P*P*C"]),
    ("unpatchify: count", lambda d: unpatchify(Z(1, 5, 48), 4, 8), V, ["5 patches", "2 x 2 = 4"]),
    ("unpatchify: numbers of a patch", lambda d: unpatchify(Z(1, 4, 47), 4, 8), V, ["47", "16"]),
    ("unpatchify: three sides", lambda d: unpatchify(Z(1, 4, 48), 4, (8, 8, 3)), V, ["(8, 8, 3)", "(height, width)"]),
    ("unpatchify: a size in words", lambda d: unpatchify(Z(1, 4, 48), 4, "8"), V, ["'8'"]),
    # --- configuration
    ("config: heads do not divide", lambda d: config(num_heads=3), V, ["3 heads", "8", "fits: 2"]),
    ("config: dim of 0", lambda d: config(dim=0), V, ["dim is 0"]),
    ("config: no blocks", lambda d: config(depth=0), V, ["depth is 0"]),
    ("config: classes a bool", lambda d: config(num_classes=True), V, ["num_classes is True"]),
    ("config: pool misspelt", lambda d: config(pool="clas"), V, ["'clas'", "did you mean 'class'"]),
    ("config: position misspelt", lambda d: config(position="rotery"), V, ["did you mean 'rotary'"]),
    ("config: no token to read", lambda d: config(pool="class", class_token="none"), V, ["pool='mean'"]),
    ("config: dropout of 1", lambda d: config(dropout=1.0), V, ["dropout is 1.0", "probability"]),
    ("config: dropout a text", lambda d: config(dropout="0.1"), V, ["dropout is '0.1'"]),
    ("config: deviation below 0", lambda d: config(position_std=-1), V, ["position_std is -1"]),
    ("config: three sides", lambda d: config(image_size=(8, 8, 8)), V, ["(8, 8, 8)"]),
    ("config: rotary needs 4", lambda d: config(dim=6, num_heads=1, position="rotary"), V, ["multiple of 4", "6"]),
    ("config: rotary at the stem", lambda d: config(position="rotary", position_site="stem"), V, ["every_layer"]),
    ("config: unknown name", lambda d: ViTConfig.named("ViT-Z/16"), V, ["'ViT-Z/16'", "did you mean"]),
    ("config: name without depth", lambda d: ViTConfig.named("CIFAR-96/4"), V, ["CIFAR-96/4"]),
    ("config: name with width 0", lambda d: ViTConfig.named("CIFAR-0x4/4"), V, ["dim is 0"]),
    ("config: stem with P of 3", lambda d: config(image_size=9, patch_size=3, stem="convolutional"), V, ["3", "stem"]),
    # --- model
    ("model: whole numbers", lambda d: model()(U8), V, ["torch.uint8", ".float()"]),
    ("model: one image", lambda d: model()(IM[0]), V, ["(3, 8, 8)", "image[None]"]),
    ("model: channels", lambda d: model()(Z(1, 1, 8, 8)), V, ["(1, 1, 8, 8)", "(B, 3, 8, 8)"]),
    ("model: size", lambda d: model()(Z(1, 3, 12, 12)), V, ["(1, 3, 12, 12)", "resize"]),
    ("model: a PIL image", lambda d: model()(Image.new("RGB", (8, 8))), T, ["Image", "tensor"]),
    ("model: not a config", lambda d: VisionTransformer("ViT-B/16"), T, ["ViTConfig", "ViT-B/16"]),
    ("attention: heads do not divide", lambda d: MultiHeadSelfAttention(8, 3), V, ["3 heads"]),
    ("attention: tokens of another width", lambda d: MultiHeadSelfAttention(8, 2)(Z(1, 4, 6)), V, ["6", "8", "(B, T, D)"]),
    ("attention: no batch", lambda d: MultiHeadSelfAttention(8, 2)(Z(4, 8)), V, ["(4, 8)", "(B, T, D)"]),
    ("attention: widths of q and k", lambda d: attention(Z(1, 4, 8), Z(1, 4, 6), Z(1, 4, 6)), V, ["(1, 4, 8)", "(1, 4, 6)"]),
    ("attention: keys without values", lambda d: attention(Z(1, 4, 8), Z(1, 4, 8), Z(1, 3, 8)), V, ["(1, 4, 8)", "(1, 3, 8)"]),
    ("fast attention: widths", lambda d: fast_attention(Z(1, 4, 8), Z(1, 4, 6), Z(1, 4, 6)), V, ["(1, 4, 8)", "(1, 4, 6)"]),
    ("positions: odd width", lambda d: sinusoidal_1d(4, 7), V, ["even", "7"]),
    ("positions: width not of 4", lambda d: sinusoidal_2d((2, 2), 6), V, ["multiple of 4", "6"]),
    ("resize: a size that P does not divide", lambda d: resize_model(model(), 10), V, ["10x10", "4x4"]),
    ("resize: another library's model", lambda d: resize_model(torch.nn.Linear(2, 2), 8), V, ["Linear"]),
    ("interop: an unknown class", lambda d: interop.load_from(torch.nn.Linear(2, 2)), V, ["Linear"]),
    ("interop: not ours", lambda d: interop.export_to(torch.nn.Linear(2, 2), "timm"), V, ["Linear", "load_from"]),
    ("interop: a library misspelt", lambda d: interop.export_to(model(), "tim"), V, ["did you mean 'timm'"]),
    # --- data
    ("load: a source misspelt", lambda d: load("shape"), V, ["did you mean 'shapes'"]),
    ("load: a file", lambda d: load(picture(d)), V, ["is a file", "folder"]),
    ("load: an empty folder", lambda d: load(d), V, ["class"]),
    ("load: one class", lambda d: load(classes(d, "cat")), V, ["cat", "two"]),
    ("load: a class without images", lambda d: load(empty_class(d)), V, ["dog"]),
    ("load: share of 0", lambda d: load("shapes", validation=0), V, ["validation is 0"]),
    ("load: share of 1", lambda d: load("shapes", validation=1.0), V, ["validation is 1.0"]),
    ("load: seed negative", lambda d: load("shapes", seed=-1), V, ["seed is -1"]),
    ("load: another size of shapes", lambda d: load("shapes", image_size=64), V, ["32x32", "64"]),
    ("load: image size of 0", lambda d: load(classes(d, "a", "b"), image_size=0), V, ["0"]),
    ("load: CIFAR-10 without a network", lambda d: load("cifar10", root=d, download=False), FileNotFoundError, ["CIFAR-10"]),
    ("load: a ~ of nobody", lambda d: load("~nobody_at_all/x"), V, ["~nobody_at_all"]),
    ("shapes: odd", lambda d: make_shapes(3, 0), V, ["count is 3", "ask for 4"]),
    ("shapes: none", lambda d: make_shapes(0, 0), V, ["count is 0"]),
    ("shapes: half of 2", lambda d: make_shapes(2, 0, half=2), V, ["half is 2"]),
    ("photograph: misspelt", lambda d: photograph("cta"), V, ["did you mean 'cat'"]),
    ("photograph: size of 0", lambda d: photograph(size=0), V, ["size is 0"]),
    ("results: no such table", lambda d: results_path("stepcpu.csv"), FileNotFoundError, ["stepcpu.csv", "step_cpu.csv"]),
    ("weights: no such file", lambda d: weights_path("x.safetensors"), FileNotFoundError, ["vit_shapes.safetensors"]),
    ("split: floats", lambda d: split(images=Z(6, 3, 8, 8)), V, ["uint8", "float32"]),
    ("split: labels too few", lambda d: split(labels=LABELS), V, ["6 images", "(2,)"]),
    ("split: masks of another size", lambda d: split(masks=Z(6, 4, 4, dtype=torch.bool)), V, ["(6, 8, 8)", "(6, 4, 4)"]),
    ("data: no test images", lambda d: images_data(test=split(0)), V, ["0 images in test"]),
    ("data: a label without a name", lambda d: images_data(class_names=("a", "b")), V, ["2"]),
    ("data: means of another number", lambda d: images_data(mean=(0.5,)), V, ["mean", "3"]),
    ("flip: shift as large as the image", lambda d: augment.flip_and_shift(U8, shift=8), V, ["shift is 8", "8x8"]),
    ("flip: one image", lambda d: augment.flip_and_shift(U8[0]), V, ["rank 3"]),
    ("RandAugment: floats", lambda d: augment.rand_augment(F), V, ["float32", "uint8"]),
    ("RandAugment: magnitude of 11", lambda d: augment.rand_augment(U8, magnitude=11), V, ["11", "10"]),
    ("CutMix: probability of 2", lambda d: augment.cutmix(F, LABELS, 3, probability=2), V, ["2", "1"]),
    ("CutMix: labels too few", lambda d: augment.cutmix(F, LABELS[:1], 3), V, ["(1,)", "2"]),
    # --- training
    ("settings: no length", lambda d: TrainSettings(), V, ["minutes", "epochs", "one of the two"]),
    ("settings: two lengths", lambda d: TrainSettings(minutes=1, epochs=1), V, ["not both"]),
    ("settings: rate of 0", lambda d: settings(lr=0), V, ["lr is 0"]),
    ("settings: rate nan", lambda d: settings(lr=float("nan")), V, ["lr is nan"]),
    ("settings: rate a text", lambda d: settings(lr="0.1"), V, ["lr is '0.1'"]),
    ("settings: warm-up of 1", lambda d: settings(warmup=1.0), V, ["warmup is 1.0", "below 1"]),
    ("settings: batch of 0", lambda d: settings(batch_size=0), V, ["batch_size is 0"]),
    ("settings: optimizer misspelt", lambda d: settings(optimizer="adam"), V, ["did you mean 'adamw'"]),
    ("settings: schedule misspelt", lambda d: settings(schedule="cosin"), V, ["did you mean 'cosine'"]),
    ("settings: fp8", lambda d: settings(precision="fp8"), V, ["'fp8'", "'fp16'"]),
    ("precision: fp16 on a CPU", lambda d: choose_precision("cpu", "fp16"), V, ["fp16", "bf16"]),
    ("recipe: misspelt", lambda d: recipe("t5"), V, ["did you mean 't4'"]),
    ("rate: a step after the end", lambda d: learning_rate(11, 10, 1, 0.1), V, ["11", "10"]),
    ("rate: a warm-up that does not fit", lambda d: learning_rate(0, 10, 10, 0.1), V, ["10"]),
    ("train: other classes", lambda d: train(model(num_classes=5), images_data(), settings()), V, ["5 classes", "3"]),
    ("train: another size", lambda d: train(model(image_size=16), images_data(), settings()), V, ["16x16", "8x8"]),
    ("train: a batch of more than there is", lambda d: train(model(), images_data(), settings(batch_size=7)), V, ["7", "6"]),
    ("train: weights of nan", lambda d: train(nan_weights(), images_data(), settings(), progress=False), FloatingPointError, ["nan"]),
    ("predict: floats", lambda d: predict(model(), F, images_data()), V, ["uint8", "float32"]),
    ("evaluate: other classes", lambda d: evaluate(model(num_classes=2), split(), images_data()), V, ["2", "3"]),
    ("model file: not there", lambda d: load_model(d / "x.safetensors"), FileNotFoundError, ["x.safetensors"]),
    ("model file: cut short", lambda d: load_model(cut(d)), V, ["cut short"]),
    ("model file: not safetensors", lambda d: load_model(written(d, b"not a model at all")), V, ["model.safetensors"]),
    ("model file: empty", lambda d: load_model(written(d, b"")), V, ["model.safetensors"]),
    ("model file: of others", lambda d: load_model(foreign(d)), V, ["vit_tutorial did not write it"]),
    ("model file: another version", lambda d: load_model(other_version(d)), V, ["moon", "another version"]),
    ("model file: tensors that do not fit", lambda d: load_model(wrong_tensors(d)), V, ["m.safetensors"]),
    ("model file: another configuration", lambda d: load_model(save_model(d / "m.safetensors", model()), config=config(dim=16)), V, ["dim is 8", "16"]),
    # --- looking
    ("table: a list", lambda d: analysis.cosine_similarity([1, 2]), V, ["list", "(T, D)"]),
    ("table: no square", lambda d: neighbour_cosine(Z(7, 4)), V, ["7", "square"]),
    ("table: another grid", lambda d: neighbour_cosine(Z(7, 4), (2, 4)), V, ["7", "2x4"]),
    ("table: one patch", lambda d: neighbour_cosine(Z(1, 4), (1, 1)), V, ["1 patch"]),
    ("layout: a grid of one side", lambda d: TokenLayout((4,)), V, ["(4,)", "(rows, columns)"]),
    ("layout: a row of none", lambda d: TokenLayout((0, 4)), V, ["rows of the grid is 0"]),
    ("confusion: logits", lambda d: analysis.confusion_matrix(LABELS, Z(2), 3), V, ["argmax"]),
    ("confusion: a class too many", lambda d: analysis.confusion_matrix(LABELS, LABELS + 2, 3), V, ["3 classes"]),
    ("positions of a model without a table", lambda d: position_table(model(position="rotary")), V, ["rotary"]),
    ("map of a table that does not fit", lambda d: similarity_map(Z(7, 4)), V, ["7"]),
    ("plots: an unknown part", lambda d: plots.architecture(lit="heads"), V, ["did you mean 'head'"]),
    ("plots: a picture of nan", lambda d: plots.patches(with_nan()[0], 4), V, ["nan"]),
    ("plots: a normalised picture", lambda d: plots.patches(3 * F[0] - 2, 4), V, ["0 to 1", "normalisation"]),
    ("plots: a batch", lambda d: plots.patches(F, 4), V, ["images[0]"]),
    ("plots: numpy", lambda d: plots.patches(np.zeros((8, 8, 3)), 4), V, ["permute(2, 0, 1)"]),
    ("plots: save as JPEG", lambda d: plots.save(plots.patches(F[0], 4), d / "x.jpg"), V, ["x.jpg", ".png"]),
    ("plots: no description", lambda d: plots.show(plots.patches(F[0], 4), alt=" "), V, ["alt"]),
    ("plots: no images", lambda d: plots.image_grid(U8[:0]), V, ["0"]),
    ("plots: no rows", lambda d: plots.curves([]), V, ["row"]),
    ("models: a library's model misspelt", lambda d: load_by_name("torchvision:vit_b_61"), V, ["did you mean vit_b_16"]),
    ("models: weights misspelt", lambda d: load_by_name("weights:shape"), FileNotFoundError, ["did you mean weights:shapes"]),
    # --- studies and checks
    ("interval of nothing", lambda d: interval([]), V, ["0 values"]),
    ("difference without a common seed", lambda d: difference({0: 1.0}, {1: 1.0}), V, ["[0]", "[1]"]),
    ("study: misspelt", lambda d: variants("kind"), V, ["did you mean 'kinds'"]),
    ("study: run misspelt", lambda d: run_study("strat", None, 1, d / "t.csv"), V, ["did you mean 'start'"]),
    ("check: the result of a function", lambda d: checks.check_patchify(patchify(IM, 4)), T, ["without brackets"]),
    ("check: misspelt", lambda d: checks.get("check_patchfy"), V, ["did you mean 'check_patchify'", "There are"]),
    ("recap: an unknown question", lambda d: checks.check_recap("02", {9: "a"}), V, ["9", "1 to 5"]),
    ("recap: a list", lambda d: checks.check_recap("02", ["a"]), V, ["list", "dict"]),
]  # fmt: skip


def empty_class(folder):
    classes(folder, "cat", "mouse")
    (folder / "dog").mkdir()
    return folder


def test_there_are_a_hundred_kinds_and_each_has_a_name_of_its_own():
    names = [name for name, *_ in KINDS]
    assert len(names) == len(set(names)) and len(names) + len(COMMANDS) >= 100


@pytest.mark.parametrize("call, error, words", [k[1:] for k in KINDS], ids=[k[0] for k in KINDS])
def test_bad_input_is_named(call, error, words, tmp_path):
    with pytest.raises(error) as caught, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        call(tmp_path)
    assert caught.type is error or error is V, f"{caught.type.__name__}: {caught.value}"
    message = str(caught.value)
    assert [word for word in words if word not in message] == [], message
    assert len(message) < 700


# (name, words of the command line; {d} is an empty folder, words that the message must hold)
COMMANDS = [
    ("no such picture", ["show-patches", "{d}/x.png"], ["x.png"]),
    ("a picture that is none", ["show-patches", "{d}/text.png"], ["text.png", "JPEG"]),
    ("patches that do not divide", ["show-patches", "{d}/fine.png", "--patch-size", "5"], ["5x5"]),
    ("patches of 0", ["show-patches", "{d}/fine.png", "--patch-size", "0"], ["patch_size is 0"]),
    ("a device that is not there", ["train", "--device", "cuda:7"], ["cuda:7"]),
    ("a device misspelt", ["train", "--device", "gpu"], ["'gpu'", "'cuda'"]),
    ("data misspelt", ["train", "--data", "cifar"], ["did you mean 'cifar10'"]),
    ("a model misspelt", ["train", "--model", "ViT-Q/16"], ["ViT-Q/16"]),
    ("a recipe misspelt", ["train", "--recipe", "t5"], ["did you mean 't4'"]),
    ("no run to resume", ["train", "--resume", "{d}"], ["no run in"]),
    ("minutes below 0", ["train", "--minutes", "-1"], ["minutes is -1.0"]),
    ("no model to measure", ["evaluate", "{d}"], ["no model file"]),
    ("no picture to name", ["predict", "weights:shapes", "{d}/empty"], ["no files found"]),
    ("a top of 0", ["predict", "weights:shapes", "{d}/fine.png", "--top", "0"], ["top is 0"]),
    ("a study misspelt", ["study", "kind"], ["did you mean 'kinds'"]),
    ("seeds of 0", ["study", "kinds", "--seeds", "0"], ["seeds is 0"]),
    ("a variant misspelt", ["study", "start", "--only", "rand", "--out", "{d}/s"], ["'rand'"]),
]


@pytest.mark.parametrize("words, said", [c[1:] for c in COMMANDS], ids=[c[0] for c in COMMANDS])
def test_a_command_names_the_mistake_in_one_line(words, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    picture(tmp_path, "fine.png", size=(32, 32))
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty").mkdir()
    assert main([word.format(d=tmp_path) for word in words]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and message.startswith("vit_tutorial: ")
    assert [word for word in said if word not in message] == [], message


EMPTY = [
    ["train", "--out", ""],
    ["train", "--resume", " "],
    ["train", "--copy-to", ""],
    ["train", "--data-root", ""],
    ["show-patches", ""],
    ["predict", "weights:shapes", ""],
    ["predict", "weights:shapes", "x.png", "--csv", ""],
    ["attention", "weights:shapes", ""],
    ["similarity", "weights:shapes", "--out", ""],
    ["evaluate", ""],
    ["study", "start", "--out", ""],
    ["start", "--folder", ""],
]


@pytest.mark.parametrize("words", EMPTY, ids=" ".join)
def test_an_empty_path_is_not_the_current_folder(words, tmp_path, capsys, monkeypatch):
    """`--out "$DIR"` without DIR: a run, or its copies, would be written wherever one stands."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    assert "is an empty path" in capsys.readouterr().err and not list(tmp_path.iterdir())
