"""Sessions on several threads, and baselines fitted beside training: the same numbers, and an end when told."""

import os
import sys
import threading
import time

import numpy as np
import pytest

from neurojax.data.store.dataset import dataset_of
from neurojax.data.store.sessions import from_counts
from neurojax.evals import baseline_scores, baselines_cache, on_threads

SETTINGS = {"protocol": "mtm", "num_boot": 20, "baselines": "train_mean,psth"}


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    """Whatever the machine has: on a single core nothing goes on beside training."""
    monkeypatch.setattr(on_threads, "num_cores", lambda: 2)


def make_dataset(names=("rat", "mouse", "vole")):
    rng = np.random.default_rng(0)
    options = dict(bin_size_s=0.02, split=np.resize([0, 0, 1, 2], 24), region=np.resize(["A", "B"], 6))
    return dataset_of([from_counts(rng.poisson(0.5, (24, 10, 6)), session_id=name, **options) for name in names])


def until(reached, timeout_s=20.0):
    end = time.monotonic() + timeout_s
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_results_come_in_the_order_of_the_items_from_several_threads():
    both = threading.Barrier(2, timeout=20)  # passed only where two are at work at once

    def work(item):
        both.wait()
        return item * 10, threading.get_ident()

    found = list(on_threads.each(work, [3, 1, 2, 4], 2))
    assert [value for value, _ in found] == [30, 10, 20, 40] and threading.get_ident() not in dict(found).values()
    assert list(on_threads.each(lambda item: threading.get_ident(), [1, 2], 1)) == [threading.get_ident()] * 2


def test_where_one_fails_the_others_are_told_to_stop():
    at_work, ended, begun = threading.Event(), threading.Event(), []

    def work(item):
        begun.append(item)
        if item == "bad":
            at_work.wait(20)
            raise ValueError("bad")
        at_work.set()
        try:
            while True:
                on_threads.check()
        except on_threads.Stopped:
            ended.set()
            raise

    with pytest.raises(ValueError, match="bad"):
        list(on_threads.each(work, ["bad", "long", "late", "later"], 2))
    assert ended.is_set() and "later" not in begun
    on_threads.check()  # this thread was told nothing


def test_what_goes_on_beside_ends_with_its_context():
    at_work, ended = threading.Event(), []

    def work():
        at_work.set()
        try:
            while True:
                on_threads.check()
        finally:
            ended.append(True)

    with on_threads.beside(work) as start:
        assert not at_work.is_set()
        start()
        assert at_work.wait(20) and not ended
    assert ended == [True]
    with on_threads.beside(work):  # never started: nothing to wait for
        pass
    with pytest.raises(KeyError), on_threads.beside(lambda: 1 / 0) as start:
        start()
        raise KeyError  # the error of the body comes out, that of the work does not
    assert not [thread for thread in threading.enumerate() if thread.name == "beside"]


def test_baselines_fitted_beside_are_those_of_the_evaluation(tmp_path, monkeypatch):
    dataset = make_dataset()
    expected = baseline_scores.cached_scores(dataset, "", None, SETTINGS, 0, log=lambda line: None)
    fitted, beside, fit = [], [], baseline_scores._fit

    def counted(session, *rest):
        fitted.append(session.session_id)
        if threading.current_thread().name == "beside":
            beside.append(session.session_id)
            until(on_threads.is_enough)  # the evaluation comes while the first session is at work
        return fit(session, *rest)

    monkeypatch.setattr(baseline_scores, "_fit", counted)
    with baseline_scores.fitted_beside(dataset, "", tmp_path, SETTINGS, 0) as start:
        start()
        until(lambda: fitted)
        found = baseline_scores.cached_scores(dataset, "", tmp_path, SETTINGS, 0, log=lambda line: None)
    assert sorted(fitted) == sorted(expected) and list(found) == list(expected)
    # The evaluation waits for that session, and fits the others alone: it has all cores.
    assert beside == [dataset.sessions[0].session_id]
    for name, of_session in expected.items():
        assert found[name].scores == of_session.scores
        for baseline, tasks in of_session.excess.items():
            for task, values in tasks.items():
                np.testing.assert_array_equal(found[name].excess[baseline][task], values)


def full(path, content):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    "where, name, value, expected",
    [
        (baselines_cache, "MAX_EXCESS_BYTES", baselines_cache.MAX_EXCESS_BYTES, 3),  # as it is
        (baselines_cache, "MAX_EXCESS_BYTES", 10, 0),
        (baseline_scores, "MOST_BYTES_BESIDE", 10, 0),
        (baseline_scores.os, "access", lambda *of: False, 0),
        (baselines_cache, "write_bytes", full, 1),
        (on_threads, "num_cores", lambda: 1, 0),
        (SETTINGS, "baselines_beside", True, 3),
        (SETTINGS, "baselines_beside", False, 0),
    ],
)
def test_beside_training_nothing_is_fitted_that_is_not_kept_or_not_wanted(
    where, name, value, expected, tmp_path, monkeypatch
):
    if where is SETTINGS:
        monkeypatch.setitem(SETTINGS, name, value)
    else:
        monkeypatch.setattr(where, name, value)
    fitted, fit = [], baseline_scores._fit
    monkeypatch.setattr(baseline_scores, "_fit", lambda *of: fitted.append(of) or fit(*of))
    settings = {**SETTINGS, "baselines": "train_mean", "num_boot": 2}
    with baseline_scores.fitted_beside(make_dataset(), "", tmp_path, settings, 0) as start:
        start()
        until(lambda: not [thread for thread in threading.enumerate() if thread.name == "beside"])
    assert len(fitted) == expected


def test_who_waits_for_an_entry_that_another_is_at_stops_when_told(tmp_path):
    at_work, waiting, is_done, read = threading.Event(), threading.Event(), threading.Event(), []

    def fit():
        with baseline_scores._only_one_at(tmp_path):
            at_work.set()
            is_done.wait(5)

    def evaluate(item):
        if item == "interrupted":
            waiting.wait(20)
            raise KeyboardInterrupt
        waiting.set()
        with baseline_scores._only_one_at(tmp_path):
            read.append(item)

    thread = threading.Thread(target=fit)
    thread.start()
    assert at_work.wait(20)
    with pytest.raises(KeyboardInterrupt):
        list(on_threads.each(evaluate, ["interrupted", "waits"], 2))
    assert thread.is_alive() and not read
    is_done.set()
    thread.join()
    evaluate("now")
    assert read == ["now"]


def test_stopped_in_the_middle_nothing_half_made_stays(tmp_path, monkeypatch):
    dataset, settings = make_dataset(["rat"]), {**SETTINGS, "baselines": "stack"}
    at_work, check = threading.Event(), on_threads.check

    def slow_check():
        at_work.set()
        time.sleep(0.01)
        check()

    monkeypatch.setattr(on_threads, "check", slow_check)
    with baseline_scores.fitted_beside(dataset, "", tmp_path, settings, 0) as start:
        start()
        assert at_work.wait(20)
    assert not list((tmp_path / "baselines").iterdir())
    assert not [thread for thread in threading.enumerate() if thread.name == "beside"]


def test_as_many_sessions_at_once_as_cores_and_memory_hold(monkeypatch):
    sessions = make_dataset().sessions
    monkeypatch.setattr(on_threads, "num_cores", lambda: 2)
    assert baseline_scores._at_once(sessions) == 2 and baseline_scores._at_once(sessions[:1]) == 1
    monkeypatch.setattr(baseline_scores, "MOST_BYTES", 1000)
    assert baseline_scores._at_once(sessions) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="a thread has a priority of its own on Linux alone")
@pytest.mark.parametrize("is_allowed", [True, False])
def test_what_is_waited_for_gets_its_priority_back_or_stops(is_allowed, monkeypatch):
    own, asked, ended, at_work = os.getpriority(os.PRIO_PROCESS, 0), [], [], threading.Event()

    def setpriority(which, number, nice):  # of the process's own thread it would last
        asked.append((number, nice))
        if len(asked) > 1 and not is_allowed:
            raise PermissionError("not yours to raise")

    monkeypatch.setattr(os, "setpriority", setpriority)

    def work():
        at_work.set()
        until(on_threads.is_enough)
        time.sleep(0.05)
        try:
            on_threads.check()
            ended.append("to the end")
        except on_threads.Stopped:
            ended.append("stopped")

    with on_threads.beside(work) as start:
        start()
        assert at_work.wait(20)
        on_threads.hurry()
        until(lambda: ended)
    number = asked[0][0]
    assert number != threading.get_native_id() and asked == [(number, on_threads._NICE), (number, own)]
    assert ended == ["to the end" if is_allowed else "stopped"]
    on_threads.hurry()  # nobody is there
    assert len(asked) == 2
