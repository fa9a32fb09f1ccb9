"""Stored answers: read back as written; what is damaged, or of another recording, is refused in words."""

import json

import numpy as np
import pytest

from neurojax.data.store.answers import Answers, read_answers, write_answers
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError

OFFSETS = np.cumsum([0, 4, 6, 5, 6])


def session_of(seed=0):
    counts = np.random.default_rng(seed).poisson(1.0, (OFFSETS[-1], 9))
    return from_counts(counts, bin_size_s=0.02, session_id="rat", trial_offsets=OFFSETS, split=[0, 0, 2, 0])


def answers_of(tasks=("co_smoothing", "forward"), trial_id=(0, 1, 3)):
    rng = np.random.default_rng(1)
    log_rates = {task: rng.standard_normal((3, 6, 9)).astype(np.float32) for task in tasks}
    log_rates[tasks[0]][0, 4:] = np.nan  # past the end of trial 0
    last = np.zeros((3, 6), bool)
    last[[0, 1, 2], [3, 5, 5]] = True
    return Answers(np.asarray(trial_id), last, log_rates, {"name": "run", "sha256": "ab" * 32})


def test_answers_are_read_as_they_were_written_and_replaced_whole(tmp_path):
    session, answers = session_of(), answers_of()
    write_answers(tmp_path, session, answers_of(("intra_region",)))
    write_answers(tmp_path, session, answers)
    found = read_answers(tmp_path, session)
    assert set(found.log_rates) == {"co_smoothing", "forward"} and found.answerer == answers.answerer
    for task, values in answers.log_rates.items():
        assert found.log_rates[task].dtype == np.float32
        np.testing.assert_array_equal(found.log_rates[task], values)
    np.testing.assert_array_equal(found.trial_id, [0, 1, 3])
    np.testing.assert_array_equal(found.last_bins, answers.last_bins)
    assert [path.name for path in tmp_path.iterdir()] == ["rat"]  # nothing temporary stays


def test_one_flipped_byte_is_told(tmp_path):
    write_answers(tmp_path, session_of(), answers_of())
    path = tmp_path / "rat" / "forward.npy"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="forward.npy is damaged: its checksum"):
        read_answers(tmp_path, session_of())


def test_answers_about_another_recording_of_the_name_are_refused(tmp_path):
    write_answers(tmp_path, session_of(), answers_of())
    with pytest.raises(InputError, match="answers another recording of the name rat"):
        read_answers(tmp_path, session_of(seed=1))


def test_a_session_without_answers_says_how_to_write_them(tmp_path):
    with pytest.raises(InputError, match="no answers of session rat; write them with .*--format=answers"):
        read_answers(tmp_path, session_of())


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("schema", 2, "has schema '2', expected 1"),
        ("arrays", {"../../etc/x": "0"}, "array .*expected trial_id"),
        ("answerer", "me", "expected 1 with arrays and answerer"),
    ],
)
def test_a_record_that_cannot_be_is_refused(tmp_path, name, value, expected):
    write_answers(tmp_path, session_of(), answers_of())
    path = tmp_path / "rat" / "answers.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(InputError, match=expected):
        read_answers(tmp_path, session_of())


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (answers_of(trial_id=(1, 0, 3)), "no rising list of trials of 4"),
        (answers_of(trial_id=(0, 1, 4)), "no rising list of trials of 4"),
        (answers_of(trial_id=(0, 2, 3))._replace(last_bins=np.zeros((3, 5), bool)), "last_bins has shape"),
        (answers_of()._replace(log_rates={}), "no task is answered"),
        (answers_of(("co-smoothing",)), "task 'co-smoothing'"),
        (answers_of()._replace(log_rates={"forward": np.zeros((3, 6, 8))}), r"forward has shape \(3, 6, 8\)"),
        (answers_of()._replace(log_rates={"forward": np.full((3, 6, 9), -np.inf)}), "forward holds infinity"),
    ],
)
def test_answers_that_do_not_fit_are_never_written(tmp_path, answers, expected):
    with pytest.raises(InputError, match=expected):
        write_answers(tmp_path / "out", session_of(), answers)
    assert not (tmp_path / "out").exists()
