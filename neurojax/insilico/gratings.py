"""Gratings to show to a twin: full field or within an aperture, at zero mean and unit sd."""

from collections.abc import Sequence

import numpy as np

# Shown where nothing else is asked: wavelengths of 27, 18, 12, 8, 6 and 4 pixels.
ORIENTATIONS_DEG = tuple(np.arange(12) * 15.0)
CYCLES_PER_PIXEL = (1 / 27, 1 / 18, 1 / 12, 1 / 8, 1 / 6, 1 / 4)
PHASES_DEG = tuple(np.arange(8) * 45.0)


def gratings(
    height: int,
    width: int,
    orientations_deg: Sequence[float] = ORIENTATIONS_DEG,
    cycles_per_pixel: Sequence[float] = CYCLES_PER_PIXEL,
    phases_deg: Sequence[float] = PHASES_DEG,
    centre: tuple[float, float] | None = None,
) -> np.ndarray:
    """Full-field gratings of every orientation, frequency and phase, each at zero mean, unit sd.

    Args:
        height, width: pixels.
        orientations_deg: of the bars, anticlockwise from horizontal; 0 and 180 are the same.
        cycles_per_pixel: spatial frequencies, at most 0.5.
        phases_deg: at the centre.
        centre: (x, y) in pixels; default the middle of the image.

    Returns:
        float32 [orientations, frequencies, phases, height, width].
    """
    waves = _waves(height, width, orientations_deg, cycles_per_pixel, phases_deg, centre)
    waves -= waves.mean((-2, -1), keepdims=True)
    return (waves / waves.std((-2, -1), keepdims=True)).astype(np.float32)


def in_apertures(
    height: int,
    width: int,
    orientation_deg: float,
    cycles_per_pixel: float,
    phases_deg: Sequence[float],
    centre: tuple[float, float],
    radii_px: Sequence[float],
) -> np.ndarray:
    """One grating in discs of growing radius around a place, grey outside; its contrast is that of
    a full-field grating at unit sd.

    Args:
        centre: (x, y) in pixels.
        radii_px: where the disc is at half of its contrast; its edge is a pixel wide.

    Returns:
        float32 [radii, phases, height, width].
    """
    waves = _waves(height, width, [orientation_deg], [cycles_per_pixel], phases_deg, centre)
    x, y = np.meshgrid(np.arange(width) - centre[0], np.arange(height) - centre[1])
    distance = np.hypot(x, y)
    discs = np.clip(np.asarray(radii_px)[:, None, None] - distance + 0.5, 0.0, 1.0)
    return (np.sqrt(2) * waves[0, 0] * discs[:, None]).astype(np.float32)


def _waves(height, width, orientations_deg, cycles_per_pixel, phases_deg, centre) -> np.ndarray:
    """Cosines [orientations, frequencies, phases, height, width]."""
    middle = ((width - 1) / 2, (height - 1) / 2) if centre is None else centre
    x, y = np.meshgrid(np.arange(width) - middle[0], np.arange(height) - middle[1])
    theta = np.radians(orientations_deg)[:, None, None]
    across = x * np.sin(theta) + y * np.cos(theta)  # y runs down in an image
    turns = np.multiply.outer(np.asarray(cycles_per_pixel), across)  # [F, O, H, W]
    turns = np.moveaxis(turns, 0, 1)[:, :, None] * 2 * np.pi
    return np.cos(turns + np.radians(phases_deg)[:, None, None])
