"""A prediction is led back to training trials: one that was copied comes first, with its raw file and its steps."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import neurojax as nj
from neurojax import heads, main
from neurojax.api import lineage
from neurojax.commands import lineage as lineage_command
from neurojax.data.session import TEST, TRAIN
from neurojax.data.store.dataset import open_dataset
from neurojax.errors import InputError
from neurojax.evals import passes
from neurojax.schemes import NEURON
from neurojax.train import forward, run_folder, trial_gradients


@pytest.fixture(scope="module")
def run(area):
    return nj.load(area / "run"), open_dataset(area / "known").sessions


def copied(session, test, train):
    """The session with the spikes of a training trial in the place of a test trial's."""
    counts = np.array(session.counts)
    rows = [slice(session.trial_start_bin[k], session.trial_start_bin[k] + 10) for k in (test, train)]
    counts[rows[0]] = counts[rows[1]]
    return dataclasses.replace(session, counts=counts)


def test_a_copy_of_a_training_trial_comes_first(run, monkeypatch):
    model, sessions = run
    read = []
    digest = lineage.content_sha256
    monkeypatch.setattr(lineage, "content_sha256", lambda session: read.append(session) or digest(session))
    test, train = int(sessions[1].trials_of(TEST)[0]), int(sessions[1].trials_of(TRAIN)[5])
    asked = copied(sessions[1], test, train)
    found = lineage.behind(model, asked, test, sessions, num_gradients=6)
    first = found["trials"][0]
    assert (first["session_id"], first["trial"]) == (sessions[1].session_id, train)
    assert first["state_distance"] < 1e-6 and first["gradient_cosine"] > 1 - 1e-6
    others = found["trials"][1:]
    assert len(others) == 5 and all(one["state_distance"] > 0.05 for one in others)
    assert max(one["gradient_cosine"] for one in others) < 0.9
    distances = [one["state_distance"] for one in found["trials"]]
    assert distances == sorted(distances) and found["asked"]["split"] == "test" and not found["left_out"]
    assert found["num_train_trials"] == sum(len(session.trials_of(TRAIN)) for session in sessions)
    assert len(read) == len(sessions) + 1  # each recording once, and the one asked about
    assert {one["content_sha256"] for one in found["trials"]} <= {digest(session) for session in sessions}
    assert found["asked"]["content_sha256"] == digest(asked)


def test_what_meets_in_a_sketch_does_not_add_up():
    """Two rows of positive numbers that share no place: without signs their sums would look alike."""
    rows = np.random.default_rng(0).random((2, 40_000)) * (np.arange(40_000) % 2 == np.arange(2)[:, None])
    short = [np.asarray(trial_gradients.sketch(row, 1021)) for row in rows]
    norms = [np.linalg.norm(one) for one in (*short, *rows)]
    assert abs(short[0] @ short[1]) / (norms[0] * norms[1]) < 0.15
    assert norms[:2] == pytest.approx(norms[2:], rel=0.1)


def test_a_sketch_keeps_the_cosines_of_whole_gradients(run):
    model, sessions = run
    predictor = model.predictor(sessions[0])
    hidden = np.arange(sessions[0].num_units) % 4 == 0
    ((_, batch, query),) = passes.over(predictor, sessions[0], np.arange(4), hidden, NEURON, 4)
    short = trial_gradients.sketches(predictor, batch, query, width=1021)

    def loss(weights, number):
        found = forward.outputs((*weights, predictor.buffers), batch, query, predictor.recipe)
        nats = heads.named("poisson").nll(found.natural, batch.trials["counts"])[0, number]
        return nats[:, : len(hidden)][:, hidden].sum()

    gradient = jax.jit(jax.grad(loss))
    weights = (predictor.params, predictor.tables)
    whole = np.stack([ravel_pytree(gradient(weights, number))[0] for number in range(4)])

    def cosines(rows):
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return (rows @ rows.T)[np.triu_indices(4, 1)]

    assert np.linalg.norm(short, axis=1) == pytest.approx(np.linalg.norm(whole, axis=1), rel=0.1)
    assert cosines(short) == pytest.approx(cosines(whole), abs=0.06) and np.ptp(cosines(whole)) > 0.1


def test_the_command_names_files_and_steps(area, run, tmp_path, capsys):
    session = run[1][0]
    test = int(session.trials_of(TEST)[1])
    asked = [f"--workdir={area / 'run'}", f"--session={session.session_id}", f"--trial={test}", "--num=3"]
    assert main.main(["lineage", *asked, f"--out={tmp_path / 'found.json'}"]) == 0
    said, record = capsys.readouterr().out, json.loads((tmp_path / "found.json").read_text())
    assert f"trial {test} (test) of {session.session_id}" in said and "no proof" in said
    assert record["step"] == 20 and record["asked"]["content_sha256"] in (area / "known" / "dataset.json").read_text()
    drawn, _ = lineage_command.times_drawn(run[0].weights, open_dataset(area / "known"))
    # 20 batches of 4 trials, and what is not in the train split is in none
    assert 0 < sum(int(one.sum()) for one in drawn.values()) <= 80
    for one in run[1]:
        assert not drawn[one.session_id][one.split != TRAIN].any()
    assert all(one["steps_drawn"] == drawn[one["session_id"]][one["trial"]] for one in record["trials"])


def test_steps_are_not_told_from_other_recordings_than_those_of_the_training(area, run):
    drawn, reason = lineage_command.times_drawn(run[0].weights, open_dataset(area / "both"))
    assert not drawn and reason == "the recordings at hand are not those it was trained on"


def test_recordings_given_to_a_run_on_a_share_of_its_trials_are_cut_to_that_share(area, run, monkeypatch):
    found = run[0].weights
    config = found.config | {"data": found.config["data"] | {"train_fraction": 0.5}}
    trained_on, given = run_folder.load_data(config), []

    def behind(model, session, trial, recordings, **more):
        given.extend(recordings)
        raise InputError("far enough")

    monkeypatch.setattr(lineage_command.weights, "read_run", lambda folder: found._replace(config=config))
    monkeypatch.setattr(lineage_command.lineages, "behind", behind)
    words = [f"--session={run[1][0].session_id}", "--trial=0", f"--data={area / 'known'}"]
    assert main.main(["lineage", f"--workdir={area / 'run'}", *words]) == 2
    assert [one.split.tolist() for one in given] == [one.split.tolist() for one in trained_on.sessions]
    assert len(given[0].trials_of(TRAIN)) < len(run[1][0].trials_of(TRAIN))


@pytest.mark.parametrize("fault", ["session", "trial", "none"])
def test_what_cannot_be_led_back_says_why(area, run, fault):
    model, sessions = run
    if fault == "session":
        assert main.main(["lineage", f"--workdir={area / 'run'}", "--session=other", "--trial=0"]) == 2
    elif fault == "trial":
        with pytest.raises(InputError, match="trial 99 of session .* has 30; expected 0 to 29"):
            lineage.behind(model, sessions[0], 99, sessions)
    else:
        changed = copied(sessions[0], 0, 1)
        with pytest.raises(InputError, match="no training trial .*changed since .*not among the recordings"):
            lineage.behind(model, sessions[0], 0, [changed])
