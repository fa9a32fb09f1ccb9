"""A model with the rows that its head needs beside its drives: a dispersion or a ceiling of units.

`with_rows` makes of a model another one of the same inputs, with more tables. What it says of an
entry is a `count_likelihoods.Natural`: the model's drive, and the rows of the entry's unit. So
step, optimiser, checkpoint and resume know nothing of heads.
"""

import functools
from collections.abc import Mapping
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np

from neurojax import heads
from neurojax.count_likelihoods import Moments, Natural, Row
from neurojax.data.session import TRAIN, Session
from neurojax.data.sources.spikes import mean_counts
from neurojax.models import interface
from neurojax.models.interface import TableSpec, Weights


@functools.lru_cache(maxsize=32)  # one object a model: compiled programs are found again by it
def with_rows(name: str, head: str) -> SimpleNamespace:
    """The model of a name, as `models.interface` describes a model, with the tables of a head.

    `rows_of_session(session)` is there too: table -> what the rows of this session start from,
    float32 [N], or [1] of the session.
    """
    base, rows = interface.named(name), heads.named(head).rows

    def tables(config):
        return base.tables(config) | {table: _spec(row) for table, row in rows.items()}

    def fitted_rows(config, sessions, facts):
        fit = getattr(base, "fitted_rows", None)
        found = fit(config, sessions, facts) if fit else {}
        each = [starts(session, rows) for session in sessions]
        return found | {table: np.concatenate([of[table] for of in each]) for table in rows}

    def beside(weights: Weights, inputs, answer) -> interface.Outputs:
        own = {table: weights.rows[table] for table in rows}
        shared = {table: kept for table, kept in weights.rows.items() if table not in rows}
        outputs = answer(weights._replace(rows=shared))
        told = {
            table: _beside(own[table], row.rows, getattr(inputs, "left_out", None))
            for table, row in rows.items()
        }
        return outputs._replace(natural=Natural(outputs.natural, told))

    def apply(weights: Weights, inputs, config, *, train, key=None):
        def answer(shared):
            return base.apply(shared, inputs, config, train=train, key=key)

        return beside(weights, inputs, answer)

    def answers(weights: Weights, states, inputs, config):
        return beside(weights, inputs, lambda own: base.answers(own, states, inputs, config))

    def rows_of_session(session: Session):
        return starts(session, rows)

    more = {"tables": tables, "fitted_rows": fitted_rows, "apply": apply}
    if hasattr(base, "answers"):
        more["answers"] = answers
    return SimpleNamespace(**(vars(base) | more | {"rows_of_session": rows_of_session}))


def _spec(row: Row) -> TableSpec:
    def zeros(key, facts):  # before `fitted_rows`
        number = len(facts.mean_counts) if row.rows == "unit" else len(facts.units_per_session)
        return jnp.zeros(number)

    # No weights: towards zero there is no simpler model, and a ceiling of zero is none.
    return TableSpec(row.rows, None, zeros)


def _beside(table: jax.Array, rows: str, left_out) -> jax.Array:
    """Rows [G, N] or [G] in the shape of `Natural.rows`."""
    if rows == "session":
        return table[:, None, None, None]
    if left_out is None:
        return table[:, None, None]
    return jnp.take_along_axis(table, left_out, axis=1)[..., None, None]  # [G, b, 1, 1]


def starts(session: Session, rows: Mapping[str, Row]) -> dict[str, np.ndarray]:
    """Table -> what its rows of a session start from, float32 [N], or [1] of a session."""
    found = moments(session)
    return {table: np.float32(np.atleast_1d(row.start(found))) for table, row in rows.items()}


def moments(session: Session) -> Moments:
    """Mean, variance and fullest bin of every unit over its observed training bins."""
    squares, most = np.zeros(session.num_units), np.zeros(session.num_units)
    for trial in session.trials_of(TRAIN):  # one by one: counts may be larger than memory
        counts, _ = session.gather_trials(np.asarray([trial]))  # zero where not observed
        counts = counts[0].astype(np.float64)
        squares += np.square(counts).sum(0)
        most = np.maximum(most, counts.max(0, initial=0))
    total, num_bins = session.totals(TRAIN)
    number = np.maximum(num_bins, 1)
    variance = np.maximum(squares / number - np.square(total / number), 0.0)
    return Moments(mean_counts(session).astype(np.float64), variance, most)
