"""Images for a benchmark: as `data.load` takes them, or out of a tar archive; and the words of a command for its table."""

import contextlib
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def images_in(source: str | Path, name: str = "images") -> Iterator[str]:
    """`source` itself, or for a tar archive a temporary folder called `name` with what it holds: train/<class>/*, test/<class>/*.

    A machine that is lent for minutes starts bare: the archive is all it gets. SystemExit for an archive without train/.
    """
    if not (Path(source).is_file() and tarfile.is_tarfile(source)):
        yield str(source)
        return
    with tempfile.TemporaryDirectory() as place, tarfile.open(source) as archive:
        folder = Path(place) / name
        archive.extractall(
            folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {})
        )
        inside = [path.parent for path in sorted(folder.glob("**/train")) if path.is_dir()]
        if not inside:
            raise SystemExit(
                f"{source} holds no folder train/: give an archive or a folder with train/<class>/*, test/<class>/*"
            )
        yield str(inside[0])


def shown(source: str) -> list[str]:
    """The words of the command for a table. Paths are this machine's business: FOLDER, and not where the table went."""
    words = [word for word, before in zip(sys.argv[1:], sys.argv) if "--out" not in (word, before)]
    return ["FOLDER" if word == source != "cifar10" else word for word in words]
