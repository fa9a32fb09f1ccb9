"""Made-up loops: the covariance is that of the trials, the conditional that of another formula."""

import numpy as np
import pytest

from neurojax.data.session import TEST, TRAIN
from neurojax.data.synthetic import loops
from neurojax.errors import InputError

SPEC = loops.LoopSpec(num_sessions=1, num_units=3, num_bins=4, num_train=6000, num_validation=1, num_test=2)


def test_the_covariance_is_that_of_the_trials():
    session = loops.make_session(SPEC, 3, 0)
    parts = (session.behaviour["stimulus"], session.values, session.behaviour["behaviour"])
    trials = np.concatenate(parts, 1).reshape(-1, 4 * 7)
    expected = loops.covariance(SPEC, 3, 0).reshape(28, 28)
    scale = np.sqrt(np.diag(expected))
    assert np.abs(trials.T @ trials / len(trials) - expected).max() < 0.08 * (scale[:, None] * scale).max()
    assert np.abs(trials.mean(0) / scale).max() < 0.06
    np.testing.assert_array_equal(session.trials_of(TEST), [6001, 6002])
    assert len(session.trials_of(TRAIN)) == 6000
    assert np.linalg.eigvalsh(expected)[0] > 0


def test_the_conditional_is_that_of_the_precision_matrix():
    covariance = loops.covariance(SPEC, 0, 0)
    given = np.zeros((4, 7), bool)
    given[:3, :2], given[:, 3] = True, True
    weights, left = loops.conditional(covariance, given, ~given)
    precision = np.linalg.inv(covariance.reshape(28, 28))
    rows, columns = np.flatnonzero(~given), np.flatnonzero(given)
    own = np.linalg.inv(precision[np.ix_(rows, rows)])
    np.testing.assert_allclose(weights, -own @ precision[np.ix_(rows, columns)], atol=1e-8)
    np.testing.assert_allclose(left, np.diag(own), atol=1e-8)


@pytest.mark.parametrize("noise", loops.NOISES)
def test_all_loops_settle(noise):
    for seed in range(8):
        loop = loops.loop_of(loops.LoopSpec(noise=noise), seed)
        assert np.abs(np.linalg.eigvals(loop.step)).max() < 0.96
        np.testing.assert_allclose(loop.step @ loop.stationary @ loop.step.T + loop.noise, loop.stationary, atol=1e-9)


def test_noise_of_another_name_is_refused():
    with pytest.raises(InputError, match="data.synthetic.noise='loud'; choose from low, medium, high"):
        loops.LoopSpec(noise="loud")
