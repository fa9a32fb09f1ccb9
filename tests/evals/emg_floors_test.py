import csv

import numpy as np
import pytest

from neurojax.commands.convert import convert
from neurojax.data import ring_orders
from neurojax.data.real_values import from_values
from neurojax.data.session import TEST, TRAIN
from neurojax.data.sources.signals import classes_of
from neurojax.data.store.dataset import open_dataset
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError
from neurojax.evals import emg_floors
from neurojax.evals.gesture_scores import balanced_accuracy, gestures_block

CLASSES, CHANNELS = 3, 4
# How strongly each gesture drives each channel.
GAINS = np.array([[1, 1, 1, 1], [9, 2, 1, 1], [1, 2, 9, 3]])


def person(name, seed, split, gain=1.0):
    """Eight segments of noise; the gesture sets the amplitude of the channels, the person the gain."""
    rng = np.random.default_rng(seed)
    gesture = rng.permutation(np.arange(8) % CLASSES)
    values = rng.normal(size=(8, 90, CHANNELS)) * GAINS[gesture][:, None] * 4 * gain
    starts = (np.arange(8)[:, None] * 90 + np.arange(0, 60, 15)).ravel()
    return from_values(
        np.rint(values.reshape(-1, CHANNELS)),
        sampling_hz=200,
        unit="a.u.",
        session_id=name,
        trial_start_bin=starts,
        trial_num_bins=30,
        split=split,
        conditions={"gesture": np.repeat(gesture, 4)},
    )


@pytest.fixture(scope="module")
def people():
    rows = [("a", 0, 0), ("b", 1, 0), ("c", 2, 0), ("d", 3, 1), ("e", 4, 2), ("f", 5, 2)]
    return [person(name, seed, split, 1 + seed / 3) for name, seed, split in rows]


def labels_of(sessions):
    return [session.conditions["gesture"] for session in sessions]


def by_hand(window, min_step):
    """The features of one window [T, C], sample by sample."""
    num_bins, channels = window.shape
    mav, length, crossings, turns = (np.zeros(channels) for _ in range(4))
    for c in range(channels):
        x = window[:, c].tolist()
        for t in range(num_bins):
            mav[c] += abs(x[t]) / num_bins
        for t in range(num_bins - 1):
            step = x[t + 1] - x[t]
            length[c] += abs(step)
            crossings[c] += x[t] * x[t + 1] < 0 and abs(step) >= min_step
        for t in range(1, num_bins - 1):
            before, after = x[t] - x[t - 1], x[t + 1] - x[t]
            turns[c] += before * after < 0 and max(abs(before), abs(after)) >= min_step
    unit = min_step / 2
    return np.concatenate([np.log(1 + mav / unit), np.log(1 + length / unit), crossings, turns, mav / mav.sum()])


@pytest.mark.parametrize("min_step", [2.0, 5.0])
def test_features_are_those_of_the_definition(min_step):
    windows = np.random.default_rng(0).integers(-4, 5, (6, 30, CHANNELS)).astype(np.float32)
    expected = np.stack([by_hand(window, min_step) for window in windows])
    found = emg_floors.window_features(windows, min_step)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert expected[:, 2 * CHANNELS : 4 * CHANNELS].any()


def test_a_silent_window_has_finite_features():
    found = emg_floors.window_features(np.zeros((2, 30, CHANNELS)))
    assert not found.any()


def test_features_are_standardised_by_the_persons_own_windows(people):
    features = emg_floors.person_features(people[2])
    np.testing.assert_allclose(features.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(features.std(0), 1, atol=1e-6)
    windows, _ = people[2].gather_trials(np.arange(people[2].num_trials))
    raw = emg_floors.window_features(windows)
    np.testing.assert_allclose(features, (raw - raw.mean(0)) / raw.std(0), rtol=1e-5, atol=1e-6)


def test_discriminants_are_those_of_scikit_learn(people):
    analysis = pytest.importorskip("sklearn.discriminant_analysis")
    features = [emg_floors.person_features(session)[:, :-1] for session in people[:3]]
    lda = emg_floors.fit_lda(features, labels_of(people[:3]), CLASSES)
    other = analysis.LinearDiscriminantAnalysis(solver="lsqr", priors=np.full(CLASSES, 1 / CLASSES))
    other.fit(np.concatenate(features), np.concatenate(labels_of(people[:3])))
    asked = emg_floors.person_features(people[4])[:, :-1]
    found = emg_floors.lda_probability(lda, asked)
    np.testing.assert_allclose(found.sum(1), 1)
    np.testing.assert_array_equal(found.argmax(1), other.predict(asked))
    np.testing.assert_allclose(found, other.predict_proba(asked), atol=0.02)


def test_rare_gestures_are_not_given_up_for_frequent_ones():
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1], [960, 40])
    features = rng.normal(size=(1000, 2)) + 1.0 * label[:, None]
    lda = emg_floors.fit_lda([features], [label], 2)
    predicted = emg_floors.lda_probability(lda, features).argmax(1)
    assert (predicted[label == 1] == 1).mean() > 0.6


def test_recordings_in_another_unit_have_the_same_features_and_a_wrong_unit_is_refused(people):
    milli = people[2].with_fields(values=people[2].values * np.float32(2**-10), unit_of_values="mV")
    found = emg_floors.person_features(milli, 2.0 * 2**-10)
    np.testing.assert_allclose(found, emg_floors.person_features(people[2]), atol=1e-5)
    with pytest.raises(InputError, match="session c: .* set eval.min_step in the unit of the recordings"):
        emg_floors.person_features(milli)


@pytest.mark.parametrize("floor", [emg_floors.lda_floor, emg_floors.perceptron_floor])
def test_floors_tell_the_gestures_of_strangers(people, floor):
    if floor is emg_floors.perceptron_floor:
        pytest.importorskip("sklearn")
    found = floor(people, labels_of(people), CLASSES)
    assert {name: p.shape for name, p in found.items()} == {"e": (32, 3), "f": (32, 3)}
    labels = {session.session_id: session.conditions["gesture"] for session in people[4:]}
    assert gestures_block(found, labels, CLASSES)["balanced_accuracy"] > 0.8
    assert set(floor(people, labels_of(people), CLASSES, split=TRAIN)) == {"a", "b", "c"}


def test_the_perceptron_in_the_order_found_reads_an_armband_worn_otherwise(people):
    pytest.importorskip("sklearn")
    turned = [people[0], people[1], people[2], people[3], people[4], worn(people[5], 3)]
    found = emg_floors.perceptron_ring_floor(turned, labels_of(turned), CLASSES)["f"]
    as_worn = emg_floors.perceptron_floor(turned, labels_of(turned), CLASSES)["f"]
    label = people[5].conditions["gesture"]
    accuracy = [np.mean(one.argmax(1) == label) for one in (found, as_worn)]
    assert accuracy[0] > 0.9 > accuracy[1] + 0.1
    with pytest.raises(InputError, match="a channel is missing"):
        lacking = [one.with_fields(unit_id=np.array(["0", "1", "3", "4"])) for one in people]
        emg_floors.perceptron_ring_floor(lacking, labels_of(lacking), CLASSES)


def worn(session, order):
    """The same person, of channels that `order` reads as everybody's."""
    values = np.empty_like(session.values)
    values[:, ring_orders.orders(CHANNELS)[order]] = session.values
    return session.with_fields(values=values)


@pytest.mark.parametrize("floor", [emg_floors.lda_floor, emg_floors.perceptron_floor])
def test_floors_learn_nothing_from_those_they_are_asked_about(people, floor):
    if floor is emg_floors.perceptron_floor:
        pytest.importorskip("sklearn")
    before = floor(people, labels_of(people), CLASSES)
    wrong = [(label + 1) % CLASSES if k > 2 else label for k, label in enumerate(labels_of(people))]
    after = floor(people, wrong, CLASSES)
    for name, probability in before.items():
        np.testing.assert_array_equal(probability, after[name])
    louder = [*people[:5], person("f", 77, 2, gain=9.0)]
    np.testing.assert_array_equal(floor(louder, labels_of(louder), CLASSES)["e"], before["e"])


def test_what_cannot_be_fitted_is_one_line(people):
    labels = labels_of(people)
    with pytest.raises(InputError, match="no training window is of class 3 of 4"):
        emg_floors.lda_floor(people, labels, 4)
    with pytest.raises(InputError, match="no session has a training trial"):
        emg_floors.lda_floor(people[4:], labels[4:], CLASSES)
    ragged = people[0].with_fields(trial_num_bins=np.append(people[0].trial_num_bins[1:], 29))
    counts = from_counts(np.ones((4, 5, 3), int), bin_size_s=0.1, session_id="s", split=[0, 0, 1, 2])
    for session in (ragged, counts):
        with pytest.raises(InputError, match="real values in windows of one length"):
            emg_floors.person_features(session)


@pytest.mark.data
def test_five_folds_over_27_people_agree_with_an_independent_program(data_root, tmp_path):
    source = data_root / "emg_myo_people"
    convert("emg", [source], tmp_path, num_workers=0)
    rows = csv.DictReader((source / "people.csv").read_text().splitlines())
    folds = {row["person"]: int(row["fold"]) for row in rows}
    sessions = open_dataset(tmp_path).sessions
    names, labels = classes_of(sessions, "gesture")
    features = [emg_floors.person_features(session) for session in sessions]
    accuracy, balanced = [], []
    for fold in range(5):
        is_tested = [folds[session.session_id] == fold for session in sessions]
        kept = [k for k, tested in enumerate(is_tested) if not tested]
        lda = emg_floors.fit_lda([features[k] for k in kept], [labels[k] for k in kept], len(names))
        for k in np.flatnonzero(is_tested):
            predicted = emg_floors.lda_probability(lda, features[k]).argmax(1)
            accuracy.append((predicted == labels[k]).mean())
            balanced.append(balanced_accuracy(predicted, labels[k], len(names)))
    # README of the data: 0.812 +/- 0.029, by a program that shares no code with this one.
    assert len(accuracy) == 27 and round(float(np.mean(accuracy)), 3) == 0.812
    assert abs(float(np.std(accuracy, ddof=1) / np.sqrt(27)) - 0.029) < 0.001
    np.testing.assert_allclose(np.mean(balanced), np.mean(accuracy), atol=1e-3)
    # The floor of the fixed split, fold 4 tested and fold 3 left for validation.
    found = emg_floors.lda_floor(sessions, labels, len(names))
    assert sorted(found) == sorted(name for name, fold in folds.items() if fold == 4)
    assert all(TEST in session.split for session in sessions if session.session_id in found)
