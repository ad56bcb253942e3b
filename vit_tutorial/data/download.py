"""One file from the first of several mirrors that delivers it whole: pooch, and what it lacks when a server stalls or crawls."""

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
    """A mirror did not deliver, and why. speed: bytes a second, when slowness was all that was wrong with it."""

    def __init__(self, reason: str, speed: float | None = None):
        super().__init__(reason)
        self.speed = speed


class Downloader:
    """What pooch calls to fetch `url`: gives up on a server that sends nothing for `silence` seconds, or that stays below
    `floor` bytes a second for `patience` seconds. Shows progress and speed on stderr.

    pooch's own HTTPDownloader has a timeout between two packets only: a server that sends a byte now and then keeps it waiting.
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
        try:
            # identity: bytes are counted as they come, so nobody may compress them on the way
            headers = {"Accept-Encoding": "identity"}
            with (
                requests.get(url, stream=True, timeout=self.silence, headers=headers) as response,
                open(output_file, "wb") as file,
            ):
                response.raise_for_status()
                self._copy(response, file, urlsplit(url).hostname)
        except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
            raise MirrorFailedError(f"no answer, or no bytes, for {self.silence:g} s") from error
        except requests.HTTPError as error:
            raise MirrorFailedError(
                f"it answered {error.response.status_code} {error.response.reason}"
            ) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise MirrorFailedError(
                f"no connection, or a broken one ({_innermost(error)})"
            ) from error

    def _copy(self, response, file, host):
        total = int(response.headers.get("Content-Length", 0)) or None
        got, since, got_then = 0, time.monotonic(), 0
        raw = response.raw
        # read1 (urllib3 2) gives what has come so far; a read waits until its size is complete, so it is a small one
        read = (lambda: raw.read1(2**16)) if hasattr(raw, "read1") else (lambda: raw.read(2**10))
        with tqdm(
            total=total,
            unit="B",
            unit_scale=True,
            desc=f"from {host}",
            disable=not self.progress,
            file=sys.stderr,
            ncols=90,
        ) as bar:
            while chunk := read():
                file.write(chunk)
                bar.update(len(chunk))
                got += len(chunk)
                waited = time.monotonic() - since
                if waited >= self.patience:
                    speed = (got - got_then) / waited
                    if speed < self.floor:
                        raise MirrorFailedError(
                            f"too slow, {speed / 1000:.1f} kB/s (asked for {self.floor / 1000:.1f})",
                            speed,
                        )
                    since, got_then = time.monotonic(), got
        if total and got < total:
            raise MirrorFailedError(f"it stopped after {got:,} of {total:,} bytes")


def fetch(
    urls: tuple[str, ...], md5: str, target: Path, downloader: Downloader
) -> tuple[bool, list[str]]:
    """Fetch `target` from the first of `urls` whose bytes have the checksum `md5`: (whether it is there, what failed and why).

    Mirrors that are only slow are kept for a second round without a lower limit, the fastest first: slow is better than nothing.
    Half-finished files live in a folder of their own, which is emptied before and after; `target` appears complete or not at all.
    OSError when the disk is full or cannot be written to: no other mirror would help.
    """
    workshop = target.with_name(f".{target.name}.partial")
    failures, slow = [], []

    def attempt(url, floor):
        print(f"{target.name}: trying {url}", file=sys.stderr)
        way = Downloader(downloader.silence, floor, downloader.patience, downloader.progress)
        try:
            whole = pooch.retrieve(
                url, f"md5:{md5}", fname=target.name, path=workshop, downloader=way
            )
        except MirrorFailedError as error:
            failures.append(f"{url}: {error}")
            if error.speed is not None:
                slow.append((error.speed, url))
        except ValueError:  # pooch, when the checksum is another
            failures.append(f"{url}: it sent other bytes (their md5 is not {md5})")
        else:
            Path(whole).replace(target)
            return True
        print(f"{target.name}: {failures[-1]}", file=sys.stderr)
        return False

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("WARNING")  # it would repeat on stderr what is said here
    shutil.rmtree(
        workshop, ignore_errors=True
    )  # left by a process that was killed; the lock says that nobody is at work there
    try:
        found = any(attempt(url, downloader.floor) for url in urls)
        return found or any(attempt(url, 0) for _, url in sorted(slow, reverse=True)), failures
    finally:
        logger.setLevel(level)
        shutil.rmtree(workshop, ignore_errors=True)


def _innermost(error: BaseException) -> str:
    """The first cause of an error that three libraries have wrapped, in one short line."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:160]
