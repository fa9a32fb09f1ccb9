"""A headless Chromium, what it sees of a page, and the site of the docs."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# The child that builds the site must not reach out either.
BUILD = """
import socket, sys
def refuse(*arguments): raise OSError("the site is built without network")
socket.socket.connect = socket.socket.connect_ex = refuse
socket.getaddrinfo = refuse
from sphinx.cmd.build import main
sys.exit(main(sys.argv[1:]))
"""
FAULTS = """() => {
  const wide = [...document.body.querySelectorAll("*")].filter(one => {
    const place = one.getBoundingClientRect();
    if (place.width === 0 || place.right <= innerWidth + 1) return false;
    for (let above = one.parentElement; above; above = above.parentElement)
      // What scrolls inside itself may; what holds the title is the page itself.
      if (getComputedStyle(above).overflowX !== "visible" && !above.querySelector("h1")) return false;
    return true;
  }).map(one => `wider than the screen: ${one.tagName} ${one.className}`);
  if (document.documentElement.scrollWidth > innerWidth) wide.push("the page scrolls sideways");
  const mute = [...document.querySelectorAll("img")].filter(one => !(one.getAttribute("alt") || "").trim())
    .map(one => `a picture without a text: ${one.src.slice(0, 60)}`);
  const empty = [...document.querySelectorAll("img")].filter(one => one.complete && one.naturalWidth === 0 &&
    one.getClientRects().length).map(one => `a picture that does not load: ${one.src.slice(0, 60)}`);
  return [...new Set([...wide, ...mute, ...empty])];
}"""


@pytest.fixture(scope="session")
def chromium():
    """A running browser; the tests are skipped where playwright or Chromium is missing."""
    api = pytest.importorskip("playwright.sync_api", reason='needs playwright: pip install "neurojax[browser]"')
    with api.sync_playwright() as player:
        found = next(filter(None, map(shutil.which, NAMES)), None) or player.chromium.executable_path
        if not Path(found).is_file():
            pytest.skip("needs Chromium: install the distribution's, or run `playwright install chromium`")
        # Its sandbox does not start as root, which containers often run as; the pages are our own.
        alone = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = player.chromium.launch(executable_path=found, args=alone)
        yield browser
        browser.close()


@pytest.fixture(scope="session", params=WIDTHS)
def screen(chromium, request):
    """A tab of one of the two widths, with its name."""
    width, height = WIDTHS[request.param]
    context = chromium.new_context(viewport={"width": width, "height": height}, offline=True)
    context.set_default_timeout(60_000)
    tab = context.new_page()
    tab.said, tab.asked = [], []
    tab.on("console", lambda message: tab.said.append(f"console {message.type}: {message.text}"))
    tab.on("pageerror", lambda error: tab.said.append(f"console error: {error}"))
    tab.on("request", lambda asked: tab.asked.append(asked.url))
    yield request.param, tab
    context.close()


@pytest.fixture(scope="session")
def faults_of() -> Callable[..., list[str]]:
    """(tab, path, folder) -> what is wrong with a page; files below the folder are its own."""

    def look(tab, path: Path, folder: Path) -> list[str]:
        tab.said.clear()
        tab.asked.clear()
        tab.goto(path.resolve().as_uri(), wait_until="load")
        found = tab.evaluate(FAULTS)
        # What is folded may be wider than what is seen first.
        tab.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        found += [fault for fault in tab.evaluate(FAULTS) if fault not in found]
        own = (folder.resolve().as_uri(), "data:")
        found += [f"asks for {url}" for url in tab.asked if not url.startswith(own)]
        return found + [words for words in tab.said if words.startswith(("console error", "console warning"))]

    return look


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """(folder of the built site, what the build said); skipped without the extra docs."""
    for name in ("sphinx", "myst_parser", "pydata_sphinx_theme"):
        pytest.importorskip(name, reason='needs the extra docs: pip install "neurojax[docs]"')
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-c", BUILD, "-q", "-W", "--keep-going", "-c", "docs", "-d", f"{folder}.doctrees"]
    done = subprocess.run(
        [*command, ".", str(folder)], cwd=CHECKOUT, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"}
    )
    return folder, done
