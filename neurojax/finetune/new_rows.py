"""First values of the rows of sessions a run never saw: where their training starts.

A row belongs to one unit of one session, so a new session brings rows of its own. Its read-out
biases are the log of the mean rates of its units, always. `random` leaves the rest as pretraining
starts it; `region_mean` takes the mean of the pretrained rows of the same region; `pca` reads in
the session's principal components, brought to the latent space the shared part was trained on, and
reads out through their pseudo-inverse.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from neurojax.data.session import TRAIN, Session, names_a_region
from neurojax.data.sources.spikes import mean_counts
from neurojax.errors import require
from neurojax.evals import passes
from neurojax.models.first_rows import principal_read_in
from neurojax.schemes import NEURON
from neurojax.train.predictor import Predictor

MAX_TRIALS = 96  # training trials that a fit reads; more move it little
HIDDEN_SHARE = 0.3  # of the units, as in training
SPIKES_TO_TRUST = 100.0  # a unit of so many training spikes gets half its weights
PENALTY = 0.02  # of the mean variance of a state, in the ridge from states to components

Tables = dict[str, np.ndarray]


def region_mean(
    tables: Tables,
    unit_tables: Sequence[str],
    known_regions: Sequence[str],
    session: Session,
    first_row: int,
) -> None:
    """Sets the unit rows of a session (in place) to the mean over known units of the same region.

    Args:
        tables: of the whole run; known units own the first rows.
        unit_tables: names of those that have a row for each unit.
        known_regions: label of every known unit, in row order.
        session: the new session.
        first_row: its first unit row.

    Raises:
        InputError: no region of the session is known to the run.
    """
    known = np.asarray(known_regions)
    regions = [label if names_a_region(label) else "" for label in session.region.tolist()]
    require(
        set(filter(None, regions)) & set(known_regions),
        f"finetune.new_rows=region_mean: session {session.session_id} has regions "
        f"{', '.join(sorted(set(session.region.tolist()))[:5])}, the run has none of them; use "
        "pca or random",
    )
    for name in unit_tables:
        if name == "read_out_bias":
            continue
        rows = tables[name]
        means = {
            label: rows[: len(known)][known == label].mean(0)
            for label in set(regions) & set(known_regions)
        }
        anywhere = rows[: len(known)].mean(0)  # units of a region the run does not know
        for unit, label in enumerate(regions):
            rows[first_row + unit] = means.get(label, anywhere)


def alignment(
    tables: Tables, table: Sequence[dict[str, Any]], sessions: Sequence[Session], width: int
) -> np.ndarray:
    """Maps principal components to the latents the shared part was trained on: [K, K].

    Least squares, over known sessions that can be read, from each session's principal components to
    its trained latents. Without any of them it is the identity: the components in the order and
    with the signs in which pretraining found them.
    """
    starts = np.concatenate([[0], np.cumsum([entry["num_units"] for entry in table])])
    place = {entry["session_id"]: starts[number] for number, entry in enumerate(table)}
    gram, cross = np.zeros((width, width)), np.zeros((width, width))
    for session in sessions:
        rows = slice(place[session.session_id], place[session.session_id] + session.num_units)
        means = np.exp(tables["read_out_bias"][rows])
        components, _ = principal_read_in(session, width, mean_counts(session))
        for trial in session.trials_of(TRAIN)[:MAX_TRIALS]:
            start, length = session.trial_start_bin[trial], session.trial_num_bins[trial]
            centred = np.asarray(session.counts[start : start + length], np.float32) - means
            scores = centred @ components
            gram += scores.T @ scores
            cross += scores.T @ (centred @ tables["read_in"][rows])
    if not gram.any():
        return np.eye(width, dtype=np.float32)
    ridge = 1e-3 * np.trace(gram) / width * np.eye(width)
    return np.linalg.solve(gram + ridge, cross).astype(np.float32)


def read_in_components(
    tables: Tables, session: Session, first_row: int, aligned: np.ndarray
) -> np.ndarray:
    """Sets the read-in rows of a session (in place); returns the components themselves, float32 [N,
    K]."""
    components, _ = principal_read_in(session, len(aligned), mean_counts(session))
    tables["read_in"][first_row : first_row + session.num_units] = components @ aligned
    return components


def read_out_pseudo_inverse(
    model: Predictor, session: Session, components: np.ndarray, seed: int
) -> np.ndarray:
    """Read-out rows of a session from what the frozen shared part already knows of it, float32 [N,
    D].

    A ridge maps the states of bins to the session's principal components; the pseudo-inverse of the
    components takes these to units, and division by a unit's mean makes gains of them. The states
    see some units, the components are those of the units hidden from them, so that no unit's own
    noise is copied.

    Args:
        model: with the read-in rows of the session set.
        session: the recording; only training trials are read.
        components: float32 [N, K], from `read_in_components`.
        seed: of the units hidden.
    """
    trials = session.trials_of(TRAIN)[:MAX_TRIALS]
    rng = np.random.default_rng([seed, 1])
    hidden = rng.random((len(trials), session.num_units)) < HIDDEN_SHARE
    ((_, batch, query),) = passes.over(model, session, trials, hidden, NEURON, len(trials))
    counts = batch.trials["counts"][0, :, :, : session.num_units]
    bin_valid = batch.trials["bin_valid"][0]
    states = np.asarray(model.latents(batch, query))[0]
    means = mean_counts(session)
    target = (counts - means) * hidden[:, None] @ components / HIDDEN_SHARE  # [k, T, K]
    to_components = _predictable(states, target, bin_valid)  # [D, K]
    spikes = means * bin_valid.sum()
    # a component's weight on a silent unit is noise over almost nothing
    trusted = spikes / (spikes + SPIKES_TO_TRUST)
    return ((to_components @ np.linalg.pinv(components)) / means * trusted).T.astype(np.float32)


def _predictable(states: np.ndarray, target: np.ndarray, bin_valid: np.ndarray) -> np.ndarray:
    """Ridge weights [D, K] without intercept (biases stay log means), each component scaled to what
    it predicts.

    The scale is the slope of the target on its prediction in trials that were not fitted, from 0 to
    1: a component that the states say nothing of gets none. One trial gives no such trials, and so
    no weights.
    """
    folds = np.arange(len(states)) % 2
    fits, covariance, variance = [], 0.0, 1e-12
    for fold in (0, 1, None):
        chosen = bin_valid & (folds != fold)[:, None] if fold is not None else bin_valid
        inputs = states[chosen].astype(np.float64)
        gram = inputs.T @ inputs
        ridge = (PENALTY * np.trace(gram) / len(gram) + 1e-9) * np.eye(len(gram))
        fits.append(np.linalg.solve(gram + ridge, inputs.T @ target[chosen]))
        if fold is not None:
            held_out = bin_valid & (folds == fold)[:, None]
            predicted = states[held_out] @ fits[-1]
            covariance = covariance + (predicted * target[held_out]).sum(0)
            variance = variance + np.square(predicted).sum(0)
    return fits[-1] * np.clip(covariance / variance, 0.0, 1.0)
