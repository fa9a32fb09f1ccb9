"""What `neurojax predict` writes scores the same under a scorer that shares no code with the package."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import neurojax as nj
from neurojax import main
from neurojax.commands import predict
from neurojax.data.session import TRAIN
from neurojax.data.store.answers import read_answers
from neurojax.data.store.dataset import open_dataset
from neurojax.data.synthetic import animals as synthetic
from neurojax.errors import InputError
from neurojax.evals import activity, protocols, scoring, spikes
from neurojax.finetune import release, weights
from neurojax.runs.restore import newest_manifest
from neurojax.train import run as train_run
from tests.train.identity_test import CHECKOUT, SPEC, plain, train_command, write_root

CONFIG = Path(__file__).resolve().parent.parent.parent / "configs" / "mtm.py"
TINY = [
    *("model.width=8", "model.num_heads=2", "model.num_layers=1", "model.read_in_width=8", "model.mlp_width=8"),
    *("data.sessions_per_batch=1", "data.trials_per_batch=8", "train.num_steps=4", "train.log_every_steps=2"),
    *("train.validate_every_steps=4", "eval.num_boot=100", "eval.trials_per_pass=512", "eval.baselines=train_mean"),
    "sharding.data=1",
]


@pytest.mark.data
def test_predictions_of_a_recording_score_the_same_under_the_independent_scorer(data_root, tmp_path, monkeypatch):
    tool = data_root.parent / "tools" / "score_npz.py"
    recording = data_root / "steinmetz2019_sessions" / "session1.npz"
    if not (tool.is_file() and recording.is_file()):
        pytest.skip("no independent scorer or no session1.npz beside the recordings")
    monkeypatch.setattr(spikes, "draw", lambda *arguments, **options: None)  # the scores are enough
    root, run, out = tmp_path / "root", tmp_path / "run", tmp_path / "predictions"
    with np.load(recording, allow_pickle=False) as file:  # every fourth unit: of 734, each takes its own passes
        part = {"counts": file["counts"][:, :, ::4], "unit_region": file["unit_region"][::4]}
        part |= {name: file[name] for name in file.files if name not in part and not name.startswith("unit_")}
    recording = tmp_path / "session1.npz"
    np.savez(recording, **part)
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


def test_an_ensemble_predicts_with_its_spread_and_answers_for_a_student(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(train_run, "evaluate_run", lambda *arguments, **options: {})
    root = write_root(tmp_path / "root", [plain(session) for session in synthetic.make_sessions(SPEC, seed=0)[:2]])
    teacher, answers, student = tmp_path / "teacher", tmp_path / "answers", tmp_path / "student"
    assert main.main([*train_command(teacher, root), "--ensemble=2"]) == 0
    assert main.main(["predict", f"--workdir={teacher}", f"--out={tmp_path / 'out'}", "--task=co_smoothing"]) == 0

    session = open_dataset(root).sessions[0]
    model = nj.load(teacher)
    with np.load(tmp_path / "out" / f"{session.session_id}.npz") as file:
        rates_hz, spread_hz = file["co_smoothing_rates_hz"], file["co_smoothing_rates_hz_spread"]
        assert "co_smoothing_rates_hz_spread: Hz" in file["unit_of_values"]
    each = [
        activity.predict_session(one, session, ["co_smoothing"])["co_smoothing"] / session.bin_size_s
        for one in model.predictor(session).each_member
    ]
    np.testing.assert_allclose(rates_hz, np.sqrt(each[0] * each[1]), rtol=1e-4)  # the mean log-rate
    np.testing.assert_allclose(spread_hz, np.abs(each[0] - each[1]) / np.sqrt(2), rtol=1e-3, atol=1e-4)
    spread, rates = model.spread(session, num_groups=2), model.rates(session, num_groups=2)
    assert spread.shape == rates.shape == session.counts.shape and spread.dtype == np.float32
    assert (np.isfinite(spread) == np.isfinite(rates)).all() and spread.max() > 0

    assert main.main(["predict", f"--workdir={teacher}", f"--out={answers}", "--format=answers"]) == 0
    found = read_answers(answers, session)
    assert found.trial_id.tolist() == session.trials_of(TRAIN).tolist()
    assert found.answerer["sha256"] == newest_manifest(teacher / "checkpoints")["config_hash"]

    written, second = [], open_dataset(root).sessions[1].session_id  # stopped there, the same command goes on
    forward = answers / second / "forward.npy"
    forward.write_bytes(forward.read_bytes()[:-4])
    monkeypatch.setattr(predict, "write_answers", lambda out, of, _: written.append(of.session_id))
    assert main.main(["predict", f"--workdir={teacher}", f"--out={answers}", "--format=answers"]) == 0
    assert written == [second]
    with monkeypatch.context() as patch:  # weights of other data or code, under the same config and step
        patch.setattr(predict, "_weights_sha256", lambda model: "others")
        patch.setattr(predict, "answers_of", lambda *arguments, **options: None)
        assert main.main(["predict", f"--workdir={teacher}", f"--out={answers}", "--format=answers"]) == 0
    assert written[1:] == [one.session_id for one in open_dataset(root).sessions]
    monkeypatch.undo()
    monkeypatch.setattr(train_run, "evaluate_run", lambda *arguments, **options: {})
    assert main.main(["predict", f"--workdir={teacher}", f"--out={answers}", "--format=answers"]) == 0
    learned = train_command(student, root, f"data.answers={answers}")
    learned[1] = f"--config={CHECKOUT / 'configs' / 'student.py'}"
    assert main.main(learned) == 0
    moved = str(answers.rename(tmp_path / "moved"))
    assert main.main([word.replace(str(answers), moved) for word in learned]) == 0  # the same run, which is finished
    release.write(tmp_path / "shared", weights.read_run(student, print), "a card", None)
    assert str(tmp_path) not in (tmp_path / "shared" / "config.json").read_text()
    capsys.readouterr()
    assert main.main(["predict", f"--workdir={student}", f"--out={tmp_path / 'one'}", "--task=forward"]) == 0
    assert "no spread beside the rates: one model; train with --ensemble=K" in capsys.readouterr().out
    with np.load(tmp_path / "one" / f"{session.session_id}.npz") as file:
        assert not [name for name in file if name.endswith("spread")]
    with pytest.raises(InputError, match="one model has no spread; train several"):
        nj.load(student).spread(session)


def test_rates_of_model_and_stack_together_are_those_that_the_evaluation_scored(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(spikes, "draw", lambda *arguments, **options: None)
    root = write_root(tmp_path / "root", [plain(session) for session in synthetic.make_sessions(SPEC, seed=0)[:1]])
    run = tmp_path / "run"
    assert main.main([*train_command(run, root, "eval.num_boot=5"), "--config.eval.baselines=train_mean,stack"]) == 0
    assert main.main(["predict", f"--workdir={run}", f"--out={tmp_path / 'mixed'}", "--mixed_with=stack"]) == 0
    assert "the model's share: co_smoothing" in capsys.readouterr().out
    assert main.main(["predict", f"--workdir={run}", f"--out={tmp_path / 'own'}"]) == 0
    entries = json.loads((run / "evaluation.json").read_text())["sessions"]
    for session in open_dataset(root).sessions:
        entry = entries[session.session_id]
        for folder, blocks in (("mixed", entry["model_and_stack"]), ("own", entry["tasks"])):
            with np.load(tmp_path / folder / f"{session.session_id}.npz") as file:
                rates = {task: file[task] for task in protocols.TASKS if task in blocks}
            again = scoring.score_session(session, rates, seed=0, num_boot=0)
            for task, block in again.items():
                assert block["bps_pooled"] == pytest.approx(blocks[task]["bps_pooled"], abs=1e-5)
    command = ["predict", f"--workdir={run}", f"--out={tmp_path / 'no'}", "--mixed_with=ridge"]
    assert main.main(command) == 2 and not (tmp_path / "no").exists()


def test_a_teacher_that_has_seen_test_trials_does_not_answer(tmp_path, monkeypatch):
    """Its student would know them; here the split is another one than the teacher was trained with."""
    monkeypatch.setattr(train_run, "evaluate_run", lambda *arguments, **options: {})
    session = plain(synthetic.make_sessions(SPEC, seed=0)[0])
    root, other = write_root(tmp_path / "root", [session]), tmp_path / "other"
    write_root(other, [session.with_fields(split=np.roll(session.split, 7))])
    assert main.main(train_command(tmp_path / "run", root)) == 0
    command = ["predict", f"--workdir={tmp_path / 'run'}", f"--data={other}", f"--out={tmp_path / 'answers'}"]
    assert main.main([*command, "--format=answers"]) == 2
    assert not (tmp_path / "answers").exists()
