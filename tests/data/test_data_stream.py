"""Images that stay in their files: out comes what a Split of the same folder holds, in order."""

import io
import os
import shutil
import signal
import time
import warnings
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
import torch
from PIL import Image

from vit_tutorial.common.machine import free_bytes
from vit_tutorial.data import ImageData, Split, file_loader, folder, load
from vit_tutorial.data.dataset import channel_statistics
from vit_tutorial.data.file_loader import PackedPaths, default_workers
from vit_tutorial.data.stream import FileSplit, sampled_statistics

SIZE = (12, 16)
SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Three classes of 20 images each, JPEG and PNG, of different sizes; names beyond ASCII."""
    path = tmp_path_factory.mktemp("pictures")
    draw = np.random.default_rng(0)
    for name in ("ant", "bee", "Kühe"):
        (path / name / "more").mkdir(parents=True)
        for number in range(20):
            shape = (*draw.integers(8, 40, 2), 3)
            file = (
                path
                / name
                / ("more" if number % 5 == 0 else ".")
                / f"é{number:02}.{'jpg' if number % 2 else 'png'}"
            )
            Image.fromarray(draw.integers(0, 256, shape, dtype=np.uint8)).save(file)
    return path


@pytest.fixture(scope="module")
def both(pictures):
    return tuple(folder.load(pictures, image_size=SIZE, stream=stream) for stream in (False, True))


def with_workers(split, workers):
    return FileSplit(split.names, split.index, split.labels, split.size, split.device, workers)


def taken(source):
    """What an iterator of batches gives, as lists of (images, labels)."""
    return [(images.clone(), labels.clone()) for images, labels in source]


def same(one, other):
    return len(one) == len(other) and all(
        torch.equal(a, b) and torch.equal(c, d) and a.dtype == b.dtype
        for (a, c), (b, d) in zip(one, other)
    )


# --- the same by value


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("name", SPLITS)
def test_a_stream_gives_the_images_and_labels_that_memory_holds(name, workers, both):
    in_memory, streamed = (getattr(data, name) for data in both)
    assert isinstance(in_memory, Split) and isinstance(streamed, FileSplit)
    streamed = with_workers(streamed, workers)
    assert (
        torch.equal(in_memory.labels, streamed.labels)
        and len(in_memory) == len(streamed)
        and in_memory.shape == streamed.shape
    )
    ordered = taken(streamed.iter_batches(7))
    assert same(taken(in_memory.iter_batches(7)), ordered)
    assert [len(labels) for _, labels in ordered] == [
        len(part) for part in torch.arange(len(in_memory)).split(7)
    ]
    indices = torch.randperm(len(in_memory), generator=torch.Generator().manual_seed(1))[:6]
    lists = [indices, indices.flip(0), indices[:1], indices[:0], torch.tensor([-1, 0, 0])]
    assert same(taken(in_memory.batches(lists)), taken(streamed.batches(lists)))
    first = taken(streamed.batches([indices]))[0]
    assert (
        first[0].shape == (6, 3, *SIZE)
        and first[0].dtype == torch.uint8
        and torch.equal(first[1], in_memory.labels[indices])
    )


def test_the_splits_are_the_same_for_every_seed_and_layout(pictures, tmp_path):
    for part in ("train", "test"):
        shutil.copytree(pictures, tmp_path / part)
    for path, gigabytes in ((pictures, "3.46e-05"), (tmp_path, "6.91e-05")):
        for seed in (0, 3):
            data = [
                load(path, image_size=SIZE, seed=seed, stream=stream) for stream in (False, True)
            ]
            for name in SPLITS:
                in_memory, streamed = (getattr(d, name) for d in data)
                assert torch.equal(
                    in_memory.images,
                    torch.cat([images for images, _ in with_workers(streamed, 0).iter_batches(50)]),
                )
            assert data[0].class_names == data[1].class_names and data[0].name == data[1].name
            assert data[0].mean == data[1].mean and data[0].std == data[1].std, (
                "all images are in the sample"
            )
            assert (
                data[1].provenance
                == data[0].provenance
                + f", read from their files during training ({gigabytes} GB of pixels)"
            )


def test_indexing_and_moving_a_stream_reads_nothing_and_picks_as_a_split_does(both, monkeypatch):
    in_memory, streamed = both[0].train, with_workers(both[1].train, 0)
    for indices in (slice(3, 9), slice(1, None, 4), torch.tensor([4, 1, 1]), in_memory.labels == 2):
        part = streamed[indices]
        assert isinstance(part, FileSplit) and same(
            taken(in_memory[indices].iter_batches(4)), taken(part.iter_batches(4))
        )
    assert same(
        taken(in_memory[2::3][1:].iter_batches(9)), taken(streamed[2::3][1:].iter_batches(9))
    )
    monkeypatch.setattr(file_loader, "read_image", None)
    moved = streamed[:3].to("meta")
    assert moved.device.type == "meta" and len(moved) == 3 and moved.labels.device.type == "cpu"
    assert streamed.to("cpu") is streamed


def test_batches_come_to_the_device_of_the_split(both):
    images, labels = next(with_workers(both[1].train, 0).to("meta").iter_batches(4))
    assert images.device.type == labels.device.type == "meta" and images.shape == (4, 3, *SIZE)


# --- order, resuming, sharing


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_continues_in_the_middle_and_reads_only_what_is_left(workers, both):
    streamed = with_workers(both[1].train, workers)
    order = list(torch.randperm(len(streamed), generator=torch.Generator().manual_seed(5)).split(6))
    whole = taken(streamed.batches(order))
    first = streamed.batches(order)
    done = [next(first) for _ in range(2)]
    rest = taken(streamed.batches(order[2:]))  # another reader while the first is still open
    assert same(whole, done + rest)
    assert same(whole[2:], taken(first)), "and the first one is not disturbed"
    stopped = streamed.batches(order)
    next(stopped)
    stopped.close()
    assert same(whole[3:], taken(streamed.batches(order[3:]))), (
        "what was read ahead of a stop does not come again"
    )


def test_processes_that_share_a_batch_see_each_image_once(both):
    streamed = with_workers(both[1].train, 0)
    order = torch.randperm(len(streamed), generator=torch.Generator().manual_seed(2))[:40].split(8)
    shares = [
        taken(streamed.batches([batch[4 * rank : 4 * rank + 4] for batch in order]))
        for rank in (0, 1)
    ]
    together = [tuple(torch.cat(parts) for parts in zip(*batches)) for batches in zip(*shares)]
    assert same(together, taken(both[0].train.batches(order)))
    parts = [taken(streamed[rank::2].iter_batches(50))[0][0] for rank in (0, 1)]
    assert torch.equal(parts[0], both[0].train.images[0::2]) and torch.equal(
        parts[1], both[0].train.images[1::2]
    )


@pytest.mark.parametrize("workers", [0, 1])
def test_reading_draws_no_random_numbers(workers, both):
    """Dropout and a resumed run see the same global state, however images are read."""
    torch.manual_seed(0)
    before = torch.get_rng_state()
    taken(with_workers(both[1].train, workers).iter_batches(9))
    assert torch.equal(before, torch.get_rng_state())


def test_workers_are_kept_from_one_epoch_to_the_next_and_survive_ctrl_c(both):
    streamed = with_workers(both[1].test, 1)
    expected = taken(both[0].test.iter_batches(4))
    assert same(expected, taken(streamed.iter_batches(4)))
    (worker,) = streamed._idle[0]._iterator._workers
    os.kill(worker.pid, signal.SIGINT)
    time.sleep(0.1)
    assert same(expected, taken(streamed.iter_batches(4)))
    assert [w.pid for w in streamed._idle[0]._iterator._workers] == [worker.pid] and len(
        streamed._idle
    ) == 1


def test_what_a_worker_gets_can_be_sent_to_a_new_process(both):
    """macOS and Windows start fresh workers and send them this; names are shared, not copied."""
    loader = file_loader.make_loader(both[1].train)
    sent = (loader.dataset, loader.batch_sampler, loader.collate_fn, loader.worker_init_fn)
    text = bytes(ForkingPickler.dumps(sent))
    assert len(text) < 2000
    reader = ForkingPickler.loads(text)[0]
    images, labels = reader.__getitems__([5, 2])
    assert torch.equal(images, both[0].train.images[[5, 2]]) and torch.equal(
        labels, both[0].train.labels[[5, 2]]
    )


def test_names_come_back_as_they_are():
    names = ["a/b c.png", "é/ß.jpg", os.fsdecode(b"odd\xff.png"), ""]
    in_memory = PackedPaths(names)
    assert [in_memory[i] for i in range(len(in_memory))] == names


# --- an ImageData of streams


def test_image_data_takes_a_stream_and_a_loop_over_it_measures_the_same(both):
    in_memory, streamed = both
    assert streamed.image_size == SIZE and streamed.channels == 3 and streamed.device.type == "cpu"
    assert streamed.train.masks is None
    weight = torch.randn(3, 3 * SIZE[0] * SIZE[1], generator=torch.Generator().manual_seed(0))

    def measure(data, split):
        loss = right = torch.zeros(())
        for images, labels in split.iter_batches(5):
            logits = data.normalise(images).flatten(1) @ weight.T
            loss = loss + torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
            right = right + (logits.argmax(1) == labels).sum()
        return (loss / len(split)).item(), (right / len(split)).item()

    for name in SPLITS:
        assert measure(in_memory, getattr(in_memory, name)) == measure(
            streamed, getattr(streamed, name)
        )
    assert (
        streamed.to("meta").test.device.type == "meta" and streamed.to("meta").device.type == "meta"
    )


def test_image_data_refuses_streams_that_do_not_fit(both):
    parts = dict(
        name="x", class_names=("a", "b", "c"), mean=(0.5,) * 3, std=(0.2,) * 3, provenance=""
    )
    train, test = both[1].train, both[1].test
    other = FileSplit(test.names, test.index, test.labels, (8, 8))
    with pytest.raises(ValueError, match=r"test holds \(3, 8, 8\)"):
        ImageData(train=train, validation=test, test=other, **parts)
    with pytest.raises(ValueError, match="0 images in validation"):
        ImageData(train=train, validation=test[:0], test=test, **parts)
    with pytest.raises(ValueError, match=r"labels 0\.\.2.*2 class names"):
        ImageData(train=train, validation=test, test=test, **parts | dict(class_names=("a", "b")))
    with pytest.raises(ValueError, match=r"12 files need labels \(12,\), int64.*\(11,\)"):
        FileSplit(test.names, test.index, test.labels[1:], SIZE)
    with pytest.raises(AttributeError, match="stay in their files.*iter_batches"):
        _ = train.images


def test_statistics_of_a_sample_are_seeded_and_those_of_its_images(both):
    streamed, images = with_workers(both[1].train, 0), both[0].train.images
    assert sampled_statistics(streamed, 0) == channel_statistics(images)
    few = [sampled_statistics(streamed, seed, count=10) for seed in (0, 0, 1)]
    assert few[0] == few[1] != few[2]
    indices = torch.randperm(len(images), generator=torch.Generator().manual_seed(1))[:10]
    assert few[2] == channel_statistics(images[indices])


# --- which of the two


def test_measured_size_decides_between_memory_and_files(pictures, monkeypatch, capsys):
    size = 60 * 3 * SIZE[0] * SIZE[1]  # 60 files
    for free, expected in ((4 * size, Split), (4 * size - 1, FileSplit), (None, Split)):
        monkeypatch.setattr(folder, "free_bytes", lambda device, free=free: free)
        assert type(load(pictures, image_size=SIZE).train) is expected
        printed = capsys.readouterr().err
        assert (
            "3.46e-05 GB of pixels are more than a quarter of the free 0.000138 GB" in printed
        ) == (expected is FileSplit)
    monkeypatch.setattr(folder, "free_bytes", lambda device: 1)
    assert type(load(pictures, image_size=SIZE, stream=False).train) is Split


def test_free_memory_is_shared_by_the_processes_of_a_machine(monkeypatch):
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    alone, cores = free_bytes("cpu"), default_workers(torch.device("cuda"))
    assert alone is None or alone > 2**26
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert alone is None or free_bytes("cpu") < alone / 2
    assert default_workers(torch.device("cuda")) == max(1, cores // 4)
    assert default_workers(torch.device("cpu")) == max(1, cores // 8)


# --- bad files


@pytest.fixture
def few(tmp_path):
    draw = np.random.default_rng(1)
    for name in ("ant", "bee"):
        (tmp_path / name).mkdir()
        for number in range(12):
            Image.fromarray(draw.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(
                tmp_path / name / f"{number:02}.jpg"
            )
    return tmp_path


def test_files_that_are_no_images_are_skipped_at_the_start_as_without_a_stream(few):
    whole = (few / "ant" / "00.jpg").read_bytes()
    picture = io.BytesIO()
    Image.open(few / "ant" / "01.jpg").save(picture, "PNG")
    bad = {"cut.jpg": whole[:-40], "cut.png": picture.getvalue()[:-40]}  # their headers are whole
    bad |= {"empty.jpg": b"", "text.png": b"not an image", "notes.txt": b"nor this"}
    for name, content in bad.items():
        (few / "bee" / name).write_bytes(content)
    Image.fromarray(np.zeros((8, 8), dtype=np.float32)).save(few / "bee" / "float.tiff")
    # Fine: what follows an image is ignored.
    (few / "bee" / "long.jpg").write_bytes(whole + b"more after its end" * 10)
    messages, kept = [], []
    for streamed in (False, True):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            data = load(few, image_size=16, stream=streamed)
        messages.append([str(w.message) for w in caught if "skipped" in str(w.message)])
        kept.append(
            [
                torch.cat([images for images, _ in getattr(data, name).iter_batches(9)])
                for name in SPLITS
            ]
        )
    assert len(messages[1]) == 1 and messages[1][0].startswith("6 of 31 files skipped")
    assert all(name in messages[1][0] for name in (*bad, "float.tiff"))
    assert all(torch.equal(a, b) for a, b in zip(*kept)) and sum(map(len, kept[1])) == 25


@pytest.mark.filterwarnings("ignore:.*skipped")
def test_a_class_without_an_image_that_opens_is_refused(few):
    for file in (few / "bee").iterdir():
        file.write_bytes(b"")
    with pytest.raises(
        ValueError, match="1 of 2 classes empty; .*bee has no image that can be read"
    ):
        load(few, image_size=16, stream=True)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("damage", ["gone", "cut", "other"])
def test_a_file_that_turns_bad_is_named_and_the_epoch_continues_when_it_is_back(
    damage, workers, few
):
    split = with_workers(load(few, image_size=16, stream=True).train, workers)
    order = torch.arange(len(split)).split(3)
    expected = taken(split.batches(order))
    name = split.names[split.index[7].item()]
    with open(name, "rb") as file:
        content = file.read()
    if damage == "gone":
        os.remove(name)
    else:
        with open(name, "wb") as file:
            file.write(content[: len(content) // 2] if damage == "cut" else b"x" * 500)
    got = []
    words = "cannot be read as an image.*resume from the last checkpoint"
    with pytest.raises(OSError, match=f"{os.path.basename(name)} {words}"):
        for batch in split.batches(order):
            got.append(batch)
    assert same(expected[:2], got), "all batches before it came"
    with open(name, "wb") as file:
        file.write(content)
    assert same(expected[2:], taken(split.batches(order[2:])))
