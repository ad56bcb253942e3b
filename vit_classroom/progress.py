"""A bar for what takes longer than two seconds, with the time left."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def track(items: Iterable[T], what: str, unit: str) -> Iterator[T]:
    """The same items, one by one. After two seconds, and in a terminal only, a bar on stderr says
    how many are done; the time left as well, where `items` has a length."""
    return iter(tqdm(items, what, unit=f" {unit}", delay=2, leave=False, disable=None, ncols=88))
