"""Forecasts are scored where they were made and against what nobody beats; generated trials against real ones."""

import dataclasses
import json
import types

import jax
import numpy as np
import pytest

from neurojax.data import batching
from neurojax.data.observed import intervals_of
from neurojax.data.session import TEST, TRAIN, VALIDATION
from neurojax.data.store.sessions import from_counts
from neurojax.data.synthetic import animals
from neurojax.data.synthetic.spec import SyntheticSpec
from neurojax.errors import InputError
from neurojax.evals import generated, generation, protocols
from neurojax.report import generation_block

SPEC = SyntheticSpec(
    num_sessions=1, min_units=24, max_units=24, min_region_units=8, num_trials=40, num_bins=20, mean_rate_hz=20.0
)
SETTINGS = {"num_boot": 30, "memory_mb": 64}


@pytest.fixture(scope="module")
def animal():
    return animals.make_session(SPEC, 0, 0)


class Knows:
    """Goes on with the true rates of the trials it is asked about."""

    goes_on, bucket_units = True, 8

    def __init__(self, session, trial_mb=0.25):
        self.session, self.layout = session, batching.Layout.of([session])
        self.asked, self.keys, self.sizes, self.trial_mb = [], [], [], trial_mb

    def trials_of_rollout(self, batch, num_bins, *, num_samples, memory_mb, at_most):
        number = int(memory_mb / (self.trial_mb * num_samples / 4))
        if not number:
            raise InputError(f"eval.memory_mb={memory_mb} does not hold one trial")
        return min(at_most, number)

    def rollout(self, batch, prompt, num_bins, *, num_samples, key):
        self.asked.append((prompt, num_bins, num_samples))
        self.keys.append(tuple(np.asarray(jax.random.key_data(key)).tolist()))
        self.sizes.append(batch.trials["trial_id"].shape[1])
        trials = batch.trials["trial_id"][0]
        rows = self.session.trial_start_bin[trials][:, None] + prompt + np.arange(num_bins)
        rates = np.zeros((1, *rows.shape, batch.groups["unit_valid"].shape[1]), np.float32)
        rates[0, ..., : self.session.num_units] = self.session.true_rates[rows]
        drawn = np.random.default_rng(prompt).poisson(rates, (num_samples, *rates.shape))
        return types.SimpleNamespace(log_rates=np.log(np.maximum(rates, 1e-9)), counts=drawn)


@pytest.fixture(scope="module")
def block(animal):
    model = Knows(animal)
    found = generation.of_session(model, animal, SETTINGS, 0, protocols.MTM)["generation"]
    assert set(model.asked) == {(origin, 8, 32) for origin in (6, 9, 12)} | {(4, 16, 4)}
    return found


def test_who_knows_the_rates_scores_as_the_true_rates_and_nobody_above(block):
    assert block["origins"] == [6, 9, 12] and block["horizons"] == list(range(1, 9))
    bps = {name: np.asarray(one["bps"]) for name, one in block["forecast"].items()}
    assert set(bps) == {"model", "persistence", "train_mean", "known_dynamics", "true_rates"}
    np.testing.assert_allclose(bps["model"], bps["true_rates"], atol=1e-4)
    assert not bps["train_mean"].any()
    assert (bps["true_rates"] > bps["known_dynamics"]).all() and (bps["known_dynamics"] > bps["persistence"]).all()
    assert bps["known_dynamics"][0] > bps["known_dynamics"][-1]  # what the spikes tell fades
    low, high = np.asarray(block["over_persistence"]["bps_ci95"]).T
    assert (low > 0).all() and (low < np.asarray(block["over_persistence"]["bps"])).all() and (high > low).all()
    np.testing.assert_allclose(block["share_of_known_dynamics"], bps["model"] / bps["known_dynamics"], rtol=1e-3)
    json.dumps(block, allow_nan=False)


def test_known_dynamics_and_persistence_read_nothing_from_the_origin_on(animal):
    origins, horizons = generation.origins_of(20)
    last = int(origins[-1])
    later = np.asarray(animal.counts).copy()
    for trial in animal.trials_of(TEST):
        start = animal.trial_start_bin[trial]
        later[start + last : start + 20] = 9
    other = dataclasses.replace(animal, counts=later)
    for find in (generation.persistence, lambda *of: generation.ceilings(*of)["known_dynamics"]):
        one, two = find(animal, origins, horizons), find(other, origins, horizons)
        np.testing.assert_array_equal(one[:, -1], two[:, -1])
        assert (one[:, -1] > 0).all()


def test_persistence_holds_on_to_what_lasts_and_to_the_mean_where_nothing_does():
    rng = np.random.default_rng(0)
    split = np.resize([TRAIN, TRAIN, TEST, VALIDATION], 80)
    for lasting in (True, False):
        rates = np.where(rng.random((80, 1 if lasting else 24, 10)) < 0.5, 0.2, 3.0)
        counts = rng.poisson(np.broadcast_to(rates, (80, 24, 10)))
        session = from_counts(counts, bin_size_s=0.02, session_id="day", split=split)
        found = generation.persistence(session, *generation.origins_of(24))
        truth = np.broadcast_to(rates, (80, 24, 10))[split == TEST]
        r = np.corrcoef(found[:, 0, 0].ravel(), truth[:, 8].ravel())[0, 1]
        assert r > 0.9 if lasting else found.std(0).max() < 0.25


def test_bins_past_the_end_of_a_short_trial_are_not_scored(animal):
    lengths = np.full(animal.num_trials, 20)
    lengths[animal.trials_of(TEST)[0]] = 10
    short = animal.with_fields(trial_num_bins=lengths)
    counts, valid = generation.ahead(short, TEST, np.asarray([6, 9]), 8)
    assert valid[0, :, :, 0].tolist() == [[True] * 4 + [False] * 4, [True] + [False] * 7] and valid[1:].all()
    np.testing.assert_array_equal(counts[1, 0], animal.gather_trials(animal.trials_of(TEST))[0][1, 6:14])


def test_a_model_that_cannot_go_on_has_no_block_and_a_recording_with_gaps_a_reason(animal):
    assert generation.of_session(types.SimpleNamespace(), animal, SETTINGS, 0, protocols.MTM) == {}
    cannot = types.SimpleNamespace(goes_on=False, goes_on_reason="an ensemble")
    found = generation.of_session(cannot, animal, SETTINGS, 0, protocols.MTM)
    assert found == {"generation": None, "generation_reason": "an ensemble"}
    seen = np.ones(animal.counts.shape, bool)
    seen[:5, 0] = False
    gaps = animal.with_fields(validity=intervals_of(seen))
    found = generation.of_session(types.SimpleNamespace(goes_on=True), gaps, SETTINGS, 0, protocols.MTM)
    assert found["generation"] is None and "not observed throughout" in found["generation_reason"]


def test_trials_of_any_length_and_no_validation_trial_are_scored(animal):
    """Only training trials reach the origins and a window after the prompt."""
    lengths = np.where(np.isin(np.arange(animal.num_trials), animal.trials_of(TRAIN)), 20, 7)
    short = animal.with_fields(trial_num_bins=lengths)
    for session in (short, animal.with_fields(split=np.where(animal.split == VALIDATION, TRAIN, animal.split))):
        found = generation.of_session(Knows(session), session, SETTINGS, 0, protocols.MTM)["generation"]
        assert found["forecast"]["model"]["bps"][0] == pytest.approx(
            found["forecast"]["true_rates"]["bps"][0], abs=1e-3
        )
        assert found["forecast"]["persistence"]["bps"][0] is not None
        json.dumps(found, allow_nan=False)
    last = generation.of_session(Knows(short), short, SETTINGS, 0, protocols.MTM)["generation"]
    assert last["forecast"]["model"]["bps"][1:] == [None] * 7 and last["statistics"]["fano"]["real"] is None


def test_no_two_sessions_share_a_draw_and_the_same_one_has_the_same_again(animal):
    def keys_of(session):
        model = Knows(session)
        generation.of_session(model, session, SETTINGS, 0, protocols.MTM)
        assert len(set(model.keys)) == len(model.keys)  # nor two origins, nor two lots of trials
        return model.keys

    other = keys_of(animal.with_fields(session_id="another"))
    assert keys_of(animal) == keys_of(animal) and not set(keys_of(animal)) & set(other)


def test_memory_bounds_the_trials_of_a_rollout_and_where_it_holds_none_that_is_a_reason(animal, block):
    small = Knows(animal, trial_mb=1.5)  # 12 MB for 32 continuations
    found = generation.of_session(small, animal, SETTINGS, 0, protocols.MTM)["generation"]
    assert set(small.sizes) == {5} and found["forecast"]["model"] == block["forecast"]["model"]
    none = generation.of_session(Knows(animal, trial_mb=9.0), animal, SETTINGS, 0, protocols.MTM)
    assert none == {"generation": None, "generation_reason": "eval.memory_mb=64 does not hold one trial"}


def test_rates_that_grow_without_bound_are_a_reason(animal):
    class Grows(Knows):
        def rollout(self, *asked, **more):
            found = super().rollout(*asked, **more)
            found.log_rates[..., -1, 0], found.counts[..., -1, 0] = self.log_rate, self.drawn
            return found

    model = Grows(animal)
    for model.log_rate, model.drawn in ((np.nan, -1), (100.0, 2**31), (5.0, 1001)):
        found = generation.of_session(model, animal, SETTINGS, 0, protocols.MTM)
        assert found["generation"] is None and "grows without bound" in found["generation_reason"]
    model.log_rate, model.drawn = 5.0, 999
    assert generation.of_session(model, animal, SETTINGS, 0, protocols.MTM)["generation"]


def test_intervals_are_between_spikes_of_one_unit_in_one_trial():
    counts = np.zeros((3, 6, 2), int)
    counts[0, [0, 3], 0] = 1, 2
    counts[0, 5, 1] = counts[1, 1, 1] = counts[2, 4, 1] = 1  # one in each trial
    counts[1, [2, 4], 0] = 1
    found, unit = generated.intervals_of(counts)
    assert sorted(zip(found.tolist(), unit.tolist(), strict=True)) == [(0, 0), (2, 0), (3, 0)]


def test_statistics_of_the_same_process_agree_and_of_another_do_not():
    rng = np.random.default_rng(1)
    rates, valid = rng.uniform(0.2, 1.5, 12), np.ones((60, 40), bool)

    def drawn(number, gain_sd):
        gain = rng.gamma(1 / gain_sd**2, gain_sd**2, (number, 60, 40, 1)) if gain_sd else 1.0
        return rng.poisson(rates * gain * np.ones((number, 60, 40, 1)))

    real = drawn(1, 0.7)[0]
    same, even = (generated.compared(real, drawn(3, gain), valid, 0.02) for gain in (0.7, 0.0))
    for name in ("rate_hz", "fano", "interval_cv", "correlation"):
        assert same[name]["ratio"] == pytest.approx(1, abs=0.08), name
    assert even["rate_hz"]["ratio"] == pytest.approx(1, abs=0.05)
    assert even["fano"]["ratio"] < 0.9 and even["correlation"]["ratio"] < 0.8
    assert same["rate_hz"]["real"] == pytest.approx(rates.mean() / 0.02, rel=0.05) and same["window_s"] == 0.1
    one_burst = real[:, :, :1] * 0 + (np.arange(40) % 5 == 0)[None, :, None]
    regular = generated.compared(one_burst, one_burst[None], valid, 0.02)
    assert regular["interval_cv"]["real"] == 0 and regular["intervals"]["real"][5] == 1
    silent = generated.compared(real * 0, real[None] * 0, valid, 0.02)
    brief = generated.compared(real[:, :4], real[None, :, :4], valid[:, :4], 0.02)  # less than a window
    assert brief["fano"]["real"] is None and brief["rate_hz"]["ratio"] == 1 and brief["correlation"]["r"] is None
    json.dumps([same, even, silent, regular, brief], allow_nan=False)


def test_a_report_shows_forecasts_and_statistics(block):
    record = {"sessions": {"a": {"generation": block}, "b": {"generation": None}}}
    (folded,) = generation_block.generation_tables(record)
    assert "model / known dynamics" in folded and "Fano factor" in folded
    assert generation.line(record).startswith("forecast, bits/spike over the train mean, 1 .. 8 bins ahead: model")
    own = {name: one for name, one in block["forecast"].items() if name not in ("known_dynamics", "true_rates")}
    mixed = {"sessions": {"a": {"generation": block}, "c": {"generation": block | {"forecast": own}}}}
    assert "persistence" in generation.line(mixed) and "known" not in generation.line(mixed)
    assert generation_block.generation_tables({"sessions": {"b": {}}}) == [] == [generation.line({"sessions": {}})][1:]
    pytest.importorskip("matplotlib")
    from neurojax.report.figures import generation as figures

    figure = figures.overview(record)
    lines = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}
    np.testing.assert_allclose(lines["known dynamics"], block["forecast"]["known_dynamics"]["bps"])
    assert len(figure.axes) == 5 and figures.overview({"sessions": {"b": {}}}) is None
