"""Forward prediction with bounded rates: what a bound chosen on validation trials gives on test trials.

    python experiments/recipe/bound.py [--runs=runs/recipe]

Written after the final table, when its test trials had been seen: one trial of one unit cost forward prediction
much of its score. The bound itself is chosen on validation trials of the search's sessions: a rate is at most `factor`
times the most spikes the unit fired in a bin of the train split. What it gives is held against the linear stack.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import final
import final_table
import numpy as np
from run import SEARCH, score

from neurojax.data.session import TRAIN, VALIDATION, Session
from neurojax.evals import activity
from neurojax.scores import intervals

FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0, np.inf)
TASK = "forward"


def bounded(session: Session, rates: np.ndarray, factor: float) -> np.ndarray:
    """Rates [K, T, N], expected spikes per bin, none above the bound; a silent unit may fire one spike."""
    counts, _ = session.gather_trials(session.trials_of(TRAIN))
    return np.minimum(rates, factor * np.maximum(counts.max((0, 1)), 1))


def predicted(runs: Path) -> tuple[list[tuple[Session, np.ndarray]], dict[str, Session], dict[str, list[np.ndarray]]]:
    """Validation rates of each seed and session of the search; report sessions; test rates of each seed in them."""
    searched, report, kept = [], {}, {name: [] for name in final.REPORT}
    for seed in range(final.SEEDS):
        name = f"improved-seed{seed}"
        model, dataset, about = final.trained(name, runs)
        for session in dataset.sessions:
            if session.session_id in SEARCH:
                rates = activity.predict_session(model, session, [TASK], split=VALIDATION)[TASK]
                searched.append((session, rates))
            if session.session_id in kept:
                with np.load(final.folder_of(runs, name, about) / "rates" / f"{session.session_id}.npz") as stored:
                    kept[session.session_id].append(stored[TASK])
                report[session.session_id] = session
    return searched, report, kept


def main(runs: Path) -> None:
    searched, report, kept = predicted(runs)
    stack = final_table.load()["stack"]

    def sums(factor: float, rates_of: Callable[[list[np.ndarray]], np.ndarray]) -> dict[str, np.ndarray]:
        found = {}
        for name, session in report.items():
            rates = bounded(session, rates_of(kept[name]), factor)
            found |= {f"{name}/{key}": array for key, array in final.test_sums(session, {TASK: rates}).items()}
        return found

    print("factor: validation (5 sessions, over the train mean); test (4 report sessions, over the test mean)")
    validation = {}
    for factor in FACTORS:
        scores = [score(session, {TASK: bounded(session, rates, factor)}, 1.0)[TASK] for session, rates in searched]
        validation[factor] = np.mean([block["bps_pooled_train_null"] for block in scores])
        seeds = [sums(factor, lambda rates, seed=seed: rates[seed]) for seed in range(final.SEEDS)]
        print(f"{factor:g}: {validation[factor]:.4f}; {final_table.score(seeds, TASK):.4f}", flush=True)
        if validation[factor] == max(validation.values()):
            chosen, chosen_seeds = factor, seeds
    together = [sums(chosen, lambda rates: np.mean(rates, 0))]
    for name, seeds in (("improved", chosen_seeds), ("three seeds together", together)):
        mean, trials, single = final_table.difference(seeds, stack, TASK)
        over, p = intervals.t_interval(list(single.values())), intervals.p_value(list(single.values()))
        by_session = ", ".join(f"{session}: {value:+.3f}" for session, value in single.items())
        print(f"{name}, {chosen:g}: {final_table.score(seeds, TASK):.3f}, minus the stack {mean:+.3f} ({by_session})")
        ends = [f"[{low:+.3f}, {high:+.3f}]" for low, high in (over.ci95, trials)]
        print(f"  95 % over sessions {ends[0]}, p = {p:.2g}; over trials of these sessions alone {ends[1]}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/recipe"))
    main(parser.parse_args().runs)
