"""Observational scaling laws: components, lines of families, and Ruan's table from the public scores."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from neurojax.analysis import observational
from neurojax.errors import InputError

DATA = Path(os.environ.get("NEUROJAX_DATA", Path(__file__).parents[3] / "shared" / "data")) / "obs_scaling"


def test_one_ability_behind_all_scores_is_the_first_component():
    rng = np.random.default_rng(0)
    ability = rng.standard_normal(60)
    scores = ability[:, None] * np.array([1.0, 0.5, 2.0]) + 0.01 * rng.standard_normal((60, 3))
    found = observational.components(scores)
    assert found.shares[0] > 0.999 and found.shares.sum() == pytest.approx(1)
    assert np.corrcoef(found.values[:, 0], ability)[0, 1] > 0.999  # its sign is that of the scores
    np.testing.assert_allclose(found.mean + found.values @ found.axes.T, scores)


def test_families_have_lines_of_their_own_and_small_or_unknown_ones_none():
    compute = np.array([0, 1, 2, 3, 0, 1, 2, 3, 0, 1, np.nan, np.nan], float)
    values = np.array([0, 2, 4, 6, 5, 4, 3, 2, 0, 1, 9, 9], float)
    families = ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    found = observational.family_lines(values, compute, families)
    assert set(found) == {"a", "b"}
    assert found["a"] == pytest.approx((1.0, 2.0, 4)) and found["b"].slope == pytest.approx(-1.0)


def test_a_sigmoid_of_a_line_is_found_and_goes_on_beyond_the_fit():
    rng = np.random.default_rng(0)
    predictors = rng.standard_normal((80, 2)) * [3.0, 0.1]
    truth = observational.on_sigmoid(np.array([-1.0, 0.8, 5.0]), predictors)
    seen = predictors[:, 0] < 1
    error, predicted = observational.extrapolated(predictors, truth, seen)
    assert error < 0.005
    np.testing.assert_allclose(predicted[~seen], truth[~seen], atol=0.02)
    _, blind = observational.extrapolated(predictors, np.where(seen, truth, 0.5), seen)
    np.testing.assert_array_equal(blind, predicted)  # models above the cut have no say
    solved = observational.sigmoid_line(predictors[:, :1], (predictors[:, 0] > 0).astype(float))
    assert np.isfinite(solved).all()  # separated: the slope stays finite


def test_scores_that_do_not_fit_are_one_line():
    with pytest.raises(InputError, match="leave out models"):
        observational.components(np.full((9, 3), np.nan))
    with pytest.raises(InputError, match="more than 3"):
        observational.sigmoid_line(np.ones((3, 2)), np.array([0.1, 0.2, 0.3]))
    with pytest.raises(InputError, match="each of 0 to 1"):
        observational.sigmoid_line(np.ones((6, 2)), np.array([0.1, 0.2, 0.3, 1.4, 0.5, 0.5]))
    with pytest.raises(InputError, match="the same for all"):
        observational.sigmoid_line(np.ones((6, 2)), np.linspace(0, 1, 6))


@pytest.mark.data
def test_ruans_table_comes_out_to_three_digits():
    if not DATA.is_dir():
        pytest.skip(f"no {DATA}")
    with (DATA / "base_llm_benchmark_eval.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if all(list(row.values())[5:])]
    found = observational.components(np.array([list(map(float, list(row.values())[5:])) for row in rows]))
    assert (len(rows), len({row["Model Family"] for row in rows})) == (124, 39)
    assert round(found.shares[0], 3) == 0.843 and round(found.shares[:3].sum(), 3) == 0.974
    compute = np.log10([float(row["FLOPs (1E21)"] or "nan") for row in rows])
    lines = observational.family_lines(found.values[:, 0], compute, [row["Model Family"] for row in rows])
    r2 = {name: round(lines[name].r2, 3) for name in ("OPT", "Pythia", "BLOOM", "Llama")}
    assert r2 == {"OPT": 0.985, "Pythia": 0.984, "BLOOM": 0.984, "Llama": 0.978}
