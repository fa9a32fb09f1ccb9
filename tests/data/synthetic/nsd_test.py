"""Made-up fMRI: a best reader equal to the likelihood written out; more sessions leave the first as they are."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from neurojax.data.session import TEST, TRAIN
from neurojax.data.synthetic import nsd
from neurojax.errors import InputError

SPEC = nsd.NsdSpec(
    num_people=2, num_sessions=2, trials_per_session=5, num_validation=3, num_test=4, num_repeats=2, most_voxels=7
)


def test_the_best_reader_is_the_likelihood_of_the_mean_response_written_out():
    session, how, picture = nsd.make_session(SPEC, 0, 1), nsd.brain(SPEC, 0, 1), np.arange(4)
    seen = np.asarray(session.values)[session.trials_of(TEST)].reshape(2, 4, 7).mean(0)
    covariance = (np.diag(how.noise_sd**2) + how.feature_sd**2 * how.weights @ how.weights.T) / 2
    expected = nsd.features(0, nsd.embeddings(0, picture)) @ how.weights.T
    by_hand = np.stack([multivariate_normal(mean, covariance).logpdf(seen) for mean in expected], 1)
    by_hand -= np.log(np.exp(by_hand).sum(1, keepdims=True))
    np.testing.assert_allclose(nsd.best_read(SPEC, 0, 1, seen, 2, picture), by_hand, atol=1e-6)


def test_noise_of_voxels_goes_together_as_the_reader_thinks():
    spec = nsd.NsdSpec(num_sessions=1, trials_per_session=4000, most_voxels=3, num_test=2, noise="high")
    session, how = nsd.make_session(spec, 0, 0), nsd.brain(spec, 0, 0)
    trials = session.trials_of(TRAIN)
    shown = nsd.features(0, session.behaviour["embedding"][trials]) @ how.weights.T
    found = np.cov((np.asarray(session.values)[trials] - shown).T)
    expected = np.diag(how.noise_sd**2) + how.feature_sd**2 * how.weights @ how.weights.T
    np.testing.assert_allclose(found, expected, atol=0.12 * np.abs(expected).max())


def test_more_sessions_and_other_people_leave_the_first_as_they_are():
    one, more = nsd.make_session(SPEC, 0, 1), nsd.sessions(SPEC, 0)[1]
    fewer = nsd.make_session(nsd.NsdSpec(**{**vars(SPEC), "num_sessions": 1}), 0, 1)
    number = fewer.num_trials
    np.testing.assert_array_equal(one.values, more.values)
    np.testing.assert_array_equal(one.values[:number], fewer.values)
    other = nsd.make_session(SPEC, 0, 0)
    own = set(one.conditions["picture"][one.split != TEST])
    assert not own & set(other.conditions["picture"].tolist()) and len(own) == 13
    np.testing.assert_array_equal(
        one.behaviour["embedding"][one.trials_of(TEST)], other.behaviour["embedding"][other.trials_of(TEST)]
    )
    np.testing.assert_allclose(np.linalg.norm(one.behaviour["embedding"], axis=1), 1, rtol=1e-5)


def test_settings_that_mean_nothing_are_refused():
    with pytest.raises(InputError, match="noise='loud'; choose from low, medium, high"):
        nsd.NsdSpec(noise="loud")
    with pytest.raises(InputError, match="num_test=1; expected a whole number of 2 or more"):
        nsd.NsdSpec(num_test=1)
