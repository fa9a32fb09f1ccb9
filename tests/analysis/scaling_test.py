"""Learning curves: known exponents come back, intervals cover, forecasts hold far out or give no number."""

import numpy as np
import pytest

from neurojax.analysis import curve_fit, scaling
from neurojax.analysis.curve_forms import FORMS, named
from neurojax.errors import InputError

SIZES = np.geomspace(10, 1000, 10)


def falling(sizes, exponent=0.5, floor=0.3):
    return floor + 2.0 * sizes**-exponent


def rising(sizes, exponent=0.35, ceiling=0.6):
    return ceiling - 0.5 * sizes**-exponent


def ridge_risk(num_trials, num_weights, signal):
    """Risk of the best ridge regression over the noise variance (Dobriban and Wager 2018, identity covariance)."""
    aspect = num_weights / num_trials
    shift = (aspect - 1) / aspect * signal
    return 0.5 * (1 + shift + np.sqrt((1 - shift) ** 2 + 4 * signal))


def fitted(scores, form="power_floor", sizes=SIZES, **settings):
    return curve_fit.fit(scaling.points(sizes, scores), FORMS[form], **settings)


@pytest.mark.parametrize("exponent", [0.1, 0.35, 0.5, 1.0])
@pytest.mark.parametrize("curve", [falling, rising])
def test_exponents_of_known_curves_come_back_within_5_percent(curve, exponent):
    found = fitted(curve(SIZES, exponent))
    assert found.shapes[0] == pytest.approx(exponent, rel=0.001)  # no noise
    sizes = np.repeat(np.geomspace(10, 10_000, 12), 4)
    noisy = curve(sizes, exponent) + 2e-4 * np.random.default_rng(0).standard_normal(len(sizes))
    assert fitted(noisy, sizes=sizes).shapes[0] == pytest.approx(exponent, rel=0.05)


@pytest.mark.parametrize(
    "form, curve, shapes",
    [
        ("power", lambda n: 3 * n**-0.4, [0.4]),
        ("log_linear", lambda n: 0.1 + 0.05 * np.log(n), []),
        ("exponential", lambda n: 0.7 - 0.4 * np.exp(-n / 150), [150]),
        ("shoulder", lambda n: 0.2 + (1 + n / 80) ** -1.5, [1.5, 80]),
        ("broken_power", lambda n: 0.1 + FORMS["broken_power"].basis(n, np.array([0.1, 0.9, 60.0])), [0.1, 0.9, 60]),
    ],
)
def test_every_form_finds_the_curve_it_describes(form, curve, shapes):
    sizes = np.geomspace(3, 3000, 24)
    found = fitted(curve(sizes), form, sizes=sizes)
    units = [found.reference if is_size else 1.0 for is_size in FORMS[form].is_size]
    np.testing.assert_allclose(found.shapes * units, shapes, rtol=0.05)
    np.testing.assert_allclose(curve_fit.predict(found, [30_000.0]), curve(np.array([30_000.0])), rtol=0.01)


@pytest.mark.parametrize("curve, exponent, limit, is_log", [(falling, 0.5, 0.3, True), (rising, 0.35, 0.6, False)])
def test_intervals_of_90_percent_cover_between_85_and_95_percent(curve, exponent, limit, is_log):
    truth, covered = {"exponent": exponent, "limit": limit, "at 5,000": curve(5000)}, []
    for seed in range(100):
        noise = np.random.default_rng(seed).standard_normal(len(SIZES))
        scores = curve(SIZES) * np.exp(0.01 * noise) if is_log else curve(SIZES) + 0.002 * noise
        found = fitted(scores, num_draws=200, seed=seed)
        assert found.is_log == is_log
        told = {name: (one["low"], one["high"]) for name, one in curve_fit.parameters(found).items()}
        told["at 5,000"] = curve_fit.between(curve_fit.predict_draws(found, [5000])[:, 0], 0.9)
        covered.append([told[name][0] <= value <= told[name][1] for name, value in truth.items()])
    shares = dict(zip(truth, np.mean(covered, 0), strict=True))
    assert all(0.85 <= share <= 0.95 for share in shares.values()), shares


def test_a_ridge_curve_up_to_1000_trials_holds_at_100000_inside_its_interval():
    sizes = np.unique(np.geomspace(10, 1000, 16).round())
    for num_weights, signal in ((20, 1.0), (50, 4.0)):
        for seed in range(3):
            scatter = np.exp(0.01 * np.random.default_rng(seed).standard_normal(len(sizes)))
            curve = scaling.points(sizes, ridge_risk(sizes, num_weights, signal) * scatter)
            told = scaling.forecast(curve, 100_000)
            truth = ridge_risk(100_000, num_weights, signal)
            last = ridge_risk(1000, num_weights, signal)
            assert told.low <= truth <= told.high and told.value is None
            assert told.high - told.low < 0.25 < ridge_risk(10, num_weights, signal) - last  # it says something


def test_a_phenotype_at_0_6_at_a_million_people_comes_back_from_schulz_form():
    people = np.array([500, 1000, 2000, 4000, 8000, 16_000, 32_000])
    accuracy = 0.61 - 0.11 * (people / 500) ** -0.3
    assert 0.61 - 0.11 * (1e6 / 500) ** -0.3 == pytest.approx(0.6, abs=0.002)
    exact = fitted(accuracy, sizes=people)
    assert curve_fit.predict(exact, [1e6])[0] == pytest.approx(0.6, abs=0.002)
    noisy = accuracy + 0.002 * np.random.default_rng(2).standard_normal(len(people))
    told = scaling.forecast(scaling.points(people, noisy), 1e6, ("power_floor",), limits=(0.5, 1.0))
    assert told.value is None and 0.55 < told.low < 0.6 < told.high < 0.65


def test_no_number_more_than_ten_times_beyond_the_data():
    curve = scaling.points(SIZES, falling(SIZES) * np.exp(0.01 * np.random.default_rng(0).standard_normal(10)))
    near, edge, far = (scaling.forecast(curve, at, ("power_floor",)) for at in (2000, 10_000, 10_001))
    assert near.low < near.value < near.high and near.value == pytest.approx(falling(2000), rel=0.05)
    assert edge.value is not None and edge.times_beyond == pytest.approx(10)
    assert far.value is None and far.low < far.high
    assert "no single number" in far.words and "the form decides (power_floor)" in far.words
    assert f"{far.low:.4g} to {far.high:.4g}" in far.words
    assert near.run_low < near.low and near.high < near.run_high  # one run scatters more than the curve


def test_intervals_grow_with_distance_and_with_fewer_points():
    noise = 0.01 * np.random.default_rng(1).standard_normal(20)
    sizes = np.geomspace(10, 1000, 20)
    curve = scaling.points(sizes, falling(sizes) * np.exp(noise))
    widths = [
        one.high - one.low for one in (scaling.forecast(curve, at, ("power_floor",)) for at in (500, 5000, 500_000))
    ]
    assert widths == sorted(widths)
    few = scaling.points(sizes[::4], falling(sizes[::4]) * np.exp(noise[::4]))
    told = scaling.forecast(few, 5000, ("power_floor",))
    assert told.high - told.low > 2 * widths[1]


def test_forms_are_compared_by_sizes_that_they_did_not_see():
    sizes = np.geomspace(10, 2000, 12)
    noise = 0.003 * np.random.default_rng(0).standard_normal(12)
    rows = scaling.compare(scaling.points(sizes, falling(sizes, 0.8) * np.exp(noise)), tuple(FORMS))
    assert rows[0].form in ("power_floor", "shoulder", "broken_power") and rows[0].error < 0.01
    errors = {}
    for row in rows:
        errors.setdefault(row.form, row.error)
    assert errors["log_linear"] > 5 * errors["power_floor"] and errors["no_change"] > errors["power_floor"]
    assert sum(row.weight for row in rows) == pytest.approx(1)
    flat = scaling.compare(scaling.points(sizes, 0.5 + 0.01 * np.random.default_rng(5).standard_normal(12)))
    assert {row.form for row in flat} >= {"no_change", "power"}
    straight = scaling.compare(scaling.points(sizes, 0.1 + 0.05 * np.log(sizes) + 0.1 * noise))
    best = {row.form: row.error for row in reversed(straight)}
    assert best["log_linear"] < best["power"] and best["log_linear"] < best["no_change"]


def test_an_outlying_run_moves_a_fit_little():
    scores = falling(SIZES) * np.exp(0.002 * np.random.default_rng(0).standard_normal(10))
    spoilt = scores.copy()
    spoilt[4] *= 1.3
    clean, robust = fitted(scores).shapes[0], fitted(spoilt).shapes[0]
    assert abs(robust - clean) < 0.05
    assert fitted(spoilt).noise < 0.1


def test_points_with_small_errors_count_more():
    scores = falling(SIZES)
    scores[:5] *= np.exp(0.2 * np.random.default_rng(3).standard_normal(5))
    errors = np.where(np.arange(10) < 5, 0.3, 0.001) * scores
    weighted = curve_fit.fit(scaling.points(SIZES, scores, errors), FORMS["power_floor"])
    plain = fitted(scores)
    off = [abs(curve_fit.predict(one, [2000.0])[0] - falling(2000)) for one in (weighted, plain)]
    assert off[0] < 0.005 < off[1]


def test_a_limit_stays_in_its_bounds():
    scores = 0.5 + 0.04 * np.log(SIZES)
    free, bound = (fitted(scores, limits=limits) for limits in ((-np.inf, np.inf), (0.0, 1.0)))
    assert free.limit > 1 and bound.limit <= 1 and bound.drawn_limit.max() <= 1


def test_the_smaller_half_forecasts_the_larger():
    sizes = np.geomspace(5, 2000, 14)
    scores = rising(sizes) + 0.003 * np.random.default_rng(0).standard_normal(14)
    told = scaling.check(scaling.points(sizes, scores))
    assert len(told) == 7 and [size for size, _, _ in told] == sorted(sizes[7:])
    assert [observed for _, observed, _ in told] == pytest.approx(scores[7:])
    assert told[0][2].size == sizes[7] and told[0][2].times_beyond == pytest.approx(sizes[7] / sizes[6])
    inside = [one.run_low <= observed <= one.run_high for _, observed, one in told]
    assert np.mean(inside) >= 0.7
    assert scaling.check(scaling.points(sizes[:8], scores[:8])) == []  # four sizes foretell nothing


def test_the_same_seed_gives_the_same_forecast():
    curve = scaling.points(SIZES, falling(SIZES) + 0.01 * np.random.default_rng(0).standard_normal(10))
    assert scaling.forecast(curve, 3000, seed=3) == scaling.forecast(curve, 3000, seed=3)
    assert scaling.forecast(curve, 3000, seed=3) != scaling.forecast(curve, 3000, seed=4)


@pytest.mark.parametrize(
    "sizes, scores, fault",
    [
        ([1, 2, 4], [1, 2], "one finite number for each"),
        ([1, 2, 4], [1, 2, float("nan")], "one finite number for each"),
        ([0, 2, 4], [1, 2, 3], "expected numbers over 0"),
        ([1, 2, 2, 1], [1, 2, 3, 4], "2 different sizes"),
        (["a", 2, 3], [1, 2, 3], "no numbers"),
    ],
)
def test_points_that_are_none_are_one_line(sizes, scores, fault):
    with pytest.raises(InputError) as caught:
        scaling.points(sizes, scores)
    assert fault in str(caught.value)


def test_too_few_points_and_wrong_names_are_told():
    three = scaling.points([1, 2, 4], [3, 2, 1])
    with pytest.raises(InputError, match="needs 3 sizes and 4 points"):
        scaling.forecast(three, 8, ("power_floor",))
    with pytest.raises(InputError, match="to hold out"):
        scaling.forecast(three, 8)
    with pytest.raises(InputError, match="no form 'powr'"):
        named("powr")
    with pytest.raises(InputError, match="may be 0 or less"):
        fitted(SIZES - 20, scale="log")
    curve = scaling.points(SIZES, falling(SIZES))
    for at in (0, -3, float("inf"), "many"):
        with pytest.raises(InputError, match="expected a size over 0"):
            scaling.forecast(curve, at, ("power_floor",))
