"""metrics.jsonl survives kills and resumes."""

import errno
import json
import os
import shutil
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from neurojax.errors import InputError
from neurojax.runs.writer import MetricsWriter, read_metrics


def test_lines_are_on_disk_at_once_and_plain(tmp_path):
    with MetricsWriter(tmp_path) as writer:
        writer.write(1, {"loss": np.float32(0.5), "nan": float("nan"), "inf": np.float64("inf"), "jax": jnp.asarray(2)})
        assert read_metrics(tmp_path) == [{"step": 1, "loss": 0.5, "nan": None, "inf": None, "jax": 2}]
        writer.write(2, {"nested": {"values": np.array([1.0, np.nan])}})
    text = (tmp_path / "metrics.jsonl").read_text()
    assert "NaN" not in text and text.count("\n") == 2
    assert json.loads(text.splitlines()[1]) == {"step": 2, "nested": {"values": [1.0, None]}}


def test_resume_drops_later_steps_and_a_torn_line(tmp_path):
    with MetricsWriter(tmp_path) as writer:
        for step in (1, 2, 3, 4):
            writer.write(step, {"loss": step})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "lo')
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2, 3, 4]
    with MetricsWriter(tmp_path) as writer:
        assert writer.truncate_after(2) == 0.0
        writer.write(3, {"loss": 30})
    assert read_metrics(tmp_path) == [{"step": 1, "loss": 1}, {"step": 2, "loss": 2}, {"step": 3, "loss": 30}]


def test_resume_tells_how_long_was_trained_to_its_step(tmp_path):
    with MetricsWriter(tmp_path) as writer:
        for step, values in ((1, {"time_s": 2.0}), (2, {"time_s": 5.5}), (2, {"loss": 1}), (3, {"time_s": 9.0})):
            writer.write(step, values)
    with MetricsWriter(tmp_path) as writer:
        assert writer.truncate_after(2) == 5.5


def test_appending_after_a_torn_line_does_not_glue_two_lines(tmp_path):
    (tmp_path / "metrics.jsonl").write_bytes(b'{"step": 1}\n{"step": 2' + b"\0" * 10)
    with MetricsWriter(tmp_path) as writer:
        writer.write(2, {})
    assert read_metrics(tmp_path) == [{"step": 1}, {"step": 2}]


def test_truncation_keeps_the_old_file_until_the_new_one_is_there(tmp_path, monkeypatch):
    with MetricsWriter(tmp_path) as writer:
        writer.write(1, {})
        writer.write(2, {})
    before = (tmp_path / "metrics.jsonl").read_bytes()
    writer = MetricsWriter(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", lambda old, new: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            writer.truncate_after(1)
    assert (tmp_path / "metrics.jsonl").read_bytes() == before


def test_no_file_and_damaged_lines(tmp_path):
    assert read_metrics(tmp_path) == []
    (tmp_path / "metrics.jsonl").write_bytes(b'{"step": 1}\nrubbish\n{"step": 3}\n')
    with pytest.raises(InputError, match="line 2"):
        read_metrics(tmp_path)
    (tmp_path / "folder/metrics.jsonl").mkdir(parents=True)
    with pytest.raises(InputError, match="cannot be written"):
        MetricsWriter(tmp_path / "folder")


def test_a_deleted_file_is_begun_again_and_a_deleted_folder_told(tmp_path):
    (tmp_path / "run").mkdir()
    with MetricsWriter(tmp_path / "run") as metrics:
        metrics.write(1, {"loss": 1.0})
        (tmp_path / "run" / "metrics.jsonl").unlink()
        metrics.write(2, {"loss": 2.0})
        assert [row["step"] for row in read_metrics(tmp_path / "run")] == [2]
        shutil.rmtree(tmp_path / "run")
        with pytest.raises(InputError, match="cannot be written .No such file or directory.; check the workdir"):
            metrics.write(3, {"loss": 3.0})


def test_a_file_that_another_machine_deleted_is_begun_again(tmp_path, monkeypatch):
    def stale(descriptor):
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    with MetricsWriter(tmp_path) as metrics:
        metrics.write(1, {})
        with monkeypatch.context() as patch:
            patch.setattr(os, "fstat", stale)
            metrics.write(2, {})
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_a_full_disk_is_one_sentence_and_closing_does_not_hide_it(tmp_path):
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(InputError, match="No space left on device.*check the disk"), MetricsWriter(tmp_path) as writer:
        writer.write(1, {"loss": 0.5})
