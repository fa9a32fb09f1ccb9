"""The diagrams of docs/concepts.md are what the package draws today, and show what their captions say."""

import importlib.util
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "concepts.md").read_text()


@pytest.fixture(scope="module")
def drawer():
    spec = importlib.util.spec_from_file_location("draw_diagrams", DOCS / "draw_diagrams.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["masking", "stitching", "tasks", "bits_per_spike"])
def test_a_diagram_is_as_the_package_draws_it_and_on_the_page(drawer, name):
    """Where it is not: python docs/draw_diagrams.py"""
    assert set(drawer.DIAGRAMS) == {path.stem for path in drawer.FOLDER.glob("*.svg")}
    content = (drawer.FOLDER / f"{name}.svg").read_text()
    assert content == drawer.DIAGRAMS[name]()
    assert ElementTree.fromstring(content).tag.endswith("svg") and "href" not in content
    assert re.search(rf"!\[[^\]]+\]\(diagrams/{name}\.svg\)", PAGE)


def test_the_guesses_score_in_the_order_that_the_page_says(drawer):
    scores = re.findall(r">([^<>]+) bits/spike<", drawer.bits_per_spike())
    null, right, late = (float(score.replace("\u2212", "-")) for score in scores)
    assert null == 0 and late < 0 < right
