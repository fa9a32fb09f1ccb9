"""Forward prediction with bounded rates: what a bound chosen on validation trials gives on test trials.

    python experiments/recipe/bound.py [--runs=runs/recipe]

After the final table: one trial of one unit cost forward prediction most of what it is short of the linear average, so
this was written when the test trials had been seen. The bound itself is chosen on validation trials of the search's
sessions: a rate is at most `factor` times the most spikes the unit fired in a bin of the train split.
"""

import argparse
from pathlib import Path

import common
import final
import final_table
import numpy as np
from run import SEARCH

from neurojax import metrics
from neurojax.evals import activity
from neurojax.types import TRAIN, VALIDATION, Session

FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0, np.inf)


def bounded(session: Session, rates: np.ndarray, factor: float) -> np.ndarray:
    """Rates [K, T, N], expected spikes per bin, none above the bound; a silent unit may fire one spike."""
    counts, _ = session.gather_trials(session.trials_of(TRAIN))
    return np.minimum(rates, factor * np.maximum(counts.max((0, 1)), 1))


def gain_bits(session: Session, rates: np.ndarray, split: int) -> tuple[float, float]:
    """(bits over the train mean, spikes) of predicted trials."""
    counts, _ = session.gather_trials(session.trials_of(split))
    sums = metrics.poisson_sums(rates, counts, session.mean_counts())
    return float((sums.train_excess - sums.model_excess).sum() / np.log(2)), float(sums.spikes.sum())


def main(runs: Path) -> None:
    entries = {entry["run"]: entry for entry in common.read_results(final.RESULTS)}
    scores = {factor: [] for factor in FACTORS}
    tests = {factor: {} for factor in FACTORS}
    kept: dict[str, list[np.ndarray]] = {}
    sessions: dict[str, Session] = {}
    for seed in range(final.SEEDS):
        name = f"improved-seed{seed}"
        always = {"data.root": str(final._data(final.SESSIONS, runs)), "train.validate_every_steps": "0"}
        fields = {**always, **final.RUNS[name].fields}
        model, dataset, _ = common.trained("size=small,preset=improved", fields, runs / "final" / name)
        for session in dataset.sessions:
            if session.session_id in SEARCH:
                rates = activity.predict_session(model, session, ["forward"], split=VALIDATION)["forward"]
                for factor in FACTORS:
                    bits, spikes = gain_bits(session, bounded(session, rates, factor), VALIDATION)
                    scores[factor].append(bits / spikes)
            if session.session_id in final.REPORT:
                folder = final._folder(runs, name, entries[name]) / "rates"
                with np.load(folder / f"{session.session_id}.npz") as stored:
                    rates = stored["forward"]
                kept.setdefault(session.session_id, []).append(rates)
                sessions[session.session_id] = session
                for factor in FACTORS:
                    sums = final.test_sums(session, {"forward": bounded(session, rates, factor)})
                    tests[factor].setdefault(session.session_id, []).append(final.bps_pooled(sums, "forward"))
    print("factor, validation (5 sessions, 3 seeds, over the train mean), test (4 report sessions, over the test mean)")
    for factor in FACTORS:
        by_session = {session: round(float(np.mean(found)), 4) for session, found in tests[factor].items()}
        mean = np.mean(list(by_session.values()))
        print(f"{factor:5g}  {np.mean(scores[factor]):.4f}  {mean:.4f}  {by_session}", flush=True)
    chosen = max(FACTORS, key=lambda factor: np.mean(scores[factor]))

    def sums(predicted) -> dict[str, np.ndarray]:
        return {
            f"{name}/{key}": array
            for name, session in sessions.items()
            for key, array in final.test_sums(
                session, {"forward": bounded(session, predicted(kept[name]), chosen)}
            ).items()
        }

    average = final_table.load()["average"]
    together = [sums(lambda seeds: np.mean(seeds, 0))]
    each = [sums(lambda seeds, number=number: seeds[number]) for number in range(final.SEEDS)]
    for name, methods in (("improved", each), ("three seeds together", together)):
        mean, (low, high), single = final_table.difference(methods, average, "forward")
        value = final_table.score(methods, "forward")
        print(
            f"{name}, factor {chosen:g}: {value:.3f}, minus the average {mean:+.3f} [{low:+.3f}, {high:+.3f}], {single}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/recipe"))
    main(parser.parse_args().runs)
