"""What `neurojax predict` writes scores the same under a scorer that shares no code with the package."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from neurojax import main
from neurojax.evals import protocols, spikes

CONFIG = Path(__file__).resolve().parent.parent.parent / "configs" / "mtm.py"
TINY = [
    *("model.width=8", "model.num_heads=2", "model.num_layers=1", "model.read_in_width=8", "model.mlp_width=8"),
    *("data.sessions_per_batch=1", "data.trials_per_batch=8", "train.num_steps=4", "train.log_every_steps=2"),
    *("train.validate_every_steps=4", "eval.num_boot=100", "eval.trials_per_pass=512", "eval.baselines=train_mean"),
]


@pytest.mark.data
def test_predictions_of_a_recording_score_the_same_under_the_independent_scorer(data_root, tmp_path, monkeypatch):
    tool = data_root.parent / "tools" / "score_npz.py"
    recording = data_root / "steinmetz2019_sessions" / "session1.npz"
    if not (tool.is_file() and recording.is_file()):
        pytest.skip("no independent scorer or no session1.npz beside the recordings")
    monkeypatch.setattr(spikes, "draw", lambda *arguments, **options: None)  # the scores are enough
    root, run, out = tmp_path / "root", tmp_path / "run", tmp_path / "predictions"
    assert main.main(["convert", "arrays", str(recording), f"--out={root}", "--bin_ms=20"]) == 0
    settings = [f"--config.{entry}" for entry in [*TINY, f"data.root={root}"]]
    assert main.main(["train", f"--config={CONFIG}", f"--workdir={run}", *settings]) == 0
    assert main.main(["predict", f"--workdir={run}", f"--out={out}"]) == 0

    spec = importlib.util.spec_from_file_location("score_npz", tool)
    scorer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(scorer)
    with np.load(out / "session1.npz", allow_pickle=False) as file:
        theirs = scorer.evaluate(recording, {task: file[task] for task in protocols.TASKS}, boot=100)
    entry = json.loads((run / "evaluation.json").read_text())["sessions"]["session1"]
    assert set(theirs) == set(protocols.TASKS)
    for task, scores in theirs.items():
        for name, value in scores.items():
            np.testing.assert_allclose(entry["tasks"][task][name], value, rtol=0, atol=1e-6, err_msg=f"{task} {name}")
    assert entry["leak_checks"]["influence_cases"] == dict.fromkeys(protocols.TASKS, 3)
    assert entry["leak_checks"]["trained"] == "passed"  # train left digests of its trials
    assert set(entry["calibration"]) == set(protocols.TASKS) == set(entry["trial_sums"]["tasks"])
    assert 0 < entry["psth_reliability"] < 1
    assert {block["baseline"] for block in entry["paired"].values()} == {"train_mean"}
