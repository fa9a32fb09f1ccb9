"""Pages in a real browser as wide as a desk or a phone: nothing asked for, nothing too wide, no picture mute."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.commands import decode_test
from tests.commands.decode_test import untrained as recordings  # a fixture  # noqa: F401

pytestmark = pytest.mark.browser

BROKEN = {
    "wide": ('<div style="width: 3000px">too wide</div>', "wider than the screen"),
    "wide in a page that scrolls": (
        '<main style="overflow-x: auto"><h1>a</h1><p style="width: 3000px">b</p></main>',
        "wider",
    ),
    "wide when opened": ('<details><summary>more</summary><p style="width: 3000px">wide</p></details>', "wider than"),
    "mute": (f'<img src="data:image/gif;base64,{"R0lGODlhAQABAAAAACwAAAAAAQABAAA="}">', "a picture without a text"),
    "lost": ('<img alt="a" src="no_such.png">', "a picture that does not load"),
    "asks": ('<img alt="a" src="https://example.org/a.png">', "asks for https://example.org/a.png"),
    "logs": ("<script>console.error('no')</script>", "console error: no"),
    "throws": ("<script>throw new Error('broken')</script>", "console error: broken"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_page_is_found(screen, faults_of, tmp_path, name):
    _, tab = screen
    body, words = BROKEN[name]
    page = tmp_path / "page.html"
    page.write_text(f'<!DOCTYPE html><html lang="en"><title>a</title><body>{body}</body></html>')
    assert any(words in fault for fault in faults_of(tab, page, tmp_path))


def imaged():
    """(block, example) of an evaluation of traces: 12 sessions of 30 cells, one session as an example."""
    rng, tasks = np.random.default_rng(0), ("co_smoothing", "forward", "inter_region", "intra_region")
    score = {"r2": 0.5, "r2_ci95": [0.4, 0.6], "difference": 0.1, "difference_ci95": [0.05, 0.15]}
    sessions = {}
    for number in range(12):
        own, floor = (rng.uniform(-0.2, 0.9, 30).tolist() for _ in range(2))
        sessions[f"mouse_{number}_with_quite_a_long_name_of_its_own"] = {
            "num_cells": 30,
            "num_test_trials": 8,
            "tasks": {task: {"r2": 0.5, "r2_cells": own} for task in tasks},
            "floors": {"ridge": {"co_smoothing": {"r2_cells": floor}}},
        }
    floors = {name: {"tasks": dict.fromkeys(tasks, score)} for name in ("ridge", "last_value", "autoregression")}
    block = {"tasks": dict.fromkeys(tasks, score), "floors": floors, "sessions": sessions}
    measured, predicted = rng.standard_normal((2, 4, 20, 30))
    example = {"measured": measured, "predicted": predicted, "unit_id": np.arange(30).astype(str), "bin_size_s": 0.1}
    return block, example | {"session_id": next(iter(sessions))}


@pytest.fixture(scope="module")
def pages(tmp_path_factory, recordings) -> Path:  # noqa: F811
    """A folder with a page of every kind, made of made-up records."""
    pytest.importorskip("matplotlib")
    from neurojax.commands import compare_page
    from neurojax.report import gesture_report, inspect_page, run_report, text_report, trace_report
    from neurojax.report.figures.report_figures import draw_figures
    from tests.report import inspect_page_test
    from tests.report.report_test import METRICS, example, record

    folder = tmp_path_factory.mktemp("pages")
    evaluation = record(3)
    (folder / "config.json").write_text(json.dumps({"note": "x" * 400}))
    figures = draw_figures(evaluation, example(), METRICS)
    run_report.write_report(folder, evaluation, figures, METRICS)
    run_report.write_report(folder, record(40, session_name="a_long_name_of_a_session_" * 3 + "{}"), {}, suffix="_bare")
    runs = {name: record(3) for name in ("first", "a_run_with_quite_a_long_name_of_its_own")}
    ids = list(evaluation["sessions"])
    (folder / "comparison.html").write_text(compare_page.page_of(runs, ids, ["data differ"]))
    people = {f"person_{index}": {"balanced_accuracy": 0.8, "num_windows": 30} for index in range(12)}
    block = {"balanced_accuracy": 0.8, "balanced_accuracy_ci95": [0.7, 0.9], "people": people, "chance": 0.1}
    floor = {"balanced_accuracy": 0.7, "balanced_accuracy_ci95": [0.6, 0.8], "difference": 0.1, "people": people}
    block |= {"floors": {"lda": floor}, "num_people": 12, "num_windows": 360, "class_names": ["a", "b"]}
    gesture_report.write(folder, {"gestures": block, "seed": 0, "step": 2}, (), suffix="_gestures", log=len)
    text = {"text": {"nats_per_token": 5.0, "num_tokens": 300, "floors": {"frequencies": {"nats_per_token": 6.0}}}}
    text_report.write(folder, text | {"seed": 0, "step": 2}, (), suffix="_text", log=len)
    block, shown = imaged()
    trace_report.write(folder, {"traces": block, "seed": 0, "step": 2}, shown, suffix="_traces", log=len)
    inspect_page.write(folder / "inspect.html", inspect_page_test.record(40), "a_run_" * 8)
    with pytest.MonkeyPatch.context() as patch:  # of a choice and of a velocity
        decode_test.without_a_model(patch)
        assert decode_test.decode(recordings, "--target=choice,velocity", "--protocol=split", f"--out={folder}") == 0
    return folder


PICTURED = ["report", "comparison", "report_gestures", "report_traces", "decoding_choice", "decoding_velocity"]


@pytest.mark.parametrize("name", [*PICTURED, "report_bare", "report_text", "inspect"])
def test_a_page_of_a_run_is_sound(screen, faults_of, pages, name):
    _, tab = screen
    assert faults_of(tab, pages / f"{name}.html", pages) == []


@pytest.mark.parametrize("name", PICTURED)
def test_the_picture_is_seen_before_the_one_table(screen, pages, name):
    width, tab = screen
    tab.goto((pages / f"{name}.html").as_uri())
    seen = "one => one.checkVisibility() && one.getBoundingClientRect().height > 0"
    tops = {
        kind: tab.evaluate(
            f"[...document.querySelectorAll('{kind}')].filter({seen}).map(one => one.getBoundingClientRect().top)"
        )
        for kind in ("img", "table")
    }
    assert len(tops["table"]) == 1 and tops["img"] and max(tops["img"]) < tops["table"][0]
    assert min(tops["img"]) < tab.viewport_size["height"] / 3  # on the first screen
    if name == "report":
        assert len(tops["img"]) == {"desktop": 1, "phone": 2}[width]


def test_a_dot_of_the_map_of_features_leads_to_its_card(screen, pages):
    width, tab = screen
    tab.goto((pages / "inspect.html").as_uri())
    svg = tab.locator("svg:visible").first  # of two maps the one of this width
    place = svg.bounding_box()
    assert place["y"] < tab.viewport_size["height"] / 3 and place["width"] > 0.85 * (tab.viewport_size["width"] - 140)
    assert svg.locator("circle").count() == 40
    # Letters are read as they are drawn, not shrunk with a map made for a desk.
    assert svg.locator("text").first.evaluate("one => one.getBoundingClientRect().height") > 11
    card = tab.locator("#f7")
    assert not card.evaluate("one => one.matches(':target')")
    svg.locator('a[href="#f7"] circle').click()
    assert card.evaluate("one => one.matches(':target')") and card.is_visible()
    assert 0 <= card.bounding_box()["y"] < tab.viewport_size["height"]


def test_every_page_of_the_site_is_sound(screen, faults_of, site):
    width, tab = screen
    folder, _ = site
    found = [*sorted(folder.glob("docs/*.html")), folder / "README.html", folder / "RESULTS.html"]
    found += sorted(folder.glob("experiments/**/*.html")) if width == "phone" else []
    assert len(found) >= 15
    faults = {page.name: faults_of(tab, page, folder) for page in found}
    assert {name: some for name, some in faults.items() if some} == {}
