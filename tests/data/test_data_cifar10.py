"""Fetching CIFAR-10 from a local server that does everything wrong that a server can."""

import hashlib
import io
import pickle
import re
import socket
import subprocess
import sys
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR10

from vit_tutorial.data import cifar10
from vit_tutorial.data.download import Downloader

NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


@pytest.fixture(scope="module")
def tiny():
    """A small archive in CIFAR's format, and a class like torchvision's with its checksums."""
    draw = np.random.default_rng(0)
    files, pixels, labels = {}, [], []
    for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]:
        pixels.append(draw.integers(0, 256, (40, 3072), dtype=np.uint8))
        labels.append([i % 10 for i in range(40)])
        files[name] = pickle.dumps({"data": pixels[-1], "labels": labels[-1]})
    files["batches.meta"] = pickle.dumps({"label_names": NAMES})
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"{CIFAR10.base_folder}/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    md5 = lambda content: hashlib.md5(content).hexdigest()
    lists = [
        [[name, md5(files[name])] for name, _ in group]
        for group in (CIFAR10.train_list, CIFAR10.test_list)
    ]
    meta = {"filename": "batches.meta", "key": "label_names", "md5": md5(files["batches.meta"])}
    archive = buffer.getvalue()
    dataset = type(
        "Tiny",
        (CIFAR10,),
        dict(tgz_md5=md5(archive), train_list=lists[0], test_list=lists[1], meta=meta),
    )
    return SimpleNamespace(archive=archive, dataset=dataset, pixels=pixels, labels=labels)


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        archive, how = self.server.archive, self.path.strip("/")
        self.server.requests.append(how)
        if how in ("404", "500"):
            return self.send_error(int(how))
        if how == "redirects":
            self.send_response(302)
            self.send_header("Location", "/works")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if how == "silent":
            return self.server.closing.wait()
        self.send_response(200)
        if how != "unsized":
            self.send_header("Content-Length", str(len(archive)))
        self.end_headers()
        half = len(archive) // 2
        try:
            if how == "lies":
                self.wfile.write(bytes(len(archive)))
            elif how == "page":  # a portal's page instead of the file, with the length of the file
                self.wfile.write(b"<html>log in first</html>")
            elif how in ("truncates", "stalls"):
                self.wfile.write(archive[:half])
                if how == "stalls":
                    self.server.closing.wait()
            elif how.startswith("slow"):  # "slow/20000": bytes a second
                step = int(how.split("/")[1]) // 50
                for start in range(0, len(archive), step):
                    self.wfile.write(archive[start : start + step])
                    if self.server.closing.wait(0.02):
                        return
            else:
                self.wfile.write(archive)
        except OSError:
            pass  # the client has given up, as it should


@pytest.fixture
def server(tiny):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.archive, server.requests, server.closing = tiny.archive, [], threading.Event()
    server.url = lambda how: f"http://127.0.0.1:{server.server_port}/{how}"
    thread = threading.Thread(target=server.serve_forever, kwargs=dict(poll_interval=0.02))
    thread.start()
    yield server
    server.closing.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def closed():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/closed"


@pytest.fixture
def fetch(tiny, tmp_path):
    def fetch(*urls, root=tmp_path, **how):
        hasty = Downloader(
            silence=0.5,
            floor=how.pop("floor", 1000),
            patience=how.pop("patience", 0.4),
            progress=False,
        )
        return cifar10.fetch(root, dataset=tiny.dataset, mirrors=urls, downloader=hasty, **how)

    return fetch


def left(root):
    """What lies in the folder, but for the lock."""
    return sorted(path.name for path in root.iterdir() if not path.name.endswith(".lock"))


WHOLE = [CIFAR10.base_folder, CIFAR10.filename]


def test_a_mirror_that_works_gives_the_images_of_the_archive_by_value(
    tiny, server, fetch, tmp_path
):
    assert cifar10.find(tmp_path, tiny.dataset) is None
    assert (
        fetch(server.url("works"))
        == tmp_path / CIFAR10.base_folder
        == cifar10.find(tmp_path, tiny.dataset)
    )
    assert left(tmp_path) == WHOLE
    data = cifar10.load(tmp_path, validation=0.1, dataset=tiny.dataset, mirrors=())
    assert (
        data.class_names == tuple(NAMES) and len(data.train) == 180 and len(data.validation) == 20
    )
    assert torch.equal(data.test.images, torch.from_numpy(tiny.pixels[5]).view(40, 3, 32, 32))
    assert data.test.labels.tolist() == tiny.labels[5]
    label_of = {
        pixels.tobytes(): label
        for part, labels in zip(tiny.pixels, tiny.labels)
        for pixels, label in zip(part, labels)
    }
    for split in (data.train, data.validation):
        assert all(
            label_of[image.tobytes()] == label
            for image, label in zip(split.images.flatten(1).numpy(), split.labels)
        )
    seen = [
        {image.tobytes() for image in split.images.numpy()}
        for split in (data.train, data.validation, data.test)
    ]
    assert len(seen[0] | seen[1] | seen[2]) == 240, "no image is in two splits"
    assert server.requests == ["works"], "what is there is not fetched again"


FAULTS = {
    "404": "answered 404",
    "500": "answered 500",
    "silent": r"no bytes, for 0\.5 s",
    "stalls": r"no bytes, for 0\.5 s",
    "truncates": "broken one|stopped after",
    "page": "broken one|stopped after",
    "lies": "other bytes",
    "slow/500": r"too slow, 0\.\d kB/s \(at least 1\.0 are needed\)",
}


@pytest.mark.timeout(60)  # silent and stalling servers stay so: only giving up ends the wait
@pytest.mark.parametrize("fault", FAULTS)
def test_after_a_mirror_that_fails_comes_the_next(fault, tiny, server, fetch, tmp_path, capfd):
    fetch(server.url(fault), server.url("works"))
    assert server.requests == [fault, "works"] and left(tmp_path) == WHOLE
    assert (tmp_path / CIFAR10.filename).read_bytes() == tiny.archive
    assert re.search(f"{fault}: .*({FAULTS[fault]})", capfd.readouterr().err), (
        "it says why it moved on"
    )


@pytest.mark.parametrize("how", ["redirects", "unsized"])
def test_redirects_and_answers_without_a_length_are_fine(how, server, fetch, tmp_path):
    fetch(server.url(how))
    assert left(tmp_path) == WHOLE


def test_when_all_fail_the_error_says_what_was_tried_why_and_what_to_do(
    tiny, server, fetch, closed, tmp_path
):
    urls = [server.url(how) for how in ("404", "truncates", "stalls", "lies")] + [closed]
    with pytest.raises(FileNotFoundError) as caught:
        fetch(*urls)
    text = str(caught.value)
    positions = [text.index(url) for url in urls]
    assert positions == sorted(positions), "every address, in the order of the attempts"
    why = ("answered 404", "no bytes, for 0.5 s", "other bytes", "refused")
    for words in (*why, "load('shapes')", "--data shapes", tiny.dataset.tgz_md5):
        assert words in text
    assert left(tmp_path) == [], "nothing half-finished stays"
    assert cifar10.find(tmp_path, tiny.dataset) is None


@pytest.mark.slow
def test_when_all_are_slow_the_fastest_of_them_is_better_than_nothing(server, fetch, tmp_path):
    slower, faster = server.url("slow/200000"), server.url("slow/900000")
    fetch(slower, server.url("404"), faster, floor=2e6, patience=0.1)
    assert (
        server.requests == ["slow/200000", "404", "slow/900000", "slow/900000"]
        and left(tmp_path) == WHOLE
    )


def test_a_disk_that_is_full_ends_the_search_at_once(server, fetch, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Downloader, "_copy", full)
    with pytest.raises(OSError, match="No space left.*VIT_TUTORIAL_DATA"):
        fetch(server.url("works"), server.url("works"))
    assert len(server.requests) == 1 and left(tmp_path) == []


def test_a_root_that_cannot_be_a_folder_is_named(server, fetch, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file: .*VIT_TUTORIAL_DATA"):
        fetch(server.url("works"), root=tmp_path / "file")


@pytest.mark.parametrize("damage", ["half", "other bytes", "empty"])
def test_a_damaged_archive_is_no_data_and_is_replaced(damage, tiny, server, fetch, tmp_path):
    broken = {
        "half": tiny.archive[: len(tiny.archive) // 2],
        "other bytes": bytes(len(tiny.archive)),
        "empty": b"",
    }[damage]
    (tmp_path / CIFAR10.filename).write_bytes(broken)
    assert cifar10.find(tmp_path, tiny.dataset) is None
    with pytest.raises(FileNotFoundError, match="damaged.*download is False"):
        fetch(server.url("works"), download=False)
    assert server.requests == []
    fetch(server.url("works"))
    assert (tmp_path / CIFAR10.filename).read_bytes() == tiny.archive and cifar10.find(
        tmp_path, tiny.dataset
    )


def test_a_whole_archive_is_found_and_unpacked_without_the_network(tiny, fetch, tmp_path):
    (tmp_path / CIFAR10.filename).write_bytes(tiny.archive)
    assert cifar10.find(tmp_path, tiny.dataset) == tmp_path / CIFAR10.filename
    assert (
        fetch(download=False)
        == tmp_path / CIFAR10.base_folder
        == cifar10.find(tmp_path, tiny.dataset)
    )


@pytest.mark.parametrize("damage", ["missing", "cut", "one byte", "no names"])
def test_a_damaged_folder_is_no_data_and_is_set_aside(damage, tiny, fetch, tmp_path, capfd):
    (tmp_path / CIFAR10.filename).write_bytes(tiny.archive)
    folder = fetch()
    file = folder / ("batches.meta" if damage == "no names" else "data_batch_3")
    content = file.read_bytes()
    file.unlink()
    if damage in ("cut", "one byte"):
        file.write_bytes(
            content[:99]
            if damage == "cut"
            else content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]
        )
    assert cifar10.find(tmp_path, tiny.dataset) == tmp_path / CIFAR10.filename, (
        "the archive is still good"
    )
    assert len(cifar10.load(tmp_path, dataset=tiny.dataset, download=False).test) == 40
    assert (
        cifar10.unpacked(tmp_path, tiny.dataset)
        and "was damaged: set aside as" in capfd.readouterr().err
    )
    aside = [name for name in left(tmp_path) if "damaged" in name]
    assert (
        len(aside) == 1 and (tmp_path / aside[0] / CIFAR10.base_folder / "data_batch_1").is_file()
    ), "nothing was deleted"


def test_download_false_with_nothing_there_says_what_to_do(fetch, tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"no CIFAR-10 in .*download is False.*load\('shapes'\)"
    ):
        fetch("http://127.0.0.1:9/never", download=False, root=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_what_a_killed_process_left_is_no_data_and_is_cleared_away(server, fetch, tiny, tmp_path):
    partial = tmp_path / f".{CIFAR10.filename}.partial"
    partial.mkdir()
    (partial / CIFAR10.filename).write_bytes(tiny.archive[:1000])
    assert cifar10.find(tmp_path, tiny.dataset) is None
    fetch(server.url("works"))
    assert left(tmp_path) == WHOLE


def test_an_interrupted_download_leaves_nothing_behind(server, fetch, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Downloader, "_copy", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch(server.url("works"))
    assert left(tmp_path) == []
    monkeypatch.undo()
    fetch(server.url("works"))  # and the lock is free


def test_an_unpacking_that_fails_leaves_no_half_folder(tiny, fetch, tmp_path, monkeypatch):
    (tmp_path / CIFAR10.filename).write_bytes(tiny.archive)

    def half(tar, path, **_):
        tar.extract(tar.next(), path)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "extractall", half)
    with pytest.raises(OSError, match="No space left"):
        fetch()
    assert left(tmp_path) == [CIFAR10.filename]


def test_two_at_once_fetch_once_and_both_get_the_data(server, fetch, tmp_path, capfd):
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(fetch(server.url("slow/900000"))))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert results == [tmp_path / CIFAR10.base_folder] * 2 and server.requests == ["slow/900000"]
    assert left(tmp_path) == WHOLE, "the second found the work done and left it alone"
    assert capfd.readouterr().err.count("another process is fetching CIFAR-10") == 1


def test_another_process_is_waited_for_and_a_dead_one_is_not(server, fetch, tmp_path, capfd):
    code = "import filelock, sys; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); "
    code += "print('held', flush=True); sys.stdin.read()"
    lock = tmp_path / f".{CIFAR10.filename}.lock"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"held\n"
        thread = threading.Thread(target=fetch, args=(server.url("works"),))
        thread.start()
        thread.join(0.5)
        assert thread.is_alive() and server.requests == [], "it waits"
        other.kill()
        thread.join(10)
    assert left(tmp_path) == WHOLE and "waiting" in capfd.readouterr().err


def test_progress_and_speed_are_visible(server, fetch, tiny, tmp_path, capfd):
    cifar10.fetch(
        tmp_path, dataset=tiny.dataset, mirrors=[server.url("works")], downloader=Downloader()
    )
    shown = capfd.readouterr().err
    assert "B/s" in shown and "100%" in shown and "127.0.0.1" in shown


def test_the_real_mirrors_are_four_and_the_checksum_is_torchvisions():
    assert len(cifar10.MIRRORS) == 4 and all(
        url.endswith("/" + CIFAR10.filename) for url in cifar10.MIRRORS
    )
    assert (
        cifar10.MIRRORS[-1] == CIFAR10.url and CIFAR10.tgz_md5 == "c58f30108f718f92721af3b95e74349a"
    )
