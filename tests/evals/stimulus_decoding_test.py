"""Which image was shown: a twin turned round by Bayes' rule on recorded responses."""

import numpy as np
import pytest

from neurojax.commands import decode, decode_twin
from neurojax.data import batching
from neurojax.data.session import TEST, TRAIN
from neurojax.data.store import stimuli as store
from neurojax.data.store.sessions import from_counts
from neurojax.data.synthetic import v1
from neurojax.errors import InputError
from neurojax.evals import responses, stimulus_decoding
from neurojax.train import run_folder


@pytest.fixture(scope="module")
def recorded():
    """(session, stimuli, true rates of its test images)."""
    spec = v1.V1Spec(num_cells=30, num_train=20, num_validation=4, num_test=15, num_repeats=8, image_px=16)
    images, kind = v1.stimuli(spec, 0)
    session = v1.make_session(spec, 0, 0, images)
    trials = session.trials_of(TEST)
    trials = trials[np.unique(store.shown(session)[trials], return_index=True)[1]]
    rates = np.asarray(session.true_rates)[session.trial_start_bin[trials]]
    return session, store.of_images(images, kind, v1.KINDS), rates.reshape(-1, 30)


def test_true_rates_identify_images_as_often_as_they_expect_and_others_by_chance(recorded):
    session, stimuli, rates = recorded
    found = stimulus_decoding.of_session(session, stimuli, rates, 0)
    assert set(found) == {*v1.KINDS, stimulus_decoding.ALL}
    for name, one in found.items():
        number = 45 if name == stimulus_decoding.ALL else 15
        assert one["num_candidates"] == number and one["num_responses"] == 8 * number
        assert one["accuracy"] == pytest.approx(one["expected"], abs=0.1) and one["accuracy"] > 5 * one["chance"]
        low, high = one["accuracy_ci95"]
        assert low <= one["accuracy"] <= high
    assert found["texture"]["accuracy_ci95"][0] > 0.5
    wrong = rates[:, np.random.default_rng(0).permutation(30)]  # neurons that are taken for others
    lost = stimulus_decoding.of_session(session, stimuli, wrong, 0)["texture"]
    assert lost["accuracy"] < 0.3 * found["texture"]["accuracy"]
    assert lost["expected"] == pytest.approx(found["texture"]["expected"], abs=0.05)
    flat = stimulus_decoding.of_session(session, stimuli, np.ones_like(rates), 0)["texture"]
    assert flat["accuracy"] == pytest.approx(1 / 15) and flat["expected"] == pytest.approx(1 / 15)


class Behaviour:
    """A twin whose rates are a gain from what the animal did, times what an image has on the whole."""

    bucket_units = 1

    def __init__(self, dataset, of_image):
        self.layout = batching.Layout.of(dataset.sessions, batching.session_table(dataset.sessions))
        self.of_image = of_image  # whether an image says anything at all

    def mean(self, batch, key):
        gain = np.exp(batch.trials["behaviour"] @ np.linspace(-1, 1, 40).reshape(2, 20))  # [1, b, N]
        gain *= np.exp(np.nan_to_num(batch.trials["pupil_center"]) @ np.eye(2, 20))
        drive = np.exp(np.log(batch.trials["images"].reshape(1, -1, 20)) * self.of_image)
        return (3 * gain * drive)[:, :, None]


@pytest.mark.parametrize("of_image", [0, 1])
def test_images_are_not_told_apart_by_what_the_animal_did(of_image):
    """Fifty test images shown once, neurons that follow behaviour, and the image only where it says something."""
    rng = np.random.default_rng(2)
    drive = rng.gamma(2.0, 0.5, (100, 1, 4, 5)).astype(np.float32) + 0.1
    behaviour = {"state": rng.standard_normal((100, 2)), "pupil_center": rng.standard_normal((100, 2))}
    behaviour["state"][60] = np.nan
    split = np.repeat([TRAIN, TEST], 50)
    given = {"bin_size_s": 0.5, "session_id": "a", "split": split, "behaviour": behaviour}
    given["conditions"] = {"stimulus": np.arange(100)}
    stimuli = store.of_images(drive, np.zeros(100, np.int8), ("image",))
    blank = store.with_stimuli([from_counts(np.zeros((100, 1, 20), int), **given)], stimuli)
    model = Behaviour(blank, of_image)
    own = responses.of_session(model, blank, 0, np.arange(100), {"trials_per_pass": 32})
    counts = rng.poisson(own)[:, None]
    dataset = store.with_stimuli([from_counts(counts, **given)], stimuli)
    found = stimulus_decoding.predicted(model, dataset, 0, {"trials_per_pass": 32})
    one = stimulus_decoding.of_session(dataset.sessions[0], stimuli, found, 0)["image"]
    assert one["num_candidates"] == 50
    if of_image:
        assert one["accuracy"] > 10 * one["chance"] and one["expected"] > 0.9
    else:
        assert one["accuracy"] == pytest.approx(0.02) and one["expected"] == pytest.approx(0.02)
    with pytest.raises(InputError, match=r"expected one row for each of 50 test images"):
        stimulus_decoding.of_session(dataset.sessions[0], stimuli, found[:-1], 0)


@pytest.mark.parametrize(
    ("target", "options", "words"),
    [
        ("choice", {}, "--target=choice: a digital twin is decoded into the image that was shown; take --target=stim"),
        ("stimulus", {"regions": True}, "--regions is of read-outs that are fitted"),
        ("stimulus", {"baselines": ("bayes",)}, "--baselines is of read-outs that are fitted"),
    ],
)
def test_a_twin_is_asked_for_images_alone(monkeypatch, tmp_path, target, options, words):
    monkeypatch.setattr(run_folder, "read_run", lambda folder: {"model": {"name": "twin"}})
    with pytest.raises(InputError, match=words):
        decode.decode(tmp_path, target=target, **options)
    assert decode_twin.is_twin({"model": {"name": "twin"}}) and not decode_twin.is_twin({"model": {"name": "ndt"}})
