"""Names of folders: which are splits, and which a person would read as one."""

import re
import unicodedata
from collections.abc import Iterable

# Names that data sets in the wild give their splits; upper and lower case are the same.
SPLITS = {
    "train": ("train", "training", "train_set", "trainset", "training_set"),
    "validation": (
        *("val", "valid", "validation", "dev", "val_set", "validation_set"),
        *("eval", "evaluation"),
    ),
    "test": ("test", "testing", "test_set", "testset", "holdout"),
}
# A folder of such a name, or of its parent's, alone in a split only wraps the classes, as in
# train/images/cat.
WRAPPERS = ("images", "imgs", "data")


def split_folders(names: list[str]) -> dict[str, list[str]]:
    """For each of SPLITS those of `names` that are named like it.

    Where none has such a name alone, names that differ only in it count too: train_images and
    test_images, seg_train and seg_test, train2017 and val2017. One of them alone (train_station)
    does not.
    """
    found = {split: [n for n in names if n.casefold() in SPLITS[split]] for split in SPLITS}
    if any(found.values()):
        return found
    families: dict[tuple, dict[str, list[str]]] = {}
    for name in names:
        words = [w.casefold() for w in re.findall(r"[^\W\d_]?[^\W\d_A-Z]+|[A-Z]+|\d+", name)]
        for split, known in SPLITS.items():
            rest = tuple(word for word in words if word not in known)
            if len(rest) == len(words) - 1:
                families.setdefault(rest, {}).setdefault(split, []).append(name)
    splits = max(families.values(), key=len, default={})
    return {split: splits.get(split, []) if len(splits) > 1 else [] for split in SPLITS}


def as_read(name: str) -> str:
    """A name without what a reader does not see, such as case and the two forms of an accent."""
    return unicodedata.normalize("NFKC", name).casefold().strip()


def how_alike(some: Iterable[str], others: Iterable[str]) -> str:
    """How names differ that a reader would take for the same; "" for others."""
    some, others = set(some), set(others)
    if {name.casefold() for name in some} == {name.casefold() for name in others}:
        return "differ in upper and lower case only"
    if {as_read(name) for name in some} == {as_read(name) for name in others}:
        return "differ only in spaces or in how Unicode writes the same letters"
    return ""
