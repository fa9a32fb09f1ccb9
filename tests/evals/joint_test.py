"""Nodes from each other: the exact reader has a share of one, a model that peeks is found, the table says what is."""

import dataclasses
import functools
import json
from types import SimpleNamespace

import numpy as np
import pytest

from neurojax.data.session import TRAIN, VALIDATION, Session
from neurojax.data.sources import joint as sources
from neurojax.data.store.dataset import dataset_of
from neurojax.data.synthetic import loops
from neurojax.errors import InputError
from neurojax.evals import joint as evaluator
from neurojax.evals import joint_readers, leaks
from neurojax.models.interface import Outputs
from neurojax.objectives import joint as objective
from neurojax.report import joint_report
from tests.data.sources.joint_test import CONFIG

SPEC = loops.LoopSpec(num_units=3, num_bins=4, num_train=300, num_validation=40, num_test=60)
SETTINGS = {"evaluator": "joint", "floors": "ridge", "trials_per_pass": 32}
PATTERNS = ("stimulus", "stimulus_behaviour", "past")


@functools.cache
def made():
    return dataset_of(loops.sessions(SPEC, 0))


class Model:
    """Says the exact conditional mean of a session; or what it was given and should not look at."""

    def __init__(self, peeks=False, name="joint"):
        self.peeks, self.source_config, self.facts = peeks, CONFIG, {"num_features": 2, "num_targets": 2}
        module = SimpleNamespace(
            PATTERNS={one: objective.PATTERNS[one] for one in PATTERNS},
            VALIDATED=objective.VALIDATED,
            validation_query=objective.validation_query,
        )
        asked = SimpleNamespace(name=name, module=module, config=objective.Config(PATTERNS[:2], 0.5))
        self.recipe = SimpleNamespace(objective=asked)
        sessions = made().sessions
        self.source = sources.open_source(sessions, CONFIG, 0)
        self.layout = self.source.layout

    def __call__(self, batch, query):
        values = np.asarray(objective.target(batch))
        if self.peeks:
            return Outputs(values)
        number = int(batch.groups["session_row"][0])
        scale = [self.source.nodes[number][node].scale for node in sources.NODES]
        centre, spread = (np.concatenate([getattr(one, part) for one in scale]) for part in ("centre", "spread"))
        real = np.r_[0:5, 6:8]  # one unit is padding
        covariance, found = loops.covariance(SPEC, 0, number), np.zeros_like(values)
        given = np.asarray(query.given)[0, 0].T[:, [0, 0, 1, 1, 1, 2, 2]]
        weights, _ = loops.conditional(covariance, given, ~given)
        said = np.zeros((values.shape[1], *given.shape))
        said[:, ~given] = (values[0][..., real] * spread + centre)[:, given] @ weights.T
        found[0][..., real] = (said - centre) / spread
        return Outputs(found)


def evaluated(folder, model, **more):
    return evaluator.evaluate(model, made(), SETTINGS | more, 0, folder=folder, root="", log=lambda line: None)


def test_the_exact_reader_has_a_share_of_one_and_ridge_stands_below(tmp_path):
    found = evaluated(tmp_path, Model())
    block = json.loads(json.dumps(found["joint"]))
    assert block["patterns"].keys() == set(PATTERNS)
    assert {name: list(one["asked"]) for name, one in block["patterns"].items()} == {
        "stimulus": ["activity", "behaviour"], "stimulus_behaviour": ["activity"], "past": list(sources.NODES),
    }  # fmt: skip
    for pattern in block["patterns"].values():
        for one in pattern["asked"].values():
            assert one["share_of_ceiling"] == pytest.approx(1, abs=1e-4)
            assert one["floors"]["bin_mean"]["r2"] < 0.02 < one["floors"]["ridge"]["r2"] < one["ceiling"] + 0.02
            assert one["r2_ci95"][0] < one["r2"] < one["r2_ci95"][1]
    assert block["least_share_of_ceiling"] == pytest.approx(1, abs=1e-4)
    assert [block["patterns"][name]["trained"] for name in PATTERNS] == [True, True, False]
    told = joint_report.terminal_table(block)
    assert "the past of stimulus, activity, behaviour (not trained)" in told and "1.000" in told
    evaluator.draw(tmp_path, {"joint": block}, None, None, log=lambda line: None)
    assert (tmp_path / "figures" / "joint.png").exists() and "mean of the bin" in (tmp_path / "report.html").read_text()


def test_a_model_that_peeks_is_a_defect_and_one_of_another_objective_is_refused(tmp_path):
    with pytest.raises(leaks.LeakError, match="pattern stimulus: values that are asked move their own prediction"):
        evaluated(tmp_path, Model(peeks=True))
    with pytest.raises(InputError, match="asks a model of objective.name=joint, this one is of mtm"):
        evaluated(tmp_path, Model(name="mtm"))
    with pytest.raises(InputError, match="eval.trials_per_pass=0"):
        evaluator.about(SETTINGS | {"trials_per_pass": 0})


def recorded(lengths, split, seed=0, num_units=6):
    """A recording whose velocity is a map of one target, seen in all units too."""
    rng, lengths = np.random.default_rng(seed), np.asarray(lengths)
    target = rng.standard_normal(len(lengths))
    along = np.repeat(target, lengths)[:, None]
    velocity = along * [1.0, -0.5] + 0.3 * rng.standard_normal((len(along), 2))
    return Session.from_counts(
        rng.poisson(np.exp(0.3 * along + np.zeros(num_units))),
        bin_size_s=0.1,
        session_id="recorded",
        trial_offsets=np.concatenate([[0], np.cumsum(lengths)]),
        split=np.asarray(split, np.int8),
        conditions={"target": target},
        behaviour={"velocity": velocity.astype(np.float32)},
    )


def source_of(*sessions, **changes):
    return sources.open_source(sessions, dataclasses.replace(CONFIG, **changes), 0)


def put(source, pattern, trials):
    """(what asks a pattern of trials, the pattern put to these)."""
    module = SimpleNamespace(VALIDATED=objective.VALIDATED, validation_query=objective.validation_query)
    config = objective.Config((pattern,), 0.5)
    model = SimpleNamespace(recipe=SimpleNamespace(objective=SimpleNamespace(module=module, config=config)))
    ask = functools.partial(evaluator.asked, model, source, pattern)
    return ask, ask(0, trials)


@pytest.mark.parametrize("pattern", ["past", "stimulus", "activity"])
def test_ridge_of_trials_of_unequal_lengths_is_that_of_each_bin_by_the_trials_in_which_it_is_asked(
    pattern, monkeypatch
):
    monkeypatch.setattr(joint_readers, "PENALTIES", joint_readers.PENALTIES[::10])
    rng = np.random.default_rng(1)
    lengths, split = rng.integers(2, 7, 100), np.repeat([0, 1, 2], [60, 25, 15])
    source = source_of(recorded(lengths, split, num_units=14), stimulus=("target",), behaviour=("velocity",))
    ask, tested = put(source, pattern, np.flatnonzero(split == 2))
    found = joint_readers.ridge(source, 0, ask, tested)
    fitted, chosen = ask(0, np.flatnonzero(split == 0)), ask(0, np.flatnonzero(split == 1))
    x, x_chosen, x_tested = (
        np.where(one.given, one.values, 0).reshape(len(one.values), -1) for one in (fitted, chosen, tested)
    )
    for own in joint_readers.columns(source, 0).values():
        outputs = [
            (place, one)
            for place in range(6)
            for one in range(own.start, own.stop)
            if fitted.asked[:, place, one].any()
        ]
        told = []  # [penalties][outputs] -> (squared error of those that choose, said of those that test)
        for penalty in joint_readers.PENALTIES:
            each = []
            for place, one in outputs:
                rows = fitted.asked[:, place, one]
                y, mean = fitted.values[rows, place, one].astype(float), x[rows].mean(0)
                gram = (x[rows] - mean) @ (x[rows] - mean).T
                dual = np.linalg.solve(gram + penalty * np.eye(len(gram)), y - y.mean())
                weights = (x[rows] - mean).T @ dual
                away = (x_chosen - mean) @ weights + y.mean() - chosen.values[:, place, one]
                error = np.square(away)[chosen.asked[:, place, one]].sum()
                each.append((error, (x_tested - mean) @ weights + y.mean(), y.mean()))
            told.append(each)
        if not outputs:
            continue
        best = min(told, key=lambda each: sum(one[0] for one in each))
        for (place, one), (_, said, mean) in zip(outputs, best, strict=True):
            np.testing.assert_allclose(found["ridge"][:, place, one], said, atol=1e-4)
            np.testing.assert_allclose(found["bin_mean"][:, place, one], mean, atol=1e-5)


def test_a_target_that_stays_is_read_by_ridge_however_trials_differ_in_length():
    rng = np.random.default_rng(2)
    lengths, split = rng.integers(3, 12, 260), np.repeat([0, 1, 2], [160, 50, 50])
    source = source_of(recorded(lengths, split, num_units=40), stimulus=("target",), behaviour=("velocity",))
    ask, tested = put(source, "past", np.flatnonzero(split == 2))
    said = joint_readers.ridge(source, 0, ask, tested)["ridge"]
    error = np.square(said - tested.values)[..., 0][tested.asked[..., 0]]
    # The target is among what is given: units, which weigh less, may not shrink it away.
    assert error.sum() < 0.15 * np.square(tested.values[..., 0][tested.asked[..., 0]]).sum()


def test_ridge_of_more_than_memory_or_time_allows_takes_fewer_trials(monkeypatch):
    source = source_of(*made().sessions)
    trials = source.sessions[0].trials_of(TRAIN)
    monkeypatch.setattr(joint_readers, "MOST_BYTES", 8 * 7 * 4 * 50)  # entries of a trial
    fitted_to, chosen_by = joint_readers._trials(source, 0)
    assert len(fitted_to) == 50 and fitted_to[0] == trials[0] and fitted_to[-1] == trials[-1] and len(chosen_by) == 40
    assert joint_readers._affordable(4000, 10**5, 1) == 4000 and joint_readers._affordable(4000, 10**5, 200) < 1000
    assert joint_readers._affordable(4000, 40, 200) == 4000
    ask, tested = put(source, "past", source.sessions[0].trials_of(VALIDATION))
    monkeypatch.setattr(joint_readers, "MOST_WORK", 8000)
    svd, sizes = np.linalg.svd, []
    monkeypatch.setattr(np.linalg, "svd", lambda x, **more: sizes.append(x.shape) or svd(x, **more))
    assert (
        joint_readers.ridge(source, 0, ask, tested)["ridge"].any() and sizes == [(40, 14)] * 2
    )  # 40 x 14 x 14 is what may be


def test_values_that_are_not_asked_choose_no_penalty():
    x = np.array([[1.0], [-1.0]])
    left, size, right = np.linalg.svd(x, full_matrices=False)
    fit = joint_readers._Fit(np.arange(1), np.zeros(1, int), np.zeros(1), np.zeros(1), right, size, left.T @ x)
    asked = np.array([[[True]], [[False]]])
    values = np.float32([[[1.0]], [[9.0]]])  # the second would ask for a slope of the other sign
    chosen = joint_readers.Asked(~asked, asked, values)
    assert joint_readers._chosen_penalties(iter([fit]), x, chosen)[0] == joint_readers.PENALTIES[-1]


@pytest.mark.parametrize("split", [[0, 1, 2, 2], [0, 2, 2, 2], [1, 1, 2, 2], [0, 0, 2, 2]])
def test_a_session_with_fewer_than_two_trials_to_fit_has_no_ridge(split):
    source = source_of(recorded([4] * 4, split), stimulus=("target",), behaviour=("velocity",))
    ask, tested = put(source, "activity", np.array([2, 3]))
    assert joint_readers.ridge(source, 0, ask, tested) == {}


def _with_info(session, **changes):
    return session.with_fields(info=session.info | changes)


def test_nothing_is_said_to_be_exact_of_other_columns_or_of_a_folder_that_only_says_it_is_a_loop():
    first, second = made().sessions
    told, origin = first.info["loops"], first.info["source"]

    def exact(*sessions, **changes):
        source = source_of(*(sessions or (first, second)), **changes)
        return joint_readers.exact(source, 0, put(source, "activity", np.arange(5))[1])

    assert exact() is not None
    turned = {"stimulus": ("behaviour",), "behaviour": ("stimulus",)}
    assert exact(**turned) is None
    times = np.arange(first.num_trials, dtype=float)
    timed = [one.with_fields(conditions={"time": times}) for one in (first, second)]
    assert exact(*timed, stimulus=("stimulus", "behaviour"), behaviour=("time",)) is None
    unsound = [
        {"loops": told | {"sound": 1}}, {"loops": {}}, {"loops": None}, {"loops": told | {"noise": ["low"]}},
        {"loops": told | {"num_units": 2**19}}, {"loops": told | {"num_bins": 5}}, {"loops": told | {"num_bins": "4"}},
        {"source": origin | {"seed": -1}}, {"source": origin | {"seed": None}}, {"source": {"generator": "loops"}},
        {"source": origin | {"session": 2.5}}, {"source": "loops"},
    ]  # fmt: skip
    for changes in unsound:
        assert exact(_with_info(first, **changes)) is None, changes
    fewer = first.behaviour_valid | {"behaviour": np.arange(len(first.values)) != 5}
    assert exact(first.with_fields(behaviour_valid=fewer)) is None  # one trial is asked less


def test_a_loop_too_large_for_its_covariance_has_no_exact_reader(monkeypatch):
    source = source_of(*made().sessions)
    tested = put(source, "activity", np.arange(5))[1]
    monkeypatch.setattr(joint_readers, "MOST_ENTRIES", 4 * 7 - 1)
    monkeypatch.setattr(loops, "covariance", lambda *given: pytest.fail("memory was asked for"))
    assert joint_readers.exact(source, 0, tested) is None


def test_a_reader_of_some_sessions_is_no_bar_for_a_model_of_all():
    ones = np.array([[1.0, 4.0], [1.0, 4.0]])
    sums = {("past", "stimulus", "model"): [ones, ones], ("past", "stimulus", "exact"): [ones]}
    sums |= {("past", "stimulus", "bin_mean"): [ones, ones], ("past", "stimulus", "ridge"): [ones]}
    found = evaluator._block({"past": {}}, sums, 0)["patterns"]["past"]["asked"]["stimulus"]
    assert found["r2"] == 0.75 and found["ceiling"] is None and found["floors"] == {"bin_mean": {"r2": 0.75}}
