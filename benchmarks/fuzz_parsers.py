"""The parsers that read what people send, each with its valid inputs and a way to try one.

A parser is made once (`Parser(folder)` writes its valid inputs) and then tried with many numbers:
`make(draw, place)` writes a damaged input into the empty folder `place` and returns a function that
lets the package read it. The function returns True where the input was accepted, or the message
with which it was refused; it raises WrongError where what came out is wrong.
"""

import contextlib
import dataclasses
import functools
import hashlib
import io
import json
import os
import random
import tarfile
import warnings
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import fuzz_images
import matplotlib.pyplot  # noqa: F401 (its folders are made now, not while an input is watched)
import numpy as np
import torch
from fuzz_mutations import VALUES, damaged_bytes, damaged_json, damaged_table, damaged_value
from fuzz_watch import WrongError
from safetensors.torch import save, save_file

from vit_tutorial import VisionTransformer, ViTConfig, training
from vit_tutorial import data as sources
from vit_tutorial.cli.main import main as command_line
from vit_tutorial.cli.main import parser as command_parser
from vit_tutorial.cli.run_spec import RunSpec
from vit_tutorial.data import cifar10, decode, folder
from vit_tutorial.inspection import classify, models
from vit_tutorial.training import TrainSettings
from vit_tutorial.training.runtime import checkpoint

Try = Callable[[], bool | str]
LOAD = sources.load
COMMANDS = functools.cache(command_parser)  # made once: each command line is read by the same
SMALL = dict(image_size=8, patch_size=4, num_classes=2, dim=8, depth=2, num_heads=2, mlp_dim=8)


class Images:
    """One image file, as show-patches, predict and train read it."""

    def __init__(self, place: Path):
        self.valid = fuzz_images.valid_images()

    def make(self, draw: random.Random, place: Path) -> Try:
        name, content = draw.choice(self.valid)
        damaged, fault = damaged_bytes(content, draw, draw.choice(self.valid)[1])
        path = place / f"a{draw.choice((Path(name).suffix,) * 3 + ('.jpg', '.png', ''))}"
        path.write_bytes(damaged)
        cut_only = content.startswith(damaged) and damaged != content
        whole = place / name
        whole.write_bytes(content)
        size = draw.choice(((8, 8), (3, 40), (24, 17)))

        def run() -> bool:
            decode.unreadable([str(path)], "x")
            try:
                pixels = decode.read_image(path, size)
            except decode.UNREADABLE as error:
                if not str(error):
                    raise AssertionError("an error without a message") from error
                return str(error)
            if pixels.shape != (*size, 3) or pixels.dtype != np.uint8:
                raise WrongError(f"{pixels.shape} {pixels.dtype}")
            if cut_only and not np.array_equal(pixels, decode.read_image(whole, size)):
                raise WrongError(f"{name}: {fault}, {len(damaged)} of {len(content)} bytes")
            return True

        return run


class ModelFiles:
    """One model file, as predict and train --from read it."""

    def __init__(self, place: Path):
        torch.manual_seed(0)
        data = sources.load("shapes")
        self.valid = []
        kinds = (dict(), dict(pool="mean", position="sinusoidal_2d"), dict(position="relative"))
        kinds += (dict(position="rotary", dim=16), dict(position="learned_2d"))
        for kind in kinds:
            model = VisionTransformer(ViTConfig(**SMALL | dict(num_classes=10) | kind))
            path = training.save_model(place / "m.safetensors", model, data)
            self.valid.append(path.read_bytes())
        state = model.state_dict()
        half = {name: value.half() for name, value in state.items()}
        wrapped = {"model": {f"module.{name}": value for name, value in state.items()}}
        self.others = [save(state), save({"blocks.0.attn.qkv.weight": torch.zeros(3, 3)})]
        for pickled in (state, half, wrapped, model):
            for zipped in (True, False):
                file = io.BytesIO()
                torch.save(pickled, file, _use_new_zipfile_serialization=zipped)
                self.others.append(file.getvalue())
        self.picture = place / "picture.png"
        self.picture.write_bytes(fuzz_images.valid_images()[0][1])

    def make(self, draw: random.Random, place: Path) -> Try:
        content = draw.choice(self.valid)
        kind = draw.choice(("bytes", "header", "header", "header", "weights", "other"))
        if kind == "bytes":
            content = damaged_bytes(content, draw, draw.choice(self.valid))[0]
        elif kind == "header":
            content = _with_header(content, lambda header: damaged_value(header, draw))
        elif kind == "weights":
            content = _with_weights(content, draw)
        else:
            content = draw.choice(self.others)
            content = damaged_bytes(content, draw)[0] if draw.random() < 0.5 else content
        path = place / draw.choice(("model.safetensors", "model.pt", "checkpoint.bin"))
        path.write_bytes(content)

        def run() -> bool:
            found = classify.load_classifier(path)
            (named,) = classify.classify(found, [self.picture])
            if named.error or not 0 <= named.classes[0][1] <= 1:
                raise WrongError(str(named))
            start = models.load_pretrained(str(path))
            if not all(value.isfinite().all() for value in start.model.state_dict().values()):
                raise WrongError("weights that are not finite were accepted")
            return True

        return run


def _split_file(content: bytes) -> tuple[dict, bytes]:
    """The header of a safetensors file, and the bytes of its tensors."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def _joined(header, tensors: bytes) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + tensors


def _with_header(content: bytes, damage: Callable) -> bytes:
    """The file with our part of its header damaged, or the list of its tensors."""
    header, tensors = _split_file(content)
    ours = json.loads(header["__metadata__"]["vit_tutorial"])
    changed = damage({"ours": ours, "tensors": {k: v for k, v in header.items() if k[0] != "_"}})
    if not isinstance(changed, dict):
        return _joined(changed, tensors)
    listed = changed.get("tensors")
    listed = listed if isinstance(listed, dict) else {"x": listed}
    text = json.dumps(changed.get("ours"))
    return _joined({"__metadata__": {"vit_tutorial": text}, **listed}, tensors)


def _with_weights(content: bytes, draw: random.Random) -> bytes:
    """The file with weights that are missing, renamed, misshapen, of another type, or NaN."""
    from safetensors.torch import load

    header, _ = _split_file(content)
    tensors = load(content)
    name = draw.choice(list(tensors))
    kind = draw.choice(
        ("nan", "inf", "missing", "more", "shape", "half", "int", "complex", "module")
    )
    if kind in ("nan", "inf"):
        value = tensors[name].float().clone()
        value.view(-1)[draw.randrange(value.numel())] = float(kind)
        tensors[name] = value
    elif kind == "missing":
        del tensors[name]
    elif kind == "more":
        tensors["encoder.blocks.7.norm1.weight"] = torch.ones(8)
    elif kind == "shape":
        tensors[name] = torch.zeros(draw.choice(((), (0,), (3,), (2, 3, 4), (1, 1, 1, 1, 1))))
    elif kind == "half":
        tensors = {key: value.half() for key, value in tensors.items()}
    elif kind == "int":
        tensors[name] = tensors[name].to(draw.choice((torch.int64, torch.bool, torch.uint8)))
    elif kind == "complex":
        tensors[name] = tensors[name].to(torch.complex64)
    else:
        tensors = {f"module.{key}": value for key, value in tensors.items()}
    return save(tensors, header["__metadata__"])


@functools.cache
def _made(source: str, image_size, stream):
    return LOAD(source, image_size=image_size, stream=stream)


@contextlib.contextmanager
def short_runs():
    """Training that stops before its first step: everything around it is read, made and written."""

    def run(self, progress, on_evaluation):
        self.update_history()
        row = dict(step=0, epochs=0.0, minutes=0.0, lr=0.0, train_loss=None)
        self.history.rows.append(row | dict(validation_loss=1.0, validation_accuracy=0.5))

    def save_picture(figure, path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(b"")

    nowhere = lambda *_, **__: None

    def load(source, image_size=None, seed=0, stream=None, **others):
        # Images that no input changes are read once.
        made = source in ("shapes", "pairs") and image_size in (None, 32) and not stream
        if made or str(source).endswith("/valid/pictures"):
            return _made(source, image_size, stream)
        options = dict(image_size=image_size, seed=seed, stream=stream, download=False)
        return LOAD(source, **others | options)

    patches = [
        mock.patch("vit_tutorial.training.loop._Run.run", run),
        mock.patch("vit_tutorial.inspection.plots.save", save_picture),
        mock.patch("vit_tutorial.inspection.plots.curves", nowhere),
        mock.patch("vit_tutorial.inspection.plots.patches", nowhere),
        mock.patch("vit_tutorial.inspection.plots.intervals", nowhere),
        mock.patch("vit_tutorial.inspection.plots.position_similarity", nowhere),
        mock.patch("vit_tutorial.training.evaluate", lambda *_, **__: (1.0, 0.5)),
        mock.patch("vit_tutorial.data.load", load),
        mock.patch("vit_tutorial.cli.main.parser", COMMANDS),
        mock.patch("vit_tutorial.data.file_loader.default_workers", lambda device: 0),
        mock.patch("vit_tutorial.cli.auto_recipe.seconds_a_step", lambda *_: 0.1),
        mock.patch(
            "vit_tutorial.studies.runner.train_once",
            lambda *_: dict(parameters=1, minutes=0.1, test_accuracy=0.5, precision="fp32"),
        ),
    ]
    with contextlib.ExitStack() as stack, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for patch in patches:
            stack.enter_context(patch)
        yield


def command(words: list[str]) -> bool | str:
    """Run a command: True where it ended with 0 or 130, else its message.

    AssertionError for another status, or without a message.
    """
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said), short_runs():
        try:
            status = command_line(words)
        except SystemExit as stop:  # argparse
            status = stop.code
    if status in (0, 130, None):
        return True
    if status != 2 or "Traceback" in said.getvalue() or not said.getvalue().strip():
        raise AssertionError(f"status {status}: {said.getvalue()[:200]!r}")
    return said.getvalue().splitlines()[-1][:300]


class _WithRun:
    """The valid run folder and pictures that several parsers begin with."""

    def __init__(self, place: Path):
        self.place = place
        self.pictures = place / "pictures"
        for name, shade in (("dark", 40), ("light", 200)):
            for number in range(8):
                path = self.pictures / name / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(fuzz_images.flat(shade))
        words = ["train", "--data", str(self.pictures), "--image-size", "8", "--epochs", "2"]
        words += ["--model", "CIFAR-32x1/4", "--batch-size", "4", "--quiet", "--device", "cpu"]
        run = place / "run"
        with contextlib.redirect_stdout(io.StringIO()):
            with mock.patch("vit_tutorial.training.Checkpointer.finish", lambda self: None):
                kept = mock.patch(
                    "vit_tutorial.training.Checkpointer.should_save", lambda self: True
                )
                with kept:
                    status = command_line([*words, "--out", str(run)])
        assert status == 0 and (run / checkpoint.CURRENT).is_file()
        record = json.loads((run / "run.json").read_text())
        record["stopped"] = "interrupted"
        (run / "run.json").write_text(json.dumps(record))
        self.record = record
        self.files = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}

    def copy(self, place: Path) -> Path:
        """The valid run in `place`/run."""
        run = place / "run"
        run.mkdir()
        for name, content in self.files.items():
            (run / name).write_bytes(content)
        return run


class RunFolders(_WithRun):
    """A run's folder, as train --resume, train --out, predict, evaluate and similarity read it."""

    def make(self, draw: random.Random, place: Path) -> Try:
        run = self.copy(place)
        for _ in range(draw.choice((1, 1, 2))):
            name = draw.choice(("run.json",) * 5 + tuple(self.files))
            kind = draw.choice(("damage",) * 8 + ("gone", "folder"))
            if kind == "gone":
                _remove(run / name)
            elif kind == "folder" and (run / name).is_file():
                (run / name).unlink()
                (run / name).mkdir()
            elif (run / name).is_dir():
                continue
            elif name == "run.json":
                (run / name).write_bytes(damaged_json(self.record, draw))
            else:
                (run / name).write_bytes(damaged_bytes(self.files[name], draw)[0])
        picture = self.pictures / "dark" / "0.png"
        words = draw.choice(
            (["train", "--resume", str(run)],) * 4
            + (["train", "--out", str(run), "--data", str(self.pictures), "--epochs", "1"],)
            + (["predict", str(run), str(picture)], ["similarity", str(run)])
            + (["evaluate", str(run), "--data", str(self.pictures)],)
        )
        words += [] if words[0] in ("predict", "similarity") else ["--device", "cpu"]
        words += ["--quiet"] if words[0] == "train" else []
        words += ["--out", str(place / "s.png")] if words[0] == "similarity" else []
        return functools.partial(command, words)


def _remove(path: Path) -> None:
    path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)


class Checkpoints(_WithRun):
    """A checkpoint, as train --resume reads it; its SHA-256 is made to fit in most cases."""

    def __init__(self, place: Path):
        super().__init__(place)
        self.state, _ = checkpoint.load_checkpoint(place / "run")

    def make(self, draw: random.Random, place: Path) -> Try:
        run = self.copy(place)
        (run / checkpoint.PREVIOUS).unlink(missing_ok=True)
        path = run / checkpoint.CURRENT
        kind = draw.random()
        if kind < 0.1:
            pass  # whole: it must be accepted
        elif kind < 0.3:
            path.write_bytes(damaged_bytes(self.files[checkpoint.CURRENT], draw)[0])
        else:
            tensors = {}
            packed = checkpoint._pack(self.state, tensors, "state")
            packed = damaged_value(packed, draw)
            if draw.random() < 0.3:
                name = draw.choice(list(tensors))
                value = tensors[name]
                tensors[name] = draw.choice((torch.zeros(()), value.flatten()[:1], value.double()))
                tensors[name] = tensors[name].clone()
            plan = json.dumps({"label": "step 1", "state": packed})
            digest = checkpoint._digest(plan, tensors)
            save_file(tensors, path, {"vit_tutorial_state": plan, "sha256": digest})
        return functools.partial(
            command, ["train", "--resume", str(run), "--device", "cpu", "--quiet"]
        )


class Tables(_WithRun):
    """The table of a study that is resumed, and those of other studies beside it."""

    def __init__(self, place: Path):
        out = place / "study"
        assert command(["study", "start", "--seeds", "2", "--out", str(out), "--quiet"])
        self.text = (out / "study_start_shapes.csv").read_text()

    def make(self, draw: random.Random, place: Path) -> Try:
        name = draw.choice(("study_start_shapes.csv",) * 4 + ("study_kinds_shapes.csv",))
        (place / name).write_bytes(damaged_table(self.text, draw))
        words = ["study", "start", "--seeds", draw.choice("23"), "--out", str(place), "--quiet"]
        return functools.partial(command, words)


NUMBERS = ("0", "1", "-1", "3", "0.5", "1e-300", "1e300", "nan", "inf", "-inf", "99999999999")
NUMBERS += ("1" + "0" * 400, "", " ", "0x10", "1_000", "٣٢", "½", "--", "x")
SIZES = ("8", "8x16", "32", "0", "-8", "8x", "x8", "8x8x8", "100000", "999999999", "12x99999999")
WORDS = ("adamw", "muon", "sgd", "cosine", "linear", "constant", "auto", "none", "flip_shift")
WORDS += ("bf16", "fp32", "all", "matrices", "mean", "class", "learned_1d", "relative", "patches")
NAMES = ("CIFAR-32x1/4", "CIFAR-32x1/8", "CIFAR-0x0/0", "CIFAR-99999999x9/4", "ViT-B/16", "ViT-Q/1")
NAMES += ("CIFAR-32x999999999/4", "CIFAR-31x1/4", "CIFAR-32x1/99999999999999999999", "timm:nothing")
NAMES += ("timm:", ":", "torchvision:vit_b_16x", "torchvision:", "auto", "cpu", "t4", "shapes")


class CommandLines(_WithRun):
    """Command lines: right words and wrong ones, in any order, on real files."""

    def make(self, draw: random.Random, place: Path) -> Try:
        run = self.copy(place)
        (place / "plain.txt").write_text("no picture")
        picture = str(self.pictures / "dark" / "0.png")
        good = dict(
            data=(str(self.pictures), "shapes"),
            model=(str(run), str(run / "model.safetensors"), "CIFAR-32x1/4"),
            weights=(str(run), str(run / "model.safetensors")),
            pictures=(picture, str(self.pictures)),
            image=(picture,),
            resume=(str(run),),
            out=(str(place / "out"),),
            image_size=("8", "8x16", "32"),
            study=("start", "kinds"),
            recipe=("auto", "cpu", "t4"),
            device=("cpu", "auto"),
            resolutions=("0.5@4",),
            only=("0.02", "randn"),
            **{name: (str(place / name),) for name in ("csv", "data_root", "copy_to")},
        )
        odd = [*SIZES, *NAMES, *NUMBERS, *(value for some in good.values() for value in some)]
        odd += [
            str(place / "plain.txt"),
            str(place),
            "",
            ".",
            "nowhere",
            "cuda:7",
            "cpu:" + "9" * 30,
        ]
        odd += ["0.5@", "@", "2@16", "0.3@99999", "shpaes", "cud", "mps:1", "kinds "]
        (commands,) = COMMANDS()._subparsers._group_actions
        name = draw.choice([*commands.choices] * 9 + ["", "trian", "--help", "-h"])
        if name not in commands.choices:
            return functools.partial(command, [name])
        actions = [a for a in commands.choices[name]._actions if a.dest != "help"]
        needed = [a for a in actions if not a.option_strings]
        optional = [a for a in actions if a.option_strings]
        chosen = draw.sample(optional, draw.randrange(min(5, len(optional)) + 1))
        chosen += [a for a in needed if draw.random() < 0.97]
        words = [name]
        for action in chosen:
            if action.option_strings:
                words.append(draw.choice(action.option_strings))
            if action.nargs == 0 or "Boolean" in type(action).__name__:
                continue
            for _ in range(draw.choice((1,) * 17 + (0, 2, 3))):
                words.append(self._value(action, draw, good, odd))

        if name == "start":  # its work is to write into a clone and to open JupyterLab
            words += ["--copy-only", "--folder", str(place / "lessons")]

        def run_here() -> bool | str:
            # What a command makes by itself (runs/DATE, patches.png) belongs into this folder.
            before = os.getcwd()
            os.chdir(place)
            try:
                return command(words)
            finally:
                os.chdir(before)

        return run_here

    def _value(self, action, draw: random.Random, good: dict, odd: list[str]) -> str:
        if draw.random() < 0.2:
            return draw.choice(odd)
        if action.dest in good:
            return draw.choice(good[action.dest])
        if action.choices:
            return draw.choice(list(action.choices))
        if action.type in (int, float):
            return draw.choice(("1", "2", "4", "0.5") if action.type is float else ("1", "2", "4"))
        return draw.choice(WORDS)


class Configs:
    """The fields of a ViTConfig; what is accepted must build and classify."""

    FIELDS = dataclasses.fields(ViTConfig)

    def __init__(self, place: Path):
        from vit_tutorial.model import config

        self.words = [*config.POOLS, *config.CLASS_TOKENS, *config.POSITIONS, *config.STEMS]
        self.words += [*config.POSITION_SITES, *config.POSITION_INITS]

    def make(self, draw: random.Random, place: Path) -> Try:
        if draw.random() < 0.1:
            name = draw.choice(NAMES + tuple(map(str, VALUES)))
            return lambda: bool(ViTConfig.named(name, **draw.choice(({}, SMALL))))
        values = dict(SMALL)
        for field in draw.sample(self.FIELDS, draw.choice((0, 0, 0, 1, 1, 2))):
            values[field.name] = draw.choice(VALUES + tuple(self.words) * 2)
        for field in draw.sample(self.FIELDS, draw.choice((0, 1, 2, 4))):
            # Of the right type: the default's.
            kind = type(field.default)
            some = {int: (4, 8, 12, 16, 3), bool: (True, False), float: (0.0, 0.1, 0.5, 1.0)}
            values[field.name] = draw.choice(some.get(kind, tuple(self.words)))
        if draw.random() < 0.05:
            values[draw.choice(("heads", "", "self"))] = 1

        def run() -> bool:
            if {"heads", "", "self"} & set(values):
                return "Python's own error, for an argument that there is not"
            config = ViTConfig(**values)
            numbers = config.depth * config.dim * (config.dim + config.mlp_dim) + (
                config.num_tokens * config.dim + config.patch_dim * config.dim
            )
            if numbers > 300_000 or config.num_tokens > 300 or config.num_classes > 1000:
                return True
            model = VisionTransformer(config).eval()
            logits = model(torch.zeros(1, config.channels, *config.image_size))
            if logits.shape != (1, config.num_classes) or not logits.isfinite().all():
                raise WrongError(f"{values}: {tuple(logits.shape)}")
            json.dumps(dataclasses.asdict(config), allow_nan=False)
            return True

        return run


class Settings(_WithRun):
    """The fields of TrainSettings, and of a whole run as run.json holds it."""

    FIELDS = dataclasses.fields(TrainSettings)

    def make(self, draw: random.Random, place: Path) -> Try:
        if draw.random() < 0.4:
            stored = damaged_value(self.record, draw)
            return lambda: RunSpec.from_json(stored) is not None
        values = {"epochs": 1.0}
        for field in draw.sample(self.FIELDS, draw.choice((1, 1, 2, 3))):
            values[field.name] = draw.choice(VALUES + WORDS * 2)

        def run() -> bool:
            settings = TrainSettings(**values)
            json.dumps(dataclasses.asdict(settings), allow_nan=False)
            rate = training.learning_rate(0.5, 1, settings.warmup, settings.lr, settings.schedule)
            if not 0 <= rate < float("inf"):
                raise WrongError(f"{values}: a rate of {rate}")
            torch.Generator().manual_seed(settings.seed)
            return True

        return run


FOLDER_NAMES = ("cat", "dog", "Cat", "train", "Training", "test", "val", "__MACOSX", ".hidden", "0")
FOLDER_NAMES += (
    "a b",
    "-x",
    "--data",
    "データ",
    "e\u0301",
    "\u00e9",
    "new\nline",
    "\x1b[31m",
    "$x$",
)
FOLDER_NAMES += ("n" * 200, "*", "x;y", "CON", " ", "class_1", "weights.pt", "b\udcff")


class Folders:
    """A folder of images: odd names, links, pipes, damaged files, in memory and as a stream."""

    def __init__(self, place: Path):
        self.valid = fuzz_images.valid_images()

    def make(self, draw: random.Random, place: Path) -> Try:
        root = place / draw.choice(("data", "dätä", "-d", "a b"))
        root.mkdir()
        tops = [root]
        if draw.random() < 0.4:
            splits = [("train", "test"), ("train", "val", "test"), ("Training", "Testing")]
            splits += [draw.sample(("train", "test", "val", "Testing", "x"), 2)]
            tops = [root / n for n in draw.choice(splits)]
        some = FOLDER_NAMES if draw.random() < 0.5 else [*FOLDER_NAMES[:3], *FOLDER_NAMES[9:]]
        names = draw.sample(some, draw.choice((1, 2, 2, 3, 3, 4)))
        for top in tops:
            for name in names if draw.random() < 0.9 else names[:1]:
                self._fill(top / name, draw, place)
        for _ in range(draw.choice((0, 0, 1, 2))):
            with contextlib.suppress(OSError):
                self._odd(draw.choice([*root.rglob("*"), root]), draw, root)
        odd = (1, 0, -1, 2.0, "8", (8,), 10**6, 10**12, None)
        size = draw.choice(odd) if draw.random() < 0.1 else draw.choice((8, (4, 12)))
        how = dict(stream=draw.choice((None, None, False, True)), seed=draw.choice((0, 1)))
        how |= dict(seed=draw.choice((-1, 2**70))) if draw.random() < 0.03 else {}
        new = draw.random() < 0.2

        def run() -> bool:
            with short_runs():
                if new:
                    found = folder.load_all(root, tuple(names), image_size=size)
                else:
                    found = sources.load(str(root), image_size=size, **how)
                images, labels = next(iter(found.train.iter_batches(4)))
            if images.shape[1:] != (3, *found.image_size) or labels.max() >= found.num_classes:
                raise WrongError(f"{images.shape} {labels}")
            return True

        return run

    def _fill(self, path: Path, draw: random.Random, place: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        for number in range(draw.choice((0, 1, 3) if draw.random() < 0.05 else (5, 6, 8))):
            name, content = draw.choice(self.valid)
            content = damaged_bytes(content, draw)[0] if draw.random() < 0.1 else content
            (path / f"{number}{Path(name).suffix}").write_bytes(content)

    def _odd(self, path: Path, draw: random.Random, root: Path) -> None:
        inside = path if path.is_dir() else path.parent
        kind = draw.choice(
            ("loop", "broken", "pipe", "out", "text", "empty", "deep", "closed", "same")
        )
        if kind == "loop":
            (inside / "loop").symlink_to(root)
        elif kind == "broken":
            (inside / "gone.png").symlink_to("nowhere.png")
        elif kind == "pipe":
            os.mkfifo(inside / "pipe.png")
        elif kind == "out":
            (inside / "out.png").symlink_to("/dev/zero")
        elif kind == "text":
            (inside / "labels.txt").write_text("cat,dog\n")
        elif kind == "empty":
            (inside / "empty.jpg").write_bytes(b"")
        elif kind == "deep":
            (inside / "/".join("d" * 40)).mkdir(parents=True)
        elif kind == "closed":
            inside.chmod(0)
        else:
            (inside / "again").symlink_to(inside, target_is_directory=True)


class Archives:
    """The archive of CIFAR-10, with a checksum that fits: what unpacking must survive by itself."""

    def __init__(self, place: Path):
        self.members = {
            f"cifar-10-batches-py/{name}": random.Random(name).randbytes(64)
            for name in ("data_batch_1", "test_batch", "batches.meta")
        }

    def make(self, draw: random.Random, place: Path) -> Try:
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode=draw.choice(("w:gz", "w", "w:xz"))) as tar:
            for name, content in self.members.items():
                self._add(tar, name, content, draw)
        content = made.getvalue()
        content = damaged_bytes(content, draw)[0] if draw.random() < 0.5 else content
        root = place / "root"
        root.mkdir()
        (root / "cifar.tar.gz").write_bytes(content)
        digest = hashlib.md5(content).hexdigest()
        lists = [[Path(n).name, hashlib.md5(c).hexdigest()] for n, c in self.members.items()]

        class Small:
            base_folder, filename, tgz_md5 = "cifar-10-batches-py", "cifar.tar.gz", digest
            train_list, test_list = lists[:1], lists[1:2]
            meta = dict(filename=lists[2][0], md5=lists[2][1])

        def run() -> bool:
            with contextlib.redirect_stderr(io.StringIO()):
                return bool(cifar10.fetch(root, download=False, dataset=Small))

        return run

    def _add(self, tar, name: str, content: bytes, draw: random.Random) -> None:
        odd = draw.random()
        names = ("../../evil", "/evil_fuzz", "cifar-10-batches-py/../../evil", "x" * 300, "")
        info = tarfile.TarInfo(name if odd < 0.7 else draw.choice(names))
        info.size = len(content)
        if 0.4 < odd < 0.5:
            info.type = draw.choice(
                (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE)
            )
            info.linkname, info.size = draw.choice(("/etc/passwd", "../../..", name)), 0
        info.mode = draw.choice((0o644, 0o000, 0o4777))
        tar.addfile(info, io.BytesIO(content if info.size else b""))


PARSERS = {
    "images": Images,
    "model files": ModelFiles,
    "checkpoints": Checkpoints,
    "run folders": RunFolders,
    "tables": Tables,
    "command lines": CommandLines,
    "model configurations": Configs,
    "training settings": Settings,
    "folders of images": Folders,
    "archives": Archives,
}
