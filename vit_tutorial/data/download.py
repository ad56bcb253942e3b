"""One file from the first of several mirrors that delivers it whole.

pooch fetches and compares checksums. The Downloader in this module gives up on servers that stall
or crawl, which pooch's own does not, and `fetch` moves on to the next mirror.
"""

import shutil
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pooch
import requests
import urllib3
from tqdm import tqdm


class MirrorFailedError(Exception):
    """A mirror did not deliver, and why.

    speed: bytes a second, when the mirror's only fault was that it was slow; else None.
    """

    def __init__(self, reason: str, speed: float | None = None):
        super().__init__(reason)
        self.speed = speed


class Downloader:
    """What pooch calls to fetch `url`, with progress and speed on stderr.

    It gives up on a server that sends nothing for `silence` seconds, or that stays below `floor`
    bytes a second for `patience` seconds. pooch's own HTTPDownloader has a timeout only between two
    packets, so a server that sends a byte now and then keeps it waiting.
    """

    def __init__(
        self,
        silence: float = 10,
        floor: float = 200_000,
        patience: float = 15,
        progress: bool = True,
    ):
        self.silence, self.floor, self.patience, self.progress = silence, floor, patience, progress

    def __call__(self, url: str, output_file: str, pooch=None) -> None:
        # Bytes are counted as they come, so the server must not compress them on the way.
        headers = {"Accept-Encoding": "identity"}
        try:
            with (
                requests.get(url, stream=True, timeout=self.silence, headers=headers) as response,
                open(output_file, "wb") as file,
            ):
                response.raise_for_status()
                self._copy(response, file, urlsplit(url).hostname)
        except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
            raise MirrorFailedError(f"no answer, or no bytes, for {self.silence:g} s") from error
        except requests.HTTPError as error:
            answer = f"{error.response.status_code} {error.response.reason}"
            raise MirrorFailedError(f"it answered {answer}") from error
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            reason = f"no connection, or a broken one ({_innermost(error)})"
            raise MirrorFailedError(reason) from error

    def _copy(self, response: requests.Response, file, host: str) -> None:
        """Write the body to `file`. Raises MirrorFailedError when it is slow or too short."""
        total = int(response.headers.get("Content-Length", 0)) or None
        raw = response.raw
        # read1 (urllib3 2) returns what has arrived so far. read blocks until it has as many bytes
        # as were asked for, so few are asked for.
        read = (lambda: raw.read1(2**16)) if hasattr(raw, "read1") else (lambda: raw.read(2**10))
        bar = tqdm(
            total=total,
            unit="B",
            unit_scale=True,
            desc=f"from {host}",
            disable=not self.progress,
            file=sys.stderr,
            ncols=90,
        )
        received, window_start, received_before = 0, time.monotonic(), 0
        with bar:
            while chunk := read():
                file.write(chunk)
                bar.update(len(chunk))
                received += len(chunk)
                elapsed = time.monotonic() - window_start
                if elapsed >= self.patience:
                    self._check_speed((received - received_before) / elapsed)
                    window_start, received_before = time.monotonic(), received
        if total and received < total:
            raise MirrorFailedError(f"it stopped after {received:,} of {total:,} bytes")

    def _check_speed(self, speed: float) -> None:
        if speed < self.floor:
            raise MirrorFailedError(
                f"too slow, {speed / 1000:.1f} kB/s (at least {self.floor / 1000:.1f} are needed)",
                speed,
            )


def fetch(
    urls: tuple[str, ...], md5: str, target: Path, downloader: Downloader
) -> tuple[bool, list[str]]:
    """Fetch `target` from the first of `urls` whose bytes have the checksum `md5`.

    Returns whether it is there, and what failed and why. Mirrors that are only slow get a second
    try without a lower limit, the fastest first: slow is better than nothing. Unfinished files are
    kept in a folder of their own, which is emptied before and after, so `target` appears complete
    or not at all.
    Raises OSError when the disk is full or cannot be written to: no other mirror would help.
    """
    partial = target.with_name(f".{target.name}.partial")
    failures, slow = [], []

    def attempt(url: str, floor: float) -> bool:
        print(f"{target.name}: trying {url}", file=sys.stderr)
        limited = Downloader(downloader.silence, floor, downloader.patience, downloader.progress)
        try:
            whole = pooch.retrieve(
                url, f"md5:{md5}", fname=target.name, path=partial, downloader=limited
            )
        except MirrorFailedError as error:
            failures.append(f"{url}: {error}")
            if error.speed is not None:
                slow.append((error.speed, url))
        except ValueError:  # pooch raises it for a wrong checksum
            failures.append(f"{url}: it sent other bytes (their md5 is not {md5})")
        else:
            Path(whole).replace(target)
            return True
        print(f"{target.name}: {failures[-1]}", file=sys.stderr)
        return False

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("WARNING")  # below that it repeats what is printed here
    # Left by a process that was killed. We hold the lock, so no other process is writing there.
    shutil.rmtree(partial, ignore_errors=True)
    try:
        found = any(attempt(url, downloader.floor) for url in urls)
        return found or any(attempt(url, 0) for _, url in sorted(slow, reverse=True)), failures
    finally:
        logger.setLevel(level)
        shutil.rmtree(partial, ignore_errors=True)


def _innermost(error: BaseException) -> str:
    """The first cause of an error that three libraries have wrapped, in one short line."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:160]
