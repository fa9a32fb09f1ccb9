"""`train --seeds` leaves a run a seed on the same animals, goes on where it was, and refuses to mix with one run."""

import json

import numpy as np
import pytest

from neurojax import main
from neurojax.commands.compare import read_evaluation
from neurojax.evals import spikes
from neurojax.report.figures import report_figures
from neurojax.train import run_folder

ENTRIES = [
    *("model.width=8", "model.num_heads=2", "model.num_layers=1", "model.read_in_width=8", "model.mlp_width=8"),
    *("data.trials_per_batch=4", "data.bucket_units=128", "eval.num_boot=20", "eval.trials_per_pass=32", "seed=3"),
    *(
        "train.num_steps=4",
        "eval.baselines=train_mean",
        "data.synthetic.num_sessions=1",
        "data.synthetic.num_trials=16",
    ),
]


def arguments(config, workdir, *more):
    return ["train", f"--config={config}", f"--workdir={workdir}", *(f"--config.{entry}" for entry in ENTRIES), *more]


@pytest.mark.slow
def test_seeds_share_their_animals_and_are_summed_up(tmp_path, capsys, request, monkeypatch):
    monkeypatch.setattr(report_figures, "draw_figures", lambda *record: {})
    monkeypatch.setattr(spikes, "ceilings", lambda *arguments: {})
    config = request.config.rootpath / "configs" / "mtm.py"
    folder = tmp_path / "several"
    assert main.main(arguments(config, folder, "--seeds=2")) == 0
    assert sorted(place.name for place in folder.iterdir() if place.is_dir()) == ["seed_3", "seed_4"]
    records = [read_evaluation(folder / name) for name in ("seed_3", "seed_4", ".")]
    values = [record["mean"]["co_smoothing"]["bps_pooled"] for record in records]
    assert values[0] != values[1] and values[2] == pytest.approx(np.mean(values[:2]))
    assert len({record["dataset_fingerprint"] for record in records}) == 1  # the same animals
    said = capsys.readouterr().out
    assert "seed 3, 1 of 2" in said and "Student's t" in said and (folder / "report.html").is_file()

    assert main.main(arguments(config, folder, "--seeds=2")) == 0
    assert capsys.readouterr().out.count("is finished and evaluated") == 2
    assert main.main(["compare", str(folder), str(folder / "seed_4")]) == 0
    capsys.readouterr()
    for wrong, words in (
        (arguments(config, folder), "--seeds"),
        (arguments(config, folder / "seed_3", "--seeds=2"), "one seed"),
        (arguments(config, tmp_path / "new", "--seeds=1"), "2 to 100"),
        (arguments(config, tmp_path / "new", "--seeds=2", "--config.eval.evaluator=gestures"), "one command a seed"),
        (["evaluate", f"--workdir={folder}"], "seed_3"),
    ):
        assert main.main(wrong) == 2
        assert words in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    assert run_folder.data_seed(json.loads((folder / "seed_4" / "config.json").read_text())) == 3
