"""Padded passes: what a session's trials are asked, and what fills the rest of a batch."""

import numpy as np
import pytest

from neurojax.data import batching
from neurojax.data.store.sessions import from_counts
from neurojax.evals import passes
from neurojax.train import pass_memory

NUM_TRIALS, NUM_BINS, NUM_UNITS, WIDTH = 7, 5, 6, 8


@pytest.fixture
def session():
    counts = np.random.default_rng(0).poisson(2.0, (NUM_TRIALS, NUM_BINS, NUM_UNITS)) + 1
    return from_counts(counts, bin_size_s=0.02, session_id="rat")


class Asked:
    bucket_units = WIDTH

    def __init__(self, session):
        self.layout = batching.Layout.of([session])

    def asked_as(self, scheme):
        return 10 + scheme


def test_every_trial_keeps_its_own_question_whatever_the_size_of_a_pass(session):
    """Seven trials in passes of three: the last pass holds one, and two empty ones."""
    hidden = np.random.default_rng(1).random((NUM_TRIALS, NUM_UNITS)) < 0.5
    trial_ids = np.array([6, 2, 0, 1, 3, 5, 4])
    found = list(passes.over(Asked(session), session, trial_ids, hidden, 1, 3))
    assert [some.tolist() for some, _, _ in found] == [[6, 2, 0], [1, 3, 5], [4]]
    counts = session.gather_trials(trial_ids)[0]
    for place, (some, batch, query) in enumerate(found):
        num, whole = len(some), slice(3 * place, 3 * place + len(some))
        assert batch.trials["counts"].shape == (1, 3, NUM_BINS, WIDTH)
        np.testing.assert_array_equal(batch.trials["counts"][0, :num, :, :NUM_UNITS], counts[whole])
        np.testing.assert_array_equal(query.hidden_units[0, :num, :NUM_UNITS], hidden[whole])
        assert query.hidden_units[..., NUM_UNITS:].all() and not query.hidden_bins.any()
        assert query.scheme.tolist() == [[11, 11, 11]]


def test_what_fills_a_pass_has_no_spike_no_bin_and_no_visible_unit(session):
    batch = batching.session_batch(session, batching.Layout.of([session]), np.arange(2), WIDTH)
    bins = np.zeros((2, 3), bool)
    bins[1, 2] = True
    full, query = passes.padded(batch, 4, 2, np.zeros(NUM_UNITS, bool), bins)
    for name, array in full.trials.items():
        assert array.shape[:2] == (1, 4), name
        np.testing.assert_array_equal(array[:, :2], batch.trials[name], err_msg=name)
        assert not array[:, 2:].any(), name
    assert full.trials["bin_valid"].dtype == bool and full.trials["counts"].dtype == batch.trials["counts"].dtype
    assert query.hidden_units[0, 2:].all() and not query.hidden_units[0, :2, :NUM_UNITS].any()
    np.testing.assert_array_equal(np.argwhere(query.hidden_bins), [[0, 1, 2]])


def test_passes_that_nobody_bounds_stay_within_memory():
    """Embedding, rates, decoding and checks of leaks ask no one for `eval.memory_mb`."""
    asked = []

    class Planned:
        def pass_size(self, num_units, *, memory_mb, at_most):
            asked.append((num_units, memory_mb, at_most))
            return pass_memory.PassSize(3, 1.0)

    session = from_counts(np.ones((4, 5, 2), int), bin_size_s=0.02, session_id="day")
    assert passes.size_within_memory(Planned(), session, 64) == 3
    assert asked == [(2, passes.MEMORY_MB, 64)]
    assert passes.size_within_memory(object(), session, 64) == 64
