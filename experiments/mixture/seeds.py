"""Four models of nine mouse sessions that differ in their seed: each alone, their mean, a student, beside the stack.

    python experiments/mixture/seeds.py [--part=ensemble|student|quarter] [--runs=runs/mixture]   # seeds.json; resumes

`ensemble` is `neurojax train --config=configs/mtm.py:size=small --ensemble=4`; `student` is configs/student.py with
what these four answer to questions about training trials; `quarter` is one model, and the stack, of a quarter of the
training trials. A quarter of the pairs of test trial and unit is scored, the same for all; forward is scored whole.
Shares of model and stack are chosen on validation trials as `neurojax.evals.with_stack` does. Every finished session is
an entry and is not run again.
"""

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from neurojax.api.pretrained import load
from neurojax.commands import config as declarations
from neurojax.data.session import TEST, VALIDATION, Session
from neurojax.data.sources.spikes import mean_counts
from neurojax.errors import Interrupted
from neurojax.evals import activity, baseline_scores, protocols, with_stack
from neurojax.evals.baselines_cache import SessionBaselines
from neurojax.files import read_json, write_json
from neurojax.main import main
from neurojax.runs.workdir import provenance
from neurojax.train import run, run_folder

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
sys.path += [str(HERE), str(HERE.parent / "sharing")]
from arms import pooled, scored_pairs  # noqa: E402
from run import data_of  # noqa: E402  of this experiment

RESULTS = HERE / "seeds.json"
MEMBERS, SHARE = 4, 0.25  # share of the pairs of trial and unit
Rates = Mapping[int, Mapping[str, np.ndarray]]  # VALIDATION and TEST -> task -> expected spikes per bin [K, T, N]


def trained(part: str, root: Path, runs: Path) -> Path:
    """Folder of a part's run, trained to its end."""
    teacher, answers = runs / "mice_four", runs / "mice_answers"
    entries = {
        "ensemble": f"--config.members={MEMBERS}",
        "student": f"--config.data.answers={answers}",
        "quarter": "--config.data.train_fraction=0.25",
    }[part]
    folder = teacher if part == "ensemble" else runs / f"mice_{part}"
    if part == "student" and not (folder / "config.json").exists():  # goes on where it was stopped
        if main(["predict", f"--workdir={teacher}", "--format=answers", f"--out={answers}"]):
            raise SystemExit(2)
    file = f"--config={REPOSITORY / 'configs' / ('student' if part == 'student' else 'mtm')}.py:size=small"
    run.train(declarations.load([file, f"--config.data.root={root}", entries]), folder)
    return folder


def rates_of(model, session: Session) -> Rates:
    """What one model predicts of the scored pairs."""
    found = {}
    for split in (VALIDATION, TEST):
        only = scored_pairs(session, session.trials_of(split), SHARE)
        found[split] = activity.predict_session(model, session, split=split, only=only)
    return found


def rates_of_stack(fitted: SessionBaselines, session: Session) -> Rates:
    """What the stack predicts; units silent in the training trials at their mean."""
    means, found = mean_counts(session), fitted.stack.read()
    return {
        split: {task: np.where(np.isfinite(of[split]), of[split], means) for task, of in found.items()}
        for split in (VALIDATION, TEST)
    }


def mixed(ours: Rates, stack: Rates, session: Session) -> dict[str, np.ndarray]:
    """Test trials, by the model's share that is best on validation trials."""
    trials, found = session.trials_of(VALIDATION), {}
    counts, _ = session.gather_trials(trials)
    for task, rates in ours[VALIDATION].items():
        of_two = rates, stack[VALIDATION][task]
        known = np.isfinite(of_two[0]) & protocols.scored_entries(session, task, trials, protocols.MTM)
        share = with_stack.share_of_model(*(one[known] for one in of_two), counts[known])
        found[task] = with_stack.mean(ours[TEST][task], stack[TEST][task], share)
    return found


def scores_of(ours: Rates, stack: Rates, session: Session) -> dict[str, dict[str, float]]:
    """Bits/spike of a model alone and with the stack."""
    trials = session.trials_of(TEST)
    only = scored_pairs(session, trials, SHARE)
    both = {"alone": ours[TEST], "with the stack": mixed(ours, stack, session)}
    return {name: pooled(session, rates, trials, only) for name, rates in both.items()}


def together(each: list[Rates]) -> Rates:
    """Mean of log-rates, as an ensemble predicts."""
    return {s: {t: np.exp(np.mean([np.log(one[s][t]) for one in each], 0)) for t in each[0][s]} for s in each[0]}


def compare(part: str, runs: Path) -> None:
    """Scores every session that has no entry yet."""
    about = provenance(HERE)
    root = data_of("mice", runs)
    folder = trained(part, root, runs)
    dataset = run_folder.load_data(run_folder.read_run(folder))
    settings = declarations.load([f"--config={REPOSITORY / 'configs/mtm.py'}:size=small"])["eval"]
    fitted = baseline_scores.cached_scores(dataset, root, folder, settings, 0, print)
    model = load(folder)
    for session in dataset.sessions:
        results = read_json(RESULTS) if RESULTS.exists() else {}
        done = results.setdefault(part, {})
        if session.session_id in done:
            continue
        start, trials = time.process_time(), session.trials_of(TEST)
        stack = rates_of_stack(fitted[session.session_id], session)
        each = [rates_of(member, session) for member in model.predictor(session).each_member]
        entry = {f"seed {seed}": scores_of(rates, stack, session) for seed, rates in enumerate(each)}
        if part == "ensemble":
            entry["four together"] = scores_of(together(each), stack, session)
        entry["stack"] = pooled(session, stack[TEST], trials, scored_pairs(session, trials, SHARE))
        entry |= {"subject": session.info["subject_id"], "cpu_s": round(time.process_time() - start, 1), **about}
        done[session.session_id] = entry
        write_json(RESULTS, results)
        print(session.session_id, entry, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("ensemble", "student", "quarter"), default="ensemble")
    parser.add_argument("--runs", type=Path, default=Path("runs/mixture"))
    given = parser.parse_args()
    try:
        compare(given.part, given.runs)
    except Interrupted as stopped:
        raise SystemExit(f"{stopped}; the same command goes on") from None
