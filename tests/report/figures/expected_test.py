"""Bounds hold on the side they name."""

import pytest

from neurojax.report.figures import expected


@pytest.mark.parametrize(
    "sense, value, met",
    [("at least", 2.0, True), ("at least", 1.9, False), ("at most", 2.0, True), ("at most", 2.1, False)],
)
def test_a_bound_is_met_on_its_side(sense, value, met):
    (line,) = expected.beside({"ratio": value}, {"ratio": {"value": 2, "tolerance": sense}})
    assert line.endswith("   met") is met and f"{sense} 2" in line
