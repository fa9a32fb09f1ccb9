"""Fine-tuning leaves alone what it should, starts where it says, and needs the first run only once."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest

from neurojax import main
from neurojax.commands import config as config_command
from neurojax.commands import decode
from neurojax.data.sources.spikes import mean_counts
from neurojax.data.store import roster, trained_trials
from neurojax.data.store.dataset import open_dataset, write_dataset_index
from neurojax.data.store.session_format import write_session
from neurojax.data.synthetic import animals as synthetic
from neurojax.errors import InputError
from neurojax.files import read_json
from neurojax.finetune import begin as finetune
from neurojax.finetune import inherit, release, weights
from neurojax.models import first_rows
from neurojax.runs import restore, state_io
from neurojax.runs.manifest import read_manifest, steps_on_disk
from neurojax.runs.writer import read_metrics
from neurojax.train import plan as planning
from neurojax.train import run as train_run
from neurojax.train import run_files, run_folder, settings, sharding
from tests import configs_for_tests
from tests.finetune.conftest import SPEC, fine_tune, part_of, pretrain, write_root


@pytest.fixture(autouse=True)
def without_scores(area, monkeypatch):
    """These tests are of what is trained; the last one scores it."""
    monkeypatch.setattr(train_run, "evaluate_run", no_scores)


def no_scores(*run, log):
    return None


UNIT, SESSION = ("read_in", "read_out", "read_out_bias"), ("read_in_bias", "session_token")


def arrays_of(folder, step=None):
    return restore.load_arrays(folder / "checkpoints", step)


def known_parts(arrays, num_units, num_sessions):
    """Everything that belongs to the run before: shared parameters, their moments, rows and row moments."""
    parts = {}
    for name, array in arrays.items():
        kind, last = name.split("/")[0], name.split("/")[-1]
        if kind in ("tables", "row_moments"):
            parts[name] = array[: num_sessions if last in SESSION else num_units]
        elif kind in ("params", "dense_moments"):
            parts[name] = array
    return parts


@pytest.fixture(scope="module")
def known(area):
    arrays, manifest = arrays_of(area / "run")
    return arrays, sum(entry["num_units"] for entry in manifest["sessions"]), len(manifest["sessions"])


@pytest.mark.parametrize("root", ["new", "both"])
def test_stitcher_only_leaves_the_run_bit_for_bit_and_trains_the_new_rows(area, known, tmp_path, root):
    arrays, units, sessions = known
    options = ("finetune.strategy=stitcher_only", "train.keep_checkpoints=9", f"data.root={area / root}")
    assert main.main(fine_tune(area, tmp_path, *options)) == 0
    tuned, manifest = arrays_of(tmp_path)
    started, _ = arrays_of(tmp_path, 0)
    assert [entry["session_id"] for entry in manifest["sessions"]] == [f"synthetic-{k}" for k in range(4)]
    before, after = known_parts(arrays, units, sessions), known_parts(tuned, units, sessions)
    assert before.keys() == after.keys() and any("row_moments/second" in name for name in before)
    for name in before:
        np.testing.assert_array_equal(after[name], before[name], err_msg=name)
    for name in UNIT:
        new = tuned[f"tables/{name}"][units:]
        assert len(new) and (new != started[f"tables/{name}"][units:]).any(), name
    assert (tuned["row_moments/count/read_in"][units:] > 0).all()


@pytest.fixture(scope="module")
def gradual(area, tmp_path_factory):
    """A run over known and new sessions that trains everything from step 3 of 6 on."""
    folder = tmp_path_factory.mktemp("gradual")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_run, "evaluate_run", no_scores)
        assert main.main(gradually(area, folder)) == 0
    return folder


def gradually(area, folder):
    options = ("train.save_every_steps=3", "train.keep_checkpoints=9", f"data.root={area / 'both'}")
    return fine_tune(area, folder, "finetune.strategy=gradual_unfreeze", *options)


def test_gradual_unfreezing_begins_to_train_everything_at_its_step(known, gradual):
    arrays, units, sessions = known
    before = known_parts(arrays, units, sessions)
    frozen, free = (known_parts(arrays_of(gradual, step)[0], units, sessions) for step in (3, 6))
    assert all(np.array_equal(before[name], frozen[name]) for name in before)
    moved = {name for name in before if not np.array_equal(before[name], free[name])}
    assert {"params/prompts", "tables/read_in", "row_moments/count/read_in"} <= moved


def test_what_a_run_came_from_is_on_record(area, gradual):
    tmp_path = gradual
    source = read_manifest(area / "run" / "checkpoints" / "20")
    manifest = arrays_of(tmp_path)[1]
    assert manifest["init_from"]["manifest_sha256"] == source["manifest_sha256"]
    assert manifest["init_from"]["sessions"] == source["sessions"]
    config = read_json(tmp_path / "config.json")
    assert config["finetune"]["source_sha256"] == source["manifest_sha256"]
    assert config["model"]["width"] == 8 and config["objective"] == read_json(area / "run" / "config.json")["objective"]
    entries = roster.read(tmp_path / "sessions.json")
    assert [entry["session_id"] for entry in entries] == [f"synthetic-{k}" for k in range(4)]
    assert weights.rows_of(entries) == manifest["sessions"]
    assert entries[:2] == roster.read(area / "run" / "sessions.json")


def test_a_lost_roster_is_made_again_while_the_first_run_is_there(area, gradual, tmp_path):
    folder = shutil.copytree(gradual, tmp_path / "run")
    there = (folder / "sessions.json").read_bytes()
    (folder / "sessions.json").unlink()
    assert main.main(gradually(area, folder)) == 0
    assert (folder / "sessions.json").read_bytes() == there
    (folder / "sessions.json").unlink()
    gone = read_json(folder / "config.json") | {"init_from": str(tmp_path / "gone")}
    with pytest.raises(InputError, match="sessions.json is gone; restore it, or the run"):
        finetune.begin(gone, folder, open_dataset(area / "both"))


@pytest.mark.slow
def test_a_run_once_begun_needs_the_first_run_no_more_and_resumes_bit_for_bit(area, tmp_path, monkeypatch, capsys):
    whole, stopped, first = tmp_path / "whole", tmp_path / "stopped", tmp_path / "first"
    assert main.main(fine_tune(area, whole)) == 0
    shutil.copytree(area / "run", first)
    command = fine_tune(area, stopped, f"init_from={first}")
    assert main.main(command) == 0
    shutil.rmtree(first)
    for step in (4, 6):  # as if killed before the first save after step 0
        shutil.rmtree(stopped / "checkpoints" / str(step), ignore_errors=True)
    assert steps_on_disk(stopped / "checkpoints") == []
    assert main.main(command) == 2  # keep_checkpoints=2: step 0 is gone, so there is nothing to go on from
    assert "first" in capsys.readouterr().err

    shutil.rmtree(stopped)
    shutil.copytree(area / "run", first)
    real = sharding.place_batch

    def fail_at_the_third(mesh, made, num_trials, calls=[]):  # noqa: B006
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(mesh, made, num_trials)

    with monkeypatch.context() as patch:
        patch.setattr(sharding, "place_batch", fail_at_the_third)
        assert main.main(command) == 130
    assert steps_on_disk(stopped / "checkpoints") == [0]
    shutil.rmtree(first)
    assert main.main(command) == 0
    assert "resuming from step 0 of 6" in capsys.readouterr().out
    one, other = arrays_of(whole)[0], arrays_of(stopped)[0]
    assert all(np.array_equal(one[name], other[name]) for name in one) and one.keys() == other.keys()
    assert main.main(command) == 0
    assert "already finished: 6 steps" in capsys.readouterr().out


def first_state(area, tmp_path, how, *entries):
    """Arrays of the state before the first step, and nothing trained."""
    words = fine_tune(area, tmp_path, f"finetune.new_rows={how}", *entries)
    config = inherit.resolved(config_command.load([word for word in words if word.startswith("--config")]), tmp_path)
    dataset = run_folder.load_data(config)
    tuning = finetune.begin(config, tmp_path, dataset, lambda config: run_folder.load_data(config).sessions)
    source = settings.open_source(config, dataset.sessions, table=tuning.start.table)
    fresh = configs_for_tests.first_state(tuning.recipe, source)
    state = tuning.start.state(jax.tree.map(np.asarray, fresh))
    return {name: np.asarray(leaf) for name, leaf in state_io.named_leaves(state).items()}


def test_new_rows_start_as_asked(area, known, tmp_path):
    arrays, units, sessions = known
    new = open_dataset(area / "new").sessions
    states = {how: first_state(area, tmp_path, how) for how in ("random", "pca", "region_mean")}
    log_means = np.log(np.concatenate([mean_counts(session) for session in new]))
    tokens = arrays["tables/session_token"]
    for state in states.values():
        np.testing.assert_allclose(state["tables/read_out_bias"][units:], log_means, rtol=1e-6)
        np.testing.assert_array_equal(state["tables/read_in"][:units], arrays["tables/read_in"])
        np.testing.assert_allclose(state["tables/session_token"][sessions:], np.tile(tokens.mean(0), (2, 1)), rtol=1e-5)
    regions = np.concatenate([session.region for session in open_dataset(area / "known").sessions])
    rows = states["region_mean"]["tables/read_out"][units:]
    for unit in (0, 7, 15):
        expected = arrays["tables/read_out"][regions == new[0].region[unit]].mean(0)
        np.testing.assert_allclose(rows[unit], expected, rtol=1e-5)
    latents = {}
    for how, state in states.items():
        counts, first = np.asarray(new[0].counts, float), units
        read_in = state["tables/read_in"][first : first + new[0].num_units]
        latents[how] = counts @ read_in + state["tables/read_in_bias"][sessions]
    past = open_dataset(area / "known").sessions[0]
    known_latents = np.asarray(past.counts, float) @ arrays["tables/read_in"][: past.num_units]
    known_latents += arrays["tables/read_in_bias"][0]
    # Aligned components have about the spread of the latents that the shared part was trained on; noise would not.
    np.testing.assert_allclose(latents["pca"].std(0).mean(), known_latents.std(0).mean(), rtol=0.35)
    assert np.isfinite(states["pca"]["tables/read_out"]).all() and states["pca"]["tables/read_out"][units:].any()
    assert not states["random"]["tables/read_out"][units:].any()


def test_an_export_is_a_start_as_its_run_is(area, tmp_path):
    """The same weights; moments, which are not released, start at zero."""
    pytest.importorskip("safetensors")
    release.write(tmp_path, weights.read_run(area / "run"), card="", weights_licence=None)
    ours, theirs = (first_state(area, tmp_path / "out", "random", f"init_from={it}") for it in (tmp_path, area / "run"))
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        moments = "moments" in name.split("/")[0]
        np.testing.assert_array_equal(array, np.zeros_like(array) if moments else theirs[name], err_msg=name)


def test_alignment_finds_the_map_that_made_the_rows():
    """Rows that are components times one matrix give that matrix back."""
    rng = np.random.default_rng(0)
    sessions = synthetic.make_sessions(dataclasses.replace(SPEC, num_trials=60), seed=1)[:2]
    truth = rng.standard_normal((6, 6)).astype(np.float32)
    means = [mean_counts(session) for session in sessions]
    rows = [first_rows.principal_read_in(*given)[0] @ truth for given in zip(sessions, (6, 6), means, strict=True)]
    biases = [np.log(mean) for mean in means]
    found = first_rows.alignment(rows, biases, sessions, means, 6)
    np.testing.assert_allclose(found, truth, atol=0.05)
    np.testing.assert_array_equal(first_rows.alignment([], [], [], [], 6), np.eye(6))


def test_a_larger_share_of_the_trials_holds_the_smaller_one(area):
    session = open_dataset(area / "new").sessions[0]
    shares = [splits_of(session, fraction) for fraction in (0.05, 0.1, 0.2, 0.5, 1.0)]
    assert [len(share) for share in shares] == [1, 2, 4, 10, 21]
    assert all(small < large for small, large in zip(shares, shares[1:], strict=False))
    assert splits_of(session, 0.5) != splits_of(session, 0.5, seed=1)


def splits_of(session, fraction, seed=0):
    from neurojax.data.splits import with_train_fraction

    reduced = with_train_fraction(session, fraction, seed)
    for code in (1, 2):
        np.testing.assert_array_equal(reduced.trials_of(code), session.trials_of(code))
    return set(reduced.trials_of(0).tolist())


def test_a_fraction_trains_on_fewer_trials_and_is_part_of_the_run(area, tmp_path, capsys):
    assert main.main(fine_tune(area, tmp_path, "data.train_fraction=0.2")) == 0
    assert "8 training trials" in capsys.readouterr().out
    assert len(read_metrics(tmp_path)) > 0
    assert main.main(fine_tune(area, tmp_path, "data.train_fraction=0.5")) == 2
    assert "data.train_fraction: 0.2 in the run, 0.5 now" in capsys.readouterr().err


def renamed(area, tmp_path):
    session = open_dataset(area / "known").sessions[0]
    write_root(tmp_path / "renamed", [dataclasses.replace(session, session_id="stranger")])
    return f"data.root={tmp_path / 'renamed'}"


def ten_trials_of_an_old_one(area, tmp_path):
    old = open_dataset(area / "known").sessions[0]
    return f"data.root={write_root(tmp_path / 'part', [part_of(old)])}"


def other_split(area, tmp_path):
    old = open_dataset(area / "known").sessions[0]
    root = write_root(tmp_path / "split", [dataclasses.replace(old, split=(old.split + 2) % 3)])
    return f"data.root={root}"


def other_units(area, tmp_path):
    session = open_dataset(area / "known").sessions[0]
    write_session(dataclasses.replace(session, unit_id=np.char.add(session.unit_id, "x")), tmp_path / "units")
    write_dataset_index(tmp_path / "units")
    return f"data.root={tmp_path / 'units'}"


def other_bins(area, tmp_path):
    sessions = open_dataset(area / "new").sessions
    return f"data.root={write_root(tmp_path / 'bins', [dataclasses.replace(s, bin_size_s=0.05) for s in sessions])}"


def no_region(area, tmp_path):
    session = open_dataset(area / "new").sessions[0]
    elsewhere = dataclasses.replace(session, region=np.full(session.num_units, "V4"))
    return f"data.root={write_root(tmp_path / 'elsewhere', [elsewhere])}"


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (["init_from="], "needs --config.init_from=RUN"),
        (["init_from=/nowhere"], "/nowhere holds no run"),
        (["model.width=16"], "model.width=16, but the run it starts from has 8"),
        (["model.name=ndt"], "model.name='ndt', but the run it starts from has 'ndt_linear'"),
        (["model.posterior_noise=0.1"], "the architecture is that of init_from"),
        (["finetune.strategy=half"], "choose from full, lora, stitcher_only, gradual_unfreeze"),
        (["finetune.new_rows=magic"], "choose from random, pca, region_mean"),
        (["finetune.unfreeze_step=0"], "finetune.unfreeze_step=0"),
        (["finetune.unfreeze_step=6"], "train.num_steps=6 ends before finetune.unfreeze_step=6, so nothing unfreezes"),
        (["data.train_fraction=0.0"], "data.train_fraction=0.0"),
        (["data.train_fraction=nan"], "data.train_fraction=nan"),
        ([renamed], "session stranger repeats synthetic-0"),
        ([ten_trials_of_an_old_one], "session part repeats an old one"),
        ([other_split, "finetune.strategy=full"], "was trained on 2"),
        ([other_units], "session synthetic-0 has other units"),
        ([other_bins], "bins of 50 ms"),
        ([no_region, "finetune.new_rows=region_mean"], "the run has none of them"),
        (["data.root={area}/known", "finetune.strategy=stitcher_only"], "the run knows all 2"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_input_is_one_line_and_code_2(area, tmp_path, entries, message, capsys):
    made = [entry(area, tmp_path) if callable(entry) else entry.format(area=area) for entry in entries]
    assert main.main(fine_tune(area, tmp_path / "out", *made)) == 2
    error = capsys.readouterr().err.strip()
    assert message in error and len(error.splitlines()) == 1
    assert not list((tmp_path / "out").glob("checkpoints/*"))


@pytest.mark.parametrize("made", [ten_trials_of_an_old_one, other_split])
def test_an_export_knows_what_it_was_trained_on(area, tmp_path, made, capsys):
    pytest.importorskip("safetensors")
    (tmp_path / "export").mkdir()
    release.write(tmp_path / "export", weights.read_run(area / "run"), card="", weights_licence=None)
    options = (made(area, tmp_path), "finetune.strategy=full", f"init_from={tmp_path / 'export'}")
    assert main.main(fine_tune(area, tmp_path / "out", *options)) == 2
    assert "trained on" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_from_an_export_that_does_not_know_its_trials_nothing_is_known(area, tmp_path):
    pytest.importorskip("safetensors")
    (tmp_path / "export").mkdir()
    release.write(tmp_path / "export", weights.read_run(area / "run")._replace(trained=None), "", None)
    out, command = tmp_path / "out", fine_tune(area, tmp_path / "out", f"init_from={tmp_path / 'export'}")
    for _ in range(2):  # resumed, too
        assert main.main(command) == 0
        assert trained_trials.read(out) is None
    config = run_folder.read_run(out)
    assert "not known" in decode._seen(config, run_folder.load_data(config), trained_trials.read(out))[1]


@pytest.mark.parametrize("exported", [False, True])
def test_the_trials_of_both_runs_are_kept(area, tmp_path, exported):
    source, new = area / "run", open_dataset(area / "new")
    if exported:
        pytest.importorskip("safetensors")
        source = tmp_path / "export"
        source.mkdir()
        release.write(source, weights.read_run(area / "run"), card="", weights_licence=None)
    config = run_folder.read_run(area / "run") | {"init_from": str(source)}
    plan = planning.Plan(config, new, None, None, None, roster.entries_of(new.sessions))
    with run_files.held(tmp_path / "out", plan, False) as commit:
        commit()
    sessions = open_dataset(area / "both").sessions
    digests = {d for s in sessions for d in trained_trials.telling_digests(s, 0)}
    assert trained_trials.read(tmp_path / "out").digests == digests and len(digests) > 60


def test_a_split_that_tests_trained_trials_is_refused_before_training_goes_on(area, tmp_path, capsys):
    run = shutil.copytree(area / "run", tmp_path / "run")
    command = [*pretrain(area, "train.num_steps=22", other_split(area, tmp_path)), f"--workdir={run}"]
    assert main.main([*command, "--allow_dataset_change"]) == 2
    assert "the run was trained on 2" in capsys.readouterr().err
    assert steps_on_disk(run / "checkpoints")[-1] == 20


def test_a_run_from_another_schema_is_refused(area, tmp_path, capsys):
    """The weights differ from what config.json says of them: nothing of them is used."""
    source = shutil.copytree(area / "run", tmp_path / "source")
    config = read_json(source / "config.json")
    config["model"]["mlp_width"] = 16
    (source / "config.json").write_text(json.dumps(config))
    assert main.main(fine_tune(area, tmp_path / "out", f"init_from={source}")) == 2
    assert "undo the edit" in capsys.readouterr().err


def test_other_configs_point_to_the_one_for_it(area, tmp_path, capsys):
    assert main.main([*pretrain(area, f"init_from={area / 'run'}"), f"--workdir={tmp_path}"]) == 2
    assert "configs/finetune.py" in capsys.readouterr().err


@pytest.mark.slow
def test_a_fine_tuned_run_is_scored_on_its_sessions(area, tmp_path, monkeypatch):
    monkeypatch.undo()
    assert main.main(fine_tune(area, tmp_path, f"data.root={area / 'both'}")) == 0
    evaluation = read_json(tmp_path / "evaluation.json")
    assert set(evaluation["sessions"]) == {f"synthetic-{k}" for k in range(4)}
    assert main.main(["evaluate", f"--workdir={tmp_path}", f"--out={tmp_path / 'new.json'}"]) == 0
    assert read_json(tmp_path / "new.json") == evaluation
    assert main.main(["doctor", f"--workdir={tmp_path}"]) == 0
