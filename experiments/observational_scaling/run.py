"""Observational scaling laws (Ruan et al. 2024) from the public benchmark scores of 124 language models.

    python experiments/observational_scaling/run.py

Reads obs_scaling/ below NEUROJAX_DATA, trains nothing, writes results.json; a few seconds.
"""

import csv
import os
from pathlib import Path

import numpy as np

from neurojax.analysis import observational
from neurojax.files import write_json
from neurojax.runs.workdir import provenance

HERE = Path(__file__).parent
DATA = Path(os.environ.get("NEUROJAX_DATA", HERE.parents[2] / "shared" / "data")) / "obs_scaling"
BENCHMARKS = ("MMLU", "ARC-C", "HellaSwag", "Winograd", "TruthfulQA", "GSM8K", "XWinograd", "HumanEval")
COMPUTE = "FLOPs (1E21)"
CUT = 84.0  # of Llama-2-7B, in 1e21 operations: fitted up to here, scored above
NUM_COMPONENTS, NUM_DRAWS = 3, 200


def number(text: str) -> float:
    return float(text) if text.strip() else float("nan")


def read(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def task(name: str, rows: list[dict], others: dict[str, dict], values: np.ndarray, log_compute: np.ndarray) -> dict:
    """Mean absolute error above the cut: of three components, of compute alone, of the best model below the cut."""
    told = [number(others.get(row["Model"], {}).get(name, "")) for row in rows]
    known = np.isfinite(told) & np.isfinite(log_compute)
    scores, components = np.array(told)[known], values[known, :NUM_COMPONENTS]
    compute, families = log_compute[known], np.array([row["Model Family"] for row in rows])[known]
    seen = compute <= np.log10(CUT) + 1e-9
    error, predicted = observational.extrapolated(components, scores, seen)
    by_compute, _ = observational.extrapolated(compute[:, None], scores, seen)
    off = np.abs(predicted - scores)[~seen]
    best = np.abs(scores[~seen] - scores[seen].max())
    low, high = over_families(off - best, families[~seen])
    return {
        "num_seen": int(seen.sum()),
        "num_above": int((~seen).sum()),
        "three_components": error,
        "log_compute": by_compute,
        "best_of_the_seen": float(best.mean()),
        "components_less_best_ci95": [low, high],
    }


def over_families(differences: np.ndarray, families: np.ndarray) -> tuple[float, float]:
    """95 % interval of a mean over models by drawing families: models of one share their training data."""
    names, generator = np.unique(families), np.random.default_rng(0)
    means = []
    for _ in range(NUM_DRAWS):
        drawn = generator.choice(names, len(names))
        means.append(np.concatenate([differences[families == name] for name in drawn]).mean())
    return tuple(map(float, np.quantile(means, [0.025, 0.975])))


def main() -> None:
    if not DATA.is_dir():
        raise SystemExit(f"no folder {DATA}; set NEUROJAX_DATA to the folder with obs_scaling")
    rows = read("base_llm_benchmark_eval.csv")
    rows = [row for row in rows if all(row[name].strip() for name in BENCHMARKS)]
    found = observational.components(np.array([[number(row[name]) for name in BENCHMARKS] for row in rows]))
    log_compute = np.log10([number(row[COMPUTE]) for row in rows])
    families = [row["Model Family"] for row in rows]
    lines = observational.family_lines(found.values[:, 0], log_compute, families)
    others = {row["Model"]: row for row in read("base_llm_emergent_capability_eval.csv")}
    tasks = [name for name in next(iter(others.values())) if name.endswith(("_acc", "exact_match"))]
    results = {
        "command": "python experiments/observational_scaling/run.py",
        **provenance(HERE),
        "num_models": len(rows),
        "num_families": len(set(families)),
        "shares": found.shares.tolist(),
        "first_component": float(found.shares[0]),
        "first_three_components": float(found.shares[:3].sum()),
        "loadings": {name: found.axes[n, 0].item() for n, name in enumerate(BENCHMARKS)},
        "families": {name: one._asdict() for name, one in sorted(lines.items(), key=lambda pair: -pair[1].r2)},
        "tasks": {name: task(name, rows, others, found.values, log_compute) for name in tasks},
        "models": [
            {"family": family, "log_compute": None if np.isnan(compute) else float(compute), "component": float(value)}
            for family, compute, value in zip(families, log_compute, found.values[:, 0], strict=True)
        ],
    }
    write_json(HERE / "results.json", results)
    print(f"{len(rows)} models, {results['num_families']} families; shares {found.shares[:3].round(4)}")
    for name, one in results["tasks"].items():
        print(name, one)


if __name__ == "__main__":
    main()
