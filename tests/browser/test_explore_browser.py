"""The explore notebook as an app in Chromium: slide, press keys, click, upload."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("voila", reason="voila is not installed: pip install -e '.[app]'")

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.browser, pytest.mark.slow]
SECONDS = 120  # for a page, on a busy machine


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def address(browser, tmp_path_factory):
    """The app, served on this machine alone, by the command that the notebook names."""
    port, log = free_port(), tmp_path_factory.mktemp("voila") / "log.txt"
    command = [sys.executable, "-m", "voila", "notebooks/explore.ipynb", "--Voila.ip=127.0.0.1"]
    with log.open("w") as output:
        server = subprocess.Popen(
            [*command, "--no-browser", f"--port={port}"], cwd=ROOT, stdout=output, stderr=output
        )
    try:
        for _ in range(SECONDS * 2):
            assert server.poll() is None, log.read_text()
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture(scope="module")
def page(browser, address):
    page = browser.new_page(viewport={"width": 1280, "height": 2400})
    page.goto(address, timeout=SECONDS * 1000)
    page.wait_for_function(
        "document.querySelectorAll('.widget-image').length >= 7", timeout=SECONDS * 1000
    )
    return page


def pictures(page) -> list[bytes]:
    """What the seven pictures show: the model's view, then three maps for each side."""
    read = """pictures => Promise.all(pictures.map(async picture => {
        const bytes = new Uint8Array(await (await fetch(picture.src)).arrayBuffer());
        return Array.from(bytes); }))"""
    return [bytes(each) for each in page.eval_on_selector_all("img.widget-image", read)]


def after(page, act, change) -> list[bytes]:
    """The pictures after `act`, once change(before, now) holds."""
    before = pictures(page)
    act()
    for _ in range(100):
        now = pictures(page)
        if change(before, now):
            return now
        page.wait_for_timeout(200)
    raise AssertionError("the pictures have not changed as they should")


SEEN, POSITIONS, ATTENTION, ROLLOUT = range(4)


def handle(page, name: str):
    return page.locator(".widget-hslider", has_text=name).locator(".noUi-handle, .ui-slider-handle")


def test_a_key_on_the_layer_slider_changes_attention_and_nothing_else(page):
    handle(page, "layer").focus()
    before = pictures(page)
    assert len(before) == 7
    both = ATTENTION, ATTENTION + 3  # of the trained and of the random weights
    now = after(
        page,
        lambda: page.keyboard.press("ArrowLeft"),
        lambda old, new: all(old[at] != new[at] for at in both),
    )
    assert [at for at in range(7) if now[at] != before[at]] == [*both]


def test_dragging_the_row_slider_moves_the_patch(page):
    before = pictures(page)
    box = handle(page, "row").bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] - 60, middle[1], steps=5)
    page.mouse.up()
    now = after(page, lambda: None, lambda old, new: before[POSITIONS] != new[POSITIONS])
    assert now[SEEN] != before[SEEN]


def test_a_click_on_a_patch_chooses_it(page):
    patch = page.locator("button[title='row 1, column 5']")
    after(page, patch.click, lambda old, new: old[POSITIONS] != new[POSITIONS])
    assert patch.inner_text().strip() == "●"


def test_the_tab_key_leaves_the_map_of_patches(page):
    """From the last slider before it, a few times Tab are enough to be behind the buttons."""
    handle(page, "column").focus()
    for _ in range(5):
        page.keyboard.press("Tab")
        stopped = page.evaluate("document.activeElement.title || ''")
        assert not stopped.startswith("row "), stopped


def upload(page, path):
    with page.expect_file_chooser() as asked:
        page.locator("button", has_text="your own").click()
    asked.value.set_files(path)


def test_a_portrait_is_shown_upright_and_a_broken_file_is_refused(page, tmp_path):
    # 300 wide and 400 high, red above and blue below, stored on its side as cameras do
    upright = Image.new("RGB", (300, 400), "red")
    upright.paste("blue", (0, 200, 300, 400))
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.rotate(90, expand=True).save(tmp_path / "portrait.jpg", exif=exif)
    now = after(
        page,
        lambda: upload(page, tmp_path / "portrait.jpg"),
        lambda old, new: old[SEEN] != new[SEEN] and old[ATTENTION] != new[ATTENTION],
    )
    (tmp_path / "seen.png").write_bytes(now[SEEN])
    with Image.open(tmp_path / "seen.png") as seen:
        above, below = (seen.convert("RGB").getpixel((12, at)) for at in (12, seen.height - 12))
    assert above[0] > 200 > below[0] and below[2] > 200 > above[2]
    (tmp_path / "broken.jpg").write_bytes((tmp_path / "portrait.jpg").read_bytes()[:900])
    upload(page, tmp_path / "broken.jpg")
    page.wait_for_selector("text=cannot be read")
    assert pictures(page)[SEEN] == now[SEEN]


def test_only_this_machine_can_open_it(address):
    port = int(address.rsplit(":", 1)[1])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:  # sends nothing
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no other address")
        other = probe.getsockname()[0]
    if other.startswith("127."):
        pytest.skip("this machine has no other address")
    with pytest.raises(OSError):
        socket.create_connection((other, port), 2)
