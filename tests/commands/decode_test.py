"""`neurojax decode` from end to end on a small run: what it leaves, which trials it scores, what bad input is told."""

import dataclasses
import shutil

import numpy as np
import pytest

from neurojax import main
from neurojax.commands import decode as command
from neurojax.commands import decode_report, train
from neurojax.data.checks import check
from neurojax.data.session import TEST, TRAIN
from neurojax.data.store import trained_trials
from neurojax.data.store.dataset import dataset_of, open_dataset, write_dataset_index
from neurojax.data.store.session_format import write_session
from neurojax.data.synthetic import animals as synthetic
from neurojax.errors import InputError
from neurojax.evals.decoding import decoder, features
from neurojax.files import read_json, write_json
from neurojax.train import run as train_run
from neurojax.train import run_folder
from tests.configs_test import people
from tests.main_test import CONFIG, SPEC, TINY
from tests.report.page_opening import opening

FAST = ("--baselines=raw", "--num_permutations=4", "--lags=-1:1")


def with_behaviour(session, seed):
    """A session whose velocity and choice are linear in its rates, with noise."""
    rng = np.random.default_rng(seed)
    rates = session.true_rates / session.true_rates.mean(0)
    velocity = rates @ rng.normal(size=(rates.shape[1], 2))
    velocity = (velocity - velocity.mean(0)) / velocity.std(0) + 0.3 * rng.normal(size=velocity.shape)
    means = [velocity[start : start + n, 0].mean() for start, n in _trials(session)]
    spikes = np.asarray([session.counts[start : start + n].sum() for start, n in _trials(session)], float)
    choice = np.where(np.asarray(means) > np.median(means), 1, -1)
    return dataclasses.replace(
        session,
        conditions={
            "choice": choice,
            "same": np.ones(len(choice)),
            "rare": np.arange(len(choice)) < 2,
            "ends": np.isin(np.arange(len(choice)), (0, 1, 2, 3, len(choice) - 1)),
            "leak": spikes,
            "late": np.where(session.split == TEST, spikes % 7, np.where(_first_of(session, TRAIN), 1.5, np.nan)),
        },
        behaviour={"velocity": velocity.astype(np.float32)},
        behaviour_valid={"velocity": np.ones(len(velocity), bool)},
    )


def _trials(session):
    return list(zip(session.trial_start_bin, session.trial_num_bins, strict=True))


def _first_of(session, split):
    return np.arange(session.num_trials) == session.trials_of(split)[0]


def _train(area):
    words = [f"--config.{entry}" for entry in (*TINY, f"data.root={area / 'data'}")]
    assert main.main(["train", f"--config={CONFIG}", f"--workdir={area / 'run'}", *words]) == 0


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """Recordings, and the config of a run that has no weights."""
    area = tmp_path_factory.mktemp("decode")
    spec = dataclasses.replace(SPEC, num_trials=60)
    for number, session in enumerate(synthetic.make_sessions(spec, seed=0)):
        write_session(with_behaviour(session, number), area / "data")
    write_dataset_index(area / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "train", lambda config, folder, **options: write_json(folder / "config.json", config))
        (area / "run").mkdir()
        _train(area)
    return area


@pytest.fixture(scope="module")
def run(untrained, tmp_path_factory):
    area = tmp_path_factory.mktemp("trained")
    shutil.copytree(untrained / "data", area / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_run, "evaluate_run", lambda *run, log: None)
        _train(area)
    return area


def decode(run, *options):
    return main.main(["decode", f"--workdir={run / 'run'}", *FAST, *options])


def without_a_model(patch):
    """Spikes stand in for the model's states, so that nothing is trained."""

    def stand_in(model, session, target, settings, region):
        return decoder.linear(features.spikes(session, target.trial_ids), target, (0,))

    patch.setattr(run_folder, "load_predictor", lambda *run: (None, {"step": 0, "config_hash": ""}))
    patch.setattr(command, "_read_out_of_model", stand_in)


@pytest.fixture
def spikes_as_states(monkeypatch):
    without_a_model(monkeypatch)


def test_the_test_split_is_scored_beside_raw_spikes(untrained, tmp_path, capsys, spikes_as_states):
    assert decode(untrained, "--target=choice", "--protocol=split", f"--out={tmp_path}") == 0
    report = read_json(tmp_path / "decoding.json")
    assert report["trials"] == "unseen" and len(report["sessions"]) == 2 and not report["left_out"]
    for entry in report["sessions"].values():
        assert set(entry["read_outs"]) == {"model", "raw"} and entry["classes"] == {"-1": 30, "1": 30}
        assert entry["read_outs"]["model"]["num_trials"] == entry["num_test_trials"] < 60
        assert entry["read_outs"]["model"]["chance"]["num_permutations"] == 4
        same = [entry["read_outs"][name]["balanced_accuracy"] for name in ("model", "raw")]
        assert same[0] == same[1] > 0.6
    assert (tmp_path / "figures" / "decoding.png").stat().st_size > 10_000
    page = (tmp_path / "decoding.html").read_text()
    assert opening(page) == ["picture", "table"] and "When not to trust" in page.partition("<details")[0]
    assert "never saw" in capsys.readouterr().out


def test_an_encoder_of_each_unit_is_turned_round(untrained, tmp_path, spikes_as_states):
    options = ("--protocol=split", "--baselines=bayes", "--num_permutations=0", f"--out={tmp_path}")
    assert decode(untrained, "--target=choice", *options) == 0
    for entry in read_json(tmp_path / "decoding.json")["sessions"].values():
        assert entry["read_outs"]["bayes"]["balanced_accuracy"] > 0.6


def test_several_targets_keep_a_record_each(untrained, tmp_path, capsys, spikes_as_states, monkeypatch):
    """In one call, and in calls after each other; each record is that of a call for its target alone."""
    load, loaded = run_folder.load_predictor, []
    monkeypatch.setattr(run_folder, "load_predictor", lambda *run: loaded.append(run) or load(*run))
    both, alone, names = tmp_path / "both", tmp_path / "alone", ("choice", "velocity")
    assert decode(untrained, "--target=choice,velocity,choice", "--protocol=split", f"--out={both}") == 0
    assert len(loaded) == 1
    written = {str(path.relative_to(both)) for path in both.rglob("*") if path.is_file()}
    kinds = ("decoding_{}.json", "decoding_{}.html", "figures/decoding_{}.png")
    assert written == {kind.format(name) for kind in kinds for name in names}
    reports = {name: read_json(both / f"decoding_{name}.json") for name in names}
    assert [reports[name]["target"] for name in names] == list(names)
    for name in names:
        assert f"Decoding {name}" in (both / f"decoding_{name}.html").read_text()
        assert decode(untrained, f"--target={name}", "--protocol=split", f"--out={alone}") == 0
        assert read_json(alone / "decoding.json") == reports[name]
    assert f"the decoding of choice that was here is kept: {alone / 'decoding_choice.json'}" in capsys.readouterr().out
    assert read_json(alone / "decoding_choice.json") == reports["choice"]  # not overwritten by that of velocity
    assert "Decoding choice" in (alone / "decoding_choice.html").read_text()
    assert sorted(path.name for path in (alone / "figures").iterdir()) == ["decoding.png", "decoding_choice.png"]


def test_names_that_would_share_a_file_are_refused():
    assert decode_report.files_of(["a b"])["a b"].record == "decoding.json"
    assert decode_report.files_of(["a/../b", "c"])["a/../b"].page == "decoding_a_.._b.html"
    with pytest.raises(InputError, match="--target: a b, a/b would share a file"):
        decode_report.files_of(["a b", "c", "a/b"])


@pytest.fixture
def spikes_as_latents(monkeypatch):
    """Spikes stand in for the model's latents; what is made of them is as ever."""
    monkeypatch.setattr(run_folder, "load_predictor", lambda *run: (None, {"step": 0, "config_hash": ""}))
    monkeypatch.setattr(
        command.signals, "of_model", lambda model, session, trial_ids, name, **how: features.spikes(session, trial_ids)
    )


def test_latents_and_spikes_have_the_same_choices_and_the_reports_say_them(
    untrained, tmp_path, capsys, spikes_as_latents
):
    words = ["decode", f"--workdir={untrained / 'run'}", "--protocol=split", "--num_permutations=3"]
    assert main.main([*words, "--target=choice", f"--out={tmp_path}"]) == 0
    told = capsys.readouterr().out
    report = read_json(tmp_path / "decoding.json")
    for entry in report["sessions"].values():
        assert list(entry["read_outs"]) == ["model", "whole_trial", "raw"]  # without being named
        (model,), (spikes,) = (entry["read_outs"][name]["chosen"] for name in ("model", "whole_trial"))
        settings = {"width_s", "window_s", "equalised", "square_root", "inverse_penalty"}
        assert set(model) - {"whole_trial"} == set(spikes) - {"whole_trial"} == settings
        assert model["square_root"] is None  # of latents there are none
        assert entry["read_outs"]["model"]["chance"]["num_permutations"] == 3
    assert "- whole_trial: " in told.split("Chosen within the fitting trials")[1]
    page = (tmp_path / "decoding.html").read_text().split("Chosen within the fitting trials")[1]
    assert page.index("whole_trial") < page.index("Confidence")


def test_lags_that_are_given_bind_the_latents_alone(untrained, tmp_path, spikes_as_latents):
    words = ["decode", f"--workdir={untrained / 'run'}", "--protocol=split", "--num_permutations=3"]
    words += ["--target=velocity", "--baselines=lagged_ridge"]
    for lags in ((), ("--lags=-1:1",)):
        assert main.main([*words, *lags, f"--out={tmp_path}"]) == 0
        report = read_json(tmp_path / "decoding.json")
        for entry in report["sessions"].values():
            (model,), (spikes,) = (entry["read_outs"][name]["chosen"] for name in ("model", "lagged_ridge"))
            assert {"width_s", "reach_s", "equalised"} <= set(spikes)
            spikes.pop("whole_trial", None)
            assert set(model) - {"whole_trial"} == ({"penalty"} if lags else set(spikes))
            assert entry["read_outs"]["model"]["chance"]["chance_95th_percentile"] < 0.2
    assert report["lags"] == "-1:1"


def test_a_session_without_a_score_does_not_lose_the_others(untrained, tmp_path, spikes_as_states):
    """The second dimension of one session's velocity is silent in its test trials."""
    silent, other = open_dataset(untrained / "data").sessions
    velocity = np.array(silent.behaviour["velocity"])
    for trial in silent.trials_of(TEST):
        velocity[silent.trial_start_bin[trial] :][: silent.trial_num_bins[trial], 1] = 0
    for session in (dataclasses.replace(silent, behaviour={"velocity": velocity}), other):
        write_session(session, tmp_path / "data")
    write_dataset_index(tmp_path / "data")
    options = ("--target=velocity", "--protocol=split", f"--data={tmp_path / 'data'}", f"--out={tmp_path}")
    assert decode(untrained, *options) == 0
    report = read_json(tmp_path / "decoding.json")
    found, whole = (report["sessions"][s.session_id]["read_outs"]["model"] for s in (silent, other))
    assert found["r2"] is None and found["r2_per_dimension"][0] > 0 and found["r2_per_dimension"][1] is None
    assert found["chance"] == {"num_permutations": 0}
    assert whole["r2"] > 0 and whole["chance"]["num_permutations"] == 4
    assert any(text.startswith(f"{silent.session_id}: the score does not") for text in report["when_not_to_trust"])


@pytest.mark.slow  # nested folds of two sessions, and of each region
def test_choice_is_scored_on_trials_the_model_never_saw(run, tmp_path):
    assert decode(run, "--target=choice", "--regions", f"--out={tmp_path}") == 0
    report = read_json(tmp_path / "decoding.json")
    assert report["trials"] == "unseen" and len(report["sessions"]) == 2
    for entry in report["sessions"].values():
        block = entry["read_outs"]["model"]
        assert block["num_trials"] == entry["num_trials_unseen_by_model"] < entry["num_trials"] == 60
        assert block["chance"]["num_permutations"] == 4
        assert entry["read_outs"]["raw"]["balanced_accuracy"] > 0.6
        assert set(entry["regions"]) == {"CA1", "LP"}
    assert report["pooled"]["model"]["num_trials"] == sum(
        e["num_trials_unseen_by_model"] for e in report["sessions"].values()
    )


@pytest.mark.slow  # nested folds
def test_rates_are_decoded_over_stretches_of_time(run, tmp_path):
    assert decode(run, "--target=choice", "--features=rates", "--fold_by=block", f"--out={tmp_path}") == 0
    report = read_json(tmp_path / "decoding.json")
    assert report["features"] == "rates" and report["fold_by"] == "block"
    for entry in report["sessions"].values():
        assert entry["read_outs"]["raw"]["all_trials"]["balanced_accuracy"] > 0.6


@pytest.mark.slow  # chance is nested for numbers
@pytest.mark.parametrize("option", ["--protocol=split", "--protocol=mtm"])
def test_a_signal_of_each_bin(run, tmp_path, option):
    assert decode(run, "--target=velocity", option, f"--out={tmp_path}") == 0
    report = read_json(tmp_path / "decoding.json")
    for entry in report["sessions"].values():
        assert entry["read_outs"]["raw"]["num_trials"] == entry["num_test_trials"]
        assert len(entry["read_outs"]["model"]["r2_per_dimension"]) == 2


@pytest.mark.parametrize(
    "options, sentence",
    [
        (["--target=chioce"], "did you mean choice"),
        (["--target=same"], "constant"),
        (["--target=choice,same"], "constant"),
        (["--target=,"], "--target names nothing"),
        (["--target=leak"], "in other words"),
        (["--target=rare"], "fewer than the 5 folds"),
        (["--target=ends", "--fold_by=block"], "no trial of class 'True' is left to fit"),
        (["--target=choice", "--num_folds=31"], "trials"),
        (["--target=late", "--protocol=split"], "1 trial with a value is outside the test split"),
        (["--target=late", "--protocol=mtm"], "1 trial with a value is outside the test split"),
        (["--target=choice", "--method=probes"], "choose from probe, finetune"),
        (["--target=choice", "--lags=x"], "expected FIRST:LAST"),
        (["--target=choice", "--baselines=wiener"], "choose from raw, lagged_ridge, whole_trial, gru"),
        (["--target=choice", "--baselines=lagged_ridge"], "of classes, choose from raw, whole_trial, gru"),
        (["--target=velocity", "--baselines=whole_trial"], "a signal of each bin, choose from raw, lagged_ridge, gru"),
        (["--target=choice", "--features=states"], "choose from latents, rates"),
        (["--target=velocity", "--kind=categorical"], "has one value a bin"),
    ],
)
def test_bad_input_is_one_line(untrained, tmp_path, capsys, options, sentence):
    assert decode(untrained, *options, f"--out={tmp_path}") == 2
    error = capsys.readouterr().err.strip()
    assert sentence in error and "\n" not in error
    assert not any(tmp_path.iterdir())


def test_regions_are_asked_where_there_are_some(untrained, tmp_path, capsys):
    for session in open_dataset(untrained / "data").sessions:
        write_session(dataclasses.replace(session, region=np.full(session.num_units, "")), tmp_path / "data")
    write_dataset_index(tmp_path / "data")
    assert decode(untrained, "--target=choice", "--regions", f"--data={tmp_path / 'data'}") == 2
    assert "no session has a region with 5 or more units" in capsys.readouterr().err


@pytest.mark.slow  # both networks are compiled for each session
@pytest.mark.parametrize("target", ["choice", "velocity"])
def test_end_to_end_heads_and_a_recurrent_baseline(run, tmp_path, target):
    options = ("--method=finetune", "--protocol=split", "--baselines=raw,gru", f"--out={tmp_path}")
    assert decode(run, f"--target={target}", *options) == 0
    for entry in read_json(tmp_path / "decoding.json")["sessions"].values():
        assert set(entry["read_outs"]) == {"model", "raw", "gru"}
        main_score = "balanced_accuracy" if target == "choice" else "r2"
        assert np.isfinite(entry["read_outs"]["model"][main_score])


def test_training_trials_are_those_of_the_run(untrained):
    config = run_folder.read_run(untrained / "run")
    dataset = run_folder.load_data(config)
    seen, reason = command._seen(config, dataset)
    assert not reason
    for session in dataset.sessions:
        assert np.array_equal(seen[session.session_id], session.trials_of(TRAIN))
    digests = [check.trial_digest(session, session.trials_of(TEST)[0]) for session in dataset.sessions]
    before = trained_trials.Trained(frozenset(digests))
    gone = {**config, "data": {**config["data"], "root": str(untrained / "gone")}}
    for data_of_run in (config, gone):  # the run it was started from has trained on a trial of another split
        seen, reason = command._seen(data_of_run, dataset, before)
        assert ("gone" in reason) == (data_of_run is gone)
        for session in dataset.sessions:
            expected = sorted([*session.trials_of(TRAIN), session.trials_of(TEST)[0]])
            assert np.array_equal(seen[session.session_id], expected)


def test_real_values_are_not_decoded(monkeypatch):
    monkeypatch.setattr(run_folder, "read_run", lambda folder: {})
    monkeypatch.setattr(run_folder, "load_data", lambda config: dataset_of(people()))
    with pytest.raises(InputError, match="session p0 holds real values, `neurojax decode` needs counts of spikes"):
        command.decode("run", target="gesture")
