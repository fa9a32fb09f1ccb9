"""The doctor sees what is broken, says what to do and touches nothing."""

import shutil

import jax.numpy as jnp
import numpy as np
import pytest

from neurojax.commands.doctor import doctor
from neurojax.errors import InputError
from neurojax.files import write_json
from neurojax.train import checkpoint, workdir, writer

CONFIG = {"seed": 0, "model": {"width": 3}, "data": {"root": ""}}


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


@pytest.mark.parametrize(
    "name, damage, expected",
    [
        ("checkpoints/1/state/_METADATA", flip_last_byte, "checkpoint 1: state/_METADATA differs"),
        ("checkpoints/2/neurojax_manifest.json", flip_last_byte, "checkpoint 2: "),
        ("config.json", lambda path: path.write_text("{"), "config.json cannot be read"),
        ("config.json", lambda path: path.unlink(), "config.json does not exist"),
        (
            "config.json",
            lambda path: path.write_text(path.read_text().replace('"width": 3', '"width": 4')),
            "config.json was edited",
        ),
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


def test_leftovers_and_missing_parts_are_notes(run):
    (run / "checkpoints/3").mkdir()
    (run / "checkpoints/2").rename(run / "checkpoints/2.damaged-1")
    (run / "evaluation.json").unlink()
    lines = []
    doctor(run, log=lines.append)
    text = "\n".join(line for line in lines if line.startswith("note"))
    assert "checkpoint 3 was not finished" in text and "2.damaged-1" in text and "neurojax evaluate" in text


def test_data_are_compared(run, tmp_path):
    config = {**CONFIG, "data": {"root": str(tmp_path / "gone")}}
    workdir.write_config(run, config, "d0", {})
    lines = []
    doctor(run, log=lines.append)
    assert any("is not here" in line for line in lines)
    (tmp_path / "gone").mkdir()
    assert "BAD  data" in findings(run)[0]


def test_no_folder(tmp_path):
    with pytest.raises(InputError, match="is not a folder"):
        doctor(tmp_path / "nowhere")
