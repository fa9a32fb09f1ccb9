"""experiments/sharing: who is pretrained on, what is scored, and what its figure says of results that are known."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from neurojax.data.session import TEST, TRAIN
from neurojax.evals import protocols
from tests.experiment_modules import imported


@pytest.fixture(scope="module")
def parts():
    """The modules arms, run and figure."""
    with imported("sharing", ("arms", "run", "figure"), ("recordings",)) as found:
        yield found


@pytest.fixture(scope="module")
def animals(parts):
    """Ten small synthetic animals, of which two are new, in the orders of two seeds."""
    small = dict(min_units=24, max_units=24, min_region_units=6, num_trials=20, num_bins=20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts.run, "SPEC", dataclasses.replace(parts.run.SPEC, **small))
        patch.setattr(parts.run, "NUM_TRAINED", 8)
        patch.setattr(parts.run, "NUM_TESTED", 2)
        yield [parts.run.animals("synthetic", 0.5, seed, Path("nowhere")) for seed in (0, 1)]


def names(sessions) -> list[str]:
    return [session.session_id for session in sessions]


def test_new_animals_are_those_of_every_seed_and_never_pretrained_on(animals):
    first, second = animals
    assert names(first.tested) == names(second.tested)
    assert names(first.trained) != names(second.trained)
    assert set(names(first.trained)) == set(names(second.trained))
    assert not set(names(first.tested)) & set(names(first.trained))


def test_every_animal_is_passed_over_as_often_however_many_there_are(parts, animals):
    kind = parts.run.KINDS["mice"]
    for number in (1, 4, 8):
        sessions = animals[0].trained[:number]
        trials = sum(len(session.trials_of(TRAIN)) for session in sessions)
        steps = parts.run.steps_of_pretraining(kind, sessions)
        assert steps * parts.arms.TRIALS_PER_BATCH / trials == pytest.approx(kind.passes, rel=0.03)


def test_units_that_are_drawn_are_the_same_each_time_and_keep_their_counts_and_regions(parts, animals):
    session = animals[0].tested[0]
    fewer = parts.run.with_units(session, 10)
    assert fewer.num_units == 10
    place = [list(session.unit_id).index(name) for name in fewer.unit_id]
    np.testing.assert_array_equal(fewer.counts, session.counts[:, place])
    np.testing.assert_array_equal(fewer.region, session.region[place])
    np.testing.assert_array_equal(parts.run.with_units(session, 10).unit_id, fewer.unit_id)


def test_mean_rates_score_zero_true_ones_above_it_and_only_what_is_asked_counts(parts, animals):
    session = animals[0].tested[0]
    trials = session.trials_of(TEST)
    counts, _ = session.gather_trials(trials)
    bins = session.trial_start_bin[trials][:, None] + np.arange(counts.shape[1])
    scored = protocols.scored_entries(session, "co_smoothing", trials, protocols.MTM)
    mean = np.where(scored, counts, 0).sum((0, 1)) / scored.sum((0, 1)).clip(1)
    only = parts.arms.scored_pairs(session, trials, 0.5)
    assert 0.3 < only.mean() < 0.7

    def score(rates):
        return parts.arms.pooled(session, {"co_smoothing": rates}, trials, only)["co_smoothing"]

    of_mean = np.broadcast_to(mean.clip(1e-3), counts.shape)
    assert score(of_mean) == pytest.approx(0, abs=1e-6)
    true = session.true_rates[bins]
    assert score(true) > 0.1
    assert score(np.where(only[:, None], true, np.nan)) == score(true)
    assert score(np.where(only[:, None], true, 100.0)) == score(true)


def made_up(parts, gain_of, noise: float = 0.004) -> dict:
    """Results of eight new animals whose gain over the stack is known."""
    rng, entries = np.random.default_rng(0), []
    levels = dict(zip("abcdefgh", rng.uniform(0.1, 0.5, 8), strict=True))
    asked = [(0, "stack", 0.0), (0, "alone", -0.05)]
    asked += [(number, arm, gain_of(number)) for number in (1, 2, 4, 8, 16, 32) for arm in ("rows only", "full")]
    for number, arm, gain in asked:
        for name, level in levels.items():
            value = level + gain + noise * rng.standard_normal() * (arm != "stack")
            key = {"part": "mice", "common_share": None, "seed": 0, "fraction": 0.1, "animals": number}
            scores = dict.fromkeys(parts.arms.TASKS, float(value))
            entries.append({**key, "arm": arm, "session": name, "scores": scores})
    return {"entries": entries}


def test_what_the_figure_says_is_what_was_put_in(parts):
    results = made_up(parts, lambda number: 0.01 * np.log2(number))
    told = parts.figure.observed(results)
    words = "mice (Allen), 10%: rows only, 32"
    assert told[f"{words} animals minus alone, bits/spike"] == pytest.approx(0.1, abs=0.005)
    assert told[f"{words} minus 1 animals, bits/spike"] == pytest.approx(0.05, abs=0.005)
    found = parts.figure.scores_of(results, "co_smoothing")
    table = parts.figure.rows(found, ("mice", None), 0.1)
    (row,) = [row for row in table if row[0] == "full, 32 animals"]
    assert "(8 of 8)" in row[2] and row[3].startswith("+0.0")


@pytest.mark.parametrize(
    ("gain_of", "held"),
    [(lambda number: 0.02 * np.log2(number), True), (lambda number: 0.02 * np.log2(min(number, 4)), False)],
)
def test_the_larger_half_is_forecast_from_the_smaller_and_a_curve_that_stops_is_noticed(parts, gain_of, held):
    curve = parts.figure.curve_of(made_up(parts, gain_of), ("mice", None), 0.1, "rows only", "co_smoothing")
    told = parts.figure.forecasts(curve)
    assert [size for size, _, _ in told] == [8, 16, 32]
    assert all(one.low <= seen <= one.high for _, seen, one in told) == held


def test_choices_are_no_results(parts):
    results = made_up(parts, lambda number: 0.0)
    chosen = [
        {**entry, "part": "choose mice", "scores": dict.fromkeys(parts.arms.TASKS, 9.0)} for entry in results["entries"]
    ]
    both = {"entries": [*results["entries"], *chosen]}
    assert parts.figure.scores_of(both, "forward") == parts.figure.scores_of(results, "forward")


def test_steps_are_those_that_validate_best_at_the_nearest_share_of_trials(parts):
    scores = {0.1: {50: 0.1, 150: 0.3}, 1.0: {50: 0.6, 150: 0.5}}
    entries = [
        {
            "part": "choose mice",
            "arm": "full",
            "fraction": fraction,
            "steps": steps,
            "scores": {"forward": value + gain},
        }
        for fraction, of_steps in scores.items()
        for steps, value in of_steps.items()
        for gain in (0.0, 0.05)
    ]
    kept = SimpleNamespace(entries=entries)
    chosen = [parts.run.chosen(kept, "mice", "full", fraction) for fraction in (0.1, 0.25, 1.0)]
    assert chosen == [150, 150, 50]
    assert parts.run.chosen(kept, "mice", "stack", 0.1) == 0
    with pytest.raises(SystemExit, match="choose --of=mice"):
        parts.run.chosen(kept, "mice", "alone", 0.1)
