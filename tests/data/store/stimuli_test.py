"""Responses with their images in a folder: round trip, batches, and files or sessions that do not fit."""

import dataclasses
import json

import numpy as np
import pytest

from neurojax.data.session import TEST, TRAIN
from neurojax.data.sources import stimuli as source
from neurojax.data.store import stimuli as store
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError

CONFIG = source.Config(sessions_per_batch=1, trials_per_batch=4, bucket_units=4, session_temperature=1.0)
SHOWN = np.array([3, 1, 0, 2, 4, 5, 4, 5])


def session(name="mouse", shown=SHOWN, bins=1):
    rng = np.random.default_rng(0)
    counts = rng.poisson(4.0, (len(shown), bins, 3))
    split = np.where(np.isin(shown, (4, 5)), TEST, TRAIN)
    pupil = np.arange(2.0 * len(shown) * bins).reshape(-1, 2)
    pupil[0, 0] = np.nan
    told = {"state": rng.standard_normal((len(shown) * bins, 2)), "pupil_center": pupil}
    given = {"bin_size_s": 0.5, "session_id": name, "split": split, "behaviour": told}
    return from_counts(counts, conditions={"stimulus": shown}, **given)


def images(number=6):
    shown = np.random.default_rng(1).integers(0, 255, (number, 1, 5, 4)).astype(np.uint8)
    return store.of_images(shown, np.arange(number) % 2, ("texture", "grating"))


@pytest.fixture
def folder(tmp_path):
    store.write(store.with_stimuli([session("a"), session("b", SHOWN[::-1])], images()), tmp_path / "root")
    return tmp_path / "root"


def test_a_written_folder_reads_as_it_was_and_its_images_stay_on_disk(folder):
    made = store.with_stimuli([session("a"), session("b", SHOWN[::-1])], images())
    found = store.open_stimuli(folder)
    assert isinstance(found.stimuli.images, np.memmap) and found.fingerprint == made.fingerprint
    np.testing.assert_array_equal(found.stimuli.images, made.stimuli.images)
    assert found.stimuli.kinds == ("texture", "grating")
    fewer = store.with_stimuli([session("a")], images())
    assert fewer.fingerprint != made.fingerprint


def test_each_trial_of_a_batch_comes_with_its_image_and_what_the_animal_did(folder):
    dataset = store.open_stimuli(folder)
    made = source.open_source(dataset, CONFIG, 0)
    assert (made.facts.num_channels, made.facts.num_features) == (1, 2)
    for index in range(3):
        batch = made.batch(index)
        own = dataset.sessions[batch.groups["session_row"][0]]
        trial = batch.trials["trial_id"][0]
        assert set(own.split[trial]) == {TRAIN}
        shown = store.shown(own)[trial]
        np.testing.assert_array_equal(batch.trials["images"][0], dataset.stimuli.images[shown])
        np.testing.assert_array_equal(batch.trials["counts"][0, :, 0, :3], own.counts[trial])
        np.testing.assert_array_equal(batch.trials["behaviour"][0], own.behaviour["state"][trial])
        pupil = batch.trials["pupil_center"][0]
        np.testing.assert_array_equal(pupil, np.float32(own.behaviour["pupil_center"][trial]))
    first = source.session_batch(dataset, 0, made.layout, np.array([0, 1]), 4, 3)
    assert np.isnan(first.trials["pupil_center"][0, 0, 0]) and not first.trials["bin_valid"][0, 2]


@pytest.mark.parametrize(
    "made, told",
    [
        (lambda: session(bins=2), "trials of up to 2 bins; expected one bin for each presentation"),
        (lambda: session(shown=SHOWN + 1), "needs the condition 'stimulus', whole numbers below 6"),
        (lambda: session(shown=SHOWN.astype(float)), "needs the condition 'stimulus', whole numbers"),
        (
            lambda: session().with_fields(split=np.int8([0, 0, 0, 0, 0, 2, 2, 2])),
            r"1 of the images of test trials were shown in training, such as image \[4\]",
        ),
    ],
)
def test_sessions_that_do_not_go_with_their_images_are_refused(made, told):
    with pytest.raises(InputError, match=told):
        store.with_stimuli([made()], images())


def test_test_images_that_another_animal_was_trained_on_are_refused():
    """By what they show: also where they stand a second time among the images."""
    other = session("b", np.array([0, 1, 4, 4])).with_fields(split=np.int8([TEST, TEST, TRAIN, TRAIN]))
    told = r"session a: 1 of the images of test trials were shown in training, such as image \[4\] in session b"
    with pytest.raises(InputError, match=told):
        store.with_stimuli([session("a"), other], images())
    twice = np.array(images().images)
    twice[5] = twice[0]
    with pytest.raises(InputError, match=r"such as image \[5\] in session a"):
        store.with_stimuli([session("a")], store.of_images(twice, np.zeros(6), ("texture",)))


def test_images_of_another_kind_or_shape_are_refused():
    with pytest.raises(InputError, match=r"images are int64 \[2, 1, 3, 3\], expected float32, float16 or uint8"):
        store.of_images(np.zeros((2, 1, 3, 3), int), np.zeros(2), ("one",))
    with pytest.raises(InputError, match="expected a kind from 0 to 0 for each of 2 images"):
        store.of_images(np.zeros((2, 1, 3, 3), np.float32), np.ones(2), ("one",))


def test_an_image_with_nan_is_named():
    shown = np.zeros((600, 1, 3, 3), np.float32)
    shown[540, 0, 1, 1] = np.nan
    with pytest.raises(InputError, match="image 540 holds NaN or infinity"):
        store.of_images(shown, np.zeros(600), ("one",))


def test_a_damaged_or_forged_folder_is_refused(folder):
    path = folder / "stimuli" / "stimuli.json"
    content, kind = path.read_text(), folder / "stimuli" / "kind.npy"
    told = [
        ({"schema": 9}, "has schema 9, expected 1"),
        ({"kinds": ["texture"]}, "expected a kind from 0 to 0"),
        ({"kinds": 3}, "is damaged"),
        ({"sha256": {}}, "is damaged"),
    ]
    for change, words in told:
        path.write_text(json.dumps(json.loads(content) | change))
        with pytest.raises(InputError, match=words):
            store.open_stimuli(folder)
    path.write_text(content)
    raw = bytearray(kind.read_bytes())
    raw[-1] ^= 1
    kind.write_bytes(raw)
    with pytest.raises(InputError, match="is damaged; write the stimuli again"):
        store.open_stimuli(folder)


def test_sessions_of_one_dataset_tell_the_same_of_behaviour():
    one = session("a")
    other = dataclasses.replace(session("b"), behaviour={}, behaviour_valid={})
    with pytest.raises(InputError, match="session b has 0 columns of state"):
        source.open_source(store.with_stimuli([one, other], images()), CONFIG, 0)
