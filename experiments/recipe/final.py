"""The final phase: two presets, three seeds each, single-task arms and every baseline, on test trials scored once.

A run is a line of RUNS: trained on all nine sessions, scored session by session on the four report sessions and on
the two of which a table of another model exists. Each session's rates are a file below the runs folder, so that an
interrupted run goes on with the next session; when all are there their sums become final/NAME.npz and what is known of
the run a line of final.jsonl.
"""

import io
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import common
import numpy as np
from common import HERE

from neurojax.data import splits
from neurojax.data.session import TEST, VALIDATION, Session
from neurojax.data.store.dataset import Dataset, open_dataset
from neurojax.evals import activity, protocols
from neurojax.evals.baselines import fit_baselines
from neurojax.evals.baselines.folds import Fit
from neurojax.files import write_bytes
from neurojax.scores import metrics
from neurojax.train.predictor import Predictor

RESULTS = HERE / "final.jsonl"
SUMS = HERE / "final"
SESSIONS = tuple(f"session{number}" for number in (1, 2, 4, 5, 6, 8, 9, 10, 11))
# Report sessions: the search did not use them, but their test trials have been looked at since (the bound on rates,
# this table and the yardstick were made with them in sight). They confirm nothing any more.
REPORT = ("session2", "session6", "session9", "session11")
MOUSE_OF = {"session2": "Cori", "session6": "Forssmann", "session9": "Hench", "session11": "Hench"}  # `subject` there
SCORED = (*REPORT, "session10", "session1")  # the last two took part in choices with their validation trials
BASELINES = (
    *("train_mean", "psth", "drift", "population_coupling", "autoregression", "ridge", "factor_analysis"),
    *("reduced_rank", "poisson_glm", "average", "stack"),
)
FRACTIONS = (0.25, 0.5)  # of the training trials, nested
CURVE_TASKS = ("co_smoothing", "forward")  # learning curves are drawn of these; intra-region costs as much again
SEEDS = 3
STEPS, FAITHFUL_STEPS = 4000, 11_600  # as much CPU time: 5.12 and 14.9 steps a second on one core, see README.md


class Run(NamedTuple):
    """Attributes:
    fields: of configs/mtm.py.
    preset: its argument.
    sessions: what the run is trained on; those of `scored` are scored.
    tasks: what it is scored on.
    """

    fields: dict[str, str]
    preset: str = "improved"
    sessions: tuple[str, ...] = SESSIONS
    tasks: tuple[str, ...] = protocols.TASKS
    scored: tuple[str, ...] = SCORED


def _third(**fields: str) -> Run:
    return Run({"seed": "0", "train.num_steps": str(STEPS // 3)} | fields, scored=REPORT)


def _seed(preset: str, seed: int) -> Run:
    steps = STEPS if preset == "improved" else FAITHFUL_STEPS
    return Run({"seed": str(seed), "train.num_steps": str(steps)}, preset)


RUNS: dict[str, Run] = {"improved-seed0": _seed("improved", 0), "faithful-seed0": _seed("faithful", 0)}
RUNS |= {f"improved-seed{seed}": _seed("improved", seed) for seed in range(1, SEEDS)}
# A third of the budget: one scheme alone beside all four, fewer trials, fewer sessions.
RUNS["third-seed0"] = _third()
for _scheme, _task in zip(("neuron", "causal", "inter_region", "intra_region"), protocols.TASKS, strict=True):
    RUNS[f"only_{_scheme}-seed0"] = _third(**{"objective.schemes": _scheme})._replace(tasks=(_task,))
RUNS |= {f"faithful-seed{seed}": _seed("faithful", seed) for seed in range(1, SEEDS)}
for _fraction in FRACTIONS:
    RUNS[f"trials{_fraction:g}-seed0"] = _third(**{"data.train_fraction": str(_fraction)})._replace(tasks=CURVE_TASKS)
RUNS["sessions4-seed0"] = _third()._replace(sessions=REPORT, tasks=CURVE_TASKS)
for _session in REPORT:  # 9,500 passes over its trials; 4,700 among nine sessions, 10,700 among four
    _alone = {"seed": "0", "train.num_steps": str(STEPS // 3 // len(SESSIONS) * 2)}
    RUNS[f"alone_{_session}-seed0"] = Run(_alone, sessions=(_session,), tasks=CURVE_TASKS, scored=REPORT)


def test_sums(session: Session, rates: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What tables and figures need of predicted test trials: "TASK/NAME" -> float32 array.

    Names: trial_model, trial_train [K], nats over the test mean of the model and of the train mean, summed over
    units that spike in the scored entries; trial_spikes [K]; unit_model, unit_train, unit_spikes [N], summed over
    trials (units without a spike: zero). Beside them units/rate_hz in the train split and units/region.
    """
    trials = session.trials_of(TEST)
    counts, _ = session.gather_trials(trials)
    found = {"units/rate_hz": session.mean_counts() / session.bin_size_s}
    for task, predicted in rates.items():
        evaluated = protocols.scored_entries(session, task, trials)
        sums = metrics.poisson_sums(predicted, counts, session.mean_counts(), evaluated)
        for axis, name in ((1, "trial"), (0, "unit")):
            found[f"{task}/{name}_model"] = np.where(sums.fires, sums.model_excess, 0.0).sum(axis)
            found[f"{task}/{name}_train"] = np.where(sums.fires, sums.train_excess, 0.0).sum(axis)
            found[f"{task}/{name}_spikes"] = sums.spikes.sum(axis)
    found = {name: values.astype(np.float32) for name, values in found.items()}
    return found | {"units/region": np.asarray(session.region, np.str_)}


def bps_pooled(sums: dict[str, np.ndarray], task: str) -> float:
    """Pooled bits/spike of one session over the test mean."""
    return float(-sums[f"{task}/trial_model"].sum() / sums[f"{task}/trial_spikes"].sum() / np.log(2))


def save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes an .npz under a temporary name, then renames it."""
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content.getvalue())


Rates = dict[str, np.ndarray]


def by_session(
    name: str, dataset: Dataset, folder: Path, predict: Callable[[Session], Rates], sums=test_sums, scored=SCORED
) -> dict[str, dict]:
    """Sums of these sessions, also written to SUMS; predict(session) where its rates are not in the folder."""
    found: dict[str, dict] = {}
    for session in (session for session in dataset.sessions if session.session_id in scored):
        path = folder / "rates" / f"{session.session_id}.npz"
        if not path.exists():
            print(f"{name}: predicting {session.session_id}", flush=True)
            save(path, predict(session))
        with np.load(path) as stored:
            found[session.session_id] = sums(session, dict(stored))
    whole = {f"{session_id}/{key}": array for session_id, arrays in found.items() for key, array in arrays.items()}
    save(SUMS / f"{name}.npz", whole)
    return found


def run(runs: Path, search_results: Path, only: tuple[str, ...]) -> None:
    """Every run without a line in final.jsonl, in the order of RUNS, then the baselines; sums that are missing."""
    for name, wanted in RUNS.items():
        if only and name not in only:
            continue
        known = next((entry for entry in common.read_results(RESULTS) if entry["run"] == name), None)
        if known is None:
            print(f"run {name} ({common.require_budget(search_results, RESULTS):.2f} h spent)", flush=True)
            known = _run(name, wanted, runs)
            common.append(RESULTS, known)
        elif not (SUMS / f"{name}.npz").exists():
            dataset, folder = open_dataset(_data(wanted.sessions, runs)), folder_of(runs, name, known)
            _scores(name, dataset, folder, _must_be_there, wanted.scored)
    where = common.provenance()  # before final.jsonl grows
    for fraction in (1.0, *FRACTIONS):
        name = "baselines" if fraction == 1 else f"baselines_trials{fraction:g}"
        if not (SUMS / f"{name}.npz").exists() and (not only or name in only):
            start = time.monotonic()
            _baselines(name, fraction, _data(SESSIONS, runs), runs / "final" / name)
            about = {"train_fraction": fraction, "train_s": round(time.monotonic() - start, 1), "score_s": 0.0}
            common.append(RESULTS, {"run": name, **about, **where})
    for preset in ("improved", "faithful"):
        _ensemble(preset, runs)


def trained(name: str, runs: Path) -> tuple[Predictor, Dataset, dict]:
    """A run of RUNS, trained where it is not yet; see `common.trained`."""
    wanted = RUNS[name]
    always = {"data.root": str(_data(wanted.sessions, runs)), "train.validate_every_steps": "0"}
    argument = f"size=small,preset={wanted.preset}"
    return common.trained(argument, {**always, **wanted.fields}, runs / "final" / name)


def _run(name: str, wanted: Run, runs: Path) -> dict:
    """Trains and scores one run; its line for final.jsonl."""
    model, dataset, about = trained(name, runs)
    start = time.monotonic()
    folder = folder_of(runs, name, about)
    _scores(
        name, dataset, folder, lambda session: activity.predict_session(model, session, wanted.tasks), wanted.scored
    )
    return {"run": name, **wanted._asdict(), **about, "score_s": round(time.monotonic() - start, 1)}


def _scores(name: str, dataset: Dataset, folder: Path, predict: Callable[[Session], Rates], scored) -> None:
    for title, of_tasks in _means(by_session(name, dataset, folder, predict, scored=scored)).items():
        print(name, title, of_tasks, flush=True)


def _must_be_there(session: Session) -> Rates:
    raise SystemExit(f"the rates of {session.session_id} are gone: delete the run's line from final.jsonl")


def folder_of(runs: Path, name: str, entry: Mapping) -> Path:
    """Where a run keeps its rates; `entry` is its line, or what `trained` says of it."""
    return runs / "final" / name / entry["config_hash"][:16]


def _ensemble(preset: str, runs: Path) -> None:
    """The mean of the rates that the seeds of a preset predict, as one more method; nothing until all are there."""
    name = f"{preset}_ensemble"
    entries = [entry for entry in common.read_results(RESULTS) if entry["run"].startswith(f"{preset}-seed")]
    folders = [folder_of(runs, entry["run"], entry) / "rates" for entry in entries]

    def mean_rates(session):
        seeds = []
        for folder in folders:
            with np.load(folder / f"{session.session_id}.npz") as stored:
                seeds.append(dict(stored))
        return {task: np.mean([rates[task] for rates in seeds], 0) for task in protocols.TASKS}

    if len(entries) == SEEDS and all(map(Path.exists, folders)) and not (SUMS / f"{name}.npz").exists():
        by_session(name, open_dataset(_data(SESSIONS, runs)), runs / "final" / name, mean_rates)


def _data(sessions: tuple[str, ...], runs: Path) -> Path:
    name = "final_data" if sessions == SESSIONS else "final_data_" + "_".join(sessions)
    return common.converted(sessions, runs / name)


def _baselines(name: str, fraction: float, root: Path, folder: Path) -> None:
    """Fitted on this share of the train split, every choice made on validation; what `baseline_sums` keeps of them."""

    def fitted_sums(session):
        fitted = fit_baselines(splits.with_train_fraction(session, fraction, seed=0), BASELINES)
        return baseline_sums(session, fitted, of_units=fraction == 1)

    scored = SCORED if fraction == 1 else REPORT
    by_session(name, open_dataset(root), folder, fitted_sums, lambda _, sums: sums, scored)


def baseline_sums(session: Session, fitted: Mapping[str, Mapping[str, Fit]], of_units: bool) -> dict[str, np.ndarray]:
    """`test_sums` of each baseline as "BASELINE/TASK/NAME"; what all share (spikes, train mean, units) as "TASK/NAME".

    Beside them "BASELINE/TASK/validation_bps", pooled over the validation mean, by which the best is chosen.

    Args:
        fitted: baseline -> task -> its fit.
        of_units: whether to keep sums of each unit, of which only a figure of the whole train split makes use.
    """
    counts, _ = session.gather_trials(session.trials_of(VALIDATION))
    found = {}
    for baseline, fits in fitted.items():
        for key, array in test_sums(session, {task: fit.rates[TEST] for task, fit in fits.items()}).items():
            if of_units or "/unit_" not in key:
                found[f"{baseline}/{key}" if key.endswith("_model") else key] = array
        for task, fit in fits.items():
            scores = metrics.poisson_scores(metrics.poisson_sums(fit.rates[VALIDATION], counts))
            found[f"{baseline}/{task}/validation_bps"] = np.float32(scores["bps_pooled"])
    return found


def _means(found: dict[str, dict]) -> dict[str, dict[str, float]]:
    """ "report", session10 and session1 -> task -> mean over the sessions of the run, pooled bits/spike."""
    which = {"report": tuple(session for session in REPORT if session in found)}
    which |= {name: (name,) for name in SCORED if name in found and name not in REPORT}
    return {
        name: {
            task: round(float(np.mean([bps_pooled(found[session], task) for session in sessions])), 4)
            for task in protocols.TASKS
            if all(f"{task}/trial_model" in found[session] for session in sessions)
        }
        for name, sessions in which.items()
        if sessions
    }
