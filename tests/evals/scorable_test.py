"""Data that cannot be scored are refused before anything is trained."""

import numpy as np
import pytest

from neurojax.data.real_values import from_values
from neurojax.data.store.dataset import dataset_of
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError
from neurojax.evals import protocols
from neurojax.evals.scorable import require_scorable, scorable


def make(counts=None, num_trials=10, split=(0, 0, 1, 2, 2), **fields):
    counts = np.random.default_rng(0).poisson(1.0, (num_trials, 6, 5)) if counts is None else counts
    split = np.resize(split, len(counts))
    return from_counts(counts, bin_size_s=0.1, session_id="rat", split=split, **fields)


def test_a_sound_session_passes():
    require_scorable([make()], needs_validation=True)


@pytest.mark.parametrize(
    ("session", "told"),
    [
        (make(split=(0, 0, 1)), "rat has no test trial"),
        (make(split=(1, 2)), "rat has no train trial"),
        (make(split=(0, 2)), "rat has no validation trial.*baselines="),
        (make(np.where(np.resize([1, 1, 0, 0, 0], 10)[:, None, None], 0, np.ones((10, 6, 5), int))), "no spike"),
        (make(np.tile(np.random.default_rng(1).poisson(1.0, (1, 6, 5)), (10, 1, 1))), "repeats train trial"),
        (make(trial_start_s=np.arange(10) * 0.3), "share time.*blocks"),
    ],
)
def test_what_cannot_be_scored_is_refused(session, told):
    with pytest.raises(InputError, match=told):
        require_scorable([session], needs_validation=True)


def test_validation_trials_are_needed_for_baselines_only():
    require_scorable([make(split=(0, 2))], needs_validation=False)


def test_a_protocol_of_spikes_says_that_it_needs_counts():
    windows = {"trial_start_bin": [0, 10, 20], "trial_num_bins": 10, "split": 0}
    arm = from_values(np.ones((30, 3)), sampling_hz=200, unit="uV", session_id="arm", **windows)
    with pytest.raises(InputError, match="session arm holds real values, protocol mtm needs counts of spikes"):
        scorable(dataset_of([arm]), protocols.MTM, with_baselines=True)
