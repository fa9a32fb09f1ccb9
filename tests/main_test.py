"""The command line from end to end: what a run leaves, what a kill costs, what bad input is told."""

import dataclasses
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

import neurojax
from neurojax import main
from neurojax.data.session import TEST
from neurojax.data.store.dataset import open_dataset, write_dataset_index
from neurojax.data.store.session_format import write_session
from neurojax.data.store.sessions import from_counts
from neurojax.data.synthetic import animals as synthetic
from neurojax.evals import protocols
from neurojax.report import report_blocks
from neurojax.report.figures import report_figures
from neurojax.runs import restore
from neurojax.runs.manifest import steps_on_disk
from neurojax.runs.writer import read_metrics
from neurojax.train import run as train_run
from neurojax.train import run_folder

CHECKOUT = Path(__file__).resolve().parent.parent
CONFIG = CHECKOUT / "configs" / "mtm.py"
TINY = [
    *("model.width=8", "model.num_heads=2", "model.num_layers=1", "model.read_in_width=8", "model.mlp_width=8"),
    "model.positions=learned",
    *("data.trials_per_batch=4", "data.bucket_units=32", "eval.num_boot=20", "eval.trials_per_pass=32"),
    *("train.num_steps=24", "train.log_every_steps=8", "train.validate_every_steps=12", "eval.baselines=train_mean"),
]
SPEC = synthetic.SyntheticSpec(
    num_sessions=2, min_units=20, max_units=24, num_trials=20, num_bins=10, regions=("CA1", "LP"), min_region_units=6,
    mean_rate_hz=20.0,
)  # fmt: skip


def overrides(*entries):
    return [f"--config.{entry}" for entry in entries]


def train_arguments(workdir, root, *entries):
    return ["train", f"--config={CONFIG}", f"--workdir={workdir}", *overrides(*TINY, f"data.root={root}", *entries)]


def relabelled(session):
    return dataclasses.replace(session, region=np.where(session.region == "LP", "thalamus", session.region))


def with_held_out(session, held_out):
    return dataclasses.replace(session, unit_metadata={"heldout": np.full(session.num_units, held_out)})


def write_root(root, sessions):
    for session in sessions:
        write_session(session, root)
    write_dataset_index(root)
    return root


@pytest.fixture(scope="module")
def area(tmp_path_factory):
    """root: two synthetic sessions; run: a finished run on them; and what is wrong in one way each."""
    area = tmp_path_factory.mktemp("area")
    sessions = synthetic.make_sessions(SPEC, seed=0)
    write_root(area / "root", sessions)
    assert main.main(train_arguments(area / "run", area / "root")) == 0

    other_spikes = [dataclasses.replace(s, counts=np.asarray(s.counts) + np.uint8(1)) for s in sessions]
    write_root(area / "other_spikes", other_spikes)
    write_root(area / "other_bins", [dataclasses.replace(s, bin_size_s=0.05) for s in sessions])
    write_root(area / "other_units", [dataclasses.replace(sessions[0], unit_id=np.char.add(sessions[0].unit_id, "x"))])
    write_root(area / "strangers", [from_counts(np.ones((6, 4, 3), int), bin_size_s=0.02, session_id="stranger")])
    untested = [dataclasses.replace(s, split=np.where(s.split == TEST, 0, s.split)) for s in sessions]
    write_root(area / "untested", untested)
    longer = [
        from_counts(
            np.tile(np.asarray(s.counts).reshape(20, 10, -1), (1, 2, 1)), bin_size_s=0.02, session_id=s.session_id,
            unit_id=s.unit_id, region=s.region, split=s.split,
        )
        for s in sessions
    ]  # fmt: skip
    write_root(area / "longer", longer)
    write_root(area / "relabelled", [relabelled(s) for s in sessions])
    write_root(area / "all_held_in", [with_held_out(s, False) for s in sessions])
    (area / "broken_protocol.json").write_text("{")
    (area / "misspelt_protocol.json").write_text('{"schema": 1, "nmae": "mine"}')
    damaged = shutil.copytree(area / "root", area / "damaged") / "synthetic-1" / "counts.npy"
    damaged.write_bytes(damaged.read_bytes()[:-7])
    (area / "empty").mkdir()
    (area / "a_file").write_text("not a folder")
    shutil.copytree(area / "run", area / "no_checkpoint", ignore=shutil.ignore_patterns("checkpoints"))
    broken = shutil.copytree(area / "run", area / "broken_config")
    (broken / "config.json").write_text("{")
    (area / "typo.py").write_text("def get_config(arg=None):\n    return ConfigDit()\n")
    (area / "half.py").write_text("def get_config(:\n")
    (area / "list.py").write_text("def get_config(arg=None):\n    return [1]\n")
    (area / "nothing.py").write_text("")
    return area


def strict_json(path):
    """Content of a JSON file, which must not hold NaN or infinities."""

    def refuse(name):
        raise AssertionError(f"{path} holds {name}")

    return json.loads(path.read_text(), parse_constant=refuse)


def test_a_run_leaves_what_the_documentation_says(area):
    run = area / "run"
    evaluation = strict_json(run / "evaluation.json")
    assert set(evaluation) == {
        *("schema", "protocol", "protocol_hash", "eval", "seed", "step", "dataset_fingerprint", "config_hash"),
        *("sessions", "mean", "protocol_record", "cost"),
    }
    assert set(evaluation["cost"]) == {"shared_parameters", "row_parameters", "training_s"}
    assert (evaluation["schema"], evaluation["protocol"], evaluation["step"]) == (1, "mtm", 24)
    assert evaluation["dataset_fingerprint"] == strict_json(area / "root" / "dataset.json")["fingerprint"]
    assert evaluation["config_hash"] == strict_json(run / "config.json")["run"]["config_hash"]
    assert set(evaluation["mean"]) == set(protocols.TASKS)
    assert set(evaluation["sessions"]) == {"synthetic-0", "synthetic-1"}
    subjects = [block["subject"] for block in evaluation["sessions"].values()]
    assert subjects == ["synthetic-animal-0", "synthetic-animal-1"]
    for block in evaluation["mean"].values():
        assert block["num_animals"] == block["paired_mean"]["num_animals"] == 2
        assert block["paired_mean"]["baseline"] == "train_mean"
        low, high = block["bps_pooled_ci95"]
        assert low < block["bps_pooled"] < high and block["bps_pooled_trials_se"] > 0
    fixed = {
        *("bps_unit_mean", "bps_unit_median", "bps_pooled", "bps_pooled_se", "bps_pooled_ci95"),
        *("bps_pooled_train_null", "d2_pooled", "num_units_scored"),
    }
    for block in evaluation["sessions"].values():
        assert {"num_units", "num_test_trials", "tasks", "baselines", "oracle", "drift", "drift_warning"} <= set(block)
        assert block["num_test_trials"] == 4
        assert set(block["baselines"]) == {"train_mean"}
        for scores in (block["tasks"], block["oracle"], block["baselines"]["train_mean"]):
            assert set(scores) == set(protocols.TASKS)
            assert all(fixed <= set(task) for task in scores.values())
        for task in protocols.TASKS:
            assert block["tasks"][task]["bps_pooled"] < block["oracle"][task]["bps_pooled"]
    assert {row["step"] for row in read_metrics(run)} == {8, 12, 16, 24}
    for path in [*run.rglob("*.json"), *area.glob("root/**/*.json")]:
        strict_json(path)
    report = (run / "report.html").read_text()
    assert "synthetic-0" in report and "data:image/png;base64" in report
    assert list((run / "figures").glob("*.png")) and not list(run.rglob("*.tmp"))


def test_the_same_command_again_says_so_and_changes_nothing(area, capsys):
    before = contents(area)
    assert main.main(train_arguments(area / "run", area / "root")) == 0
    out = capsys.readouterr().out
    assert "already finished: 24 steps" in out and "is finished and evaluated" in out
    assert contents(area) == before


def test_evaluating_again_gives_the_same_scores(area, tmp_path, capsys):
    out = tmp_path / "again.json"
    assert main.main(["evaluate", f"--workdir={area / 'run'}", f"--out={out}"]) == 0
    assert strict_json(out) == strict_json(area / "run" / "evaluation.json")
    moved = shutil.copytree(area / "root", tmp_path / "moved")
    assert main.main(["evaluate", f"--workdir={area / 'run'}", f"--data={moved}", f"--out={out}"]) == 0
    assert strict_json(out) == strict_json(area / "run" / "evaluation.json")
    assert "co_smoothing" in capsys.readouterr().out.replace("-", "_").lower()
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(area / "root", elsewhere, ignore=shutil.ignore_patterns(".baselines"))
    before = contents(area)
    assert main.main(["evaluate", f"--workdir={area / 'run'}", f"--data={elsewhere}", f"--out={out}"]) == 0
    assert list((elsewhere / ".baselines").iterdir()) and contents(area) == before


def numbers_in(content, path=""):
    """(path, number) of every leaf of a JSON record that is a number."""
    if isinstance(content, dict | list):
        entries = content.items() if isinstance(content, dict) else enumerate(content)
        for key, value in entries:
            yield from numbers_in(value, f"{path}/{key}")
    elif isinstance(content, int | float) and not isinstance(content, bool):
        yield path, content


def test_scores_on_one_device_are_those_on_eight(area, tmp_path, monkeypatch):
    folder, out = area / "run", tmp_path / "one.json"
    config = run_folder.read_run(folder)
    assert jax.device_count() == 8 and config["sharding"]["data"] == 0  # the run was evaluated on all of them
    devices = jax.devices()
    monkeypatch.setattr(jax, "devices", lambda *backend: devices[:1])
    train_run.evaluate_run(folder, config, run_folder.load_data(config), out)
    one, eight = strict_json(out), strict_json(folder / "evaluation.json")
    assert one["mean"].keys() == eight["mean"].keys()
    for key, session in eight["sessions"].items():
        for part in ("tasks", "paired", "calibration", "trial_sums", "baselines", "oracle"):
            found, expected = dict(numbers_in(one["sessions"][key][part])), dict(numbers_in(session[part]))
            assert found.keys() == expected.keys() and len(found) > 4
            for path, value in expected.items():
                assert found[path] == pytest.approx(value, rel=1e-5, abs=2e-6), (key, part, path)


def test_sessions_without_a_test_trial_are_left_out_and_counted(area, tmp_path, capsys):
    first, second = synthetic.make_sessions(SPEC, seed=0)
    untested = dataclasses.replace(second, split=np.where(second.split == TEST, 0, second.split))
    write_root(tmp_path / "mixed", [first, untested])
    out = tmp_path / "mixed.json"
    assert main.main(["evaluate", f"--workdir={area / 'run'}", f"--data={tmp_path / 'mixed'}", f"--out={out}"]) == 0
    assert "left out 1 of 2 sessions: synthetic-1 has no test trial" in capsys.readouterr().out
    assert list(strict_json(out)["sessions"]) == ["synthetic-0"]
    predict = ["predict", f"--data={tmp_path / 'mixed'}", f"--out={tmp_path / 'rates'}", "--task=forward"]
    assert main.main([*predict, f"--workdir={area / 'run'}"]) == 0
    assert "left out 1 of 2 sessions: synthetic-1 has no test trial" in capsys.readouterr().out
    assert os.listdir(tmp_path / "rates") == ["synthetic-0.npz"]


def test_sessions_that_a_run_or_a_protocol_cannot_take_are_left_out_and_counted(area, tmp_path, capsys):
    first, second = synthetic.make_sessions(SPEC, seed=0)
    stranger = dataclasses.replace(second, session_id="stranger")
    other_units = dataclasses.replace(second, unit_id=np.char.add(second.unit_id, "x"))
    for name, odd, told in (
        ("stranger", stranger, "stranger is not among the 2 sessions"),
        ("units", other_units, "synthetic-1 has other units"),
        ("regions", relabelled(second), "synthetic-1 has regions absent from training (thalamus)"),
    ):
        root, out = write_root(tmp_path / name, [first, odd]), tmp_path / f"{name}.json"
        assert main.main(["evaluate", f"--workdir={area / 'run'}", f"--data={root}", f"--out={out}"]) == 0
        assert f"left out 1 of 2 sessions: {told}" in capsys.readouterr().out
        assert list(strict_json(out)["sessions"]) == ["synthetic-0"]
    predict = ["predict", f"--workdir={area / 'run'}", f"--data={root}", f"--out={tmp_path / 'rates'}"]
    assert main.main([*predict, "--task=co_smoothing"]) == 0 and len(os.listdir(tmp_path / "rates")) == 2
    root = write_root(tmp_path / "held_in", [first, with_held_out(second, False)])
    assert main.main(["baselines", f"--data={root}", "--protocol=nlb", "--names=train_mean"]) == 0
    assert "left out 1 of 2 sessions: synthetic-1 has no held-out unit" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["nlb", "brainwide", "few_shot"])
def test_another_protocol_writes_its_own_files_and_keeps_the_evaluation(area, tmp_path, capsys, monkeypatch, name):
    run = shutil.copytree(area / "run", tmp_path / "run")
    monkeypatch.setattr(report_figures, "draw_figures", lambda *arguments: {})  # report_test draws them
    assert main.main(["evaluate", f"--workdir={run}", f"--protocol={name}"]) == 0
    out = capsys.readouterr().out
    path = run / f"evaluation_{name}.json"
    assert str(path) in out
    for kept in ("evaluation.json", "report.html"):
        assert (run / kept).read_bytes() == (area / "run" / kept).read_bytes()
    assert "Leak checks passed" in (run / f"report_{name}.html").read_text()
    evaluation, protocol = strict_json(path), protocols.get_protocol(name)
    assert (evaluation["protocol"], evaluation["protocol_hash"]) == (name, protocols.protocol_hash(name))
    assert evaluation["protocol_record"]["name"] == name
    assert list(evaluation["mean"]) == list(protocol.tasks)
    for session in evaluation["sessions"].values():
        assert list(session["tasks"]) == list(protocol.tasks)
        for tasks in session["baselines"].values():
            assert list(tasks) == list(protocol.tasks)
        assert set(session["leak_checks"]["influence_cases"]) == set(protocol.tasks)
    for task, asked in protocol.tasks.items():
        headline = evaluation["mean"][task].get("headline", "bps_pooled")
        assert headline == asked.headline
        if not asked.reads and asked.read_out_trials <= 12:  # of 14 train trials; the animals have no velocity
            assert evaluation["mean"][task][headline] is not None, task
    page = "".join(report_blocks.explanation(evaluation))
    assert next(iter(protocol.tasks.values())).words in page
    other = tmp_path / "other.json"
    other.write_text(path.read_text())
    assert main.main(["compare", str(path), str(other)]) == 0


@pytest.mark.parametrize(
    ("code", "words"), [(errno.ENOSPC, "No space left on device"), (errno.EROFS, "Read-only file system")]
)
def test_a_disk_that_fails_while_scores_are_written_is_one_line_and_keeps_the_old_ones(
    area, capsys, monkeypatch, code, words
):
    workdir = area / "run"
    before = (workdir / "evaluation.json").read_bytes()

    def fails(descriptor):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fails)
    assert main.main(["evaluate", f"--workdir={workdir}"]) == 2
    told = [line for line in capsys.readouterr().err.splitlines() if not line.startswith(("baselines ", "evaluating "))]
    assert len(told) == 1 and words in told[0]  # beside the progress lines
    assert (workdir / "evaluation.json").read_bytes() == before
    assert not list(workdir.glob(".*.tmp"))


def test_a_lost_report_is_drawn_again_without_training(area, tmp_path, capsys):
    run = shutil.copytree(area / "run", tmp_path / "run")
    (run / "report.html").unlink()
    assert main.main(train_arguments(run, area / "root")) == 0
    assert "already finished" in capsys.readouterr().out
    assert (run / "report.html").is_file()
    assert strict_json(run / "evaluation.json") == strict_json(area / "run" / "evaluation.json")


def test_predictions_are_arrays_with_nan_where_nothing_is_scored(area, tmp_path):
    arguments = ["predict", f"--workdir={area / 'run'}", f"--out={tmp_path}", "--task=forward,intra_region"]
    assert main.main(arguments) == 0
    assert sorted(os.listdir(tmp_path)) == ["synthetic-0.npz", "synthetic-1.npz"]
    for session in synthetic.make_sessions(SPEC, seed=0):
        trials = session.trials_of(TEST)
        with np.load(tmp_path / f"{session.session_id}.npz", allow_pickle=False) as arrays:
            names = {"forward", "intra_region", "trial_id", "unit_id", "split", "bin_size_s", "config_hash"}
            assert set(arrays) == names | {"forward_rates_hz", "intra_region_rates_hz", "unit_of_values"}
            np.testing.assert_array_equal(arrays["trial_id"], trials)
            np.testing.assert_array_equal(arrays["unit_id"], session.unit_id)
            assert str(arrays["config_hash"]) == strict_json(area / "run" / "config.json")["run"]["config_hash"]
            for task in ("forward", "intra_region"):
                scored = protocols.scored_entries(session, task, trials)
                np.testing.assert_array_equal(np.isfinite(arrays[task]), scored)
                np.testing.assert_allclose(arrays[f"{task}_rates_hz"] * session.bin_size_s, arrays[task], rtol=1e-6)


def test_predictions_as_nwb_are_the_arrays_in_hz(area, tmp_path):
    pynwb = pytest.importorskip("pynwb")
    arguments = ["predict", f"--workdir={area / 'run'}", f"--out={tmp_path}", "--task=forward"]
    assert main.main(arguments) == 0 and main.main([*arguments, "--format=nwb"]) == 0
    session = open_dataset(area / "root").sessions[0]
    path = tmp_path / f"{session.session_id}.nwb"
    assert not pynwb.validate(path=str(path))
    with np.load(path.with_suffix(".npz")) as arrays, pynwb.NWBHDF5IO(path, "r") as reader:
        nwb = reader.read()
        rates_hz = nwb.processing["predicted_rates"]["forward_rates_hz"].data[:].reshape(arrays["forward"].shape)
        assert nwb.trials["trial_id"][:].tolist() == arrays["trial_id"].tolist()
        np.testing.assert_allclose(rates_hz * session.bin_size_s, arrays["forward"], rtol=1e-6)


def test_a_dry_run_of_the_built_in_animals_writes_nothing(tmp_path, capsys):
    entries = overrides("data.synthetic.num_sessions=2", "data.synthetic.num_trials=10", *TINY)
    assert main.main(["train", f"--config={CONFIG}", f"--workdir={tmp_path / 'run'}", "--dry_run", *entries]) == 0
    out = capsys.readouterr().out
    assert "2 sessions" in out and "parameters" in out and "batches" in out
    assert not list(tmp_path.iterdir())


def wait_for_step(process, workdir, least):
    """Blocks until a complete checkpoint of at least that step is there; returns it."""
    while process.poll() is None:
        found = steps_on_disk(workdir / "checkpoints")
        if found and found[-1] >= least:
            return found[-1]
        time.sleep(0.01)
    raise AssertionError(f"the run ended with {process.returncode}: {process.stderr.read()}")


@pytest.mark.slow
def test_a_run_that_was_terminated_and_then_killed_ends_with_the_same_bits(area, tmp_path, capsys):
    workdir = tmp_path / "run"
    arguments = train_arguments(workdir, area / "root", "train.save_every_steps=2")
    environment = os.environ | {
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # as here, for the same bits
        "JAX_ENABLE_COMPILATION_CACHE": "true",
        "JAX_COMPILATION_CACHE_DIR": str(  # a copy, because what a killed process writes there is not whole
            shutil.copytree(jax.config.jax_compilation_cache_dir, tmp_path / "compiled")
        ),
    }

    def start():
        command = [sys.executable, "-m", "neurojax", *arguments]
        options = dict(stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=CHECKOUT, env=environment)
        return subprocess.Popen(command, **options)

    with start() as process:
        seen = wait_for_step(process, workdir, 2)
        process.send_signal(signal.SIGTERM)
        error = process.stderr.read()
        assert process.wait() == 3
    stopped = steps_on_disk(workdir / "checkpoints")[-1]
    assert seen <= stopped < 24
    assert error.splitlines()[-1] == f"neurojax: stopped by a signal after step {stopped} of 24; state saved"

    with start() as process:
        seen = wait_for_step(process, workdir, stopped + 2)
        process.kill()
        process.stderr.read()
        assert process.wait() == -signal.SIGKILL
    assert not (workdir / "evaluation.json").exists()

    assert main.main(arguments) == 0
    assert "resuming from step" in capsys.readouterr().out
    arrays, manifest = restore.load_arrays(workdir / "checkpoints", 24)
    expected, _ = restore.load_arrays(area / "run" / "checkpoints", 24)
    assert manifest["step"] == 24 and arrays.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(arrays[name], expected[name], err_msg=name)
    assert strict_json(workdir / "evaluation.json") == strict_json(area / "run" / "evaluation.json")
    assert [row["step"] for row in read_metrics(workdir) if "train/loss" in row][-1] == 24


def test_help_loads_nothing_heavy():
    command = [sys.executable, "-X", "importtime", "-m", "neurojax", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT, timeout=60)
    assert done.returncode == 0
    assert all(verb in done.stdout for verb in ("convert", "check", "train", "evaluate", "predict", "doctor"))
    loaded = {line.split("|")[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert not loaded & {"jax", "numpy", "flax", "optax", "orbax", "grain", "scipy", "matplotlib"}


def test_the_version_is_told_and_loads_nothing_heavy():
    command = [sys.executable, "-X", "importtime", "-m", "neurojax", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"neurojax {neurojax.__version__}\n")
    loaded = {line.split("|")[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert not loaded & {"jax", "numpy", "flax", "absl", "ml_collections", "grain", "scipy", "matplotlib"}


def contents(folder):
    """Every path below a folder with its bytes; a lock says who came last and is left out."""
    paths = [path for path in folder.rglob("*") if path.name not in (".lock", "__pycache__") and path.suffix != ".pyc"]
    return {path: path.read_bytes() if path.is_file() else None for path in paths}


def on(*entries):
    """`train` in a new workdir, with overrides."""
    return lambda area: train_arguments(area / "new", area / "root", *entries)


def plus(*options):
    """`train` in a new workdir, with more options."""
    return lambda area: [*on()(area), *options]


def with_config(name):
    return lambda area: ["train", f"--config={name.format(area=area, config=CONFIG)}", f"--workdir={area / 'new'}"]


def again(*entries, root="root"):
    """`train` in the finished run, with overrides."""
    return lambda area: train_arguments(area / "run", area / root, *entries)


def of_run(verb, *options, run="run"):
    return lambda area: [verb, f"--workdir={area / run}", *(option.format(area=area) for option in options)]


def words(*arguments):
    return lambda area: [argument.format(area=area, config=CONFIG) for argument in arguments]


BAD_INPUT = {
    "no verb": (words(), "VERB"),
    "unknown verb": (words("trane"), "trane"),
    "unknown option": (words("doctor", "--workdir={area}/run", "--verbose"), "--verbose"),
    "shortened option": (words("doctor", "--work={area}/run"), "--work"),
    "no workdir": (words("train", "--config={config}"), "--workdir"),
    "no config": (words("train", "--workdir={area}/new"), "--config=FILE"),
    "two configs": (words("train", "--config={config}", "--config={config}", "--workdir={area}/new"), "2 declarations"),
    "config without value": (words("train", "--workdir={area}/new", "--config"), "--config"),
    "config for evaluate": (of_run("evaluate", "--config.seed=1"), "--config.seed=1"),
    "config file missing": (with_config("{area}/none.py"), "none.py"),
    "config is a folder": (with_config("{area}/empty"), "empty"),
    "config with a syntax error": (with_config("{area}/half.py"), "half.py"),
    "config with a name error": (with_config("{area}/typo.py"), "ConfigDit"),
    "config without get_config": (with_config("{area}/nothing.py"), "nothing.py"),
    "config that is a list": (with_config("{area}/list.py"), "list"),
    "unknown size": (with_config("{config}:size=huge"), "size=huge"),
    "unknown preset": (with_config("{config}:preset=best"), "preset=best"),
    "unknown block": (on("modle.width=8"), "modle"),
    "unknown key": (on("model.widht=8"), "widht"),
    "unknown synthetic key": (on("data.root=", "data.synthetic.num_animals=8"), "num_animals"),
    "text for a number": (on("model.width=wide"), "wide"),
    "fraction for a whole number": (on("train.num_steps=1.5"), "1.5"),
    "no learning rate": (on("optimizer.learning_rate=-1.0"), "optimizer.learning_rate=-1.0"),
    "learning rate nan": (on("optimizer.learning_rate=nan"), "optimizer.learning_rate=nan"),
    "heads do not divide": (on("model.num_heads=3"), "model.num_heads=3"),
    "odd rotary heads": (on("model.width=6", "model.num_heads=2", "model.positions=rotary"), "model.width"),
    "no layers": (on("model.num_layers=0"), "model.num_layers=0"),
    "dropout of one": (on("model.dropout=1.0"), "model.dropout=1.0"),
    "unknown positions": (on("model.positions=sine"), "sine"),
    "too few positions": (on("model.num_positions=4"), "model.num_positions=4"),
    "unknown scheme": (on("objective.schemes=neuron,random"), "random"),
    "no scheme": (on("objective.schemes="), "objective.schemes"),
    "ratio above one": (on("objective.neuron_ratio=1.5"), "objective.neuron_ratio=1.5"),
    "no steps": (on("train.num_steps=0"), "train.num_steps=0"),
    "negative seed": (on("seed=-1"), "seed=-1"),
    "no trials in a batch": (on("data.trials_per_batch=0"), "data.trials_per_batch=0"),
    "unknown placement": (on("data.placement=moon"), "moon"),
    "unknown reduction": (on("objective.reduction=max"), "max"),
    "mesh does not fit": (on("sharding.model=3"), "sharding.mesh=0x3"),
    "rule is no regex": (on("sharding.rules=(('tables(',('model',)),)"), "tables("),
    "rules are a number": (on("sharding.rules=5"), "sharding.rules holds 5"),
    "rules are half a tuple": (on("sharding.rules=(("), "sharding.rules"),
    "rule of an unknown axis": (on("sharding.rules=(('tables',('rows',)),)"), "rows"),
    "a place that a list does not have": (on("sharding.rules[0]=3"), "sharding.rules[0]=3: tuple index out of range"),
    "mistyped block": (on("modl.width=3"), "the config has no modl; did you mean model?"),
    "mistyped entry": (on("model.widht=3"), "the config has no model.widht; did you mean model.width?"),
    "unknown entry": (on("head.zzz=3"), "the config has no head.zzz; there are name"),
    "an entry as an option": (plus("--seed=2"), "did you mean --config.seed=2? see `neurojax train --help`"),
    "an entry and a blank": (plus("--seed", "2"), "did you mean --config.seed=2?"),
    "an entry without its block": (plus("--num_steps=5"), "did you mean --config.train.num_steps=5?"),
    "an option of another verb": (plus("--out=x"), "unrecognized arguments: --out=x; see `neurojax train --help`"),
    "init_from": (on("init_from=/some/run"), "init_from='/some/run'"),
    "number for a block": (on("model=3"), "--config.model=3"),
    "override without value": (on("seed"), "--config.seed"),
    "warmup longer than the run": (on("optimizer.warmup_share=2.0"), "optimizer.warmup_share=2.0"),
    "no decay of moments": (on("optimizer.b1=1.0"), "optimizer.b1=1.0"),
    "negative embedder": (on("model.embed_width=-1"), "model.embed_width=-1"),
    "negative positions": (on("model.num_positions=-2"), "model.num_positions=-2"),
    "size power nan": (on("objective.size_power=nan"), "objective.size_power=nan"),
    "negative decay": (on("optimizer.weight_decay=-1.0"), "optimizer.weight_decay=-1.0"),
    "learning rate infinite": (on("optimizer.learning_rate=inf"), "optimizer.learning_rate=inf"),
    "temperature nan": (on("data.session_temperature=nan"), "data.session_temperature=nan"),
    "negative bootstrap draws": (on("eval.num_boot=-1"), "eval.num_boot=-1"),
    "negative threads": (on("data.num_threads=-1"), "data.num_threads=-1"),
    "unknown protocol in the config": (on("eval.protocol=ntm"), "ntm"),
    "unknown baseline": (on("eval.baselines=train_mean,magic"), "magic"),
    "too few synthetic trials": (on("data.root=", "data.synthetic.num_trials=2"), "2 trials"),
    "workdir is a file": (lambda area: train_arguments(area / "a_file", area / "root"), "a_file"),
    "workdir below a file": (lambda area: train_arguments(area / "a_file" / "run", area / "root"), "a_file"),
    "workdir of another config": (again("model.mlp_width=16"), "model.mlp_width: 8 in the run, 16 now"),
    "workdir of another seed": (again("seed=1"), "seed: 0 in the run, 1 now"),
    "workdir of other data": (again(root="other_spikes"), "changed synthetic-0, synthetic-1"),
    "workdir with a damaged config": (
        lambda area: train_arguments(area / "broken_config", area / "root"),
        "broken_config/config.json",
    ),
    "data missing": (on("data.root=/nowhere/at/all"), "/nowhere/at/all"),
    "data without dataset.json": (lambda area: train_arguments(area / "new", area / "empty"), "empty"),
    "data damaged": (lambda area: train_arguments(area / "new", area / "damaged"), "synthetic-1"),
    "evaluate no run": (of_run("evaluate", run="empty"), "holds no run"),
    "evaluate no folder": (of_run("evaluate", run="none"), "none holds no run"),
    "evaluate without a checkpoint": (of_run("evaluate", run="no_checkpoint"), "holds no checkpoint"),
    "evaluate unknown sessions": (of_run("evaluate", "--data={area}/strangers"), "session stranger"),
    "evaluate other units": (of_run("evaluate", "--data={area}/other_units"), "other units"),
    "evaluate other bins": (of_run("evaluate", "--data={area}/other_bins"), "50 ms"),
    "evaluate longer trials": (of_run("evaluate", "--data={area}/longer"), "20 bins"),
    "evaluate untested sessions": (of_run("evaluate", "--data={area}/untested"), "synthetic-0"),
    "evaluate unknown protocol": (of_run("evaluate", "--protocol=ntm"), "ntm"),
    "evaluate misspelt protocol": (of_run("evaluate", "--protocol=fewshot"), "did you mean 'few_shot'"),
    "evaluate no protocol file": (of_run("evaluate", "--protocol={area}/none.json"), "no protocol file"),
    "evaluate broken protocol file": (of_run("evaluate", "--protocol={area}/broken_protocol.json"), "broken_protocol"),
    "evaluate misspelt protocol file": (
        of_run("evaluate", "--protocol={area}/misspelt_protocol.json"),
        "has no 'name'",
    ),
    "evaluate a folder as protocol": (of_run("evaluate", "--protocol={area}/empty"), "no protocol file"),
    "evaluate other regions": (of_run("evaluate", "--data={area}/relabelled"), "absent from training (thalamus)"),
    "evaluate nothing held out": (
        of_run("evaluate", "--data={area}/all_held_in", "--protocol=nlb"),
        "no held-out unit with a train spike in its column 'heldout'",
    ),
    "evaluate into a folder": (of_run("evaluate", "--out={area}/empty"), "empty"),
    "evaluate into a file's folder": (of_run("evaluate", "--out={area}/a_file/scores.json"), "a_file"),
    "predict unknown task": (of_run("predict", "--out={area}/out", "--task=smoothing"), "smoothing"),
    "predict other bins": (of_run("predict", "--out={area}/out", "--data={area}/other_bins"), "50 ms"),
    "predict unknown sessions": (of_run("predict", "--out={area}/out", "--data={area}/strangers"), "session stranger"),
    "predict untested sessions": (of_run("predict", "--out={area}/out", "--data={area}/untested"), "no test trial"),
    "a mistyped verb": (words("trian"), "did you mean train?"),
    "predict a mistyped option": (of_run("predict", "--out={area}/out", "--fromat=nwb"), "did you mean --format?"),
    "predict unknown format": (of_run("predict", "--out={area}/out", "--format=mat"), "npz or nwb"),
    "predict into a file": (of_run("predict", "--out={area}/a_file", "--task=forward"), "a_file"),
    "predict no run": (of_run("predict", "--out={area}/out", run="empty"), "holds no run"),
    "baselines unknown name": (words("baselines", "--data={area}/root", "--names=magic"), "magic"),
    "baselines misspelt protocol": (words("baselines", "--data={area}/root", "--protocol=nbl"), "did you mean 'nlb'"),
    "baselines broken protocol file": (
        words("baselines", "--data={area}/root", "--protocol={area}/broken_protocol.json"),
        "broken_protocol.json",
    ),
    "baselines nothing held out": (
        words("baselines", "--data={area}/all_held_in", "--protocol=few_shot"),
        "no held-out unit",
    ),
    "baselines untested sessions": (words("baselines", "--data={area}/untested"), "no test trial"),
    "baselines no data": (words("baselines", "--data={area}/none"), "none"),
    "baselines into a file's folder": (
        words("baselines", "--data={area}/root", "--names=train_mean", "--out={area}/a_file/scores.json"),
        "a_file",
    ),
    "compare one run": (words("compare", "{area}/run"), "1 run"),
    "compare a missing run": (words("compare", "{area}/run", "{area}/none"), "none"),
    "doctor on nothing": (words("doctor", "--workdir={area}/none"), "none is not a folder"),
    "check on nothing": (words("check", "{area}/none"), "none"),
    "convert synthetic with an option": (
        words("convert", "synthetic", "--out={area}/new", "--options=units=3"),
        "takes no --options; leave that out",
    ),
    "convert synthetic with two options": (
        words("convert", "synthetic", "--out={area}/new", "--bin_ms=5", "--split=random"),
        "takes no --bin_ms, --split; leave that out",
    ),
    "convert unknown kind": (words("convert", "tapes", "{area}/a_file", "--out={area}/new"), "tapes"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_told_in_one_line_and_leaves_nothing_behind(area, capsys, case):
    arguments, named = BAD_INPUT[case]
    before = contents(area)
    code = main.main(arguments(area))
    error = capsys.readouterr().err
    assert code == 2, error
    assert error.startswith("neurojax: ") and error.endswith("\n") and error.count("\n") == 1
    assert named in error and "Traceback" not in error
    assert len(error) < 600
    after = contents(area)
    assert sorted(map(str, after.keys() ^ before.keys())) == []
    assert after == before
