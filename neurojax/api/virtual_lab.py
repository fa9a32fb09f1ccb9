"""All experiments on some neurons of a twin in one call, with a page for each neuron to browse."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from neurojax.data.synthetic.v1 import textures
from neurojax.errors import InputError, require
from neurojax.files import as_path
from neurojax.insilico import exciting, tuning
from neurojax.insilico.encoder import Encoder
from neurojax.report import insilico_pages, page

MOST_NEURONS = 2000
NUM_TEXTURES = 200


def write_pages(
    encoder: Encoder, neurons: Sequence[int], folder: str | Path, *, steps: int = 20, seed: int = 0
) -> Path:
    """Gratings, sizes and most exciting images of neurons, as pages.

    Args:
        encoder: the twin of one session, `nj.load(DIR).encoder()`.
        neurons: which, at most 2,000, each once.
        folder: gets index.html, and a page for each neuron.
        steps, seed: of the ascent, see `insilico.exciting.most_exciting`.

    Returns:
        the path of index.html.

    Raises:
        InputError: no such neurons, or matplotlib is missing.
    """
    chosen = np.asarray(neurons)
    whole = chosen.ndim == 1 and chosen.dtype.kind in "iu" and 0 < len(chosen) <= MOST_NEURONS
    require(
        whole
        and chosen.min() >= 0
        and chosen.max() < encoder.num_neurons
        and len(np.unique(chosen)) == len(chosen),
        f"neurons={str(neurons)[:60]}; expected 1 to {MOST_NEURONS} different whole numbers below "
        f"{encoder.num_neurons}",
    )
    encoder, places = encoder.of_neurons(chosen), list(range(len(chosen)))
    tuned = tuning.to_gratings(encoder)
    sizes = tuning.to_sizes(encoder, places, tuned)
    climbed = exciting.most_exciting(encoder, places, steps=steps, seed=seed)
    channels, height, width = encoder.image_shape
    shown = textures(np.random.default_rng(seed), NUM_TEXTURES, height, width)[:, None]
    best = encoder.responses(np.repeat(shown, channels, axis=1)).max(0)
    centres, frequency = tuning.centres_px(encoder), tuned.cycles_per_pixel[tuned.best_frequency]
    found = [
        {
            "name": int(chosen[k]),
            "selectivity": float(tuned.selectivity[k]),
            "preferred_deg": float(tuned.preferred_deg[k]),
            "frequency": float(frequency[k]),
            "preferred_px": float(sizes.preferred_px[k]),
            "suppression": float(sizes.suppression[k]),
            "exciting": float(climbed.responses[k] / best[k]) if best[k] > 0 else np.inf,
            "image": climbed.images[k].mean(0),
            "centre_px": tuple(centres[k]),
            "responses": tuned.responses[k],
            "curve": tuned.curves[k],
            "orientations_deg": tuned.orientations_deg,
            "cycles_per_pixel": tuned.cycles_per_pixel,
            "radii_px": sizes.radii_px,
            "size_curve": sizes.responses[k],
        }
        for k in places
    ]
    about = (
        f"{len(found)} neurons of {encoder.session_id or 'a twin'}: gratings, discs and most "
        "exciting images, all asked of the twin; nothing here was shown to an animal."
    )
    try:
        return insilico_pages.write(as_path(folder, "folder"), found, about)
    except ImportError:
        raise InputError(page.NO_MATPLOTLIB) from None
