"""Made-up EEG of speech: parts add up, splits share no sentence and no last day, the likelihood is the true one."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from neurojax.data.session import TEST, TRAIN
from neurojax.data.synthetic import speech_eeg
from neurojax.errors import InputError

SPEC = speech_eeg.SpeechSpec(
    num_people=2,
    num_trials=12,
    num_trained_sentences=8,
    num_sentences=16,
    num_sensors=5,
    num_features=3,
    muscle_gain=1.0,
)


def test_sentences_are_equally_loud_silent_at_the_ends_and_the_same_for_everyone():
    spoken = speech_eeg.features(SPEC, 0, np.arange(3))
    silent = speech_eeg.SILENT_BINS
    assert not spoken[:, :silent].any() and not spoken[:, -silent:].any()
    products = np.einsum("stf,stg->sfg", spoken, spoken)
    np.testing.assert_allclose(products, np.broadcast_to(40 * np.eye(3), products.shape), atol=1e-3)
    np.testing.assert_array_equal(speech_eeg.features(SPEC, 0, np.array([2])), spoken[2:])
    assert not np.allclose(spoken[0], spoken[1])


def test_a_session_is_the_sum_of_its_parts_and_splits_share_neither_sentence_nor_last_day():
    own = speech_eeg.trials(SPEC, 3, 1)
    session = speech_eeg.sessions(SPEC, 3)[1]
    windows = np.asarray(session.values).reshape(own.noise.shape)
    np.testing.assert_allclose(windows, own.neural + own.muscle + own.noise, atol=1e-5)
    jaw = session.region == "jaw"
    assert (
        jaw.sum() == 2 and not own.neural[..., jaw].any() and own.muscle[..., jaw].std() > own.muscle[..., ~jaw].std()
    )
    sentence, day = session.conditions["sentence"], session.conditions["day"]
    test, train = session.split == TEST, session.split == TRAIN
    assert not set(sentence[test]) & set(sentence[session.split != TEST])
    assert not set(sentence[train]) & set(sentence[~train])
    assert train.sum() == 12 and set(day[train]) == {0, 1} and set(day[test]) == {0, 1, 2}
    assert sorted(sentence[test & (day == 2)]) == list(range(16))
    assert session.behaviour["muscle_part"].shape == session.values.shape
    assert np.abs(np.stack([session.unit_metadata["head_x"], session.unit_metadata["head_y"]])).max() < 1.3


def test_what_the_brain_says_is_late_and_what_the_jaw_says_is_not():
    own = speech_eeg.trials(SPEC, 0, 0)
    silent, lag = speech_eeg.SILENT_BINS, speech_eeg.LAG_BINS
    heard = [np.flatnonzero(np.abs(part).max((0, 2)) > 1e-6) for part in (own.neural, own.muscle)]
    assert [found[0] for found in heard] == [silent + lag, silent]
    assert [found[-1] for found in heard] == [47 - silent + lag, 47 - silent]


def test_log_likelihoods_differ_as_those_of_a_normal_distribution_do():
    own = speech_eeg.trials(SPEC, 0, 0)
    kept = np.flatnonzero((own.split == TEST) & (own.day == 2))[:3]
    values = (own.neural + own.muscle + own.noise)[kept]
    how = speech_eeg.mixing(SPEC, 0, 0, 2)
    spoken = speech_eeg.features(SPEC, 0, np.arange(4))
    late = np.zeros_like(spoken)
    late[:, 3:] = spoken[:, :-3]
    normal = stats.multivariate_normal(cov=how.covariance)
    expected = late @ how.neural.T + spoken @ how.muscle.T
    wanted = [[normal.logpdf(window - one).sum() for one in expected] for window in values]
    found = speech_eeg.log_likelihoods(values, how, spoken)
    np.testing.assert_allclose(np.diff(found, axis=1), np.diff(wanted, axis=1), rtol=1e-6)


def top1(**changes):
    spec = dataclasses.replace(SPEC, **changes)
    own = speech_eeg.trials(spec, 0, 0)
    kept = own.split == TEST
    jaw = np.arange(spec.num_sensors + 2) >= spec.num_sensors
    values = (own.neural + own.muscle + own.noise)[kept]
    return [
        (speech_eeg.best_read(spec, 0, 0, values, own.day[kept], part).argmax(1) == own.sentence[kept]).mean()
        for part in (None, jaw)
    ]


def test_the_best_reader_is_right_without_noise_and_lost_in_it_and_the_jaw_channels_hold_muscle_alone():
    assert top1(noise=0.1) == [1.0, 1.0]
    assert max(top1(noise=1e4)) < 0.25
    without = top1(noise=0.1, muscle_gain=0.0)
    assert without[0] == 1.0 and without[1] < 0.25


def test_a_specification_that_cannot_be_is_refused():
    for entries, named in (
        ({"num_days": 1}, "num_days=1; expected a whole number of 2"),
        ({"num_features": 21}, "num_features=21; expected at most 20"),
        ({"noise": 0.0}, "noise must be over 0"),
        ({"num_trials": 2.5}, "num_trials=2.5; expected a whole number"),
    ):
        with pytest.raises(InputError, match=named):
            speech_eeg.SpeechSpec(**entries)
