"""The source of stored answers: each trial beside one question, its own answer, and no other's."""

import dataclasses

import numpy as np
import pytest

from neurojax.data.questions import TASKS, questions_of
from neurojax.data.session import TRAIN
from neurojax.data.sources import answered, spikes
from neurojax.data.store.answers import Answers, write_answers
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError
from neurojax.schemes import CAUSAL
from tests.configs_for_tests import batching_config

PLAIN = batching_config(sessions_per_batch=2, trials_per_batch=8, bucket_units=16)
UNITS = {"a": 13, "b": 10}
T = 6


def session_of(name, region=("x", "y")):
    """Ten trials of five or six bins, those of odd number shorter; the last is no train trial."""
    lengths = np.where(np.arange(10) % 2, T - 1, T)
    counts = np.random.default_rng(len(name)).poisson(1.0, (lengths.sum(), UNITS[name]))
    where = np.resize(np.asarray(region), UNITS[name])
    offsets, split = np.concatenate([[0], np.cumsum(lengths)]), [0] * 9 + [2]
    return from_counts(counts, bin_size_s=0.02, session_id=name, region=where, trial_offsets=offsets, split=split)


def coded(session, tasks=TASKS, trial_ids=None):
    """Answers that say which trial, task, bin and unit they are of."""
    trial_ids = session.trials_of(TRAIN) if trial_ids is None else trial_ids
    k, t, n = np.ix_(trial_ids, np.arange(T), np.arange(session.num_units))
    log_rates = {task: (1000 * k + 100 * TASKS.index(task) + 10 * t + n / 10 + 0.01) for task in tasks}
    last = np.arange(T) == session.trial_num_bins[trial_ids][:, None] - 1
    return Answers(trial_ids, last, {task: v.astype(np.float32) for task, v in log_rates.items()}, {})


@pytest.fixture
def opened(tmp_path):
    sessions = [session_of(name) for name in UNITS]
    for session in sessions:
        write_answers(tmp_path, session, coded(session))
    config = answered.Config(**dataclasses.asdict(PLAIN), answers=str(tmp_path))
    return sessions, config, answered.open_source(sessions, config, 3)


def test_answers_are_known_by_what_they_say_and_not_by_where_they_lie(opened, tmp_path):
    sessions, config, source = opened
    elsewhere = dataclasses.replace(config, answers=str(tmp_path / "elsewhere"))

    def written(change=0.0):
        for session in sessions:
            answers = coded(session)
            answers.log_rates["forward"][:1] += change
            write_answers(tmp_path / "elsewhere", session, answers)
        return answered.open_source(sessions, elsewhere, 3).answers_sha256

    assert written() == source.answers_sha256 != written(0.5)


def test_trials_are_those_of_spikes_and_every_answer_is_its_own(opened):
    sessions, _, source = opened
    plain, seen = spikes.open_source(sessions, PLAIN, 3), set()
    for index in range(12):
        batch, other = source.batch(index), plain.batch(index)
        for name, array in other.trials.items():
            np.testing.assert_array_equal(batch.trials[name], array)
        for group, place in np.ndindex(2, 4):
            here = {name: array[group, place] for name, array in batch.trials.items()}
            session = sessions[batch.groups["session_row"][group]]
            task = next(task for task, scheme in answered.SCHEME.items() if scheme == here["scheme"])
            seen.add((session.session_id, task))
            n = session.num_units
            assert not here["hidden_units"][n:].any() and not here["asked_units"][n:].any()
            matching = [
                question
                for question in questions_of(session)
                if question.task == task
                and np.array_equal(question.hidden, here["hidden_units"][:n])
                and np.array_equal(question.asked, here["asked_units"][:n])
            ]
            assert len(matching) == 1
            bins = here["hidden_bins"] if here["scheme"] == CAUSAL else here["bin_valid"]
            np.testing.assert_array_equal(here["answered"], bins[:, None] & here["asked_units"])
            assert here["answered"].any() and here["hidden_bins"].sum() == (here["scheme"] == CAUSAL)
            t, unit = np.nonzero(here["answered"])
            expected = 1000 * here["trial_id"] + 100 * TASKS.index(task) + 10 * t + unit / 10 + 0.01
            np.testing.assert_allclose(here["answer"][t, unit], expected, rtol=1e-6)
            assert not here["answer"][~here["answered"]].any()
    assert len(seen) == 8


def test_a_batch_is_a_function_of_seed_and_index_and_processes_gather_their_own_trials(opened):
    sessions, config, source = opened
    again = answered.open_source(sessions, config, 3)
    whole = source.batch(5)
    for name, array in again.batch(5).trials.items():
        np.testing.assert_array_equal(array, whole.trials[name])
    part = source.batch(5, lambda trials: slice(1, 3))
    for name, array in part.trials.items():
        np.testing.assert_array_equal(array, whole.trials[name][:, 1:3])
    other = answered.open_source(sessions, config, 4).batch(5)
    assert (other.trials["scheme"] != whole.trials["scheme"]).any()


def test_units_are_asked_for_alike_within_a_task(opened):
    """Of 13 units in two regions of 7 and 6 the larger is drawn more often, by its size."""
    sessions, _, source = opened
    questions, up_to = source._asked[0][TASKS.index("inter_region")]
    assert sorted(question.asked.sum() for question in questions) == [6, 7]
    drawn = [answered._drawn([(questions, up_to)], 0.5, second).asked.sum() for second in (np.arange(13) + 0.5) / 13]
    assert sorted(drawn) == [6] * 6 + [7] * 7


def test_what_was_not_answered_is_marked_and_zero(tmp_path):
    session = session_of("a")
    answers = coded(session, ("forward",))
    answers.log_rates["forward"][:, :, 4] = np.nan
    write_answers(tmp_path, session, answers)
    config = answered.Config(**dataclasses.asdict(PLAIN), answers=str(tmp_path))
    trials = answered.open_source([session], config, 0).batch(0).trials
    assert (trials["scheme"] == CAUSAL).all()
    assert not trials["answered"][..., 4].any() and not trials["answer"][..., 4].any()
    assert trials["answered"][..., 5].any() and np.isfinite(trials["answer"]).all()


def test_a_train_trial_without_an_answer_is_refused(tmp_path):
    session = session_of("a")
    write_answers(tmp_path, session, coded(session, trial_ids=np.arange(7)))
    config = answered.Config(**dataclasses.asdict(PLAIN), answers=str(tmp_path))
    with pytest.raises(InputError, match="no answers to 2 train trials of session a"):
        answered.open_source([session], config, 0)
    with pytest.raises(InputError, match="data.answers is empty; give the folder"):
        answered.open_source([session], dataclasses.replace(config, answers=""), 0)


def test_answers_of_regions_alone_do_for_no_session_without_them(tmp_path):
    session = session_of("a", region=("unknown",))
    write_answers(tmp_path, session, coded(session, ("inter_region",)))
    config = answered.Config(**dataclasses.asdict(PLAIN), answers=str(tmp_path))
    with pytest.raises(InputError, match="answers to no question that it can be asked"):
        answered.open_source([session], config, 0)
