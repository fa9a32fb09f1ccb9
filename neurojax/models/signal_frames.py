"""Front ends of signals: what short frames of samples hold, by frequency, each from its past alone.

    spectrogram       log power of every frequency of every channel
    power_frequency   for each band of frequencies the covariance of the channels in it, its matrix
                      logarithm: amplitudes, and which channels go together

A frame ends with the newest sample that it reads. Before a recording begins there is silence.

Sources: matrix logarithms of covariances Barachant et al. 2012, IEEE Trans Biomed Eng 59:920-928.
Letters: B windows, T samples, C channels, S frames, F features of a frame.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Frames(NamedTuple):
    """Attributes:
    frame_bins: samples that a frame reads.
    hop_bins: samples from one frame to the next.
    num_bands: of power_frequency, of equal width from 0 Hz on.
    least: power that is added to all, so that silence has a logarithm; of signals of variance one.
    """

    frame_bins: int
    hop_bins: int
    num_bands: int
    least: float = 1e-3


class Front(NamedTuple):
    """Attributes:
    features: (spectra complex [B, S, frequencies, C], frames) -> [B, S, F].
    width: (channels, frames) -> F.
    turned: (channels, frames, places) -> int [F], the features of a ring of channels as those of
        the ring turned by so many places: feature f of it is feature turned[f] as worn.
    """

    features: Callable[[jax.Array, Frames], jax.Array]
    width: Callable[[int, Frames], int]
    turned: Callable[[int, Frames, int], np.ndarray]


def begin(num_windows: int, num_channels: int, frames: Frames) -> jax.Array:
    """The samples that the first frame reads before the first sample: silence, [B, P, C]."""
    return jnp.zeros((num_windows, frames.frame_bins - frames.hop_bins, num_channels))


def advance(front: Front, before: jax.Array, values: jax.Array, frames: Frames):
    """The next samples [B, T, C] -> (features [B, T // hop, F], the samples to begin with next).

    Args:
        before: of `begin`, or of the call before.
        values: a whole number of hops; samples that complete none are passed over.
    """
    hops = values.shape[1] // frames.hop_bins
    values = jnp.concatenate([before, values[:, : hops * frames.hop_bins]], axis=1)
    starts = np.arange(hops)[:, None] * frames.hop_bins
    pieces = values[:, starts + np.arange(frames.frame_bins)]  # [B, S, frame_bins, C]
    taper = np.hanning(frames.frame_bins + 2)[1:-1].astype(np.float32)
    taper = taper / np.sqrt(np.square(taper).sum())
    spectra = jnp.fft.rfft(pieces * taper[None, None, :, None], axis=2)
    return front.features(spectra, frames), values[:, hops * frames.hop_bins :]


def band_edges(frames: Frames) -> list[tuple[int, int]]:
    """The first frequency of each band and the one after its last."""
    number = frames.frame_bins // 2 + 1
    edges = np.linspace(0, number, frames.num_bands + 1).round().astype(int)
    return [(int(first), int(last)) for first, last in zip(edges[:-1], edges[1:], strict=True)]


def _spectrogram(spectra: jax.Array, frames: Frames) -> jax.Array:
    power = jnp.log(jnp.square(jnp.abs(spectra)) + frames.least)
    return power.reshape(*power.shape[:2], -1)


def _power_frequency(spectra: jax.Array, frames: Frames) -> jax.Array:
    """Upper triangles of the matrix logarithms, [B, S, bands * C (C + 1) / 2].

    Entries beside the diagonal are times the root of two: distances are those of the matrices.
    """
    parts = [spectra.real, spectra.imag]
    bands = []
    for first, last in band_edges(frames):
        own = [part[:, :, first:last] for part in parts]
        summed = sum(jnp.einsum("bsfc,bsfd->bscd", part, part) for part in own)
        bands.append(summed / (last - first))
    moments = jnp.stack(bands, axis=2)  # [B, S, bands, C, C]
    channels = spectra.shape[-1]
    moments = moments + frames.least * jnp.eye(channels).reshape(1, 1, 1, channels, channels)
    values, vectors = jnp.linalg.eigh(moments)
    logs = jnp.log(jnp.maximum(values, frames.least / 2))[..., None, :]
    logs = (vectors * logs) @ jnp.swapaxes(vectors, -1, -2)
    rows, columns = np.triu_indices(channels)
    weight = np.where(rows == columns, 1.0, np.sqrt(2.0)).astype(np.float32)
    found = logs[..., rows, columns] * weight.reshape(1, 1, 1, -1)
    return found.reshape(*found.shape[:2], -1)


def _turned_powers(channels: int, frames: Frames, places: int) -> np.ndarray:
    block = (np.arange(channels) + places) % channels
    number = frames.frame_bins // 2 + 1
    return (np.arange(number)[:, None] * channels + block).ravel()


def _turned_pairs(channels: int, frames: Frames, places: int) -> np.ndarray:
    rows, columns = np.triu_indices(channels)
    number = np.zeros((channels, channels), int)
    number[rows, columns] = number[columns, rows] = np.arange(len(rows))
    block = number[(rows + places) % channels, (columns + places) % channels]
    return (np.arange(frames.num_bands)[:, None] * len(rows) + block).ravel()


FRONTS = {
    "spectrogram": Front(
        _spectrogram,
        lambda channels, frames: channels * (frames.frame_bins // 2 + 1),
        _turned_powers,
    ),
    "power_frequency": Front(
        _power_frequency,
        lambda channels, frames: frames.num_bands * channels * (channels + 1) // 2,
        _turned_pairs,
    ),
}
