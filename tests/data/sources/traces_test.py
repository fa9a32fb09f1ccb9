"""Traces are scaled by what was observed of them in the train split, and by nothing else."""

import numpy as np
import pytest

from neurojax.data.batching import BatchingConfig
from neurojax.data.session import TEST, TRAIN
from neurojax.data.sources import spikes, traces
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError
from tests.configs_test import imaged

CONFIG = BatchingConfig(sessions_per_batch=2, trials_per_batch=8, bucket_units=16, session_temperature=1.0)


def changed(session, rows, cells, value):
    values = np.array(session.values)
    values[rows, cells] = value
    return session.with_fields(values=values)


def rows_of(session, split):
    found = np.zeros(len(session.values), bool)
    for trial in session.trials_of(split):
        found[session.trial_start_bin[trial] :][: session.trial_num_bins[trial]] = True
    return found


def test_a_cell_has_mean_zero_and_deviation_one_over_what_was_observed_in_training():
    session = imaged()[0]
    view, seen = traces.standardised(session), session.entries(0, 240) & rows_of(session, TRAIN)[:, None]
    for cell in range(9):
        own = view.counts[seen[:, cell], cell]
        np.testing.assert_allclose([own.mean(), own.std()], [0, 1], atol=1e-5)
    assert view.counts.dtype == np.float32 and not view.counts[30:50, :4].any() and view.counts[30:50, 4:].all()


def test_neither_test_trials_nor_what_nobody_observed_move_the_scale():
    session = imaged()[0]
    view, train = traces.standardised(session), rows_of(session, TRAIN)
    other = changed(session, rows_of(session, TEST), slice(None), 1e4)
    np.testing.assert_array_equal(traces.standardised(other).counts[train], view.counts[train])
    other = changed(session, slice(30, 50), slice(4), 1e4)
    np.testing.assert_array_equal(traces.standardised(other).counts, view.counts)


def test_a_cell_without_a_scale_stays_at_zero():
    session = imaged()[0]
    flat = changed(session, rows_of(session, TRAIN), 6, 100.0)
    assert not traces.standardised(flat).counts[:, 6].any()
    np.testing.assert_array_equal(traces.standardised(flat).counts[:, 5], traces.standardised(session).counts[:, 5])


def test_a_batch_holds_the_values_of_its_trials_and_which_were_observed():
    sessions = imaged()
    source = traces.open_source(sessions, CONFIG, 0)
    plan, batch = source.plan(3), source.batch(3)
    assert batch.trials["counts"].dtype == np.float32 and batch.trials["counts"].shape == (2, 4, 20, 16)
    for group, number in enumerate(plan.session):
        values, _ = traces.standardised(sessions[number]).gather_trials(plan.trial[group])
        np.testing.assert_array_equal(batch.trials["counts"][group, :, :, :9], values)
        observed = sessions[number].entry_valid(plan.trial[group])
        np.testing.assert_array_equal(batch.trials["entry_valid"][group, :, :, :9], observed)
    assert not batch.trials["counts"][..., 9:].any() and not batch.trials["entry_valid"][..., 9:].all()
    assert source.contents() == "18 cells, 2 regions" and (source.facts.mean_counts == 1).all()
    layout = traces.rows_of(sessions[1:], source.table)
    assert layout.counts_dtype == np.float32 and layout.first_row == 9


def test_what_is_no_trace_is_refused():
    counts = from_counts(np.ones((3, 5, 2), int), bin_size_s=0.02, session_id="day", split=np.zeros(3, int))
    with pytest.raises(InputError, match="day holds counts of spikes, but data.source=traces reads real values"):
        traces.open_source([counts], CONFIG, 0)
    session = imaged()[0]
    untrained = session.with_fields(split=np.full_like(session.split, TEST))
    with pytest.raises(InputError, match="session mouse0 has no train trial, from which its cells get their scale"):
        traces.open_source([untrained], CONFIG, 0)
    with pytest.raises(InputError, match="holds real values, not counts of spikes"):
        spikes.open_source([session], CONFIG, 0)
