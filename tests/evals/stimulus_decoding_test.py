"""Which image was shown: a twin turned round by Bayes' rule on recorded responses."""

import numpy as np
import pytest

from neurojax.commands import decode, decode_twin
from neurojax.data.session import TEST
from neurojax.data.store import stimuli as store
from neurojax.data.synthetic import v1
from neurojax.errors import InputError
from neurojax.evals import stimulus_decoding
from neurojax.train import run_folder


@pytest.fixture(scope="module")
def recorded():
    """(session, stimuli, true rates of its test trials)."""
    spec = v1.V1Spec(num_cells=30, num_train=20, num_validation=4, num_test=15, num_repeats=8, image_px=16)
    images, kind = v1.stimuli(spec, 0)
    session = v1.make_session(spec, 0, 0, images)
    rates = np.asarray(session.true_rates)[session.trial_start_bin[session.trials_of(TEST)]]
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
