"""A report opens with the picture, then one table; the rest is folded, warnings are not."""

from pathlib import Path

import pytest

from neurojax.report import run_report
from tests.report.page_opening import opening
from tests.report.report_test import record

PNG = b"\x89PNG"
NAMES = ("first_look", "tasks", "raster", "rate_maps", "units", "loss")


def report(evaluation, names):
    return run_report._report(Path("run"), evaluation, dict.fromkeys(names, PNG), [])


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (NAMES, ["picture", "table"]),
        (NAMES[1:], ["picture", "table"]),  # of a protocol without an example trial
        (("loss", "units"), ["picture", "table"]),
        ((), ["table"]),
    ],
)
def test_a_report_opens_with_the_picture_then_one_table(names, expected):
    assert opening(report(record(), names)) == expected


def test_every_picture_is_on_the_page_once_and_the_overview_has_a_version_for_a_phone():
    source = report(record(), NAMES)
    assert source.count("<img") == len(NAMES) - 1  # the raster is a part of the overview
    phone = source.partition('<div class="on_phone">')[2].partition("</figure></div>")[0]
    assert phone.count("<img") == 2 and "true rates" in phone and "Test trials" in phone
    assert source.index('<div class="on_desk">') < source.index('<div class="on_phone">') < source.index("<table")


def test_a_warning_and_what_holds_are_not_folded():
    evaluation = record()
    found = {"gain": 0.3, "z_score": 36.0, "interleaved": 0.9}
    evaluation["sessions"]["animal0"] |= {"drift": found, "drift_warning": "drift leaks"}
    paired = {
        **{"baseline": "stack", "chosen_on": "validation", "bps_pooled": 0.2, "ci95": [0.14, 0.26]},
        **{"trials_ci95": [0.19, 0.21], "p_value": 0.01, "p_holm": 0.02, "num_sessions": 4, "num_above": 3},
    }
    unclear = {**paired, "p_holm": 0.2}
    evaluation["mean"] = {
        "co_smoothing": {"paired_mean": paired},
        "forward": {"paired_mean": unclear},
        "intra_region": {"paired_mean": paired},
    }
    seen = report(evaluation, ()).partition("<details")[0]
    assert "Warning: drift leaks in 1 of 2 sessions" in seen
    assert "Model: above stack on co-smoothing, intra-region; not resolved on forward." in seen
    assert "Over sessions, after Holm&#x27;s correction." in seen
    assert "Over sessions" not in report(record(), ()).partition("<details")[0]


def test_folded_parts_keep_every_table_of_the_measures():
    source = report(record(), ())
    words = (
        "Sessions in which the model is above",
        "Other metrics of the model",
        "How to read this",
        "Sessions",
        "Run",
    )
    assert [word for word in words if f"<summary>{word}</summary>" not in source] == []
    (table,) = source.partition("<details")[0].split("<table")[1:]
    assert "bits/spike, pooled" in source.partition("<table")[0] and "model as share of oracle" in table
