"""What lets a reader judge a session's scores: calibration, what latents tell of their trial, and
sums that let two runs be compared trial by trial."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurojax.data.session import TEST, Session
from neurojax.evals import activity, collapse, passes, protocols
from neurojax.evals.calibration import calibration
from neurojax.evals.region_matrix import region_matrix
from neurojax.evals.scoring import TaskSums


def of_session(
    model: passes.Model,
    session: Session,
    predictions: Mapping[str, np.ndarray],
    sums: Mapping[str, TaskSums],
    settings: Mapping[str, Any],
    seed: int,
    protocol: protocols.Protocol,
) -> dict[str, Any]:
    """Blocks of a session in evaluation.json, beside its scores.

    Args:
        model: what is evaluated.
        session: the recording.
        predictions: task -> float [K, T, N], expected spikes per bin of the test trials, NaN where
            not scored.
        sums: task -> sums of these and of read-outs, see `scoring.sums_of`.
        settings: the `eval` block of a config.
        seed: of every draw.
        protocol: of the predictions.

    Returns:
        {"calibration": see `calibration.calibration`, "regions": see `region_matrix.region_matrix`,
        "trial_sums": see `trial_sums`, "latents": see `collapse.of_session`}.
    """
    trial_ids = session.trials_of(TEST)
    counts, bin_valid = session.gather_trials(trial_ids)
    observed = None if session.validity is None else session.entry_valid(trial_ids)
    region_tasks = {protocol.tasks[name].kind: name for name in protocol.activity_tasks}
    options = {"seed": seed, "num_boot": settings["num_boot"]}
    return {
        "calibration": calibration(predictions, counts, session.bin_size_s, **options),
        "regions": region_matrix(
            protocols.region_members(session, protocol),
            protocols.scored_units(session, protocol),
            counts,
            bin_valid,
            lambda sets: activity.predict_hidden(model, session, sets, settings["trials_per_pass"]),
            {kind: predictions[task] for kind, task in region_tasks.items() if task in predictions},
            seed=seed,
            num_permutations=settings["num_permutations"],
            schemes=model.schemes,
            observed=observed,
        ),
        "trial_sums": trial_sums(session, sums),
        **collapse.of_session(model, session, settings, seed, protocol),
    }


def trial_sums(session: Session, sums: Mapping[str, TaskSums]) -> dict[str, Any]:
    """What a paired comparison of two runs needs, small enough to keep.

    The pooled score is sum(gain_nats) / (ln 2 sum(spikes)); of two runs on the same trials the null
    cancels.

    Args:
        session: the recording.
        sums: as in `of_session`.

    Returns:
        {"trial_id": [K], "tasks": {task: {"spikes": [K], "gain_nats": [K]}}}, sums over the scored
        units that fire; tasks without a score are left out.
    """
    tasks = {}
    for task, (found, _) in sums.items():
        if found is not None:
            gain = -found.model_excess[:, found.fires].sum(1)
            tasks[task] = {
                "spikes": [int(number) for number in found.spikes.sum(1)],
                "gain_nats": [float(f"{value:.8g}") for value in gain],
            }
    return {"trial_id": [int(trial) for trial in session.trials_of(TEST)], "tasks": tasks}
