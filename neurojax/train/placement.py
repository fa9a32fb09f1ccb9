"""Counts held on the device: a batch is gathered inside jit from its plan.

Each session's counts lie flattened in a chunk of bytes; chunks stay below 2**31 elements so that
32-bit indices reach every entry. The batches are bit-equal to `data.batching.gather`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.batch import Batch
from neurojax.data.batching import Layout, Plan, observed_entries, static_fields
from neurojax.data.session import Session
from neurojax.errors import require

MAX_CHUNK = 2**31 - 1


class Resident(NamedTuple):
    """All counts of a dataset on the device."""

    chunks: tuple[jax.Array, ...]  # uint8 or uint16 [entries]
    chunk_of_session: np.ndarray  # int [S]
    first_entry: np.ndarray  # int64 [S], where the session starts in its chunk
    num_bins: int


class Gather(NamedTuple):
    """What the device needs to gather one batch."""

    chunk: jax.Array  # int32 [G]
    first_entry: jax.Array  # int32 [G, b], entry of each trial's first bin and unit
    num_bins: jax.Array  # int32 [G, b]
    num_units: jax.Array  # int32 [G]


def place(
    sessions: Sequence[Session], layout: Layout, max_chunk: int = MAX_CHUNK, sharding=None
) -> Resident:
    """Copies all counts to the device, once.

    Raises:
        InputError: one session alone exceeds `max_chunk` entries.
    """
    pieces, chunk_of_session, first_entry, filled = [[]], [], [], 0
    for session in sessions:
        require(
            session.counts.size <= max_chunk,
            f"session {session.session_id} has {session.counts.size:,} entries, at most "
            f"{max_chunk:,} fit an on-device chunk; set data.placement=host",
        )
        # No session lies in two chunks: its entries are one run, which bins and units index.
        if filled + session.counts.size > max_chunk:
            pieces.append([])
            filled = 0
        # Bins x units end to end, without padding: a session takes what it holds.
        pieces[-1].append(np.asarray(session.counts, layout.counts_dtype).reshape(-1))
        chunk_of_session.append(len(pieces) - 1)
        first_entry.append(filled)
        filled += session.counts.size
    chunks = tuple(jax.device_put(np.concatenate(chunk), sharding) for chunk in pieces)
    return Resident(chunks, np.asarray(chunk_of_session), np.asarray(first_entry), layout.num_bins)


def gather_indices(sessions: Sequence[Session], layout: Layout, resident: Resident, plan: Plan):
    """The plan as (Batch without counts, Gather), a few kilobytes of numpy."""
    first, lengths = np.zeros(plan.trial.shape, np.int64), np.zeros(plan.trial.shape, np.int32)
    for group, (session, trials) in enumerate(zip(plan.session, plan.trial, strict=True)):
        start = sessions[session].trial_start_bin[trials]
        # In int64 on the host; within a chunk every entry fits the device's int32.
        first[group] = resident.first_entry[session] + start * layout.num_units[session]
        lengths[group] = sessions[session].trial_num_bins[trials]
    indices = Gather(
        chunk=resident.chunk_of_session[plan.session].astype(np.int32),
        first_entry=first.astype(np.int32),
        num_bins=lengths,
        num_units=layout.num_units[plan.session].astype(np.int32),
    )
    batch = static_fields(layout, plan)
    if not layout.all_observed:  # a byte an entry from the host: a mask is not kept on the device
        batch = batch.with_trials(**observed_entries(sessions, layout, plan))
    return batch, indices


def gather_on_device(
    chunks: tuple[jax.Array, ...], num_bins: int, batch: Batch, indices: Gather
) -> Batch:
    """Fills in counts and bin_valid; to be called inside jit.

    Args:
        chunks: `Resident.chunks`.
        num_bins: padded T.
        batch: from `gather_indices`.
        indices: from `gather_indices`.
    """
    bins, units = jnp.arange(num_bins), jnp.arange(batch.groups["unit_valid"].shape[-1])
    bin_valid = bins[None, None] < indices.num_bins[..., None]  # [G, b, T]
    # For padding it lies elsewhere, even past the end; `valid` keeps it from being read.
    entry = (
        indices.first_entry[..., None, None]
        + bins[None, None, :, None] * indices.num_units[:, None, None, None]
        + units[None, None, None, :]
    )  # [G, b, T, N]
    valid = bin_valid[..., None] & batch.groups["unit_valid"][:, None, None, :]
    counts = jnp.zeros(entry.shape, chunks[0].dtype)
    # A traced number cannot choose among arrays of different sizes: every chunk is read, and the
    # ones that are not meant read entry 0 and are thrown away.
    for number, chunk in enumerate(chunks):
        here = valid & (indices.chunk == number)[:, None, None, None]
        counts = jnp.where(here, chunk.at[jnp.where(here, entry, 0)].get(mode="clip"), counts)
    if "entry_valid" in batch.trials:
        counts = jnp.where(batch.trials["entry_valid"], counts, 0)
    return batch.with_trials(counts=counts, bin_valid=bin_valid)
