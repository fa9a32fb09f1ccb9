"""Notebooks are stripped, valid, and end in an assertion that can fail."""

import json
import sys
import types
from pathlib import Path

import pytest

COLAB = Path(__file__).resolve().parents[2] / "colab"
NOTEBOOKS = sorted(COLAB.glob("*.ipynb"))


def read(path: Path) -> list[dict]:
    notebook = json.loads(path.read_text())
    assert notebook["nbformat"] == 4
    return notebook["cells"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_no_outputs_are_kept(path):
    code = [cell for cell in read(path) if cell["cell_type"] == "code"]
    assert [cell for cell in code if cell["outputs"] or cell["execution_count"] is not None] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_the_last_cell_asserts(path):
    last = read(path)[-1]
    assert last["cell_type"] == "code"
    assert any(line.startswith("assert ") for line in last["source"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_cells_have_names_of_their_own(path):
    names = [cell["id"] for cell in read(path)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("bits_per_spike, accepted", [(0.1, True), (0.0, False), (-0.1, False)])
def test_first_run_accepts_only_a_score_above_the_null(tmp_path, bits_per_spike, accepted):
    evaluation = {"schema": 1, "mean": {"co_smoothing": {"bps_pooled": bits_per_spike}}}
    (tmp_path / "evaluation.json").write_text(json.dumps(evaluation))
    last_cell = "".join(read(COLAB / "first_run.ipynb")[-1]["source"])
    if accepted:
        exec(last_cell, {"WORKDIR": tmp_path})
    else:
        with pytest.raises(AssertionError, match="mean rate"):
            exec(last_cell, {"WORKDIR": tmp_path})


@pytest.mark.parametrize(
    "runtime, workdir", [("colab", "/content/drive/MyDrive/neurojax/first"), ("own", "runs/first")]
)
def test_first_run_keeps_its_workdir_on_the_drive_where_there_is_one(monkeypatch, runtime, workdir):
    mounted = []
    if runtime == "colab":
        google, colab = types.ModuleType("google"), types.ModuleType("google.colab")
        colab.drive = google.colab = types.SimpleNamespace(mount=mounted.append)
        monkeypatch.setitem(sys.modules, "google", google)
        monkeypatch.setitem(sys.modules, "google.colab", colab)
    else:
        monkeypatch.setitem(sys.modules, "google.colab", None)
    (cell,) = (cell for cell in read(COLAB / "first_run.ipynb") if cell["id"] == "train")
    *lines, command = "".join(cell["source"]).splitlines()
    names = {"Path": Path}
    exec("\n".join(lines), names)
    assert names["WORKDIR"] == Path(workdir)
    assert len(mounted) == (runtime == "colab")
    assert command.startswith("!neurojax train") and "--workdir={WORKDIR}" in command
