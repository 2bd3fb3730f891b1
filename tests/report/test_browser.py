"""The pages in a real browser: on a screen, a phone and paper, in light and dark, and by keyboard alone."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from pig.data.checks.check import check
from pig.data.settings import PreprocessSettings

PHONE, SCREEN = 390, 1200  # pixels
PAPER = {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 24, 29)"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser, installed where that is allowed."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found and shutil.which("apt-get") and os.geteuid() == 0:
        for words in (["update"], ["install", "--yes", "--no-install-recommends", "chromium"]):
            subprocess.run(["apt-get", *words], capture_output=True, check=False)
        found = shutil.which("chromium")
    if not found:
        pytest.skip("there is no Chromium, and it cannot be installed here")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def pages(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The report of a finished study, and that on its data."""
    out = tmp_path_factory.mktemp("check")
    check(finished / "results/data/phantom/manifest.csv", PreprocessSettings(32), out, folds=2)
    return {"study": finished / "results/report.html", "data": out / "report.html"}


def opened(browser: Browser, file: Path, width: int = SCREEN, scheme: str = "light", bypass_csp: bool = False) -> Page:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if scheme == "dark" else "light",
        bypass_csp=bypass_csp,
    )  # fmt: skip
    page = context.new_page()
    page.goto(file.as_uri())
    return page


@pytest.mark.parametrize("name", ["study", "data"])
def test_nothing_is_loaded_and_nothing_complained_of(browser: Browser, pages: dict[str, Path], name: str) -> None:
    page = browser.new_context().new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(pages[name].as_uri())
    assert page.locator("img").count() > 0 and page.evaluate("[...document.images].every(one => one.naturalWidth > 0)")
    assert said == [] and [url for url in asked if not url.startswith("data:")] == [pages[name].as_uri()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, SCREEN])
@pytest.mark.parametrize("name", ["study", "data"])
def test_all_can_read_it(browser: Browser, pages: dict[str, Path], name: str, width: int, scheme: str) -> None:
    """No rule of axe is violated: contrast, names, order of headings, and so on; nothing is wider than the screen."""
    page = opened(browser, pages[name], width, scheme, bypass_csp=True)  # axe is a script, which the page forbids
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    found = Axe().run(page).response
    assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []
    assert len(found["passes"]) > 15
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == PAPER[scheme]


@pytest.mark.parametrize("name", ["study", "data"])
def test_the_keyboard_reaches_all_that_links_opens_or_scrolls(
    browser: Browser, pages: dict[str, Path], name: str
) -> None:
    page = opened(browser, pages[name])
    wanted = page.evaluate(
        """() => [...document.querySelectorAll("a[href], summary, .scroll")]
            .filter(one => one.matches("summary") || !one.closest("details:not([open])"))
            .map((one, turn) => one.dataset.turn = turn)"""
    )
    reached = []
    for _ in wanted:
        page.keyboard.press("Tab")
        reached.append(page.evaluate("Number(document.activeElement.dataset.turn)"))
    assert len(wanted) > 3 and reached == wanted


@pytest.mark.parametrize("name", ["study", "data"])
def test_on_paper_no_table_is_cut(browser: Browser, pages: dict[str, Path], name: str) -> None:
    page = opened(browser, pages[name], width=700)
    cut = "[...document.querySelectorAll('.scroll')].filter(one => one.scrollWidth > one.clientWidth).length"
    on_screen = page.evaluate(cut)
    page.emulate_media(media="print")
    assert page.evaluate(cut) == 0
    assert on_screen > 0 or name == "data"
