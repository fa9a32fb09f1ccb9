"""The model mixed with the stack: weights come from validation alone, and what is useless gets none."""

import dataclasses
import types
import zipfile

import numpy as np
import pytest

from neurojax.data.session import TEST, VALIDATION
from neurojax.data.store.dataset import dataset_of
from neurojax.data.store.sessions import from_counts
from neurojax.evals import activity, baseline_scores, baselines_cache, protocols, spikes, tables, with_stack
from neurojax.files import read_json, sha256_file, write_json
from neurojax.report import terminal, trust_blocks
from neurojax.scores import metrics

T, N = 12, 8
TASK = "co_smoothing"


def make_session(test_seed=0):
    """(session, its true rates [K, T, N]); only the counts of test trials depend on `test_seed`."""
    rng = np.random.default_rng(1)
    split = np.resize([0, 0, 0, 1, 2], 60)
    drive = rng.normal(size=(60, T, 1)) @ rng.normal(size=(1, N))
    rates = np.exp(0.8 * drive - 1)
    counts = rng.poisson(rates)
    counts[split == TEST] = np.random.default_rng([2, test_seed]).poisson(rates[split == TEST])
    regions = np.resize(["A", "B"], N)
    return from_counts(counts, bin_size_s=0.02, session_id="rat", split=split, region=regions), rates


def parts_of(session, rates, noise=0.0, seed=3):
    """Split -> rates of its trials, log-rates disturbed by `noise`."""
    disturbed = rates * np.exp(noise * np.random.default_rng(seed).normal(size=rates.shape))
    return {part: disturbed[session.trials_of(part)].astype(np.float32) for part in (VALIDATION, TEST)}


def mixed(session, of_model, of_stack):
    """What `mix` makes of the model's rates and the stack's, each by split."""
    given = {TASK: of_model[TEST]}, lambda task: of_model[VALIDATION], {TASK: of_stack}
    return with_stack.mix(session, *given, protocols.MTM)


def pooled(session, rates):
    counts, _ = session.gather_trials(session.trials_of(TEST))
    return metrics.poisson_scores(metrics.poisson_sums(rates, counts))["bps_pooled"]


def test_two_that_err_apart_are_better_together():
    session, rates = make_session()
    of_model, of_stack = (parts_of(session, rates, 0.6, seed) for seed in (3, 4))
    found, shares = mixed(session, of_model, of_stack)
    assert pooled(session, found[TASK]) > max(pooled(session, one[TEST]) for one in (of_model, of_stack)) + 0.02
    assert 0.2 < shares[TASK] < 0.8


def test_a_model_that_knows_nothing_leaves_the_stack_as_it_is():
    session, rates = make_session()
    means = np.broadcast_to(session.mean_counts(), rates.shape)
    of_stack = parts_of(session, rates)
    found, shares = mixed(session, parts_of(session, means, 0.5), of_stack)
    assert shares == {TASK: 0.0}
    np.testing.assert_allclose(found[TASK], of_stack[TEST], rtol=1e-5)
    found, shares = mixed(session, of_stack, parts_of(session, means, 0.5))
    assert shares == {TASK: 1.0}


def test_no_count_of_a_test_trial_reaches_a_weight():
    results = []
    for seed in (0, 1):
        session, rates = make_session(seed)
        results.append(mixed(session, parts_of(session, rates, 0.6, 3), parts_of(session, rates, 0.6, 4)))
    (first, shares), (second, others) = results
    assert shares == others
    np.testing.assert_array_equal(first[TASK], second[TASK])


def test_of_validation_trials_a_task_is_predicted_once_for_all_that_is_chosen_by_it(monkeypatch):
    """The likelihood of a head beside Poisson, and how far the model is mixed with the stack."""
    session, rates = make_session()
    of_model, asked = parts_of(session, rates, 0.6, 3), []

    def predict(model, session, tasks, *, protocol, split, trials_per_pass, parts):
        assert parts == 0
        asked.append((*tasks, split, trials_per_pass))
        return {task: of_model[split] for task in tasks}

    monkeypatch.setattr(activity, "predict_session", predict)
    settings = {"trials_per_pass": 8, "num_boot": 5, "mixed_with": "stack"}
    fitted = baselines_cache.SessionBaselines({}, {}, {}, types.SimpleNamespace(read=lambda: {TASK: of_model}))
    head = {"log_dispersion": np.zeros(N)}
    model = types.SimpleNamespace(recipe=types.SimpleNamespace(head="negative_binomial"), rows_of_head=lambda _: head)
    monkeypatch.setattr(activity, "predict_with_spread", lambda *given, **_: ({TASK: of_model[TEST]}, None))
    for part in ("trust", "reliability", "generation"):
        nothing = "psth_reliability" if part == "reliability" else "of_session"
        monkeypatch.setattr(getattr(spikes, part), nothing, lambda *given, **_: {})
    one_task = dataclasses.replace(protocols.MTM, tasks={TASK: protocols.MTM.tasks[TASK]})
    block, _ = spikes._session(model, session, one_task, settings, 0, fitted, {})
    assert block["likelihood"]["validation"]["head"] == "negative_binomial" and block["model_shares"] == {TASK: 0.0}
    assert asked == [(TASK, VALIDATION, 8)]


def test_rates_of_the_stack_come_back_from_the_cache_as_they_were_fitted(tmp_path):
    session, _ = make_session()
    settings = {"protocol": "mtm", "num_boot": 5, "baselines": "train_mean,stack"}
    fresh = baseline_scores.cached_scores(dataset_of([session]), "", None, settings, 0)["rat"]
    for _ in range(2):  # written, then read
        kept = baseline_scores.cached_scores(dataset_of([session]), str(tmp_path), None, settings, 0)["rat"]
        for task, parts in fresh.stack.read().items():
            for part, expected in parts.items():
                np.testing.assert_array_equal(kept.stack.read()[task][part], expected)
                assert np.isfinite(expected).any()
    (path,) = (tmp_path / ".baselines").glob("*.stack.npz")
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    again = baseline_scores.cached_scores(dataset_of([session]), str(tmp_path), None, settings, 0)["rat"]
    np.testing.assert_array_equal(again.stack.read()[TASK][TEST], fresh.stack.read()[TASK][TEST])


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("co_smoothing_2", (10**9, T, N)),
        ("co_smoothing_2", (12, 10**9, N)),
        ("co_smoothing_2", (12, T, 10**9)),
        ("co_smoothing_2", (12, T * N)),
        ("co_smoothing_1", (13, T, N)),
        ("nothing_2", (12, T, N)),
        ("co_smoothing_7", (12, T, N)),
    ],
)
def test_rates_of_another_size_are_not_read(tmp_path, name, shape):
    """Their entry names them as its own; the header alone is there, and would ask for the memory."""
    session, path = make_session()[0], tmp_path / ("a" * 24)
    baselines_cache.write(path, session, (TASK,), baselines_cache.SessionBaselines({}, {}, {}, None))
    assert baselines_cache.read(path, session, (TASK,), ()) is not None
    forged = path.with_suffix(".stack.npz")
    with zipfile.ZipFile(forged, "w") as archive, archive.open(f"{name}.npy", "w") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f2", "fortran_order": False, "shape": shape})
    entry = read_json(path.with_suffix(".json")) | {"stack_sha256": sha256_file(forged)}
    del entry["sha256"]
    write_json(path.with_suffix(".json"), entry | {"sha256": baselines_cache._sha256(entry)})
    assert baselines_cache.read(path, session, (TASK,), ()) is None


def test_a_mixture_that_cannot_be_is_refused_before_anything_is_fitted():
    sizes = dict(trials_per_pass=8, memory_mb=64, num_boot=5, num_permutations=5)
    settings = {"protocol": "mtm", "baselines": "stack", **sizes}
    with pytest.raises(ValueError, match="eval.mixed_with='ridge'; expected stack"):
        spikes.about({**settings, "mixed_with": "ridge"})
    spikes.about({**settings, "mixed_with": "stack", "baselines": "psth"})  # without a stack there is no mixture


def record(with_mixture):
    """An evaluation of one task and two sessions."""
    block = {"bps_pooled": 0.3, "num_units_scored": 3}
    pair = {"baseline": "stack", "chosen_on": "validation", "bps_pooled": 0.01, "num_sessions": 2, "num_above": 2}
    session = {"tasks": {TASK: block}, "baselines": {"stack": {TASK: block | {"bps_pooled": 0.29}}}}
    mean = {TASK: {"paired_mean": pair}}
    if with_mixture:
        session[tables.WITH_STACK] = {TASK: block | {"bps_pooled": 0.35}}
        session["model_shares"] = {TASK: 0.0}
        mean[TASK]["paired_with_stack_mean"] = pair | {"bps_pooled": 0.06}
    return {"sessions": {"a": session, "b": session}, "mean": mean}


def test_the_mixture_stands_beside_the_model_in_every_table():
    text, page = terminal.terminal_table(record(True)), trust_blocks.paired_table(record(True), tables.WITH_STACK)
    assert "model and stack" in text and "model and stack - stack" in text and "+0.060" in text
    assert "model and stack − stack" in page[0]
    assert tables.predictors_of(record(True))[:2] == ["model", tables.WITH_STACK]
    assert "the stack alone in 2, the model alone in 0 of 2" in with_stack.line(record(True))
    assert "model and stack" not in terminal.terminal_table(record(False)) and with_stack.line(record(False)) == ""
    assert not trust_blocks.paired_table(record(False), tables.WITH_STACK)


def test_sessions_without_a_mixture_are_named():
    half, none = record(True), record(False) | {"eval": {"mixed_with": "stack"}}
    half["sessions"]["b"] = record(False)["sessions"]["b"]
    assert "of 1 sessions and tasks); not in the mean of model and stack: b (" in with_stack.line(half)
    assert with_stack.line(none).startswith("not in the mean of model and stack: a, b (")
    for session in none["sessions"].values():
        session["baselines"] = {}
    assert with_stack.line(none) == "", "without a stack nothing is missing"
