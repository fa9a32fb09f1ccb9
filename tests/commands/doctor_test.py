"""The doctor sees what is broken, says what to do and touches nothing."""

import contextlib
import json
import shutil
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from neurojax.commands import config
from neurojax.commands.doctor import doctor
from neurojax.data.session import SPLIT_NAMES
from neurojax.data.store import roster, trained_trials
from neurojax.errors import InputError
from neurojax.files import write_json
from neurojax.runs import checkpoint, manifest, workdir, writer

CONFIG = config.load([f"--config={Path(__file__).parents[2] / 'configs' / 'mtm.py'}"])
DIGESTS = ("units_sha256", "content_sha256", "counts_sha256")


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    workdir.write_config(folder, CONFIG, "d0", {})
    record = {
        "config_hash": workdir.config_hash(CONFIG),
        "versions": workdir.package_versions() | {"jax": "0.0.1"},
    }
    with checkpoint.Checkpointer(folder / "checkpoints") as checkpointer:
        for step in (1, 2):
            checkpointer.save(step, {"kernel": jnp.asarray(np.arange(12.0) * step)}, record)
    with writer.MetricsWriter(folder) as metrics:
        metrics.write(1, {"loss": 1.0})
    write_json(folder / "evaluation.json", {"schema": 1, "step": 2, "sessions": {"mouse": {}}})
    entry = {"session_id": "mouse", "num_units": 1, "region": ["CA1"], "num_trials": dict.fromkeys(SPLIT_NAMES, 1)}
    roster.write(folder / "sessions.json", [entry | dict.fromkeys(DIGESTS, "0")])
    trained_trials.write(folder, [])
    return folder


@pytest.fixture
def run(healthy, tmp_path):
    return shutil.copytree(healthy, tmp_path / "run")


def findings(folder) -> list[str]:
    lines = []
    with pytest.raises(InputError, match="need attention"):
        doctor(folder, log=lines.append)
    return [line for line in lines if line.startswith("BAD")]


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "record, words",
    [
        ({"schema": 1, "step": 2, "eval": {"evaluator": "gestures"}, "gestures": {}}, "ok   evaluation.json: gestures"),
        ({"step": 2, "eval": {"evaluator": "gestures"}, "gestures": {}}, "BAD  evaluation.json lacks its schema"),
        ({"schema": 1, "step": 2, "eval": {"evaluator": "spikes"}}, "BAD  evaluation.json lacks its schema"),
        ({"schema": 1, "step": 2, "eval": [3]}, "BAD  evaluation.json lacks its schema"),
    ],
)
def test_evaluations_of_every_kind_are_known(run, record, words):
    write_json(run / "evaluation.json", record)
    lines = []
    with contextlib.suppress(InputError):
        doctor(run, log=lines.append)
    (line,) = [line for line in lines if "evaluation.json" in line]
    assert line.startswith(words)


def test_a_healthy_run(run):
    lines, before = [], contents(run)
    doctor(run, log=lines.append)
    assert [line for line in lines if line.startswith("note")] == [
        line for line in lines if "jax was 0.0.1 at step 2" in line
    ]
    assert sum("checkpoint" in line and line.startswith("ok") for line in lines) == 2
    assert contents(run) == before


def flip_last_byte(path):
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)


def edited(block, name, value):
    """Puts one value into config.json, in a block or at the top."""

    def act(path):
        content = json.loads(path.read_text())
        (content[block] if block else content)[name] = value
        path.write_text(json.dumps(content))

    return act


@pytest.mark.parametrize(
    "name, damage, expected",
    [
        ("checkpoints/1/state/_METADATA", flip_last_byte, "checkpoint 1: state/_METADATA differs"),
        ("checkpoints/2/neurojax_manifest.json", flip_last_byte, "checkpoint 2: "),
        ("config.json", lambda path: path.write_text("{"), "config.json cannot be read"),
        ("config.json", lambda path: path.unlink(), "config.json does not exist"),
        (
            "config.json",
            lambda path: path.write_text(path.read_text().replace('"width": 64', '"width": 65')),
            "config.json is not as the run wrote it",
        ),
        ("config.json", lambda path: path.write_text("{}"), "is not as the run wrote it"),
        ("config.json", edited("run", "notes", 3), "damaged entry 'run'"),
        ("config.json", edited("data", "root", 5), "data.root=5; expected a str"),
        ("config.json", edited("train", "num_steps", "lots"), "train.num_steps='lots'; expected a int"),
        ("config.json", edited("train", "log_every_steps", 0), "train.log_every_steps=0"),
        ("config.json", edited("sharding", "data", "x"), "sharding.data='x'"),
        ("config.json", edited("sharding", "rules", 5), "sharding.rules=5"),
        ("config.json", edited("eval", "num_boot", "many"), "eval.num_boot='many'"),
        ("config.json", edited("eval", "protocol", 7), "eval.protocol=7"),
        ("config.json", edited(None, "train", None), "is not as the run wrote it"),
        ("config.json", edited(None, "sharding", None), "sharding is None, expected a block"),
        ("checkpoints/2/.DS_Store", lambda path: path.write_text("x"), ".DS_Store is not in the manifest; remove what"),
        (".lock", lambda path: path.symlink_to("elsewhere"), "not a plain file"),
        (
            "sessions.json",
            lambda path: path.write_text('{"schema": 1}'),
            "lists no session; use another copy, or remove",
        ),
        ("trained_trials.json", lambda path: path.write_text('{"schema": 1'), "trained_trials.json cannot be read"),
        ("checkpoints", lambda path: (path.rename(path.parent / "old"), path.write_text("")), "is not a folder"),
        ("checkpoints", lambda path: path.rename(path.parent / "old"), "no checkpoint is there; restore checkpoints/"),
        ("metrics.jsonl", lambda path: path.write_text("x\n{}\n"), "metrics.jsonl line 1"),
        ("evaluation.json", lambda path: path.write_text("[]"), "evaluation.json holds a JSON list"),
        ("evaluation.json", lambda path: path.write_text("{}"), "evaluation.json lacks"),
    ],
)
def test_each_damage_is_one_finding_with_a_remedy(run, name, damage, expected):
    damage(run / name)
    before = contents(run)
    (line,) = findings(run)
    assert expected in line and len(line) > len(expected) + 20
    assert contents(run) == before


def test_the_remedy_fits_what_is_left(run):
    flip_last_byte(run / "checkpoints/2/neurojax_manifest.json")
    (line,) = findings(run)
    assert "goes on from a step that is whole" in line
    flip_last_byte(run / "checkpoints/1/neurojax_manifest.json")
    assert len(found := findings(run)) == 2 and all("no step is whole" in line for line in found)


@pytest.mark.parametrize(
    "moment, line",
    [
        ("before", "note checkpoint 1 was removed meanwhile, by a run that goes on"),
        ("after", "ok   checkpoint 1: "),
    ],
)
def test_a_step_deleted_by_the_run_meanwhile_is_no_damage(run, monkeypatch, moment, line):
    real = manifest.verify_step

    def verify(step_dir):
        if step_dir.name == ("1" if moment == "before" else "2"):
            manifest.delete_step(step_dir.with_name("1"))
        return real(step_dir)

    monkeypatch.setattr(manifest, "verify_step", verify)
    lines = []
    doctor(run, log=lines.append)
    assert any(found.startswith(line) for found in lines), lines


def test_a_folder_of_several_seeds_and_one_of_something_else(run, tmp_path):
    (tmp_path / "several").mkdir()
    run.rename(tmp_path / "several" / "seed_0")
    with pytest.raises(InputError, match="name one of its seeds"):
        doctor(tmp_path / "several")
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match="holds no run"):
        doctor(tmp_path / "other")


def test_leftovers_and_missing_parts_are_notes(run):
    (run / "checkpoints/3").mkdir()
    (run / "checkpoints/2").rename(run / "checkpoints/2.damaged-1")
    for name in ("evaluation.json", "sessions.json", "trained_trials.json"):
        (run / name).unlink()
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "lo')
    lines = []
    doctor(run, log=lines.append)
    text = "\n".join(line for line in lines if line.startswith("note"))
    assert "checkpoint 3 was not finished" in text and "2.damaged-1" in text and "neurojax evaluate" in text
    assert "no sessions.json" in text and "no trained_trials.json" in text and "metrics.jsonl is cut" in text


def test_data_are_compared(run, tmp_path):
    moved = {**CONFIG, "data": {**CONFIG["data"], "root": str(tmp_path / "gone")}}
    workdir.write_config(run, moved, "d0", {})
    lines = []
    doctor(run, log=lines.append)
    assert any("is not here" in line for line in lines)
    (tmp_path / "gone").mkdir()
    assert "BAD  data" in findings(run)[0]


def test_no_folder(tmp_path):
    with pytest.raises(InputError, match="is not a folder"):
        doctor(tmp_path / "nowhere")
