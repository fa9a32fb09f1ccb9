"""A budget of compute is divided as the law behind the runs says, and far beyond them no loss is foretold."""

import numpy as np
import pytest

from neurojax.analysis import compute_optimal
from neurojax.errors import InputError

LAW = (1.7, 400.0, 0.34, 410.0, 0.28)  # near Hoffmann et al. 2022


def runs(noise=0.0):
    size, data = (grid.ravel() for grid in np.meshgrid(np.geomspace(1e6, 1e9, 5), np.geomspace(1e8, 1e11, 5)))
    loss = LAW[0] + LAW[1] * size ** -LAW[2] + LAW[3] * data ** -LAW[4]
    return size, data, loss * np.exp(noise * np.random.default_rng(0).standard_normal(len(size)))


def test_a_known_law_comes_back_and_divides_the_budget():
    law = compute_optimal.fit_law(*runs())
    np.testing.assert_allclose(law[:5], LAW, rtol=0.02)
    noisy = compute_optimal.fit_law(*runs(0.002))
    assert noisy.size_exponent == pytest.approx(0.34, rel=0.05) and noisy.data_exponent == pytest.approx(0.28, rel=0.05)
    told = compute_optimal.plan(law, 6 * 3e19)
    assert told.parameters * told.examples == pytest.approx(3e19)
    for factor in (0.7, 1.4):  # neither a smaller nor a larger model is better
        size = told.parameters * factor
        assert LAW[0] + LAW[1] * size ** -LAW[2] + LAW[3] * (3e19 / size) ** -LAW[4] > told.loss
    larger = compute_optimal.plan(law, 6 * 3e20)
    assert larger.parameters / told.parameters == pytest.approx(10 ** (0.28 / 0.62), rel=0.02)


def test_no_loss_is_foretold_far_beyond_the_runs():
    law = compute_optimal.fit_law(*runs())
    assert compute_optimal.plan(law, 6 * 9.9e20).loss is not None
    far = compute_optimal.plan(law, 6 * 1.1e21)
    assert far.loss is None and "no loss is foretold" in far.words


def test_runs_that_cannot_tell_are_one_line():
    size, data, loss = runs()
    with pytest.raises(InputError, match="8 or more runs"):
        compute_optimal.fit_law(size[:5], data[:5], loss[:5])
    with pytest.raises(InputError, match="1 model sizes"):
        compute_optimal.fit_law(np.full(25, 1e6), data, loss)
    with pytest.raises(InputError, match="does not fall with both"):
        compute_optimal.fit_law(size, data, 2 + size**-0.3)
    with pytest.raises(InputError, match="budget=0"):
        compute_optimal.plan(compute_optimal.fit_law(size, data, loss), 0)
