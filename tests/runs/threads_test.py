"""While a run trains or is scored from Python, linear algebra takes one thread a call."""

from types import SimpleNamespace

import pytest
import threadpoolctl

from neurojax.data.store.dataset import dataset_of
from neurojax.data.synthetic import animals
from neurojax.evals import baseline_scores, oracle
from neurojax.runs import threads
from neurojax.train import run


def number():
    """Threads of every BLAS of the process."""
    return {pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}


def test_every_blas_has_one_thread_within_and_what_it_had_after():
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        with threads.one_a_call():
            assert number() == {1}
        assert number() == {2}


def test_baselines_of_one_session_and_the_smoother_take_one_too(monkeypatch):
    """So that `neurojax baselines` keeps the digits that an evaluation of a run would."""
    seen = []

    def stop(*arguments, **options):
        seen.append(number())
        raise InterruptedError

    monkeypatch.setattr(baseline_scores, "_fit", stop)
    monkeypatch.setattr(oracle, "smooth_visible", stop)
    session = animals.make_session(animals.SyntheticSpec(num_trials=20, num_bins=10), 0, 0)
    settings = {"protocol": "mtm", "num_boot": 5, "baselines": "train_mean"}
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        with pytest.raises(InterruptedError):
            baseline_scores.cached_scores(dataset_of([session]), "", None, settings, 0)
        with pytest.raises(InterruptedError):
            oracle.known_dynamics_smoother(session)
        assert seen == [{1}] * len(seen) and len(seen) >= 2
        assert number() == {2}


def test_training_and_scoring_ask_for_it(monkeypatch, tmp_path):
    class Reached(Exception):
        pass

    seen = []

    def stop(*arguments, **options):
        seen.append(number())
        raise Reached

    plan = SimpleNamespace(source=SimpleNamespace(facts=None), config={})
    monkeypatch.setattr(run.workdir, "config_hash", stop)
    monkeypatch.setattr(run.run_folder, "load_predictor", stop)
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        with pytest.raises(Reached):
            run._train(plan, tmp_path, print, print)
        with pytest.raises(Reached):
            run.evaluate_run(tmp_path, {"eval": {"evaluator": "spikes"}}, None)
        assert seen == [{1}, {1}]
        assert number() == {2}
