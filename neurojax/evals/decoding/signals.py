"""A frozen model's latents or log-rates as features, every trial in one static shape."""

import numpy as np

from neurojax.data.session import Session
from neurojax.errors import require
from neurojax.evals import passes, protocols
from neurojax.evals.decoding.features import Features
from neurojax.evals.passes import Model
from neurojax.schemes import INTRA_REGION, NEURON

LATENTS, RATES = "latents", "rates"
NAMES = (LATENTS, RATES)
BOTH = "latents+spikes"  # latents beside the counts they were inferred from


def of_model(
    model: Model,
    session: Session,
    trial_ids: np.ndarray,
    name: str,
    *,
    region: str | None = None,
    scheme: int = NEURON,
    trials_per_pass: int | None = None,
) -> Features:
    """What a fixed model makes of trials; no count is hidden but those outside `region`.

    Args:
        model: with rows for the session.
        session: the recording.
        trial_ids: int64 [K].
        name: "latents", the hidden states of bins, or "rates", log-rates of units.
        region: all units of other regions are hidden, the prompt is the intra-region one, and the
            rates are those of the region's units; default: the whole population.
        scheme: id whose prompt and attention span the population is read with, see schemes.SCHEMES.
        trials_per_pass: of a forward pass; default: 64, or fewer where memory holds fewer.

    Returns:
        signals float32 [K, T, D] or [K, T, units].

    Raises:
        InputError: unknown name, or the model has no rows for the session.
    """
    require(name in NAMES, f"features={name!r}; choose from {', '.join(NAMES)}")
    require(
        session.session_id in model.layout.session_ids,
        f"session {session.session_id} is not one the model was trained on; fine-tune on it first",
    )
    members = protocols.scored_units(session)
    if region is not None:
        members, scheme = members & protocols.region_members(session)[region], INTRA_REGION
    if trials_per_pass is None:
        trials_per_pass = passes.size_within_memory(model, session, 64)
    found = []
    for some, batch, query in passes.over(
        model, session, trial_ids, ~members, scheme, trials_per_pass
    ):
        if name == LATENTS:
            signals = np.asarray(model.latents(batch, query))[0, : len(some)]
        else:
            log_rates = np.asarray(model.log_rates(batch, query))[0, : len(some)]
            signals = log_rates[..., : session.num_units][..., members]
        found.append(signals)
    # The model pads to its longest trial; a read-out wants the longest of these.
    _, bin_valid = session.gather_trials(trial_ids, model.layout.num_bins)
    longest = int(bin_valid.sum(1).max(initial=0))
    signals, bin_valid = np.concatenate(found)[:, :longest], bin_valid[:, :longest]
    label = name if region is None else f"{name} of {region}"
    return Features(label, np.where(bin_valid[..., None], signals, np.float32(0)), bin_valid)
