"""What the prompt does: one MtM model asked every task, and read out, under each prompt and under none.

    python experiments/mtm_prompt/run.py [--size=smoke|local|paper] [--only=synthetic,...] [--runs=runs/mtm]

The model is that of mtm_table1 where it has been trained. Entries are named <recordings>/<prompt>; `own` is the prompt
of each task, `none` leaves the token out of a model that was trained with it. Under the prompt `causal` a bin sees no
later one, as in training.
"""

import functools
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "mtm_parts"))
import mtm_arms  # noqa: E402
import mtm_data  # noqa: E402
import mtm_held_out  # noqa: E402

from neurojax.evals import activity, scoring  # noqa: E402
from neurojax.schemes import PROMPTS, TEMPORAL, scheme_id  # noqa: E402

SCHEMES = {name: scheme_id(name) for name in PROMPTS} | {"none": TEMPORAL}  # temporal masking has no prompt


def one(size: str, part: str, prompt: str, runs: Path) -> dict[str, Any]:
    """Four tasks and behaviour under one prompt; "own" is the prompt of each task."""
    if size == "paper":  # new animals after the largest pretraining
        found = mtm_held_out.trained_on(size, "mtm", 34, runs)
        folders = [runs / "held_out" / "mtm_34" / name for name in mtm_data.new_animals(size, runs)]
    else:
        run = mtm_arms.arm(size, part, "mtm", runs)
        found, folders = mtm_arms.scored(run, mtm_arms.PARTS[size][part].targets), [run.folder]
    if prompt == "own":
        return found
    begun, sessions, scheme = time.process_time(), {}, SCHEMES[prompt]
    for folder in folders:
        read = mtm_arms.read_outs(folder, mtm_arms.PARTS[size][part].targets, {"model": scheme})
        for session, model in mtm_arms.predictors(folder):
            rates = activity.predict_session(mtm_arms.prompted(model, scheme), session)
            sessions[session.session_id] = {
                "model": mtm_arms.bits(scoring.score_session(session, rates, seed=0, num_boot=0)),
                "behaviour": read[session.session_id],
            }
    return {**found, "cpu_s": round(time.process_time() - begun, 1), "sessions": sessions}


def jobs(size: str, runs: Path) -> list[mtm_arms.Job]:
    """Every prompt, on the first part: synthetic animals, or the sessions of the IBL."""
    part = next(iter(mtm_arms.parts_with(size)))
    prompts = ("own", "none") if size == "smoke" else ("own", *SCHEMES)
    return [mtm_arms.Job(f"{part}/{name}", functools.partial(one, size, part, name, runs)) for name in prompts]


if __name__ == "__main__":
    mtm_arms.main(HERE, __doc__, jobs)
