"""Batches of fMRI: rows as on disk, standardised by train trials read in parts, padding that says nothing."""

import dataclasses
import functools

import numpy as np
import pytest

from neurojax.data.observed import ObservedIntervals
from neurojax.data.session import TEST, TRAIN
from neurojax.data.sources import betas
from neurojax.data.synthetic import nsd
from neurojax.errors import InputError

SPEC = nsd.NsdSpec(
    num_people=2, num_sessions=1, trials_per_session=12, num_validation=3, num_test=4, num_repeats=2, most_voxels=5
)
CONFIG = betas.Config(
    sessions_per_batch=2, trials_per_batch=8, bucket_units=8, session_temperature=1.0, item="picture", clip_sd=10.0
)


@functools.cache
def people():
    return tuple(nsd.sessions(SPEC, 0))


def opened(sessions=None, **changes):
    return betas.open_source(sessions or people(), dataclasses.replace(CONFIG, **changes), 0)


def test_a_batch_depends_on_its_number_alone_and_holds_rows_as_they_are(monkeypatch):
    source = opened()
    batch, again = source.batch(3), opened().batch(3)
    for name, array in batch.trials.items():
        np.testing.assert_array_equal(array, again.trials[name], err_msg=name)
    assert batch.trials["values"].shape == (2, 4, 1, 8) == source.shapes()[0]
    row, trial = int(batch.groups["session_row"][1]), int(batch.trials["trial_id"][1, 2])
    session = people()[row]
    train = np.asarray(session.values, np.float64)[session.trials_of(TRAIN)]
    expected = (np.asarray(session.values)[trial] - train.mean(0)) / train.std(0)
    np.testing.assert_allclose(batch.trials["values"][1, 2, 0, :5], expected, rtol=1e-4, atol=1e-5)
    assert session.split[trial] == TRAIN and not batch.trials["values"][..., 5:].any()
    np.testing.assert_array_equal(batch.trials["embedding"][1, 2], session.behaviour["embedding"][trial])
    assert list(source.items)[batch.trials["item"][1, 2]] == str(session.conditions["picture"][trial])
    np.testing.assert_array_equal(batch.groups["unit_row"][1], [*(5 * row + np.arange(5)), 10, 10, 10])
    monkeypatch.setattr(betas, "_ROWS", 5)  # parts that do not divide the trials
    found = betas.moments(session, session.trials_of(TRAIN))
    np.testing.assert_allclose(found.spread, train.std(0), rtol=1e-6)
    assert opened(clip_sd=0.5).batch(0).trials["values"].max() == 0.5


def test_padding_and_trials_without_an_embedding_say_nothing():
    source = opened()
    _, last = list(source.passes(1, people()[1].trials_of(TRAIN)[:11]))[-1]
    assert (last.trials["item"][0, 3:] == -1).all() and not last.trials["bin_valid"][0, 3:].any()
    assert not last.trials["values"][0, 3:].any() and not last.trials["embedding"][0, 3:].any()
    one, two = people()
    told = np.array(one.behaviour["embedding"])
    lost = one.trials_of(TRAIN)[:2]
    told[lost[0]], told[lost[1], 1] = 0, np.nan
    holes = opened([one.with_fields(behaviour={"embedding": told}), two])
    assert holes.num_left_out == 2 and "2 trials without it left out" in holes.contents()
    np.testing.assert_array_equal(holes.sessions[0].trials_of(TRAIN), one.trials_of(TRAIN)[2:])
    assert len(holes.sessions[0].trials_of(TEST)) == 8


def test_recordings_without_what_is_needed_are_refused():
    one, two = people()
    for changed, said in (
        ({"behaviour": {}, "behaviour_valid": {}}, "no behaviour 'embedding'"),
        ({"conditions": {}}, "no condition 'picture'"),
        ({"validity": ObservedIntervals(np.int32([0]), np.int64([1]), np.int64([3]))}, "not observed in every trial"),
        ({"trial_num_bins": np.full(two.num_trials, 2)}, "trials of up to 2 bins"),
        ({"behaviour": {"embedding": two.behaviour["embedding"][:, :9]}}, "embeddings of 9 numbers, person00 of 64"),
    ):
        with pytest.raises(InputError, match=said):
            opened([one, two.with_fields(**changed)])
    with pytest.raises(InputError, match="synthetic.num_poeple is not known"):
        betas.open_data({"root": "", "train_fraction": 1.0, "synthetic": {"num_poeple": 2}}, 0)
