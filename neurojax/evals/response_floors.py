"""What a line through the pixels says of responses to images: the floor below a digital twin.

Ridge regression of each neuron on the pixels of the image, penalty by validation images. It knows
no behaviour; large images are averaged over blocks of pixels first.
"""

import numpy as np

from neurojax.analysis import banded_ridge
from neurojax.data.session import TRAIN, VALIDATION, Session
from neurojax.data.store import stimuli as store
from neurojax.data.store.stimuli import Stimuli

MAX_PIXELS = 800  # of an image, over channels
MAX_TRIALS = 6000
PENALTIES = tuple(10.0 ** np.arange(-4, 3.1, 0.5))


def linear(session: Session, stimuli: Stimuli, trials: np.ndarray) -> np.ndarray | None:
    """Expected responses in some trials, float64 [trials, N]; None without images to validate or
    with too few to train.

    Args:
        session: with the condition `stimulus`; its training and validation trials are read.
        stimuli: its images.
        trials: int [K], which to predict.
    """
    fitted, held = (session.trials_of(part)[:MAX_TRIALS] for part in (TRAIN, VALIDATION))
    if len(fitted) < 2 or not len(held):
        return None
    own = np.concatenate([fitted, held])
    images, place = np.unique(
        store.shown(session)[np.concatenate([own, trials])], return_inverse=True
    )
    pixels = _reduced(stimuli.images, images)[place]
    pixels = banded_ridge.standardised(pixels, np.arange(len(fitted)))
    known = session.entry_valid(own)[:, 0]
    counts = np.where(known, np.asarray(session.counts)[session.trial_start_bin[own]], 0.0)
    mean = counts.sum(0) / np.maximum(known.sum(0), 1)
    fold = (np.arange(len(fitted)), np.arange(len(fitted), len(own)))
    target = np.where(known, counts, mean)
    model = banded_ridge.fit({"pixels": pixels[: len(own)]}, target, [fold], penalties=PENALTIES)
    return model.predict({"pixels": pixels[len(own) :]})


def _reduced(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Pixels of some images, float64 [rows, d], averaged so that d is at most MAX_PIXELS."""
    _, channels, height, width = images.shape
    step = 1
    while channels * -(-height // step) * -(-width // step) > MAX_PIXELS and step < max(
        height, width
    ):
        step += 1
    found = []
    for first in range(0, len(rows), 256):
        part = images[rows[first : first + 256]].astype(np.float32)
        pad = [(0, 0), (0, 0), (0, -height % step), (0, -width % step)]
        part = np.pad(part, pad, mode="edge")
        shape = (len(part), channels, part.shape[2] // step, step, part.shape[3] // step, step)
        found.append(part.reshape(shape).mean((3, 5)).reshape(len(part), -1))
    return np.concatenate(found).astype(np.float64)
