"""Batches of calcium traces: real values of cells, sessions side by side as those of spikes are.

A cell's values are its own deviations: less its mean and divided by its standard deviation over
what was observed of it in the train split. A hidden entry, which a model reads as zero, is then one
at the cell's mean, and squared errors of all cells weigh alike.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neurojax.data.batching import BatchingConfig as Config
from neurojax.data.batching import Layout
from neurojax.data.checks.check_signals import channel_moments
from neurojax.data.observed import intervals_of
from neurojax.data.session import TRAIN, Session
from neurojax.data.sources.spikes import SpikeSource
from neurojax.errors import require

_LEAST_SD = 1e-6  # of the absolute mean: below it float32 holds no change of a value


class TraceSource(SpikeSource):
    """The source of spikes over standardised values, float32, in the place of counts."""

    def __init__(self, sessions: Sequence[Session], config: Config, seed: int, table, new_until):
        views = [standardised(session) for session in sessions]
        super().__init__(views, config, seed, table, new_until)

    def first_means(self) -> np.ndarray:
        """Ones, float32 [U]: rows start alike, for all values have one scale; their log, where
        read-outs start, is the mean of every cell, zero."""
        return np.ones(self.layout.total_units, np.float32)

    def contents(self) -> str:
        """`812 cells, 2 regions`."""
        return super().contents().replace("units", "cells")


def open_source(
    sessions: Sequence[Session],
    config: Config,
    seed: int,
    table: list[dict[str, Any]] | None = None,
    new_until: tuple[int, int] | None = None,
) -> TraceSource:
    """The source of a run; arguments as of `sources.spikes.open_source`, sessions of real
    values."""
    return TraceSource(sessions, config, seed, table, new_until)


def rows_of(sessions: Sequence[Session], table: Sequence[Mapping[str, Any]]) -> Layout:
    """Where sessions live in the tables of trained weights; raises InputError for one that has no
    rows."""
    return dataclasses.replace(Layout.of(sessions, table), counts_dtype=np.dtype(np.float32))


def standardised(session: Session) -> Session:
    """A session of real values as batches and passes read it: deviations in the place of counts.

    Args:
        session: real values [samples, N].

    Returns:
        the session with `counts` float32 [samples, N]: mean zero and deviation one over the
        observed samples of the train split; zero where a cell was not observed, and throughout for
        one that never changes there or was not observed there.

    Raises:
        InputError: counts of spikes, no train trial, or values that are not finite.
    """
    name = session.session_id
    require(
        session.observation == "real",
        f"session {name} holds counts of spikes, but data.source=traces reads real values; train "
        "it with configs/mtm.py or lfads.py",
    )
    rows = np.zeros(len(session.values), bool)
    for trial in session.trials_of(TRAIN):
        start = session.trial_start_bin[trial]
        rows[start : start + session.trial_num_bins[trial]] = True
    require(
        rows.any(),
        f"session {name} has no train trial, from which its cells get their scale; convert it with "
        "a split such as --split=blocks:60s",
    )
    seen = session.entries(0, len(rows))
    trained = session.with_fields(validity=intervals_of(seen & rows[:, None]))
    mean, sd = channel_moments(trained)
    require(
        np.isfinite(mean).all() and np.isfinite(sd).all(),
        f"session {name} holds NaN or infinity; leave these samples out and convert again",
    )
    # Nothing is known of the scale of a cell that does not change: it stays at its mean.
    scale = np.where(sd > _LEAST_SD * np.abs(mean), sd, np.inf).astype(np.float32)
    counts = np.asarray(session.values, np.float32) - mean.astype(np.float32)
    counts = np.where(seen, counts / scale, np.float32(0))
    return session.with_fields(counts=counts, values=None)
