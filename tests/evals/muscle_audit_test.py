"""The muscle audit recovers what was planted: by readers of the brain alone, of the jaw alone, and of both."""

import numpy as np
import pytest

from neurojax.data.session import TEST
from neurojax.data.synthetic import speech_eeg
from neurojax.errors import InputError
from neurojax.evals import muscle_audit

SPEC = speech_eeg.SpeechSpec(
    num_people=1, num_trials=2, num_trained_sentences=2, num_sentences=24, num_sensors=6, num_features=4, noise=0.3
)
ON_JAW = np.arange(8) >= 6


def windows(**changes):
    own = speech_eeg.trials(SPEC, 0, 0)
    kept = np.flatnonzero(own.split == TEST)
    values = (own.neural + own.muscle + own.noise)[kept]
    found = muscle_audit.Windows(values, own.muscle[kept], own.sentence[kept], kept, own.day[kept] < 2, ON_JAW)
    return found._replace(**changes), own.day


def matched(part):
    """A reader of one part: how well windows agree with what brain or jaw make of each sentence."""
    spoken = speech_eeg.features(SPEC, 0, np.arange(24))
    late = np.zeros_like(spoken)
    late[:, 3:] = spoken[:, :-3]

    def score(values, trial):
        how = speech_eeg.mixing(SPEC, 0, 0, 0)
        made = {"brain": late @ how.neural.T, "jaw": spoken @ how.muscle.T * ON_JAW}
        flat = made[part].reshape(24, -1)
        return values.reshape(len(values), -1) @ (flat / np.linalg.norm(flat, axis=1, keepdims=True)).T

    return score


def audited(part):
    return muscle_audit.of_person(matched(part), windows()[0], np.random.default_rng(0))


def test_a_reader_of_the_brain_keeps_what_it_has_and_the_jaw_buys_nothing():
    found = audited("brain")
    assert found["as_trained"] > 0.9 and found["neural_kept"] == pytest.approx(found["as_trained"], abs=0.05)
    assert found["muscle_kept"] < 0.15 and found["muscle_channels_alone"] < 0.15
    assert found["held_out_day"] > 0.8


def test_a_reader_of_the_jaw_is_found_out():
    found = audited("jaw")
    assert found["as_trained"] > 0.9 and found["muscle_kept"] == pytest.approx(found["as_trained"], abs=0.05)
    assert found["muscle_channels_alone"] == pytest.approx(found["as_trained"], abs=0.05)
    assert found["neural_kept"] < 0.15


def test_the_exchanged_part_is_no_candidate_so_that_the_louder_one_does_not_hide_the_other():
    item = np.arange(12) % 6
    muscle = np.zeros((12, 6, 2))
    muscle[np.arange(12), item, 1] = 1  # channel 1 names the item
    values = muscle.copy()
    values[np.arange(12), item, 0] = 2  # so does channel 0, louder
    made = muscle_audit.Windows(values, muscle, item, np.arange(12), np.ones(12, bool), np.array([False, True]))
    found = muscle_audit.of_person(lambda given, trial: given.sum(-1), made, np.random.default_rng(0))
    assert found["as_trained"] == found["neural_kept"] == found["muscle_kept"] == 1
    deaf = muscle_audit.of_person(lambda given, trial: given[..., 0], made, np.random.default_rng(0))
    assert deaf["neural_kept"] == 1 and deaf["muscle_kept"] == 0


@pytest.mark.parametrize("part", ["brain", "jaw"])
def test_controls_stay_at_chance(part):
    found = audited(part)
    assert max(found["time_reversed"], found["pairing_permuted"]) < 0.2
    assert found["lags"]["12"] < 0.2 and found["lags"]["-12"] < 0.2
    assert found["lags"]["1"] > 0.2  # speech is smooth: one bin is not enough to lose it


def test_partners_say_something_else_and_everyone_is_asked_once():
    rng = np.random.default_rng(0)
    alone = muscle_audit.partners(np.arange(9), rng)
    assert sorted(alone) == list(range(9)) and not (alone == np.arange(9)).any()
    twice = np.repeat([0, 1, 2], 3)
    assert (twice[muscle_audit.partners(twice, rng)] != twice).all()


def test_moved_windows_are_filled_with_nothing():
    values = np.arange(8.0).reshape(1, 4, 2)
    np.testing.assert_array_equal(muscle_audit.moved(values, 1)[0, :, 0], [0, 0, 2, 4])
    np.testing.assert_array_equal(muscle_audit.moved(values, -3)[0, :, 0], [6, 0, 0, 0])
    np.testing.assert_array_equal(muscle_audit.moved(values, 0), values)


def test_what_the_jaw_channels_explain_is_close_to_the_planted_muscle():
    loud = speech_eeg.SpeechSpec(**{**vars(SPEC), "muscle_gain": 3.0, "num_trials": 64, "num_trained_sentences": 64})
    own = speech_eeg.trials(loud, 0, 0)
    values, train = own.neural + own.muscle + own.noise, np.flatnonzero(own.split == 0)
    found = muscle_audit.explained_by(values, ON_JAW, train)
    rest = np.arange(6) != 6
    planted, seen = own.muscle[..., :6], found[..., :6]
    assert rest.all() and np.corrcoef(planted.ravel(), seen.ravel())[0, 1] > 0.9
    np.testing.assert_array_equal(found[..., 6:], values[..., 6:])


def test_windows_that_cannot_be_swapped_are_refused():
    same, _ = windows(item=np.zeros(48, int))
    with pytest.raises(InputError, match="say 1 things"):
        muscle_audit.of_person(matched("brain"), same, np.random.default_rng(0))
    odd, _ = windows(muscle=np.zeros((48, 48, 3)))
    with pytest.raises(InputError, match="expected .W, T, C. twice"):
        muscle_audit.of_person(matched("brain"), odd, np.random.default_rng(0))
    with pytest.raises(InputError, match="no channel lies on a muscle"):
        muscle_audit.explained_by(np.zeros((2, 4, 3)), np.zeros(3, bool), np.arange(2))
