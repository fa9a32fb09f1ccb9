"""Sessions on several threads: results in order, and an end when told."""

import threading

import numpy as np
import pytest

from neurojax.data.store.dataset import dataset_of
from neurojax.data.store.sessions import from_counts
from neurojax.evals import baseline_scores, on_threads


def make_dataset(names=("rat", "mouse", "vole")):
    rng = np.random.default_rng(0)
    options = dict(bin_size_s=0.02, split=np.resize([0, 0, 1, 2], 24), region=np.resize(["A", "B"], 6))
    return dataset_of([from_counts(rng.poisson(0.5, (24, 10, 6)), session_id=name, **options) for name in names])


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


def test_as_many_sessions_at_once_as_cores_and_memory_hold(monkeypatch):
    sessions = make_dataset().sessions
    monkeypatch.setattr(on_threads, "num_cores", lambda: 2)
    assert baseline_scores._at_once(sessions) == 2 and baseline_scores._at_once(sessions[:1]) == 1
    monkeypatch.setattr(baseline_scores, "MOST_BYTES", 1000)
    assert baseline_scores._at_once(sessions) == 1


def test_sessions_fitted_at_once_have_the_scores_of_one_after_another(monkeypatch):
    dataset, settings = make_dataset(), {"protocol": "mtm", "num_boot": 20, "baselines": "train_mean,psth"}
    found = []
    for cores in (1, 2):
        monkeypatch.setattr(on_threads, "num_cores", lambda cores=cores: cores)
        found.append(baseline_scores.cached_scores(dataset, "", None, settings, 0, log=lambda line: None))
    for name, one in found[0].items():
        assert found[1][name].scores == one.scores
        for baseline, tasks in one.excess.items():
            for task, values in tasks.items():
                np.testing.assert_array_equal(found[1][name].excess[baseline][task], values)
