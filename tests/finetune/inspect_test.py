"""`neurojax inspect` on a run: a record and a page, effects with the right sign, and who is refused."""

import dataclasses
import json

import numpy as np
import pytest

from neurojax import main
from neurojax.analysis import sae
from neurojax.commands import inspect
from neurojax.data.session import TEST, TRAIN
from neurojax.errors import InputError
from neurojax.evals.inside import effects, unit_rows, views
from neurojax.schemes import INTER_REGION
from neurojax.train import run_folder
from tests.finetune.conftest import write_root

SMALL = ("--steps=30", "--num_features=24", "--num_active=4")


@pytest.fixture(scope="module")
def looked(area, tmp_path_factory):
    """The folder that a look into the shared run was written to."""
    out = tmp_path_factory.mktemp("look")
    assert main.main(["inspect", f"--workdir={area / 'run'}", f"--out={out}", *SMALL]) == 0
    return out


@pytest.fixture(scope="module")
def opened(area):
    """(model, its first recording) of the shared run."""
    config = run_folder.read_run(area / "run")
    dataset = run_folder.load_data(config)
    model, _ = run_folder.load_predictor(area / "run", config, dataset, log=lambda line: None)
    return model, views.views_of(dataset, "spikes", config["eval"], 0)[0]


def test_a_run_is_looked_into(looked):
    record = json.loads((looked / "inspect.json").read_text())
    assert record["step"] == 20 and len(record["recordings"]) == 2
    kept = record["splice_in"]
    assert kept["spliced"] <= kept["model"] + 0.02 and 0 < kept["num_active"] <= 4
    assert kept["kept_above_mean"] == pytest.approx(
        (kept["spliced"] - kept["mean_state"]) / (kept["model"] - kept["mean_state"])
    )
    assert {"choice", "wheel_speed"} <= record["columns"].keys()
    assert record["columns"]["wheel_speed"]["num_recordings"] == 2
    assert record["stitching"]["num_alive"] + record["stitching"]["num_dead"] == 24
    for card in record["cards"]:
        assert set(card["drives"]) <= {"CA1", "LP"} and len(card["tuning"]) == 3 and card["top_trials"]
        peaks = [one["peak"] for one in card["top_trials"]]
        assert peaks == sorted(peaks, reverse=True) and max(card["top_trials"][0]["trace"]) == pytest.approx(
            peaks[0], abs=1e-3
        )
    share = np.array(record["gradients"]["share"], float)
    assert np.isnan(np.diag(share)).all() and np.nansum(share, axis=0) == pytest.approx([1, 1])
    added = np.array(record["gradients"]["num_entries"])
    assert not np.diag(added).any() and min(added[0, 1], added[1, 0]) > 200
    assert record["embeddings"]["tables"]["read_out"]["units"]["num_regions"] == 2
    page = (looked / "inspect.html").read_text()
    assert page.count("<article") == len(record["cards"]) and "<svg" in page


def test_a_feature_that_a_unit_reads_drives_it_and_its_share_is_taken_out_alone(opened):
    model, view = opened
    unit = int(np.flatnonzero(view.known)[3])
    row = unit_rows._rows(model, view, "read_out")[unit]
    decoder = np.stack([row, np.roll(row, 1)]) / np.linalg.norm(row)
    centre, zeros = np.zeros(len(row), np.float32), np.zeros(2, np.float32)
    # Both features are on everywhere, at one.
    encoder, one = np.zeros((len(row), 2), np.float32), np.ones(2, np.float32)
    planted = sae.Autoencoder(encoder, one, np.float32(decoder), centre, zeros, centre, np.float32(1))
    trial = effects.Asked(model, view, planted, sae.Settings(num_features=2, num_active=2))
    assert trial.fired.all(-1).sum() == trial.bin_valid.sum()
    less = effects._less(planted, trial.states, trial.activations, 0)
    np.testing.assert_allclose(trial.states - less, np.broadcast_to(decoder[0], less.shape), atol=1e-5)
    trial.regions = {"unit": np.arange(view.session.num_units) == unit}
    found = effects.drives([trial], 0)["unit"]
    assert found["change"] > 0 and 0 < found["change_share"] < 1 and found["absolute"] == pytest.approx(found["change"])


def test_a_map_is_what_one_spike_more_does(opened, monkeypatch):
    model, view = opened
    monkeypatch.setattr(effects, "TRIALS", 2)
    monkeypatch.setattr(effects, "ENTRIES", 10**6)
    regions = views.regions_of(view)
    output, read = regions["LP"], regions["CA1"]
    units = np.flatnonzero(read)[:2]
    trials, few = view.trials[TEST][:2], np.isin(np.arange(len(read)), units)
    (some, batch, query), *_ = views.asked(model, view, trials, ~view.known | output, INTER_REGION, 2)
    counts = np.array(batch.trials["counts"])

    def predicted(counts):  # all trials are as long as the bins
        log_rates = np.asarray(model.log_rates(batch.with_trials(counts=counts), query), np.float64)
        return log_rates[0, : len(some), :, : len(output)][..., output].mean(-1).sum(-1)

    before, squares = predicted(counts), 0.0
    for unit in units:
        spread = counts[0, : len(some), :, unit].astype(float).var()
        for time in range(counts.shape[2]):
            more = counts.copy()
            more[0, :, time, unit] += 1  # in both trials at once
            squares += ((predicted(more) - before) ** 2).mean() * spread
    rng = np.random.default_rng(0)
    (variance, number), hidden = effects._variance(model, view, output, {"few": few, "LP": output}, rng).values()
    assert number == 2 * 2 * counts.shape[2]
    assert hidden[0] < 1e-9 * variance  # what is hidden moves nothing but, on some machines, the last bit
    assert variance == pytest.approx(squares, rel=1e-3) and squares > 0


def test_a_map_of_drawn_spikes_is_near_that_of_all(opened, monkeypatch):
    model, view = opened
    monkeypatch.setattr(effects, "TRIALS", 2)
    regions = views.regions_of(view)
    few = np.isin(np.arange(view.session.num_units), np.flatnonzero(regions["CA1"])[:6])
    found = {}
    for entries in (60, 10**6):
        monkeypatch.setattr(effects, "ENTRIES", entries)
        rng = np.random.default_rng(0)
        found[entries] = effects._variance(model, view, regions["LP"], {"few": few}, rng)["few"]
    (drawn, number), (every, size) = found[60], found[10**6]
    assert number == 60 < size and drawn == pytest.approx(every, rel=0.3)


def test_states_to_learn_are_of_valid_bins_and_as_many_as_asked_for(opened):
    model, view = opened
    every = views.states_to_learn(model, [view], 10**6, 0)
    assert len(every) == 2 * len(view.trials[0]) * 10 and np.isfinite(every).all()
    assert len(views.states_to_learn(model, [view], 40, 0)) == 40
    whole = views.states_of(model, view, view.trials[0][:2], ~view.known)
    part = views.states_of(model, view, view.trials[0][:2], ~view.known | (view.part == 0))
    assert whole.values.shape == (2, 10, 8) and np.abs(whole.values - part.values).max() > 1e-4


def test_a_model_whose_states_are_not_what_is_read_is_looked_into_without_splicing(opened, monkeypatch):
    model, view = opened
    monkeypatch.setattr(type(model), "answers_states", False)
    settings = sae.Settings(num_features=24, num_active=4, num_steps=30)
    found = inspect.look.look(model, [view], settings, 0)
    assert found["splice_in"] is None and "nothing can be spliced in" in found["splice_in_reason"]
    assert all("drives" not in card for card in found["cards"]) and found["gradients"]


def test_who_cannot_be_looked_into_is_refused(area, capsys):
    config = run_folder.read_run(area / "run")
    of_people = config | {"eval": config["eval"] | {"evaluator": "gestures"}}
    with pytest.raises(InputError, match="this run is one of eval.evaluator=gestures, whose states"):
        inspect.of_run(area / "run", of_people, None, {}, None, 0)
    for words, told in (("--num_active=99", "num_active=99 of num_features=24"), ("--kind=relu", "choose from topk")):
        assert main.main(["inspect", f"--workdir={area / 'run'}", *SMALL, words]) == 2
        assert told in capsys.readouterr().err
    assert not (area / "run" / "inspect.json").exists()


def test_other_recordings_have_a_place_of_their_own_and_are_not_those_of_the_training(area, opened, tmp_path, capsys):
    words = ["inspect", f"--workdir={area / 'run'}", *SMALL]
    assert main.main([*words, f"--data={area / 'known'}"]) == 2
    assert "--data without another folder as --out" in capsys.readouterr().err
    assert not (area / "run" / "inspect.json").exists()
    session = opened[1].session
    turned = np.where(session.split == TRAIN, TEST, np.where(session.split == TEST, TRAIN, session.split))
    write_root(tmp_path / "turned", [dataclasses.replace(session, split=turned)])
    assert main.main([*words, f"--data={tmp_path / 'turned'}", f"--out={tmp_path / 'out'}"]) == 2
    assert "the run was trained on" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["inspect", "audit"])
def test_an_export_is_named_as_one(tmp_path, verb, capsys):
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "config.json").write_text('{"format": "neurojax", "config": {}}')
    assert main.main([verb, f"--workdir={tmp_path}"]) == 2
    assert f"{tmp_path} is an export" in capsys.readouterr().err
