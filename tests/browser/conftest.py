"""A browser for the tests, or words that say why there is none."""

import os
import shutil
from collections.abc import Iterator

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def find_browser() -> str | None:
    """Chromium's path: CHROMIUM if it is set, else what the path holds."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """A headless Chromium driven by playwright; where one is missing, skips and says so."""
    api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install -e '.[dev]'"
    )
    path = find_browser()
    if not path:
        pytest.skip(f"no Chromium: none of {', '.join(NAMES)} is there, and CHROMIUM is not set")
    with api.sync_playwright() as playwright:
        # Containers have no user namespaces for Chromium's own sandbox.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()
