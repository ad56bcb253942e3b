"""The built site, in a browser: axe-core's rules for accessibility, links, keyboard, width.

The site is built once for this file; what its own check finds fails the first test.
"""

import lesson_heads
import pytest
import site_drawing
from script_common import script

pytest.importorskip("sphinx", reason='the site needs pip install -e ".[site]"')
pytestmark = pytest.mark.slow

PAGES = ("index", "notebooks/03_position_embeddings", "glossary", "api/model")
GRAVE = ("serious", "critical")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """(the folder of pages, what is wrong with them)"""
    return script("tools/site.py").build(tmp_path_factory.mktemp("site"))


def address(built, page: str) -> str:
    return (built[0] / f"{page}.html").as_uri()


def test_the_site_builds_without_a_warning_and_every_link_leads_somewhere(built):
    html, found = built
    assert found == []
    pages = {path.stem for path in (html / "notebooks").glob("*.html")}
    assert {path.stem for path in lesson_heads.lessons()} <= pages
    for path in lesson_heads.lessons():
        page = (html / "notebooks" / f"{path.stem}.html").read_text(encoding="utf-8")
        assert f'href="../ipynb/{path.name}"' in page and "colab.research.google.com" in page


def test_a_lesson_has_its_stored_outputs_its_pictures_words_and_a_formula(built):
    page = (built[0] / "notebooks" / "05_encoder_and_vit.html").read_text(encoding="utf-8")
    assert page.count("<img alt=") + page.count("<img ") > 3 and 'alt="' in page
    assert 'class="output' in page
    assert "<math" in (built[0] / "notebooks/04_attention.html").read_text(encoding="utf-8")


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("page", PAGES)
def test_axe_finds_nothing_serious(built, browser, page, width, theme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    context = browser.new_context(viewport=dict(width=width, height=900), color_scheme=theme)
    tab = context.new_page()
    tab.goto(address(built, page))
    assert tab.evaluate("document.documentElement.dataset.theme") == theme
    found = axe.Axe().run(tab).response["violations"]
    context.close()
    assert [
        (rule["id"], rule["impact"], [node["html"][:200] for node in rule["nodes"][:3]])
        for rule in found
        if rule["impact"] in GRAVE
    ] == []


@pytest.mark.browser
def test_axe_would_find_something(built, browser):
    """A link without words and a picture without text: both are named."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    tab = browser.new_page()
    tab.goto(address(built, "glossary"))
    tab.evaluate("document.querySelector('article').innerHTML += '<img src=x><a href=y></a>'")
    rules = {rule["id"] for rule in axe.Axe().run(tab).response["violations"]}
    tab.close()
    assert {"image-alt", "link-name"} <= rules


@pytest.mark.browser
def test_every_part_of_the_drawing_is_a_link_that_the_keyboard_reaches(built, browser):
    tab = browser.new_page(viewport=dict(width=1280, height=900))
    tab.goto(address(built, "index"))
    parts = site_drawing.lessons_of_parts()
    reached = {}
    for _ in range(60):
        tab.keyboard.press("Tab")
        part, label = tab.evaluate(
            "[document.activeElement].map(e => [e.dataset.part, e.getAttribute('aria-label')])[0]"
        )
        if part:
            reached[part] = label
    assert reached == {part: site_drawing.lesson_label(path, part) for part, path in parts.items()}
    tab.focus("a[data-part=positions]")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/03_position_embeddings.html")
    tab.close()


# Where in its box a link is the topmost, with 24 px around for a finger; parts lie on one another,
# so that the middle of a box may belong to another part.
FREE = """link => {
    link.scrollIntoView({block: 'center', behavior: 'instant'});
    const box = link.getBoundingClientRect();
    const mine = (x, y) => link.contains(document.elementFromPoint(box.x + x, box.y + y));
    for (let y = 13; y < box.height - 13; y += 4)
        for (let x = 13; x < box.width - 13; x += 4)
            if ([-12, 0, 12].every(a => [-12, 0, 12].every(b => mine(x + a, y + b))))
                return {x, y};
    return null;
}"""


@pytest.mark.browser
def test_a_click_on_each_part_of_the_drawing_leads_to_its_lesson(built, browser):
    tab = browser.new_page(viewport=dict(width=1280, height=900))
    for part, path in site_drawing.lessons_of_parts().items():
        tab.goto(address(built, "index"))
        link = tab.locator(f"a[data-part={part}]")
        free = link.evaluate(FREE)
        assert free, f"other parts cover {part}"
        link.click(position=free)
        tab.wait_for_url(f"**/{path.stem}.html")
    tab.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_fetched_from_elsewhere_and_no_page_is_wider_than_the_window(
    built, browser, width
):
    tab = browser.new_page(viewport=dict(width=width, height=900))
    asked = []
    tab.on("request", lambda request: asked.append(request.url))
    for page in (*PAGES, "docs/results", "cards", "lessons"):
        tab.goto(address(built, page))
        wide = tab.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{page} is {wide} px wider than {width} px"
    tab.close()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


@pytest.mark.browser
def test_search_finds_a_term(built, browser):
    tab = browser.new_page()
    tab.goto(address(built, "search") + "?q=rotary")
    tab.wait_for_selector("#search-results li a", timeout=20_000)
    found = tab.locator("#search-results li a").all_inner_texts()
    tab.close()
    assert any("14" in text for text in found), found


@pytest.mark.browser
def test_88_columns_fit_beside_both_sidebars(built, browser):
    """No code and no output of a lesson is cut on the right of a laptop's window."""
    tab = browser.new_page(viewport=dict(width=1280, height=900))
    tab.goto(address(built, PAGES[1]))
    cut = tab.evaluate(
        "[...document.querySelectorAll('.bd-article pre')]"
        ".filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.innerText)"
    )
    tab.close()
    assert cut == []
