"""Made-up EMG of a ring of electrodes: people differ, gestures are power, the ceiling is one, files are read back."""

import dataclasses

import numpy as np
import pytest

from neurojax.data.conversion import convert_session
from neurojax.data.readers import emg
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.session import TEST, TRAIN, VALIDATION
from neurojax.data.synthetic import ring
from neurojax.errors import InputError

SMALL = ring.RingSpec(num_people=3, segment_s=1.0, num_repetitions=2)
WINDOW = 50


def windows(made):
    """(windows [W, samples, electrodes], gesture of each)."""
    cut = made["emg"].reshape(-1, WINDOW, made["emg"].shape[1])
    return cut, np.repeat(made["gesture"], len(cut) // len(made["gesture"]))


def test_a_person_depends_on_seed_and_number_alone():
    first = ring.recording(SMALL, 0, 1)
    more = ring.recording(dataclasses.replace(SMALL, num_people=9), 0, 1)
    np.testing.assert_array_equal(first["emg"], more["emg"])
    for seed, person in ((0, 0), (1, 1)):
        assert not np.array_equal(first["emg"], ring.recording(SMALL, seed, person)["emg"])
    with pytest.raises(InputError, match="seed -1"):
        ring.recording(SMALL, -1, 0)


def test_the_samples_have_the_power_of_the_patterns():
    spec = dataclasses.replace(SMALL, segment_s=100.0, num_repetitions=1)
    made, std = ring.recording(spec, 0, 0), ring.patterns(spec, 0, 0)
    segments = made["emg"].reshape(len(ring.GESTURES), -1, spec.num_electrodes)
    np.testing.assert_allclose(segments.std(1), std, rtol=0.03)
    active = std / std[0]  # over rest
    names = list(ring.GESTURES)
    assert active[names.index("fist")].max() > 1.2 and (active >= 1 - 1e-9).all()


def test_a_turned_ring_is_the_pattern_at_other_places():
    plain = dataclasses.replace(SMALL, turned_std_turns=0.0, gain_std=0.0, effort_std=0.0)
    np.testing.assert_array_equal(ring.patterns(plain, 0, 0), ring.patterns(plain, 0, 1))
    turned = dataclasses.replace(plain, turned_std_turns=0.2)
    assert not np.allclose(ring.patterns(turned, 0, 0), ring.patterns(turned, 0, 1), atol=0.05)


def test_nobody_reads_better_than_who_knows_the_person():
    spec = dataclasses.replace(SMALL, segment_s=20.0)
    cut, gesture = windows(ring.recording(spec, 0, 0))
    own, others = ring.patterns(spec, 0, 0), ring.patterns(spec, 0, 2)
    best = np.mean(ring.best_read(cut, own) == gesture)
    assert 0.85 < best < 1.0
    assert best > np.mean(ring.best_read(cut, others) == gesture) + 0.02


def test_the_files_convert_with_their_people_and_folds(tmp_path):
    ring.write_people(tmp_path / "people", dataclasses.replace(SMALL, num_people=5))
    splits = {}
    for path in emg.find(str(tmp_path / "people")):
        session = emg.read_session(path, ReadSpec())
        splits[session.session_id] = set(session.split.tolist())
        assert session.info["condition_names"]["gesture"] == list(ring.GESTURES)
        assert np.bincount(session.conditions["gesture"].astype(int)).tolist() == [30] * 5  # 15 of 1 s, twice
    assert splits == {f"person-{k}": {(TRAIN, TRAIN, TRAIN, VALIDATION, TEST)[k]} for k in range(5)}
    assert convert_session(tmp_path / "people/person-0.npz", kind="emg", out=tmp_path / "emg").is_dir()


@pytest.mark.parametrize("wrong", [{"num_people": 0}, {"noise": 0.0}, {"gain_std": -1.0}])
def test_people_that_cannot_be_are_refused(wrong):
    with pytest.raises(InputError, match="at least"):
        ring.RingSpec(**wrong)


def test_a_long_rest_drifts_as_told_and_twitches_as_often():
    spec, long = SMALL, ring.RestSpec(seconds=2000.0, drift_s=20.0, drift_std=0.3)
    made, std = ring.rest(spec, long, 0, 1), ring.patterns(spec, 0, 1)[0]
    assert made["emg"].shape == (400_000, 8) and made["segment_offsets"].tolist() == [0, 400_000]
    assert made["gesture"].tolist() == [0] and made["gesture_names"][0] == "rest"
    second = made["emg"].reshape(2000, 200, 8).std(1) / std  # [s, electrodes], 1 without drift
    common = np.log(np.median(second, axis=1))
    assert abs(common.std() - 0.3) < 0.09
    kept = np.corrcoef(common[:-20], common[20:])[0, 1]  # after drift_s
    assert abs(kept - np.exp(-1)) < 0.2
    still = ring.rest(spec, dataclasses.replace(long, drift_std=0.0, twitches_per_hour=0.0), 0, 1)
    np.testing.assert_allclose(still["emg"].std(0), std, rtol=0.01)
    twitches = ring.rest(spec, dataclasses.replace(long, drift_std=0.0, twitch_strength=9.0), 0, 1)
    loud = (np.abs(twitches["emg"]).max(1) > 5.5 * std.max()).reshape(-1, 10).any(1)  # 50 ms
    begun = int(np.sum(loud[1:] & ~loud[:-1]))
    assert 15 <= begun <= 60  # 33 are expected; some break up
    with pytest.raises(InputError, match="drift_s and twitch_s must be over 0"):
        ring.RestSpec(twitch_s=0.0)
