"""`neurojax.Embedder` and `neurojax.BehaviorDecoder` are estimators of scikit-learn by its own checks, and decode."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

import neurojax as nj
from neurojax.api.behavior_decoder import ridge_path
from neurojax.data.store.dataset import open_dataset

GRID = (0.01, 1.0)  # the default grid finds as much and takes four times as long
# Why scikit-learn's checks of rows that stand alone do not apply to a model that reads whole trials.
WHOLE_TRIALS = "the state of a bin depends on the other bins of its trial, so rows are no sample of their own"
NOT_FOR_AN_EMBEDDER = dict.fromkeys(
    ("check_methods_subset_invariance", "check_methods_sample_order_invariance"), WHOLE_TRIALS
)


@parametrize_with_checks(
    [nj.BehaviorDecoder(kind, grid=GRID, num_folds=2) for kind in ("regression", "classification")]
)
def test_a_decoder_is_an_estimator(estimator, check):
    check(estimator)


@pytest.mark.slow  # fits about eighty models
def test_an_embedder_is_an_estimator(area):
    estimator = nj.Embedder(str(area / "run"), steps=1, round_counts=True)
    found = check_estimator(estimator, expected_failed_checks=NOT_FOR_AN_EMBEDDER, on_fail=None, on_skip=None)
    wrong = {
        entry["check_name"]: str(entry["exception"]) for entry in found if entry["status"] not in ("passed", "skipped")
    }
    assert set(wrong) == set(NOT_FOR_AN_EMBEDDER), wrong
    assert sum(entry["status"] == "passed" for entry in found) > 30


@pytest.fixture(scope="module")
def recording(area):
    """(counts [bins, units], trial of each bin) of a session the model never saw."""
    session = open_dataset(area / "new").sessions[0]
    return np.asarray(session.counts), np.repeat(np.arange(session.num_trials), session.trial_num_bins)


def test_a_pipeline_reads_behaviour_out_of_embeddings(area, recording):
    counts, trials = recording
    trial_bins = np.int64(10)  # the length of its trials
    embedder = nj.Embedder(nj.load(area / "run"), steps=np.int64(4), trial_bins=trial_bins)
    pipeline = make_pipeline(embedder, nj.BehaviorDecoder(grid=GRID))
    pipeline.fit(counts, counts.sum(1, dtype=float))
    states = embedder.transform(counts)
    shuffled = np.random.default_rng(0).permutation(counts.sum(1, dtype=float))
    by_chance = nj.BehaviorDecoder(grid=GRID).fit(states, shuffled).score(states, shuffled)
    assert pipeline.score(counts, counts.sum(1)) > max(by_chance, 0) + 0.1
    assert states.shape == (len(counts), 8) and states.dtype == np.float32
    assert np.array_equal(states, embedder.transform(counts, trials=trials))
    assert embedder.get_feature_names_out().tolist() == [f"embedder{k}" for k in range(8)]
    session = embedder._session(counts, trials, embedder.model_.bin_size_s)
    assert np.array_equal(states, embedder.model_.embed(session))
    assert clone(pipeline).get_params()["embedder__trial_bins"] == 10
    for trial_bins in (0, True, 10.0):
        with pytest.raises(nj.InputError, match=f"trial_bins={trial_bins}"):
            embedder.set_params(trial_bins=trial_bins).fit(counts)
    embedder.set_params(trial_bins=np.int64(10))
    for wrong, words in ((counts - 1.0, "Negative"), (counts + 0.5, "whole"), (counts[:, :-1], "features")):
        with pytest.raises(ValueError, match=words):
            embedder.transform(wrong, trials=trials)
    with pytest.raises(nj.InputError, match="must lie together"):
        embedder.transform(counts, trials=trials % 2)


def test_an_embedder_without_a_model_says_so(recording):
    with pytest.raises(nj.InputError, match="give a path"):
        nj.Embedder().fit(recording[0])


@pytest.mark.parametrize("shape", [(60, 8), (20, 50)])
def test_weights_are_those_of_ridge(shape):
    rng = np.random.default_rng(0)
    rows, wanted = rng.normal(size=shape) + 2, rng.normal(size=(shape[0], 2)) + 3
    for weights, intercept, penalty in zip(*ridge_path(rows, wanted, (1.0, 50.0)), (1.0, 50.0), strict=True):
        theirs = Ridge(alpha=penalty).fit(rows, wanted)
        np.testing.assert_allclose(weights.T, theirs.coef_, atol=1e-9)
        np.testing.assert_allclose(intercept, theirs.intercept_, atol=1e-9)


def test_each_output_has_its_penalty_and_folds_hold_whole_trials():
    rng = np.random.default_rng(1)
    trials = np.repeat(np.arange(20), 6)
    X = rng.normal(size=(120, 30))
    y = np.stack([X @ rng.normal(size=30), rng.normal(size=20)[trials]], axis=1)  # the second is of trials alone
    X = np.concatenate([X, rng.normal(size=(20, 30))[trials]], axis=1)  # and which trial it is can be told
    found = nj.BehaviorDecoder(grid=(1e-2, 1e5)).fit(X, y, trials=trials)
    assert found.chosen_.tolist() == [1e-2, 1e5]  # nothing is left of it across whole trials
    rows_apart = nj.BehaviorDecoder(grid=(1e-2, 1e5)).fit(X, y, trials=rng.permutation(120))
    assert rows_apart.chosen_.tolist() == [1e-2, 1e-2]  # folds of single rows would have been fooled


def test_lags_read_neighbours_within_the_trial():
    rng = np.random.default_rng(2)
    X, trials = rng.normal(size=(200, 3)), np.repeat(np.arange(20), 10)
    y = np.roll(X[:, 0], 1)
    y[::10] = 0.0  # the first bin of a trial has no bin before it
    same_bin, lagged = (nj.BehaviorDecoder(lags=lags).fit(X, y, trials=trials) for lags in ("0:0", "-1:0"))
    assert same_bin.score(X, y, trials=trials) < 0.1 and lagged.score(X, y, trials=trials) > 0.999
    assert lagged.score(X, y) < 0.99  # one trial: the bin before the first is another trial's


def test_classes_are_scored_by_balanced_accuracy_with_tempered_probabilities():
    rng = np.random.default_rng(3)
    labels = np.array(["left", "right"])[(rng.random(300) < 0.2).astype(int)]
    X = rng.normal(size=(300, 40)) + 0.5 * (labels == "right")[:, None]
    decoder = nj.BehaviorDecoder("classification", grid=(100.0,)).fit(X[:150], labels[:150])
    probabilities, asked = decoder.predict_proba(X[150:]), labels[150:]
    np.testing.assert_allclose(probabilities.sum(1), 1)
    predicted = decoder.predict(X[150:])
    recall = [np.mean(predicted[asked == label] == label) for label in ("left", "right")]
    assert decoder.score(X[150:], asked) == pytest.approx(np.mean(recall)) and np.mean(recall) > 0.7
    plain = LogisticRegression(C=decoder.chosen_).fit(X[:150], labels[:150]).predict_proba(X[150:])
    loss = [-np.log(p[np.arange(150), (asked == "right").astype(int)]).mean() for p in (probabilities, plain)]
    assert decoder.temperature_ > 1 and loss[0] < loss[1]  # an overconfident read-out is made less sure


def test_a_class_of_one_trial_is_no_reason_for_certainty():
    """Folds without that trial hold the other class alone; temperature and C chosen there would be extreme."""
    rng = np.random.default_rng(5)
    trials = np.repeat(np.arange(20), 10)
    labels = (trials == 7).astype(int)
    X = rng.normal(size=(200, 5)) + 0.5 * labels[:, None]
    found = nj.BehaviorDecoder("classification").fit(X, labels, trials=trials)
    assert found.temperature_ == 1 and found.chosen_ == 1.0  # the middle of the grid
    assert nj.BehaviorDecoder("classification").fit(X, labels).temperature_ != 1  # rows can be folded
    twice = np.isin(trials, (7, 13)).astype(int)
    assert nj.BehaviorDecoder("classification").fit(X, twice, trials=trials).temperature_ != 1


def test_one_trial_leaves_the_middle_of_the_grid():
    X = np.random.default_rng(6).normal(size=(30, 4))
    grid = (1e-3, 1.0, 1e3)
    for y in (X[:, 0], X[:, :2]):
        found = nj.BehaviorDecoder(grid=grid).fit(X, y, trials=np.zeros(30))
        assert set(found.chosen_) == {1.0}


@pytest.mark.parametrize(
    "options, words",
    [({"kind": "ridge"}, "choose from"), ({"num_folds": 1}, "num_folds=1"), ({"grid": (-1,)}, "positive"),
     ({"lags": "a"}, "FIRST:LAST"), ({"lags": 3}, "lags=3; expected FIRST:LAST"), ({"grid": ()}, "positive"),
     ({"grid": 1.0}, "grid=1.0; expected a sequence"), ({"grid": "1"}, "positive"), ({"grid": [[1, 2]]}, "positive")],
)  # fmt: skip
def test_options_that_are_none_are_refused(options, words):
    with pytest.raises(nj.InputError, match=words):
        nj.BehaviorDecoder(**options).fit(np.eye(6), np.arange(6.0))


def test_decoders_work_inside_a_search():
    rng = np.random.default_rng(4)
    X = rng.normal(size=(60, 4))
    search = GridSearchCV(nj.BehaviorDecoder(grid=GRID), {"lags": ["0:0", "-1:0"]}, cv=3).fit(X, X[:, 0])
    assert search.best_params_ == {"lags": "0:0"}
    nj.BehaviorDecoder(num_folds=np.int64(3), grid=np.array([1, 10])).fit(X, X[:, 0])  # as a search over an array sets


def test_without_scikit_learn_the_extra_is_named():
    code = (
        "import sys; sys.modules['sklearn'] = None; import neurojax\n"
        "for name in ('Embedder', 'BehaviorDecoder'):\n"
        "    try: getattr(neurojax, name)\n"
        "    except neurojax.InputError as error: assert 'neurojax[probes]' in str(error), error\n"
        "    else: raise SystemExit('no error')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
