"""Where forward prediction comes from: the population's drive and a unit's own history, and what weights they deserve.

    python experiments/recipe/forward_parts.py [--arms=shallow,own_alone] [--runs=runs/recipe]

A log-rate is base + a x drive of the states + b x drive of the own history + c, with a = b = 1 and c = 0 in the model.
Prints, for each arm that has been trained: the a, b, c that fit the training trials best, those that fit validation
trials best, and the forward score of each session under the a, b, c fitted to the validation trials of all others.
"""

import argparse
from pathlib import Path

import common
import jax
import jax.numpy as jnp
import numpy as np
import run
from scipy.optimize import minimize

from neurojax.commands import config as declarations
from neurojax.data import batching
from neurojax.data.session import TRAIN, VALIDATION
from neurojax.evals import protocols
from neurojax.models import ndt_linear, smoothing, stitcher
from neurojax.models.interface import Weights, gather_rows
from neurojax.objectives import mtm
from neurojax.objectives.interface import Query
from neurojax.runs import restore, state_io
from neurojax.schemes import CAUSAL
from neurojax.train import run_folder, settings

# The two arms of arms.txt as configs spell them now; train them with configs/mtm.py:size=small and these fields.
ARMS = {"shallow": {"model.own_alone_share": "0.0"}, "own_alone": {"model.own_alone_share": "0.3"}}


def parts(weights, dataset, number: int, config, split: int) -> tuple[np.ndarray, ...]:
    """(base, states, own, spikes, null) of the scored entries of the forward task, float64 [entries]."""
    session, layout = dataset.sessions[number], batching.Layout.of(dataset.sessions)
    trials = session.trials_of(split)
    width = batching.padded_width(session.num_units, 256)
    batch = batching.gather(dataset.sessions, layout, batching.Plan(np.asarray([number]), trials[None], width))
    hidden_units = np.ones((1, len(trials), width), bool)
    hidden_units[..., : session.num_units] = ~protocols.scored_units(session)
    bins = jnp.asarray(protocols.forward_bins(session, trials))[None]
    query = Query(jnp.asarray(hidden_units), bins, jnp.full((1, len(trials)), CAUSAL))

    @jax.jit
    def drives(params, tables, batch):
        rows = gather_rows(tables, ndt_linear.tables(config), batch)
        inputs = mtm.inputs(batch, query, None)
        states = ndt_linear.apply(Weights(params, rows), inputs, config, train=False).states
        base = stitcher.base_rates(rows)
        gains = smoothing.own_log_gains(inputs.counts, inputs.visible(), base)
        own = rows["own_history"] + params["own_history"][None, None]
        population = jnp.einsum("gbtd,gnd->gbtn", states, rows["read_out"])
        return jnp.log(base)[:, None, None], population, jnp.einsum("mgbtn,gnm->gbtn", gains, own)

    scored = protocols.scored_entries(session, "forward", trials)
    found = [
        np.broadcast_to(np.asarray(x)[0, :, :, : session.num_units], scored.shape)[scored].astype(float)
        for x in drives(weights["params"], weights["tables"], batch)
    ]
    counts, _ = session.gather_trials(trials)
    null = np.broadcast_to(session.mean_counts(), scored.shape)[scored]
    return (*found, counts[scored].astype(float), np.maximum(null, 1e-9))


def nll(abc, entries) -> float:
    """Nats of entries under weights a, b, c."""
    base, states, own, spikes, _ = entries
    log_rate = np.clip(base + abc[0] * states + abc[1] * own + abc[2], -20, 5)
    return float((np.exp(log_rate) - spikes * log_rate).sum())


def fitted(sessions) -> np.ndarray:
    """The a, b, c of the lowest likelihood loss over these sessions' entries."""
    loss = lambda abc: sum(nll(abc, entries) for entries in sessions) / 1e4  # noqa: E731
    return minimize(loss, np.asarray([1.0, 1.0, 0.0]), method="Powell").x


def bps(abc, entries) -> float:
    """Pooled bits/spike over the train mean."""
    spikes, null = entries[3:]
    return ((null - spikes * np.log(null)).sum() - nll(abc, entries)) / spikes.sum() / np.log(2)


def report(name: str, folder: Path, root: Path) -> None:
    """Prints what an arm's newest checkpoint says."""
    fields = {"data.root": str(root), **ARMS[name]}
    arguments = [f"--config.{field}={value}" for field, value in fields.items()]
    config = declarations.load([f"--config={common.REPOSITORY / 'configs/mtm.py'}:size=small", *arguments])
    dataset = run_folder.load_data(config)
    # Fields of an arm changed over the months; the newest folder is of those above.
    newest = max(folder.glob("*/checkpoints"), key=lambda path: path.stat().st_mtime)
    weights = state_io.nested(restore.load_arrays(newest)[0])
    model = settings.model_of(config).config
    rounded = lambda values: np.round(values, 2).tolist()  # noqa: E731
    held_out = []
    for number, session in enumerate(dataset.sessions):
        train, validation = (parts(weights, dataset, number, model, split) for split in (TRAIN, VALIDATION))
        held_out.append(validation)
        print(name, session.session_id, "train", rounded(fitted([train])), "validation", rounded(fitted([validation])))
    for number, session in enumerate(dataset.sessions):
        others = fitted([entries for place, entries in enumerate(held_out) if place != number])
        before, after = bps((1, 1, 0), held_out[number]), bps(others, held_out[number])
        print(name, session.session_id, f"{before:.3f}, with {rounded(others)} of the others {after:.3f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arms", type=lambda text: text.split(","), default=list(ARMS))
    parser.add_argument("--runs", type=Path, default=Path("runs/recipe"))
    arguments = parser.parse_args()
    for arm in arguments.arms:
        report(arm, arguments.runs / "search" / arm, common.converted(run.SEARCH, arguments.runs / "search_data"))
