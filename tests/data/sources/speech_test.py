"""Batches of EEG with speech: pure in their number, standardised by train trials, muscle swapped within a person."""

import dataclasses
import functools

import numpy as np
import pytest

from neurojax.data import robust_scale
from neurojax.data.session import TRAIN
from neurojax.data.sources import speech
from neurojax.data.synthetic import speech_eeg
from neurojax.errors import InputError

SPEC = speech_eeg.SpeechSpec(
    num_people=2, num_trials=12, num_trained_sentences=6, num_sentences=4, num_sensors=3, num_features=2
)
CONFIG = speech.Config(
    sessions_per_batch=2, trials_per_batch=8, bucket_units=1, session_temperature=1.0,
    item="sentence", clip_sd=20.0, swap_muscle=0.0,
)  # fmt: skip


@functools.cache
def people():
    return tuple(speech_eeg.sessions(SPEC, 0))


def opened(seed=0, sessions=None, **changes):
    return speech.open_source(sessions or people(), dataclasses.replace(CONFIG, **changes), seed)


def test_a_batch_depends_on_its_number_alone_and_holds_windows_as_they_are():
    source = opened()
    batch, again = source.batch(3), opened().batch(3)
    for name, array in batch.trials.items():
        np.testing.assert_array_equal(array, again.trials[name], err_msg=name)
    assert batch.trials["values"].shape == (2, 4, 48, 5) == source.shapes()[0]
    assert not np.array_equal(batch.trials["trial_id"], source.batch(4).trials["trial_id"])
    row, trial = int(batch.groups["session_row"][1]), int(batch.trials["trial_id"][1, 2])
    session = people()[row]
    assert session.split[trial] == TRAIN
    rows = slice(48 * trial, 48 * trial + 48)
    scale = robust_scale.of_session(session)
    expected = (np.asarray(session.values)[rows] - scale.centre) / scale.spread
    np.testing.assert_allclose(batch.trials["values"][1, 2], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(batch.trials["speech"][1, 2], session.behaviour["speech"][rows])
    names = list(source.items)
    assert names[batch.trials["item"][1, 2]] == str(session.conditions["sentence"][trial])
    np.testing.assert_allclose(batch.groups["position"][1], speech.places_of(session))
    part = source.batch(3, lambda number: slice(1, 3))
    np.testing.assert_array_equal(part.trials["values"], batch.trials["values"][:, 1:3])


def test_the_scale_is_of_train_trials_and_outliers_hardly_move_it():
    session = people()[0]
    values = np.array(session.values)
    rows = np.repeat(session.split == TRAIN, 48)
    values[~rows] *= 1000  # not looked at
    values[np.flatnonzero(rows)[:3]] = 1e6  # electrode pops
    found = robust_scale.of_session(session.with_fields(values=values))
    expected = robust_scale.of_session(session)
    np.testing.assert_allclose(found.spread, expected.spread, rtol=0.05)
    flat = robust_scale.of_samples(np.full((9, 2), 4.0))
    np.testing.assert_array_equal(flat, [[4, 4], [1, 1]])
    source = opened(sessions=[session.with_fields(values=values)], clip_sd=5.0)
    assert np.abs(source.batch(0).trials["values"]).max() <= 5


def test_swapped_muscle_is_of_another_trial_and_the_rest_stays():
    plain, swapped = opened(), opened(swap_muscle=1.0)
    before, after = plain.batch(0), swapped.batch(0)
    np.testing.assert_array_equal(before.trials["item"], after.trials["item"])
    changed = after.trials["values"] - before.trials["values"]
    assert (np.abs(changed).max((2, 3)) > 1e-3).mean() > 0.5  # a trial may draw itself
    plan = plain.plan(0)
    for group, (number, own) in enumerate(zip(plan.session.tolist(), plan.trial, strict=True)):
        rest = plain.raw(number, own) - plain.raw(number, own, speech.MUSCLE)
        spread = plain.scale(number).spread
        left = after.trials["values"][group] * spread + plain.scale(number).centre - rest
        every = plain.raw(number, people()[number].trials_of(TRAIN), speech.MUSCLE)
        apart = np.abs(left[:, None] - every[None]).max((2, 3)).min(1)
        assert apart.max() < 1e-3  # each muscle part is that of a train trial
    np.testing.assert_array_equal(
        opened(swap_muscle=0.5).batch(2).trials["values"], opened(swap_muscle=0.5).batch(2).trials["values"]
    )


def test_passes_ask_every_trial_once_and_pad_with_nothing():
    source = opened()
    trials = people()[1].trials_of(TRAIN)[:11]
    steps = list(source.passes(1, trials))
    np.testing.assert_array_equal(np.concatenate([part for part, _ in steps]), trials)
    last = steps[-1][1].trials
    assert last["values"].shape == (1, 8, 48, 5)
    assert (last["item"][0, 3:] == -1).all() and not last["values"][0, 3:].any() and not last["bin_valid"][0, 3:].any()
    assert last["bin_valid"][0, :3].all()
    assert len(source.validation_batches()) == 2


def test_trials_whose_speech_is_not_known_throughout_are_left_out_and_counted():
    one, two = people()
    train, rows = one.trials_of(TRAIN), np.array(one.behaviour["speech"])
    rows[48 * train[0] + 47] = np.nan  # its last bin; the next trial begins one later
    valid = np.ones(len(rows), bool)
    valid[48 * train[2]] = False
    behaviour = dict(one.behaviour) | {"speech": rows}
    unheard = one.with_fields(
        behaviour=behaviour, behaviour_valid=dict(one.behaviour_valid) | {"speech": np.isfinite(rows).all(1) & valid}
    )
    source = opened(sessions=[unheard, two], sessions_per_batch=1, trials_per_batch=64)
    kept = source.sessions[0].trials_of(TRAIN)
    np.testing.assert_array_equal(kept, np.delete(train, [0, 2]))
    assert source.num_left_out == 2 and "2 trials without all of it left out" in source.contents()
    for index in range(4):
        batch = source.batch(index)
        assert all(np.isfinite(batch.trials[name]).all() for name in ("values", "speech"))
    assert opened().num_left_out == 0 and "left out" not in opened().contents()


def test_recordings_without_what_is_needed_are_refused():
    one, two = people()
    for changed, said in (
        ({"behaviour": {}, "behaviour_valid": {}}, "no behaviour 'speech'"),
        ({"unit_metadata": {}}, "channels without a place"),
        ({"conditions": {}}, "no condition 'sentence'"),
    ):
        with pytest.raises(InputError, match=said):
            opened(sessions=[one, two.with_fields(**changed)])
    alone = {
        "behaviour": {"speech": one.behaviour["speech"]},
        "behaviour_valid": {"speech": one.behaviour_valid["speech"]},
    }
    with pytest.raises(InputError, match="no behaviour 'muscle_part', which data.swap_muscle=1"):
        opened(sessions=[one.with_fields(**alone)], swap_muscle=1.0)
    with pytest.raises(InputError, match="synthetic.num_poeple is not known"):
        speech.open_data({"root": "", "train_fraction": 1.0, "synthetic": {"num_poeple": 2}}, 0)
    with pytest.raises(InputError, match="session person01 is not among the 1 the run was trained on"):
        speech.rows_of([two], opened(sessions=[one]).table)
