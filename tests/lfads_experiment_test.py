"""experiments/lfads: its observers and floors read what they may, and its scores know the truth."""

import numpy as np
import pytest

from neurojax.data.synthetic import known_rates
from tests.experiment_modules import imported


@pytest.fixture(scope="module")
def parts():
    with imported("lfads", ("floors", "observers", "scores", "figure"), ()) as found:
        yield found


@pytest.fixture(scope="module")
def pulses():
    spec = known_rates.KnownRatesSpec("pulses", "low", 0.03)
    return spec, known_rates.make_session(spec)


def split_counts(parts, session):
    return {name: parts.scores.by_trial(session, session.counts, split) for name, split in parts.scores.SPLITS.items()}


def test_who_knows_the_cases_finds_the_rates_and_the_kick_and_reads_shown_units_alone(parts, pulses):
    spec, session = pulses
    counts = parts.scores.by_trial(session, session.counts, 2)
    shown = ~parts.scores.held_out_of(session)
    seen = parts.observers.of_cases(spec, counts, shown)
    scores = parts.scores.of_rates(session, seen.rates, seen.rates[..., ~shown])
    assert scores["rate_r2"] > 0.97 and scores["bps"] > 0.1
    given = parts.scores.by_trial(session, session.behaviour["input"], 2)[..., 0]
    assert np.abs(seen.inputs.argmax(1) - given.argmax(1)).max() <= 2
    np.testing.assert_allclose(seen.inputs.sum(1), 1, rtol=1e-4)
    blind = parts.observers.of_cases(spec, np.where(shown, counts, 7), shown)
    np.testing.assert_array_equal(blind.rates, seen.rates)


def test_who_knows_the_integrator_finds_its_inputs(parts):
    spec = known_rates.KnownRatesSpec("integrator", "low", 0.04)
    session = known_rates.make_session(spec)
    counts, given = (
        parts.scores.by_trial(session, array, 2)[:6] for array in (session.counts, session.behaviour["input"])
    )
    shown = np.arange(session.num_units) % 4 > 0
    seen = parts.observers.of_inputs(spec, counts, shown)
    assert np.corrcoef(seen.inputs.ravel(), given.ravel())[0, 1] > 0.85
    blind = parts.observers.of_inputs(spec, np.where(shown, counts, 9), shown)
    np.testing.assert_array_equal(blind.inputs, seen.inputs)


def test_floors_predict_units_held_out_from_the_others(parts, pulses):
    _, session = pulses
    counts, held_out = split_counts(parts, session), parts.scores.held_out_of(session)
    found = parts.floors.rates_of(counts, held_out, session.bin_size_s)
    other = counts | {"test": np.where(held_out, 5, counts["test"])}
    blind = parts.floors.rates_of(other, held_out, session.bin_size_s)
    for name, floor in found.items():
        assert parts.scores.of_rates(session, floor["all"], floor["held_out"])["bps"] > 0.02
        np.testing.assert_array_equal(blind[name]["held_out"], floor["held_out"])
        assert np.abs(blind[name]["all"] - floor["all"]).max() > 0.1
    mean = found["smoothing"]["all"].mean((0, 1))
    np.testing.assert_allclose(mean, counts["test"].mean((0, 1)), atol=0.01)  # a filter keeps the number of spikes


def test_scores_of_the_truth_and_of_the_mean(parts, pulses):
    _, session = pulses
    truth = parts.scores.by_trial(session, session.true_rates, 2)
    held_out = parts.scores.held_out_of(session)
    of_truth = parts.scores.of_rates(session, truth, truth[..., held_out])
    assert of_truth["rate_r2"] == of_truth["rate_r2_held_out"] == 1
    mean = np.broadcast_to(parts.scores.by_trial(session, session.true_rates, 0).mean((0, 1)), truth.shape)
    of_mean = parts.scores.of_rates(session, mean, mean[..., held_out])
    assert of_mean["rate_r2"] == pytest.approx(0, abs=1e-6) and of_mean["bps"] < 0.01 < of_truth["bps"]
    assert of_truth["nats"] < of_mean["nats"]
    given = {
        name: parts.scores.by_trial(session, session.behaviour["input"], k) for name, k in (("train", 0), ("asked", 2))
    }
    turned = {name: np.concatenate([-3 * one + 1, np.sin(np.arange(one.size)).reshape(one.shape)], -1)
              for name, one in given.items()}  # fmt: skip
    r, line = parts.scores.of_inputs(session, turned)
    assert r == pytest.approx(1) and np.abs(line - given["asked"][..., 0]).max() < 1e-6


def test_what_is_expected_is_what_the_figure_observes(parts):
    one = {"rate_r2": 0.9, "rate_r2_held_out": 0.8, "bps": 0.2, "nats": 1.0, "input_r": 0.75}
    floor = one | {"rate_r2": 0.4, "bps": 0.15}
    rows = {"oracle": one | {"bps": 0.25}, "observer": one, "smoothing": floor, "pca": floor | {"bps": 0.19}}
    paths = {"validation, means": one, "validation, mean of samples": floor}
    trained = paths | {"test, means": one, "test, mean of samples": floor}
    results = {"known": {"sets": {"integrator-low": rows}}, "integrator-low": trained}
    found = parts.figure.observed(results)
    assert found["integrator: held-out bits/spike over the oracle's"] == 0.8
    assert found["integrator: bps over the better floor"] == 0.01
    assert found["integrator: |r| of inferred and true input"] == 0.75
    (row,) = parts.figure.table(results)[2:]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[0] == "integrator-low" and cells[2] == "0.90" and cells[6] == "0.80" and cells[-1] == "0.75"
    without = {"known": results["known"]}
    assert parts.figure.observed(without) == {} and parts.figure.table(without)[2].split("|")[3].strip() == "-"
