"""The site for reading: python tools/site.py

Stages the lessons and the pages of docs/ in build/site/source, has Sphinx make build/site/html of
them, and then looks at every page: links and anchors that lead nowhere, pictures without an
alternative text, and anything that a page would fetch from elsewhere. A warning is an error.
Nothing is executed: the outputs are those stored in the lessons.
"""

import argparse
import io
import os
import re
import shutil
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "site"
# Files at the root that are pages, beside those of docs/; what is not there is left out.
ROOT_PAGES = ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
# The menu's words for pages with long titles, in its order; other pages come after them.
MENU = {
    "results": "Results", "records": "Record", "teaching": "Teaching", "security": "Security",
    "architecture": "Architecture", "imagenet": "ImageNet", "CONTRIBUTING": "Contributing",
    "CHANGELOG": "Changes", "SECURITY": "Security",
}  # fmt: skip


# --- staging -------------------------------------------------------------------------------------


def stage(source: Path) -> None:
    """Write everything that Sphinx reads into the empty folder `source`."""
    import nbformat
    import site_api
    import site_pages

    docs = sorted((ROOT / "docs").glob("*.md"))
    roots = [ROOT / name for name in ROOT_PAGES if (ROOT / name).exists()]
    pictures = [path for kind in ("png", "svg") for path in (ROOT / "docs").rglob(f"*.{kind}")]
    books = site_pages.readable_notebooks()
    staged = {path.relative_to(ROOT).as_posix() for path in [*docs, *roots, *pictures, *books]}

    for path in pictures:
        write(source / path.relative_to(ROOT), path.read_bytes())
    for path in [*docs, *roots]:
        page = path.relative_to(ROOT)
        text = site_pages.with_links(path.read_text(encoding="utf-8"), page, staged)
        write(source / page, text)
    for path in books:
        text = io.StringIO()
        nbformat.write(site_pages.lesson(path, staged), text)
        write(source / path.relative_to(ROOT), text.getvalue())
    for name, text in site_api.pages().items():
        write(source / "api" / name, text)

    place = lambda path: (
        list(MENU).index(path.stem) if path.stem in MENU else len(MENU),
        path.stem,
    )
    menu = [
        f"{MENU.get(path.stem, path.stem.capitalize())} "
        f"<{path.relative_to(ROOT).with_suffix('').as_posix()}>"
        for path in sorted([*docs, *roots], key=place)
    ]
    write(source / "index.md", site_pages.landing(["api/index", *menu]))
    write(source / "lessons.md", site_pages.lessons_page())
    write(source / "cards.md", site_pages.cards_page())
    write(source / "glossary.md", site_pages.glossary_page())
    settings = ROOT / "docs" / "site"
    write(source / "conf.py", (settings / "conf.py").read_bytes())
    write(source / "_static" / "site.css", (settings / "site.css").read_bytes())


def write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def add_downloads(html: Path) -> None:
    """The notebooks themselves, beside the pages."""
    shutil.copytree(
        ROOT / "notebooks", html / "ipynb", ignore=shutil.ignore_patterns(".*", "work"),
        dirs_exist_ok=True,
    )  # fmt: skip


# --- checking ------------------------------------------------------------------------------------


class Page(HTMLParser):
    """What the check needs of a page: its anchors, its links, its pictures, what it fetches."""

    def __init__(self, text: str):
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.undescribed: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag in ("img", "script", "iframe", "source") and given.get("src"):
            self.fetched.append(given["src"])
        if tag == "link" and given.get("href") and given.get("rel") not in ("canonical", "next"):
            self.fetched.append(given["href"])
        if tag == "img" and not (given.get("alt") or "").strip():
            self.undescribed.append(given.get("src", ""))


def check(html: Path) -> list[str]:
    """What is wrong with the built site, one line each."""
    pages = {
        path: Page(path.read_text(encoding="utf-8"))
        for path in sorted(html.rglob("*.html"))
        if "_static" not in path.parts
    }
    found = []
    for path, page in pages.items():
        name = path.relative_to(html).as_posix()
        for target in page.links + page.fetched:
            found += [f"{name}: {line}" for line in _broken(html, path, target, pages)]
        for target in page.fetched:
            if urlsplit(target).netloc:
                found.append(f"{name}: fetches {target}: a page must work without a network")
        found += [f"{name}: no alternative text for {src}" for src in page.undescribed]
    for sheet in html.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        for address in re.findall(
            r"url\(\s*[\"']?(https?://[^)\"']+)|@import\s+[\"'](https?:)", text
        ):
            found.append(f"{sheet.relative_to(html)}: fetches {''.join(address)}")
    return list(dict.fromkeys(found))


def _broken(html: Path, page: Path, target: str, pages: dict[Path, Page]) -> list[str]:
    parts = urlsplit(target)
    if parts.scheme or parts.netloc:
        return []
    place = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if place.is_dir():
        place = place / "index.html"
    if not place.exists():
        return [f"the link to {target} leads nowhere"]
    if parts.fragment and place in pages:
        anchor = unquote(parts.fragment)
        if anchor not in pages[place].anchors:
            return [f"the link to {target} leads to no anchor"]
    return []


# --- all -----------------------------------------------------------------------------------------


def build(folder: Path = BUILD) -> tuple[Path, list[str]]:
    """Make the site below `folder`, anew: (where its pages are, what is wrong with them).

    Sphinx's warnings are among what is wrong.
    """
    try:
        from sphinx.cmd.build import build_main
    except ModuleNotFoundError as error:
        raise SystemExit(
            f'{error}: the site needs python -m pip install -e ".[site]" in this environment'
        ) from None

    source, html = folder / "source", folder / "html"
    for old in (source, html):
        shutil.rmtree(old, ignore_errors=True)
    stage(source)
    os.environ["VIT_TUTORIAL_SITE_ROOT"] = str(ROOT)
    warnings = folder / "warnings.txt"
    options = ["-q", "-b", "html", "-d", str(folder / "doctrees"), "-w", str(warnings), "-E"]
    status = build_main([*options, str(source), str(html)])
    found = warnings.read_text(encoding="utf-8").splitlines() if warnings.exists() else []
    if status and not found:
        found = [f"Sphinx ended with status {status}"]
    if not html.is_dir():
        return html, found
    add_downloads(html)
    return html, [*found, *check(html)]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=BUILD, metavar="DIR", help="default build/site")
    args = parser.parse_args()
    begun = time.perf_counter()
    html, found = build(args.out.resolve())
    for line in found:
        print(line, file=sys.stderr)
    pages = len(list(html.rglob("*.html")))
    print(f"{html}: {pages} pages, {len(found)} faults, {time.perf_counter() - begun:.0f} s")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
