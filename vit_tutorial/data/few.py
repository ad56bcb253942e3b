"""Some classes of a data set, and a few labelled images of them, drawn at random.

The first images of a data set need not be a random sample: those of shapes come in pairs, the same
drawing in both halves (shapes.py). A model from scratch learns more from 50 such pairs than from
100 drawings.
"""

import dataclasses

from .dataset import ImageData, Split, channel_statistics, stratified


def held_out(images: ImageData, first: int) -> tuple[ImageData, ImageData]:
    """(the classes below `first`, the others): one to pre-train on, and one that is new.

    The labels of both start at 0. Both are scaled by the pixels of the former, as nobody knows the
    others while pre-training. Raises ValueError unless each part has a class.
    """
    if not 0 < first < images.num_classes:
        raise ValueError(
            f"first is {first}: for {images.num_classes} classes give 1 to {images.num_classes - 1}"
        )
    before, after = _part(images, 0, first), _part(images, first, images.num_classes)
    mean, std = channel_statistics(before.train.images)
    return tuple(dataclasses.replace(each, mean=mean, std=std) for each in (before, after))


def subset(images: ImageData, count: int, seed: int) -> ImageData:
    """The same data with `count` training images drawn by `seed`, equally many of each class.

    The numbers are rounded class by class. With `count` or fewer there, `images` itself.
    """
    if count >= len(images.train):
        return images
    _, chosen = stratified(images.train.labels, count / len(images.train), seed)
    return dataclasses.replace(images, train=images.train[chosen])


def _part(images: ImageData, first: int, last: int) -> ImageData:
    """The data with classes `first` to `last` - 1 alone, numbered from 0."""

    def of(split: Split) -> Split:
        chosen = (split.labels >= first) & (split.labels < last)
        return Split(split.images[chosen], split.labels[chosen] - first)

    splits = {name: of(getattr(images, name)) for name in ("train", "validation", "test")}
    return dataclasses.replace(images, class_names=images.class_names[first:last], **splits)
