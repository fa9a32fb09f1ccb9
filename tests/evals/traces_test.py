"""Traces of known structure: floors at their closed forms, a model that learns, no leak, no score of nothing."""

import json
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax.commands import compare as compare_command
from neurojax.data import batching
from neurojax.data.real_values import from_values
from neurojax.data.session import TEST
from neurojax.data.sources.traces import rows_of, standardised
from neurojax.data.store.dataset import dataset_of
from neurojax.errors import InputError
from neurojax.evals import trace_floors, trace_scores, trace_tasks, traces
from neurojax.finetune import release, weights
from neurojax.train import run, settings, state
from neurojax.train.predictor import Predictor
from tests.configs_test import CONFIGS, imaged, load
from tests.report.page_opening import opening

DECAY = np.array([0.95, 0.9, 0.85, 0.8])  # of the latents, a bin


def low_rank(seed=0, cells=40, trials=100, bins=40, name="day", regions=("V1", "LM"), missing=False):
    """(session, covariance of its cells): four latents of unit variance that decay, and as much white noise."""
    rng, total = np.random.default_rng(seed), trials * bins
    latents, drive = np.zeros((total, 4)), rng.standard_normal((total, 4))
    for t in range(1, total):
        latents[t] = DECAY * latents[t - 1] + np.sqrt(1 - DECAY**2) * drive[t]
    loadings, gain = rng.standard_normal((4, cells)) / 2, rng.uniform(5, 500, cells)
    values = latents @ loadings + rng.standard_normal((total, cells))
    values = rng.uniform(0, 1000, cells) + gain * values
    if missing:
        values[100:300, :10] = np.nan
    # blocks of ten trials: six to train, two to validate, two to test
    split = np.repeat(np.tile([0, 0, 0, 1, 2], -(-trials // 10)), 2)[:trials]
    session = from_values(
        values, sampling_hz=10, unit="a.u.", session_id=name, split=split, trial_start_bin=np.arange(trials) * bins,
        trial_num_bins=bins, region=np.repeat(regions, -(-cells // len(regions)))[:cells],
    )  # fmt: skip
    covariance = loadings.T @ loadings + np.eye(cells)
    return session, covariance


def declared_small(**more):
    declared = load(next(path for path in CONFIGS if path.stem == "traces"), "improved")
    declared["model"] |= {"width": 32, "mlp_width": 64, "num_heads": 4, "read_in_width": 16, "embed_width": 0}
    declared["data"] |= {"trials_per_batch": 16, "bucket_units": 8}
    declared["train"] |= {"num_steps": 400, "validate_every_steps": 400, "save_every_steps": 400} | more
    declared["eval"] |= {"num_boot": 50}
    declared["sharding"]["data"] = 1  # eight devices take several times as long for a step of this size
    return declared


def test_ridge_reaches_what_the_covariance_allows():
    session, covariance = low_rank(trials=300, cells=20)
    view = standardised(session)
    asked = trace_tasks.questions(view)
    values, _ = view.gather_trials(view.trials_of(TEST))
    found = {task: trace_floors.ridge(view, task, asked[task]) for task in ("co_smoothing", "inter_region")}
    r2 = {task: trace_scores.cells_r2(trace_scores.sums_of(one, values)) for task, one in found.items()}
    # of a normal variable given all others: one over the diagonal of the inverse covariance is left
    best = 1 - 1 / (np.diag(np.linalg.inv(covariance)) * np.diag(covariance))
    np.testing.assert_allclose(r2["co_smoothing"], best, atol=0.06)
    assert abs(np.mean(r2["co_smoothing"] - best)) < 0.02
    a, b = slice(10, 20), slice(0, 10)
    left = covariance[b, b] - covariance[b, a] @ np.linalg.solve(covariance[a, a], covariance[a, b])
    best = 1 - np.diag(left) / np.diag(covariance[b, b])
    np.testing.assert_allclose(r2["inter_region"][b], best, atol=0.06)


def test_ridge_of_all_cells_at_once_is_that_of_each_alone():
    session, _ = low_rank(trials=20, cells=6, bins=10)
    counts = standardised(session).counts.astype(float)
    everyone = np.ones(6, bool)
    found = trace_floors._weights(counts.T @ counts, [(everyone, everyone)], 3.0)
    for cell in range(6):
        others = np.delete(np.arange(6), cell)
        x, y = counts[:, others], counts[:, cell]
        np.testing.assert_allclose(found[others, cell], np.linalg.solve(x.T @ x + 3 * np.eye(5), x.T @ y), rtol=1e-8)
        assert found[cell, cell] == 0


def test_the_floors_of_forward_start_from_the_last_observed_value():
    rng, total = np.random.default_rng(0), 200 * 20
    values = np.zeros((total, 2))
    for t in range(1, total):
        values[t] = [0.9, 0.5] * values[t - 1] + rng.standard_normal(2)
    values[3997, 0] = np.nan  # the last visible bin of the last trial, which is a test trial
    session = from_values(
        values, sampling_hz=10, unit="a.u.", session_id="day", split=np.arange(200) % 2 * 2,
        trial_start_bin=np.arange(200) * 20, trial_num_bins=20,
    )  # fmt: skip
    view = standardised(session)
    asked = trace_tasks.questions(view)["forward"]
    last = trace_floors.last_value(view, "forward", asked)
    assert np.isnan(last[:, :18]).all() and np.isfinite(last[:, 18:]).all()  # a tenth of 20 bins
    np.testing.assert_array_equal(last[-1, 18:, 0], np.repeat(view.counts[3996, 0], 2))
    np.testing.assert_array_equal(last[-1, 18:, 1], np.repeat(view.counts[3997, 1], 2))
    fitted = trace_floors.autoregression(view, "forward", asked) / last
    np.testing.assert_allclose(fitted[0, 18:], [[0.9, 0.5], [0.81, 0.25]], atol=0.06)
    np.testing.assert_allclose(fitted[-1, 18:, 0], [0.81, 0.729], atol=0.06)


def test_r2_is_over_scored_entries_and_none_where_nothing_is_to_explain():
    values = np.array([[[0.0, 1, 5], [2, 1, 9]], [[4, 1, 7], [6, 1, 0]]])
    predicted = np.array([[[1.0, 1, 5], [2, 1, 9]], [[4, 1, 7], [5, 1, np.nan]]])
    found = trace_scores.cells_r2(trace_scores.sums_of(predicted, values))
    np.testing.assert_allclose(found, [1 - 2 / 20, np.nan, 1])
    tasks, _ = trace_scores.session_blocks({"co_smoothing": predicted}, {}, values, seed=0, num_boot=0)
    block = tasks["co_smoothing"]
    assert block["r2"] == pytest.approx(0.95) and block["num_cells"] == 2 and block["r2_cells"][1] is None
    assert block["r2_ci95"] is None and "draws" in block["r2_ci95_reason"]
    flat = {"co_smoothing": predicted[..., 1:2]}
    block = trace_scores.session_blocks(flat, {}, values[..., 1:2], seed=0, num_boot=9)[0]["co_smoothing"]
    assert block["r2"] is None and block["r2_reason"] == "no cell has a score"


def drawn_model(sessions):
    """A predictor of the small config with weights drawn at random, and its config."""
    declared = declared_small()
    source = settings.open_source(declared, sessions)
    rng = np.random.default_rng(0)
    params, tables = jax.tree.map(
        lambda leaf: jnp.asarray(0.3 * rng.standard_normal(leaf.shape), jnp.float32),
        state.abstract_weights(settings.model_of(declared), source.facts),
    )
    layout = rows_of(sessions, batching.session_table(sessions))
    return Predictor(params, tables, settings.predicting(declared), layout, 8)


def predicted_by(model, view):
    asked = trace_tasks.questions(view)
    return trace_tasks.predictions(model, view, asked, view.trials_of(TEST), 16)


def test_what_is_hidden_or_was_not_observed_reaches_no_prediction():
    sessions = imaged()
    model, session = drawn_model(sessions), sessions[0]
    view = standardised(session)
    plain = predicted_by(model, view)
    assert set(plain) == {"co_smoothing", "forward", "inter_region", "intra_region"}
    counts = {name: np.array(view.counts) for name in ("cell", "region", "last", "unseen")}
    counts["cell"][:, 2] += 3
    counts["region"][:, :5] += 3
    for trial in view.trials_of(TEST):
        counts["last"][view.trial_start_bin[trial] + 18 : view.trial_start_bin[trial] + 20] += 3
    counts["unseen"][~view.entries(0, 240)] = 7
    moved = {name: predicted_by(model, view.with_fields(counts=own)) for name, own in counts.items()}
    for task in ("co_smoothing", "intra_region"):
        np.testing.assert_array_equal(moved["cell"][task][..., 2], plain[task][..., 2])
        assert not np.array_equal(moved["cell"][task][..., 1], plain[task][..., 1], equal_nan=True)
    np.testing.assert_array_equal(moved["region"]["inter_region"][..., :5], plain["inter_region"][..., :5])
    assert (moved["region"]["inter_region"][..., 5:] != plain["inter_region"][..., 5:]).all()
    np.testing.assert_array_equal(moved["last"]["forward"], plain["forward"])
    for task, own in plain.items():
        np.testing.assert_array_equal(moved["unseen"][task], own)


def test_entries_that_were_not_observed_are_not_scored():
    sessions = imaged()
    session = sessions[0].with_fields(split=np.roll(sessions[0].split, -4))  # trials 0, 1, 6 and 7 are not for training
    view = standardised(session)
    trials = view.trials_of(TEST)
    assert not view.entry_valid(trials).all()
    for task, own in predicted_by(drawn_model([session]), view).items():
        asked = trace_tasks.questions(view)[task]
        np.testing.assert_array_equal(np.isfinite(own), trace_tasks.scored_entries(view, task, asked, trials))
        assert not np.isfinite(own[~view.entry_valid(trials)]).any()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(folder, record) of a small model of two sessions, 400 steps."""
    folder = tmp_path_factory.mktemp("traces") / "run"
    sessions = [low_rank(0, name="a", missing=True)[0], low_rank(1, cells=30, name="b")[0]]
    record = run.train_and_evaluate(declared_small(), folder, dataset=dataset_of(sessions), log=lambda line: None)
    return folder, record


def test_a_trained_model_is_far_above_the_mean_and_beside_ridge(trained):
    block = trained[1]["traces"]
    assert block["r2"] == block["tasks"]["co_smoothing"]["r2"] > 0.25
    ridge = block["floors"]["ridge"]["tasks"]
    for task in ("co_smoothing", "inter_region", "intra_region"):
        assert ridge[task]["difference"] > -0.05
        assert ridge[task]["difference"] == pytest.approx(block["tasks"][task]["r2"] - ridge[task]["r2"])
    assert block["tasks"]["forward"]["r2"] > 0.03
    assert block["floors"]["last_value"]["tasks"]["forward"]["difference"] > 0.3
    assert [len(s["tasks"]["co_smoothing"]["r2_cells"]) for s in block["sessions"].values()] == [40, 30]
    json.dumps(trained[1], allow_nan=False)


def test_a_trained_run_is_drawn_compared_and_exported(trained, tmp_path, capsys):
    folder, record = trained
    assert (folder / "figures" / "traces.png").stat().st_size > 10_000
    page = (folder / "report.html").read_text()
    assert "ridge from the other cells" in page and opening(page) == ["picture", "table"]
    other = json.loads(json.dumps(record))
    for session in other["traces"]["sessions"].values():
        session["tasks"]["co_smoothing"]["r2"] += 0.125
    (tmp_path / "better.json").write_text(json.dumps(other))
    compare_command.compare([folder, tmp_path / "better.json"], out=tmp_path / "compared.html")
    assert "0.125 (0.125 to 0.125)" in capsys.readouterr().out
    read = weights.read_run(folder, lambda line: None)
    release.write(tmp_path / "model", read, "a card", None)
    model = nj.load(tmp_path / "model")
    assert not model.weights.of_spikes()
    with pytest.raises(InputError, match="the model reads traces, not spike counts"):
        model.embed(imaged()[0])


def test_one_session_of_one_region_has_reasons_where_it_has_no_score(tmp_path):
    session, _ = low_rank(cells=8, trials=20, bins=10, regions=("V1",))
    session = session.with_fields(split=np.where(session.split == 1, 0, session.split))
    declared = declared_small(num_steps=2, validate_every_steps=2, save_every_steps=2)
    record = run.train_and_evaluate(declared, tmp_path / "run", dataset=dataset_of([session]), log=lambda line: None)
    block = record["traces"]
    assert block["tasks"]["inter_region"]["r2_reason"] == "no known region has cells outside of it"
    floor = block["floors"]["ridge"]["tasks"]["co_smoothing"]
    assert floor["r2"] is None and floor["r2_reason"] == "no validation trial to choose the penalty on"
    assert block["r2_ci95"] is None and block["r2_ci95_reason"].startswith("one session")
    assert block["r2_trials_ci95"] == block["sessions"]["day"]["tasks"]["co_smoothing"]["r2_ci95"]


@pytest.mark.parametrize(
    "change, words",
    [
        ({"floors": "ridge,stack"}, "eval.floors names 'stack'; choose from ridge, last_value, autoregression"),
        ({"floors": None}, "eval.floors=None; expected names with commas"),
        ({"num_boot": -1}, "eval.num_boot=-1; expected a whole number of at least 0"),
    ],
)
def test_settings_that_cannot_be_used_are_named(change, words):
    with pytest.raises(InputError, match=words):
        traces.about(declared_small()["eval"] | change)


def test_what_cannot_be_scored_is_refused():
    session = imaged()[0]
    untested = session.with_fields(split=np.where(session.split == TEST, 0, session.split))
    with pytest.raises(InputError, match="session mouse0 has no test trial"):
        traces.prepare(dataset_of([untested]), {})
    starts = session.trial_start_bin - np.where(session.split == TEST, 5, 0)
    with pytest.raises(InputError, match="share 5 bins but are of the splits"):
        traces.prepare(dataset_of([session.with_fields(trial_start_bin=starts)]), {})
    model = types.SimpleNamespace(recipe=types.SimpleNamespace(head="poisson"))
    with pytest.raises(InputError, match="head.name=poisson: R2 of traces needs head.name=gaussian"):
        traces.evaluate(model, dataset_of([session]), {}, 0, folder=None, root="")
