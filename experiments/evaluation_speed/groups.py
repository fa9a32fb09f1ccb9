"""A session of 5,000 units scored exactly and with `eval.leave_out=groups`: how far apart, and in what time?

python experiments/evaluation_speed/groups.py [--units=1250 --steps=40 --trials=60]
python experiments/evaluation_speed/groups.py --units=5000 --steps=0 --trials=20

A synthetic animal (three areas, 50 bins of 20 ms, a fifth of its trials for testing) and `configs/mtm.py:size=tiny`
after so many steps; before the first it is a linear model that was fitted to the training trials. Co-smoothing of the
test trials four times: one pass a pair as small sessions have it and with sums over units (on a sample of pairs,
carried to all of them), with groups and their correction whole, and every pair with sums, which is the exact score that
the estimate is compared with; so are those of 200 other samples of pairs. Seconds are CPU seconds of the process; what
is carried and the passes of groups are timed after their programs were compiled. Each row goes to groups.json, and is
not measured again.
"""

import argparse
import datetime
import functools
import time
from pathlib import Path

import jax
import numpy as np

from neurojax.commands import config as configs
from neurojax.data import batching
from neurojax.data.session import TEST
from neurojax.data.synthetic.animals import make_sessions
from neurojax.data.synthetic.spec import SyntheticSpec
from neurojax.evals import activity, leave_out, passes, protocols, scoring
from neurojax.files import read_json, write_json
from neurojax.runs.workdir import provenance
from neurojax.train import settings, state
from neurojax.train.predictor import Predictor
from neurojax.train.step import train_step

TARGET = Path(__file__).with_name("groups.json")
CONFIG = "configs/mtm.py:size=tiny"
TASK, BINS, SEED = "co_smoothing", 50, 0
SAMPLE = {"plain": 128, "sums": 512}  # pairs that are timed
PASS = 128  # trials of a forward pass
DRAWS = 200  # other samples


def trained(num_units: int, steps: int, trials: int):
    """(session, predictor) after so many steps."""
    spec = SyntheticSpec(num_sessions=1, num_trials=trials, num_bins=BINS, min_units=num_units, max_units=num_units)
    (session,) = make_sessions(spec, SEED)
    config = configs.load([f"--config={CONFIG}", "--config.data.trials_per_batch=16"])
    recipe, source = settings.recipe(config), settings.open_source(config, [session])
    quickly = {"xla_backend_optimization_level": 0}  # it runs once
    now = jax.jit(lambda: state.init_state(0, recipe, source.facts), compiler_options=quickly)()
    now = state.with_fitted_rows(now, recipe, source)
    step = jax.jit(functools.partial(train_step, recipe=recipe), donate_argnums=0)
    for number in range(steps):
        now, _ = step(now, source.batch(number))
    layout = batching.Layout.of([session])
    bucket = config["data"]["bucket_units"]
    return session, Predictor(now.params, now.tables, settings.predicting(config), layout, bucket)


def cpu_s(call, warm: bool = True):
    """(CPU seconds, result) of a call; once before, to compile, where `warm`."""
    if warm:
        call()
    began = time.process_time()
    result = call()
    return time.process_time() - began, result


def pairs_of(session, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Random (trial, unit) pairs of the test trials, all different."""
    total = len(session.trials_of(TEST)) * session.num_units
    drawn = np.random.default_rng(SEED).choice(total, number, replace=False)
    return np.divmod(drawn, session.num_units)


def whole_trials(session, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs side by side in as few trials as hold them, as an evaluation of all pairs has them."""
    return np.divmod(np.arange(number), session.num_units)


def other_samples(rates: np.ndarray, exact: np.ndarray, counts: np.ndarray, missing_bps: float) -> dict:
    """How the corrections of other samples, drawn from rates [K, T, N] that are all known, stand to what is missing."""

    def ask(trial, unit):
        return exact[trial, :, unit]

    seeds = range(SEED + 1, SEED + 1 + DRAWS)
    told = [leave_out.corrected(rates.copy(), counts, ask, seed)[1] for seed in seeds]
    errors = np.array([one["correction_bps"] for one in told]) - missing_bps
    ses = np.array([one["correction_se_bps"] for one in told])
    return {
        "samples": DRAWS,
        "samples_mean_error_bps": float(errors.mean()),
        "samples_sd_bps": float(errors.std(ddof=1)),
        "samples_mean_se_bps": float(ses.mean()),
        "samples_within_196_se": float(np.mean(np.abs(errors) <= 1.96 * ses)),
    }


def measured(num_units: int, steps: int, trials: int) -> dict:
    session, model = trained(num_units, steps, trials)
    trial_ids = session.trials_of(TEST)
    pairs = len(trial_ids) * int(protocols.scored_units(session).sum())
    ask = functools.partial(activity.predict_pairs, model, session, TASK, trial_ids, trials_per_pass=PASS)
    row = {"units": num_units, "steps": steps, "trials": trials, "test_trials": len(trial_ids), "pairs": pairs}
    for way, wide in (("plain", 10**9), ("sums", 1)):
        passes.SUMMED_UNITS = wide
        of_sample = whole_trials(session, SAMPLE[way])
        taken, _ = cpu_s(lambda of_sample=of_sample: ask(*of_sample))
        row[f"{way}_ms_a_pair"] = 1e3 * taken / SAMPLE[way]
        row[f"{way}_s"] = taken / SAMPLE[way] * pairs
    asked = {"trials_per_pass": PASS, "protocol": protocols.MTM, "parts": leave_out.PARTS, "seed": SEED}
    predict = functools.partial(activity.predict_session, model, session, [TASK], **asked)
    row["passes_s"], found = cpu_s(predict)
    rates, counts = found[TASK], session.gather_trials(trial_ids)[0]
    apart = rates.copy()
    row["correction_s"], (correction, told) = cpu_s(lambda: leave_out.corrected(rates, counts, ask, SEED), warm=False)
    row |= {"groups_s": row["passes_s"] + row["correction_s"], **told}
    score = functools.partial(scoring.score_session, session, seed=SEED, num_boot=0)
    row["groups_alone_bps"] = score({TASK: apart})[TASK]["bps_pooled"]
    block = score({TASK: rates}, corrections={TASK: correction})[TASK]
    row |= {f"groups_{name}": block[name] for name in ("bps_pooled", "bps_unit_mean", "bps_unit_median")}
    exact = functools.partial(activity.predict_session, model, session, [TASK], trials_per_pass=PASS)
    row["all_pairs_s"], found = cpu_s(exact, warm=False)
    block = score(found)[TASK]
    row |= other_samples(apart, found[TASK], counts, block["bps_pooled"] - row["groups_alone_bps"])
    return row | {f"exact_{name}": block[name] for name in ("bps_pooled", "bps_unit_mean", "bps_unit_median")}


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, default in (("units", 1250), ("steps", 40), ("trials", 60)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = tuple(vars(parser.parse_args()).values())
    content = read_json(TARGET) if TARGET.is_file() else {"rows": []}
    if any((row["units"], row["steps"], row["trials"]) == asked for row in content["rows"]):
        return
    row = measured(*asked) | {"date": f"{datetime.date.today()}", **provenance(TARGET.parent)}
    content["rows"].append(row)
    write_json(TARGET, content)
    print(row, flush=True)


if __name__ == "__main__":
    main()
