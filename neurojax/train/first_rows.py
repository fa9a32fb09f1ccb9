"""What the rows of sessions start from: mean counts, principal components, a linear fit; train split only."""

import jax
import numpy as np

from neurojax.data import batching
from neurojax.data.sessions import Dataset
from neurojax.train import linear_init, principal_init
from neurojax.train.state import TrainState
from neurojax.train.step import Recipe


def train_means(dataset: Dataset) -> np.ndarray:
    """Mean spikes per bin of every unit in the train split, float32 [U].

    One pseudo-spike a unit keeps logarithms finite for units that never fire in the train split.
    """
    means = []
    for session in dataset.sessions:
        num_bins = session.trial_num_bins[session.trials_of(batching.TRAIN)].sum()
        means.append((session.mean_counts() * num_bins + 1) / (num_bins + 1))
    return np.concatenate(means).astype(np.float32)


def means_by_row(dataset: Dataset, layout: batching.Layout) -> np.ndarray:
    """`train_means` in row order, float32 [U]; one spike per bin for units whose session is not in the dataset."""
    means, rows = train_means(dataset), np.ones(layout.total_units, np.float32)
    for first, size in zip(layout.first_row, layout.num_units, strict=True):
        rows[first : first + size], means = means[:size], means[size:]
    return rows


def with_fitted_rows(state: TrainState, recipe: Recipe, dataset: Dataset, mean_counts) -> TrainState:
    """Starts read-in rows at each session's principal components and, where asked, read-out rows at a linear fit."""
    model = recipe.model
    means = np.split(mean_counts, np.cumsum([session.num_units for session in dataset.sessions])[:-1])
    pairs = list(zip(dataset.sessions, means, strict=True))
    starts = [principal_init.principal_read_in(session, model.read_in_width, mean) for session, mean in pairs]
    bias = np.stack([start[1] for start in starts])
    if model.hidden_counts == "mean":  # counts arrive centred
        bias = np.zeros_like(bias)
    values = {"tables": {"read_in": np.concatenate([start[0] for start in starts]), "read_in_bias": bias}, "params": {}}
    if model.read_out_init == "linear":
        features = linear_init.selected_features(model.read_in_width, model.width)
        fits = [
            linear_init.linear_read_out(session, start[0], mean, features)
            for (session, mean), start in zip(pairs, starts, strict=True)
        ]
        values["tables"]["read_out"] = np.pad(np.concatenate(fits), [(0, 0), (0, model.width - len(features))])
        kernel = np.array(state.params["linear_path"]["kernel"])
        kernel[:, : len(features)] = np.eye(len(kernel), dtype=kernel.dtype)[:, features]
        norm = state.params["transformer"]["norm"]
        values["params"] = {
            "linear_path": state.params["linear_path"] | {"kernel": kernel},
            "transformer": state.params["transformer"] | {"norm": norm | {"scale": np.zeros(model.width, np.float32)}},
        }
    tables, params = dict(state.tables) | values["tables"], dict(state.params) | values["params"]
    placed = lambda new, old: jax.tree.map(lambda n, o: jax.device_put(n, o.sharding), new, old)  # noqa: E731
    return state._replace(tables=placed(tables, state.tables), params=placed(params, state.params))
