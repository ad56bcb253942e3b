"""What a folder of images means: which folders are splits, which are classes, which are neither."""

import dataclasses
import hashlib
import os
import warnings
from collections.abc import Iterable
from pathlib import Path

from .split_names import WRAPPERS, as_read, how_alike, split_folders

# What file managers, archivers and cameras' cards leave beside the folders of a data set.
LEFTOVERS = ("__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found")

Labelled = list[tuple[str, int]]  # (file, label), in the order of classes and file names


@dataclasses.dataclass(frozen=True)
class Layout:
    """The folders of a data set: `roots` has "train", or "train" and others of SPLITS.

    A folder without splits is "train" alone.
    """

    roots: dict[str, Path]
    class_names: list[str]  # the same in every root, sorted


def find_layout(path: Path) -> Layout:
    """The layout of the folder `path`.

    Raises ValueError, with what was found, where there are fewer than two classes, splits without
    one for training, two folders for one split, splits inside the classes, or splits with different
    classes.
    """
    names = folders(path)
    found = split_folders(names)
    splits = {split: path / there[0] for split, there in found.items() if there}
    for split, there in found.items():
        if len(there) > 1:
            raise ValueError(
                f"{path}: {' and '.join(f'{name}/' for name in there)} both look like the images "
                f"for {split}: rename or move one of them"
            )
    if splits and ("train" not in splits or len(splits) == 1):
        there = ", ".join(f"{root.name}/" for root in splits.values())
        missing = "train/" if "train" not in splits else "test/"
        raise ValueError(
            f"{path} has {there} and no {missing}: give both, or one folder with the classes in "
            f"it, such as {next(iter(splits.values()))}. (Folders with these names are taken for "
            "splits. If they are classes, rename them)"
        )
    others = [n for n in names if splits and path / n not in splits.values()]
    if others:
        used = ", ".join(f"{root.name}/" for root in splits.values())
        warnings.warn(
            f"{path}: only {used} are read; not used: {', '.join(f'{n}/' for n in others)}",
            stacklevel=4,
        )
    roots = {split: _unwrapped(root) for split, root in splits.items()} or {"train": path}
    class_names = _classes(roots["train"])
    _warn_of_one_name(roots["train"], class_names)
    if not splits:
        _refuse_splits_in_classes(path, class_names)
        _warn_of_same_folders(path, class_names)
    for split, root in roots.items():
        _require_same_classes(path, roots["train"], class_names, split, root)
    return Layout(roots, class_names)


def has_splits(path: Path) -> bool:
    """Whether the folder `path` has a folder named like a split, such as train/."""
    return any(split_folders(folders(path)).values())


def _unwrapped(root: Path) -> Path:
    """The folder with the classes of a split: the one folder in `root` where that only wraps it.

    Archives are often unpacked into a folder of their own name: train/train/cat.
    """
    inside = folders(root)
    if len(inside) != 1 or _loose(root):
        return root
    inner = root / inside[0]
    if inner.name.casefold() not in (root.name.casefold(), *WRAPPERS) or len(folders(inner)) < 2:
        return root
    return inner


def folders(path: Path) -> list[str]:
    """The names of the folders in `path`, sorted; hidden ones and leftovers are not counted."""
    return sorted(
        entry.name
        for entry in path.iterdir()
        if entry.is_dir()
        and not entry.name.startswith(".")
        and entry.name.casefold() not in LEFTOVERS
    )


def _classes(path: Path) -> list[str]:
    classes = folders(path)
    if len(classes) < 2:
        found = f"only {classes[0]!r}" if classes else "none"
        raise ValueError(
            f"{path}: looked for two or more folders of images, one for each class, and found "
            f"{found}{_advice(path, classes)}"
        )
    return classes


def _advice(path: Path, classes: list[str]) -> str:
    """What may be meant by a folder with fewer than two folders in it."""
    deeper = path / classes[0] if classes else path
    if classes and len(there := folders(deeper)) > 1:
        return f". {deeper} has {', '.join(there[:5])}: is that the folder to give?"
    if loose := _loose(path):
        return (
            f"; {loose} files are in no folder of their own. The class of a file is the folder "
            "that it is in: move each into a folder with the name of its class (only predict takes "
            "files without one)"
        )
    return ""


def _loose(path: Path) -> int:
    """How many files are in the folder `path` itself, not in a folder of it."""
    return sum(entry.is_file() and not _left_out(entry.name) for entry in path.iterdir())


def _refuse_splits_in_classes(path: Path, class_names: list[str]) -> None:
    """Raise ValueError when each class is split by itself, as in cat/train with cat/test.

    Read as one class, the images for testing would be mixed with those for training.
    """
    for name in class_names:
        found = {
            split: there for split, there in split_folders(folders(path / name)).items() if there
        }
        if len(found) < 2 or "train" not in found:
            return
    train = found["train"][0]
    raise ValueError(
        f"{path}: each of {', '.join(class_names[:5])} has {train}/ and "
        f"{' and '.join(f'{there[0]}/' for split, there in found.items() if split != 'train')} in "
        f"it. Splits belong outside of the classes: move {class_names[0]}/{train} to "
        f"{train}/{class_names[0]}, and so on"
    )


def _warn_of_one_name(path: Path, class_names: list[str]) -> None:
    """Warn of classes whose names a person would read as one: Cat and cat."""
    seen: dict[str, str] = {}
    for name in class_names:
        other = seen.setdefault(as_read(name), name)
        if other != name:
            warnings.warn(
                f"{path}: {other} and {name} are read as two classes, and "
                f"{how_alike({other}, {name})}. If they are one class, move their images into one "
                "folder",
                stacklevel=5,
            )


def _warn_of_same_folders(path: Path, class_names: list[str]) -> None:
    """Warn when all classes hold folders of the same names and no files: splits or parts of unknown
    names, as in images/train with labels/train, or part_1/cat with part_2/cat.
    """
    shared = set.intersection(*(set(folders(path / name)) for name in class_names))
    if len(shared) < 2 or any(_loose(path / name) for name in class_names):
        return
    shown = ", ".join(sorted(shared)[:5])
    warnings.warn(
        f"{path}: {' and '.join(class_names[:5])} are read as the classes, and each holds the same "
        f"folders ({shown}). If those are the classes, give a folder with them in it, or call the "
        "two parts train and test",
        stacklevel=4,
    )


def _require_same_classes(
    path: Path, train: Path, class_names: list[str], split: str, root: Path
) -> None:
    there = class_names if split == "train" else folders(root) or _classes(root)
    if there != class_names:
        more, fewer = set(there) - set(class_names), set(class_names) - set(there)
        raise ValueError(
            f"{path}: {root.name}/ and {train.name}/ need the same folders of images; "
            f"only in {root.name}/: {', '.join(sorted(more)) or 'none'}; "
            f"only in {train.name}/: {', '.join(sorted(fewer)) or 'none'}"
            + (f". They {how}: rename one of them" if (how := how_alike(more, fewer)) else "")
        )


def files(path: Path) -> list[Path]:
    """All files under `path` in alphabetical order, hidden ones and leftovers not counted.

    Links to folders are followed. A folder that several links lead to, or one link into itself, is
    read once.
    """
    found, entered = [], set()
    for folder, below, names in os.walk(path, onerror=_raise, followlinks=True):
        real = os.path.realpath(folder)
        if real in entered:
            below.clear()
            continue
        entered.add(real)
        below[:] = sorted(n for n in below if not _left_out(n))  # os.walk enters these
        found += [Path(folder, name) for name in names if not _left_out(name)]
    return sorted(found)


def _raise(error: OSError) -> None:
    """A folder that cannot be entered is an error: left out, its images would be missed."""
    raise error


def _left_out(name: str) -> bool:
    return name.startswith(".") or name.casefold() in (*LEFTOVERS, "thumbs.db", "desktop.ini")


def labelled(path: Path, class_names: list[str]) -> Labelled:
    """Each file under `path` with the label of its class. Raises ValueError for an empty class."""
    pairs = [
        (str(file), label) for label, name in enumerate(class_names) for file in files(path / name)
    ]
    refuse_empty(path, class_names, [label for _, label in pairs], "has no files in it")
    return pairs


def refuse_empty(path: Path, class_names: list[str], labels: list[int], what: str) -> None:
    """Raise ValueError when a class has none of the `labels`. what: the fault of its folder."""
    empty = [class_names[label] for label in sorted(set(range(len(class_names))) - set(labels))]
    if empty:
        raise ValueError(
            f"{path}: {len(empty)} of {len(class_names)} classes empty; {path / empty[0]} {what}. "
            "Add images (jpg, png, ...) or remove the folder"
        )


def warn_of_shared_folders(roots: Iterable[Path]) -> None:
    """Warn when two splits lead, by links, to one folder: the model would see its test images."""
    seen: dict[str, Path] = {}
    for root in roots:
        for folder, below, _ in os.walk(root, followlinks=False):
            for path in [Path(folder, name) for name in below] + [Path(folder)]:
                other = seen.setdefault(os.path.realpath(path), root)
                if other != root:
                    warnings.warn(
                        f"{path} is a folder of {other.name}/ as well: the images of the two "
                        "splits are the same",
                        stacklevel=4,
                    )
                    return


def fingerprint(root: Path, class_names: list[str], parts: Iterable[Labelled]) -> str:
    """A short hash of the class names and of every file's place below `root`, in order.

    It tells whether a folder still holds the files that a run began with.
    """
    # Names of files may hold bytes that are no letters: Python keeps them as lone surrogates.
    digest = hashlib.sha256("\n".join(class_names).encode(errors="surrogatepass"))
    for part in parts:
        for file, label in part:
            line = f"\n{os.path.relpath(file, root)} {label}"
            digest.update(line.encode(errors="surrogatepass"))
    return digest.hexdigest()[:16]
