"""Do the intervals of learning curves cover, and do forecasts hold far beyond the data? Made-up curves with known ends.

    python experiments/learning_curves/run.py [--parts=coverage,ridge,phenotype,half]

Writes results.json after each part; a part that is there is kept (--again computes it anew). Minutes on one core.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from scipy import stats

from neurojax.analysis import curve_fit, curve_forms, scaling
from neurojax.files import read_json, write_json
from neurojax.runs.workdir import provenance

HERE = Path(__file__).parent
LEVEL = 0.9


def falling(sizes, exponent):
    """A loss that falls to 0.3."""
    return 0.3 + 2.0 * np.asarray(sizes, float) ** -exponent


def rising(sizes, exponent):
    """A score that rises to 0.6."""
    return 0.6 - 0.5 * np.asarray(sizes, float) ** -exponent


CURVES = {"falling": (falling, 0.3), "rising": (rising, 0.6)}


def noisy(values: np.ndarray, kind: str, noise: float, generator: np.random.Generator) -> np.ndarray:
    """Scatter in proportion for a loss, of the same size everywhere for a score."""
    drawn = noise * generator.standard_normal(len(values))
    return values * np.exp(drawn) if kind == "falling" else values + drawn


def coverage(repeats: int = 300) -> dict:
    """Share of 90 % intervals that hold the truth, for exponent, limit and the curve five times beyond the data."""
    found = {}
    for kind, exponent, noise, num_points in (
        ("falling", 0.5, 0.01, 10),
        ("falling", 0.25, 0.005, 10),
        ("falling", 0.5, 0.02, 20),
        ("rising", 0.35, 0.002, 10),
        ("rising", 0.5, 0.005, 14),
        ("rising", 0.35, 0.002, 7),
    ):
        curve, limit = CURVES[kind]
        sizes = np.geomspace(10, 1000, num_points)
        truth = {"exponent": exponent, "limit": limit, "at 5,000": float(curve(5000, exponent))}
        covered, fitted = {name: 0 for name in truth}, []
        for seed in range(repeats):
            scores = noisy(curve(sizes, exponent), kind, noise, np.random.default_rng(seed))
            points = scaling.points(sizes, scores)
            fit = curve_fit.fit(points, curve_forms.FORMS["power_floor"], num_draws=300, seed=seed)
            told = {name: (one["low"], one["high"]) for name, one in curve_fit.parameters(fit, LEVEL).items()}
            told["at 5,000"] = curve_fit.between(curve_fit.predict_draws(fit, [5000])[:, 0], LEVEL)
            for name, value in truth.items():
                covered[name] += int(told[name][0] <= value <= told[name][1])
            fitted.append(float(fit.shapes[0]))
        name = f"{kind}, exponent {exponent}, scatter {noise}, {num_points} sizes"
        shares = {key: count / repeats for key, count in covered.items()}
        found[name] = {"repeats": repeats, "covered": shares, "median_exponent": float(np.median(fitted))}
        print(name, found[name], flush=True)
    return found


def ridge_risk(num_trials, num_weights: int, signal: float):
    """Risk of the best ridge regression over the noise variance (Dobriban and Wager 2018, identity covariance)."""
    aspect = num_weights / np.asarray(num_trials, float)
    shift = (aspect - 1) / aspect * signal
    return 0.5 * (1 + shift + np.sqrt((1 - shift) ** 2 + 4 * signal))


def ridge(repeats: int = 10) -> dict:
    """Curves of up to 1,000 trials, forecast at 100,000."""
    sizes, found = np.unique(np.geomspace(10, 1000, 16).round()), {}
    for num_weights, signal in ((20, 1.0), (50, 1.0), (50, 4.0), (100, 2.0)):
        for noise in (0.002, 0.01):
            truth, held, widths, example = float(ridge_risk(1e5, num_weights, signal)), 0, [], None
            for seed in range(repeats):
                scatter = np.exp(noise * np.random.default_rng(seed).standard_normal(len(sizes)))
                points = scaling.points(sizes, ridge_risk(sizes, num_weights, signal) * scatter)
                told = scaling.forecast(points, 1e5, level=LEVEL)
                held += int(told.low <= truth <= told.high)
                widths.append(told.high - told.low)
                example = example or {"scores": points.scores.tolist(), "low": told.low, "high": told.high}
            name = f"{num_weights} weights, signal {signal:g}, scatter {noise}"
            found[name] = {
                "truth": truth,
                "last": float(ridge_risk(1000, num_weights, signal)),
                "held": held,
                "repeats": repeats,
                "median_width": float(np.median(widths)),
                "example": example,
            }
            print(name, {k: v for k, v in found[name].items() if k != "example"}, flush=True)
    return {"sizes": sizes.tolist(), "curves": found}


PEOPLE = np.array([500, 1000, 2000, 4000, 8000, 16_000, 32_000])


def schulz(people):
    """Schulz's form with an accuracy of 0.6 at a million people."""
    return 0.61 - 0.11 * (np.asarray(people, float) / 500) ** -0.3


def plug_in(people, num_features: int = 2000, best: float = 0.6):
    """Accuracy of a plug-in linear discriminant on features of known covariance, half of the people in each class."""
    distance = 2 * stats.norm.ppf(best)
    return stats.norm.cdf(distance**2 / 2 / np.sqrt(distance**2 + 4 * num_features / np.asarray(people, float)))


def phenotype(repeats: int = 10) -> dict:
    """Two phenotypes of low signal, measured in up to 32,000 people, forecast at a million."""
    found = {}
    for name, curve in (("Schulz's form", schulz), ("plug-in discriminant", plug_in)):
        truth = float(curve(1e6))
        for forms in (("power_floor",), curve_forms.DEFAULT):
            told = []
            for seed in range(repeats):
                scores = curve(PEOPLE) + 0.002 * np.random.default_rng(seed).standard_normal(len(PEOPLE))
                told.append(
                    scaling.forecast(scaling.points(PEOPLE, scores), 1e6, forms, limits=(0.5, 1.0), level=LEVEL)
                )
            middles = [0.5 * (one.low + one.high) for one in told]
            key = f"{name}, {'power_floor alone' if len(forms) == 1 else 'all forms'}"
            found[key] = {
                "truth": truth,
                "at_32000": float(curve(32_000)),
                "held": sum(one.low <= truth <= one.high for one in told),
                "repeats": repeats,
                "median_middle": float(np.median(middles)),
                "median_width": float(np.median([one.high - one.low for one in told])),
                "gave_a_number": sum(one.value is not None for one in told),
            }
            print(key, found[key], flush=True)
    return found


def half(repeats: int = 10) -> dict:
    """Forecasts from the smaller half of 14 sizes, scored on the larger half (up to 20 times beyond)."""
    sizes, found = np.geomspace(5, 2000, 14), {}
    for kind, exponent, noise in (("rising", 0.35, 0.003), ("falling", 0.5, 0.01)):
        inside, numbers = [], []
        for seed in range(repeats):
            scores = noisy(CURVES[kind][0](sizes, exponent), kind, noise, np.random.default_rng(seed))
            for _, observed, told in scaling.check(scaling.points(sizes, scores), level=LEVEL):
                inside.append(told.run_low <= observed <= told.run_high)
                numbers.append(told.value is not None)
        found[kind] = {"inside": float(np.mean(inside)), "repeats": repeats, "with_a_number": float(np.mean(numbers))}
        print(kind, found[kind], flush=True)
    return found


PARTS = {"coverage": coverage, "ridge": ridge, "phenotype": phenotype, "half": half}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--again", action="store_true")
    options = parser.parse_args()
    target = HERE / "results.json"
    results = read_json(target) if target.is_file() else {"command": "python experiments/learning_curves/run.py"}
    for name in options.parts.split(","):
        if name in results and not options.again:
            continue
        start = time.process_time()
        found = PARTS[name]()
        results[name] = {**provenance(HERE), "cpu_s": round(time.process_time() - start, 1), "result": found}
        write_json(target, results)
