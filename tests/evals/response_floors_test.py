"""The linear floor of a twin: what it finds, and what it must not read."""

import numpy as np
import pytest

from neurojax.data.session import TEST
from neurojax.data.store import stimuli as store
from neurojax.data.synthetic import v1
from neurojax.evals import response_floors


@pytest.fixture(scope="module")
def recorded():
    spec = v1.V1Spec(num_cells=12, num_train=500, num_validation=60, num_test=30, num_repeats=2, image_px=12)
    images, kind = v1.stimuli(spec, 0)
    return v1.make_session(spec, 0, 0, images), store.of_images(images, kind, v1.KINDS)


def test_simple_cells_are_partly_linear_and_complex_ones_are_not(recorded):
    session, stimuli = recorded
    trials = session.trials_of(TEST)
    trials = trials[stimuli.kind[store.shown(session)[trials]] == 0]
    found = response_floors.linear(session, stimuli, trials)
    rates = np.asarray(session.true_rates)[session.trial_start_bin[trials]].reshape(found.shape)
    told = np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(found.T, rates.T, strict=True)])
    assert told[::2].mean() > 0.7 and told[1::2].mean() < 0.4
    counts = np.asarray(session.counts).copy()
    counts[session.trials_of(TEST)] += 5  # one bin a trial
    other = response_floors.linear(session.with_fields(counts=counts), stimuli, trials)
    np.testing.assert_array_equal(found, other)


def test_large_images_are_averaged_and_a_session_without_validation_has_no_floor(recorded):
    session, stimuli = recorded
    shown = np.arange(2 * 45 * 50, dtype=np.float32).reshape(1, 2, 45, 50)
    small = response_floors._reduced(shown, np.array([0, 0]))
    assert small.shape[1] <= response_floors.MAX_PIXELS and small[0, 0] == shown[0, 0, :3, :3].mean()
    part = session.with_fields(split=np.where(session.split == 1, 0, session.split))
    assert response_floors.linear(part, stimuli, part.trials_of(TEST)) is None
