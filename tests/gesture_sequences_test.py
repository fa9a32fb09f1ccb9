"""experiments/gestures/sequences: a table written later names the commits at which its networks were trained."""

import json

import pytest

from neurojax.errors import InputError
from tests.experiment_modules import imported


@pytest.fixture
def sequences(monkeypatch, tmp_path):
    """The script; a command that trains leaves the scores of one person, and none where it is stopped."""
    with imported("gestures", ("sequences",), ("run",)) as found:
        script = found.sequences

        def step(command, *arguments):
            folder = tmp_path / "sequences" / "lstm_0"
            if command == "train" and script.commit != "stopped":
                folder.mkdir(exist_ok=True)
                block = {"people": {"a": {"balanced_accuracy": 0.5}}}
                (folder / "evaluation.json").write_text(json.dumps({"gestures": block}))
                (folder / "metrics.jsonl").write_text('{"validation/label_accuracy": 0.4}\n')
            elif command == "train":
                folder.mkdir()

        monkeypatch.setattr(script, "step", step)
        monkeypatch.setattr(script, "provenance", lambda folder: {"commit": script.commit})
        yield script


def test_a_run_keeps_the_commits_that_it_was_trained_at(sequences, tmp_path):
    sequences.commit = "stopped"
    with pytest.raises(InputError):
        sequences.trained("lstm", 0, tmp_path, tmp_path)
    for sequences.commit in ("second", "third"):  # goes on at the second, is finished at the third
        found = sequences.trained("lstm", 0, tmp_path, tmp_path)
        assert found["trained_at"] == ["stopped", "second"] and found["people"] == {"a": 0.5}
    assert sequences.finished("lstm", 0, tmp_path)["trained_at"] == ["stopped", "second"]
    (tmp_path / "sequences" / "lstm_0_trained_at.json").unlink()  # of before commits were kept
    assert sequences.finished("lstm", 0, tmp_path)["trained_at"] == ["not known"]
