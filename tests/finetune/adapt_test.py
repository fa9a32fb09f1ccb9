"""`model.adapt`: a model that also knows a new session, as the command trains it; the old one stays as it was."""

import dataclasses

import numpy as np
import pytest

import neurojax as nj
from neurojax import main
from neurojax.api import adaptation, pretrained
from neurojax.data.session import TRAIN
from neurojax.data.store.dataset import open_dataset
from neurojax.data.store.trained_trials import telling_digests
from neurojax.errors import InputError
from neurojax.finetune.weights import read_run
from neurojax.train import run as train_run
from tests.finetune.conftest import fine_tune, part_of, write_root

STEPS = 4  # as in estimators_test, which shares the program


def test_whole_numbers_of_any_library_are_taken_and_kept_as_ints():
    for steps in (3, np.int64(3), np.uint8(3), np.array(3)):
        options = adaptation.Options(steps, "stitcher_only", "pca", None, 100.0, np.int32(1))
        assert type(options.steps) is int and type(options.seed) is int and options.steps == 3


def in_bytes(model):
    return {name: array.tobytes() for name, array in model.weights.arrays.items()}


@pytest.fixture(scope="module")
def stranger(area):
    return open_dataset(area / "new").sessions[0]


@pytest.fixture(scope="module")
def models(area, stranger):
    """(model as loaded, its bytes before adapting, the adapted model)."""
    model = nj.load(area / "run")
    before = in_bytes(model)
    return model, before, model.adapt(stranger, steps=STEPS, known_sessions=open_dataset(area / "known").sessions)


def test_the_model_that_is_adapted_stays_as_it_is(area, models, stranger):
    model, before, adapted = models
    assert in_bytes(model) == before and stranger.session_id not in model.session_ids
    assert adapted.session_ids == (*model.session_ids, stranger.session_id)
    known = open_dataset(area / "known").sessions[0]
    assert adapted.embed(known).tobytes() == model.embed(known).tobytes()  # its own rows alone were trained


def test_the_new_session_can_be_asked(models, stranger):
    _, _, adapted = models
    states, rates_hz = adapted.embed(stranger), adapted.rates(stranger, num_groups=2)
    assert states.shape == (len(stranger.counts), adapted.num_dims) and np.isfinite(states).all()
    measured_hz = stranger.counts.mean() / stranger.bin_size_s
    assert 0.5 * measured_hz < rates_hz.mean() < 2 * measured_hz


def test_it_is_what_the_command_trains(area, models, stranger, tmp_path, monkeypatch):
    monkeypatch.setattr(train_run, "evaluate_run", lambda *run, log: None)
    write_root(tmp_path / "one", [stranger])
    options = ("finetune.strategy=stitcher_only", f"train.num_steps={STEPS}", f"data.root={tmp_path / 'one'}")
    assert main.main(fine_tune(area, tmp_path / "run", *options, "sharding.data=0")) == 0  # all devices, as the door
    left, found = read_run(tmp_path / "run"), models[2].weights
    assert left.arrays.keys() == found.arrays.keys()
    for name, array in left.arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array, err_msg=name)
    asked_for = {"digest", "config", "arrays"}  # saving and scoring differ, and so the digest of the manifest
    for name in set(left._fields) - asked_for:
        assert getattr(found, name) == getattr(left, name), name
    for block in ("seed", "members", "model", "objective", "head", "optimizer"):
        assert found.config[block] == left.config[block], block
    assert found.config["finetune"]["source_sha256"] == left.config["finetune"]["source_sha256"]


@pytest.mark.parametrize(
    "options, words",
    [
        ({"steps": -1}, "steps=-1"),
        ({"steps": 2.5}, "steps=2.5"),
        ({"steps": np.float64(2)}, "steps="),
        ({"steps": True}, "steps=True"),
        ({"steps": np.True_}, "steps="),
        ({"seed": -1}, "seed=-1"),
        ({"strategy": "stitcher"}, "choose from full"),
        ({"new_rows": "zeros"}, "choose from random"),
        ({"learning_rate": -1}, "learning_rate=-1"),
    ],
)
def test_options_that_are_none_are_refused(models, stranger, options, words):
    with pytest.raises(nj.InputError, match=words) as caught:
        models[0].adapt(stranger, **{"steps": STEPS} | options)
    assert "\n" not in str(caught.value)


def test_what_is_no_session_and_no_path_is_refused(area, models, stranger):
    whole = open_dataset(area / "new")
    for given, words in (("data/day1", "'data/day1' is no Session"), (area, "is no Session"), (whole, "type Dataset")):
        for ask in (models[2].embed, models[2].rates, models[2].adapt):
            with pytest.raises(nj.InputError, match=f"{words}.*open_session"):
                ask(given)
    with pytest.raises(nj.InputError, match="Session"):
        models[0].adapt(stranger, known_sessions=["data/day1"])
    with pytest.raises(nj.InputError, match="known_sessions is of type Session"):
        models[0].adapt(stranger, known_sessions=stranger)
    for path in (5, None, b"run", models[0]):
        with pytest.raises(nj.InputError, match=f"type {type(path).__name__}; expected the path"):
            nj.load(path)


def test_sessions_that_cannot_be_taken_are_refused(area, models, stranger):
    known = open_dataset(area / "known").sessions[0]
    cases = {
        "knows all 1": known,
        "repeats": dataclasses.replace(known, session_id="renamed"),
        "bins of": dataclasses.replace(stranger, bin_size_s=2 * stranger.bin_size_s),
        "no training trial": dataclasses.replace(stranger, split=np.full_like(stranger.split, 2)),
    }
    for words, session in cases.items():
        with pytest.raises(nj.InputError, match=words):
            models[0].adapt(session, steps=STEPS)


def test_trials_that_were_trained_on_are_neither_new_nor_tested(area, models, stranger):
    model, _, adapted = models
    known = open_dataset(area / "known").sessions[0]
    with pytest.raises(nj.InputError, match="session part repeats an old one: 8 of its 10 trials"):
        model.adapt(part_of(known), steps=STEPS)
    with pytest.raises(nj.InputError, match="was trained on .* test trials of session synthetic-0"):
        model.adapt(dataclasses.replace(known, split=(known.split + 2) % 3), steps=STEPS, strategy="full")
    before, after = model.weights.trained, adapted.weights.trained
    assert after.digests == before.digests | telling_digests(stranger, TRAIN).keys()
    assert [one.session_id for one in after.recordings] == [*model.session_ids, stranger.session_id]
    unknown = pretrained.Pretrained(model.weights._replace(trained=None))
    assert unknown.adapt(part_of(known), steps=STEPS).weights.trained is None  # of as many units: compiled above


def test_few_trials_are_gone_over_a_hundred_times_and_no_more(models, stranger, monkeypatch):
    lengths, frozen = [], []

    def stop(recipe, *rest, **more):
        lengths.append(recipe.num_steps)
        frozen.append(recipe.freeze.until_step if recipe.freeze else 0)
        raise ZeroDivisionError

    monkeypatch.setattr(train_run.loop, "train", stop)
    batch, trials = models[0].weights.config["data"]["trials_per_batch"], len(stranger.trials_of(0))
    for passes in (100.0, 0, 3):
        with pytest.raises(ZeroDivisionError):
            models[0].adapt(stranger, steps=100_000, strategy="gradual_unfreeze", most_passes=passes)
    assert lengths == [-(-100 * trials // batch), 100_000, -(-3 * trials // batch)]
    assert frozen == [length // 4 for length in lengths]  # the same share of a shorter run is of new rows alone
    with pytest.raises(InputError, match="most_passes=-1; expected a number of passes"):
        models[0].adapt(stranger, most_passes=-1)
