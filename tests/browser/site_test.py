"""The site of the docs builds without a warning and without network, has every page and loads nothing from outside."""

import re
from pathlib import Path

import neurojax as nj
from neurojax import batch

CHECKOUT = Path(__file__).resolve().parents[2]
LOADS = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=\"([^\"]+)\"")


def test_it_builds_without_a_warning(site):
    _, done = site
    assert (done.returncode, done.stderr) == (0, "")


def test_every_page_is_there_and_loads_nothing_from_elsewhere(site):
    folder, _ = site
    for source in [*CHECKOUT.glob("docs/*.md"), *CHECKOUT.glob("experiments/*/README.md")]:
        page = (folder / source.relative_to(CHECKOUT)).with_suffix(".html").read_text()
        assert [name for name in LOADS.findall(page) if re.match(r"(https?:)?//", name)] == [], source
    for sheet in folder.glob("_static/**/*.css"):
        assert not re.search(r"(@import|url\()[\s\"']*(https?:)?//", sheet.read_text()), sheet
    assert "docs/index.html" in (folder / "index.html").read_text()


def test_the_reference_has_every_public_name_with_shapes(site):
    folder, _ = site
    page = re.sub(r"<[^>]+>", "", (folder / "docs" / "reference.html").read_text())
    named = set(nj.__all__) - {"__version__"}
    assert [name for name in sorted(named) if not re.search(rf"neurojax\.[\w.]*\.{name}\b", page)] == []
    for shape in ("[total_bins, N]", "[G, b, T, N]", "[K, T, N]"):
        assert shape in page, shape
    assert "Raises" in page and "Source" in page


def test_links_lead_to_pages_that_are_there(site):
    folder, _ = site
    pages = [*folder.glob("docs/*.html"), folder / "README.html", folder / "RESULTS.html"]
    anchors = {}
    for page in [*pages, *folder.glob("experiments/**/*.html")]:
        anchors[page.resolve()] = set(re.findall(r"\bid=\"([^\"]+)\"", page.read_text()))
    lost = []
    for page in pages:
        for link in re.findall(r"<a\b[^>]*?href=\"([^\"]+)\"", page.read_text()):
            if re.match(r"\w+:", link):
                continue
            name, _, anchor = link.partition("#")
            target = (page.parent / name).resolve() if name else page.resolve()
            if not target.exists() or (anchor and target in anchors and anchor not in anchors[target]):
                lost.append(f"{page.name}: {link}")
    assert lost == []


def test_the_axis_letters_of_the_reference_are_those_of_the_batch(site):
    folder, _ = site
    page = re.sub(r"<[^>]+>", "", (folder / "docs" / "reference.html").read_text())
    letters = [line.strip() for line in batch.__doc__.splitlines() if re.match(r" +[A-Z] \w", line)]
    assert len(letters) == 4 and [line for line in letters if line not in page] == []
