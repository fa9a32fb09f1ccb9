"""Batches of stimulus, activity and behaviour: standardised by train trials, columns of bins or of trials, refusals."""

import dataclasses
import functools

import numpy as np
import pytest

from neurojax.data.session import TRAIN
from neurojax.data.sources import joint
from neurojax.data.synthetic import loops
from neurojax.errors import InputError

SPEC = loops.LoopSpec(num_units=3, num_bins=4, num_train=12, num_validation=3, num_test=4)
CONFIG = joint.Config(2, 8, 4, 1.0, ("stimulus",), ("behaviour",), 10.0)


@functools.cache
def loop_sessions():
    return tuple(loops.sessions(SPEC, 0))


def opened(sessions=None, **changes):
    return joint.open_source(sessions or loop_sessions(), dataclasses.replace(CONFIG, **changes), 0)


def changed(**fields):
    return (loop_sessions()[0].with_fields(**fields), loop_sessions()[1])


def test_a_batch_depends_on_its_number_alone_and_holds_what_was_recorded():
    source = opened()
    batch, again = source.batch(3), opened().batch(3)
    for name, array in batch.trials.items():
        np.testing.assert_array_equal(array, again.trials[name], err_msg=name)
    assert batch.trials["activity"].shape == (2, 4, 4, 4) == source.shapes()[0]
    row, trial = int(batch.groups["session_row"][1]), int(batch.trials["trial_id"][1, 2])
    session = loop_sessions()[row]
    assert session.split[trial] == TRAIN and not batch.trials["activity"][..., 3:].any()
    rows = slice(session.trial_start_bin[trial], session.trial_start_bin[trial] + 4)
    held = {"activity": np.asarray(session.values)} | session.behaviour
    for node in joint.NODES:
        train = held[node][: 12 * 4].astype(float)
        expected = (held[node][rows] - train.mean(0)) / train.std(0)
        np.testing.assert_allclose(batch.trials[node][1, 2, :, : train.shape[1]], expected, rtol=1e-4, atol=1e-5)
    assert np.abs(opened(clip_sd=0.5).batch(0).trials["stimulus"]).max() == 0.5
    assert source.facts.num_features == source.facts.num_targets == 2


def test_a_condition_is_a_number_in_every_bin_of_its_trial_and_what_is_unknown_is_neither_given_nor_asked():
    contrast = np.linspace(0, 1, 19)
    contrast[1] = np.nan
    known = np.ones(76, bool)
    known[[0, 9]] = False
    sessions = [
        one.with_fields(conditions={"contrast": contrast}, behaviour_valid=one.behaviour_valid | {"behaviour": known})
        for one in loop_sessions()
    ]
    source = opened(sessions, stimulus=("contrast",))
    batch = source.padded(0, np.arange(3), 4)
    told, valid = batch.trials["stimulus"][0, :3, :, 0], batch.trials["node_valid"][0]
    assert (told[0] < told[2]).all() and len(set(told[2])) == 1 and not told[1].any()
    assert valid[:, 0].tolist() == [[True] * 4, [False] * 4, [True] * 4, [False] * 4]
    assert valid[0, 2].tolist() == [False, True, True, True] and not valid[2, 2, 1] and not valid[3].any()
    assert not batch.trials["behaviour"][0, 0, 0].any() and batch.trials["behaviour"][0, 0, 1].any()


def test_sessions_that_lack_a_node_are_refused_in_one_sentence():
    one = loop_sessions()[0]
    with pytest.raises(
        InputError, match=r"loop00 has no behaviour and no condition 'behaviour', which is to be its beh"
    ):
        opened(changed(behaviour={"stimulus": one.behaviour["stimulus"]}))
    with pytest.raises(InputError, match="condition 'side' in words, and the stimulus is to be a number"):
        opened(changed(conditions={"side": np.repeat("left", 19)}), stimulus=("side",))
    wide = np.repeat(one.behaviour["stimulus"], 2, axis=1)
    with pytest.raises(InputError, match=r"data.stimulus has 4 numbers in session loop00 and .* name what all"):
        opened(changed(behaviour=one.behaviour | {"stimulus": wide}))
    with pytest.raises(InputError, match="no bin in which the stimulus or the behaviour is known"):
        opened(changed(behaviour_valid=one.behaviour_valid | {"behaviour": np.zeros(76, bool)}))
    with pytest.raises(InputError, match=r"data.behaviour is empty"):
        dataclasses.replace(CONFIG, behaviour=("",))


def test_a_column_that_is_given_and_asked_is_refused():
    with pytest.raises(
        InputError, match="data.behaviour=behaviour,stimulus name stimulus twice, so that what is asked"
    ):
        dataclasses.replace(CONFIG, behaviour=("behaviour", "stimulus"))


@pytest.mark.parametrize("huge", [1e300, -np.inf, np.nan])
def test_a_condition_too_large_for_float32_is_not_known(huge):
    contrast = np.linspace(0, 1, 19)
    contrast[1] = huge
    source = opened(
        [one.with_fields(conditions={"contrast": contrast}) for one in loop_sessions()], stimulus=("contrast",)
    )
    batch = source.padded(0, np.arange(3), 4)
    assert batch.trials["node_valid"][0, :3, 0].all(-1).tolist() == [True, False, True]
    assert np.isfinite(batch.trials["stimulus"]).all() and len(np.unique(batch.trials["stimulus"])) == 3
