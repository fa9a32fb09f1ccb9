"""Made-up primary visual cortex: simple and complex Gabor cells that look at textures, with Poisson
noise.

A cell sees the image through a Gabor patch. A simple cell answers with what is above zero of its
projection, a complex cell with the root of the summed squares of two patches a quarter of a period
apart. Rates are scaled so that every cell has the same mean over textures; the counts are Poisson,
so that what can be explained of a cell is known. Cells lie in cortex where they look: their places
are a turned and stretched copy of their centres, another one for each animal.

Training images are textures of amplitude 1/f; for the test there are textures that were not trained
on, and gratings and white noise, which are of no kind that was. Test images are shown repeatedly.
"""

import dataclasses

import numpy as np

from neurojax.data.session import TEST, TRAIN, VALIDATION, Session
from neurojax.data.store.sessions import from_counts
from neurojax.errors import require

# Fixed before any model was trained. Mean spikes of a cell in a presentation of a texture.
NOISES = {"low": 6.0, "medium": 2.0, "high": 0.7}
WAVELENGTH_PX = (4.0, 7.0)  # drawn evenly on a logarithmic scale
SIGMA_OF_WAVELENGTH = 0.4  # standard deviation of a patch's Gaussian, in wavelengths
REACH = 0.6  # centres lie within so much of the half image around its middle
SPONTANEOUS = 0.1  # share of the mean rate that needs no image
NUM_SCALING = 2000  # textures that scale a cell's rate
KINDS = ("texture", "grating", "white noise")
PRESENTATION_S = 0.5
CORTEX_UM = 500.0  # from the middle to the furthest cell
_STIMULI, _SCALE, _CELLS, _COUNTS = range(4)


@dataclasses.dataclass(frozen=True)
class V1Spec:
    """What the animals and their session are like.

    Attributes:
        num_animals, first_animal: animals are numbered; animal k has the same cells and counts in
            any set. All see the same images.
        num_cells: N, one half simple, one half complex.
        num_train, num_validation: textures, each shown once.
        num_test: images of each kind for the test, each shown `num_repeats` times.
        num_repeats: 2 or more.
        noise: "low", "medium" or "high", see NOISES.
        image_px: height and width.
    """

    num_animals: int = 1
    first_animal: int = 0
    num_cells: int = 100
    num_train: int = 3000
    num_validation: int = 300
    num_test: int = 60
    num_repeats: int = 10
    noise: str = "medium"
    image_px: int = 24

    def __post_init__(self):
        least = {"num_animals": 1, "first_animal": 0, "num_cells": 2, "num_train": 1}
        least |= {"num_validation": 1, "num_test": 2, "num_repeats": 2, "image_px": 12}
        for name, smallest in least.items():
            found = getattr(self, name)
            require(
                isinstance(found, int) and found >= smallest,
                f"data.synthetic.{name}={found!r}; expected a whole number from {smallest} on",
            )
        require(
            self.noise in NOISES,
            f"data.synthetic.noise={self.noise!r}; choose from {', '.join(NOISES)}",
        )


@dataclasses.dataclass(frozen=True)
class Cells:
    """The cells of an animal.

    Attributes:
        patches: float32 [N, 2, H, W], Gabor patches a quarter of a period apart, of norm one.
        is_complex: bool [N].
        orientation_deg: float64 [N], of the bars a cell prefers, 0 to 180, anticlockwise from
            horizontal.
        wavelength_px: float64 [N].
        centre: float64 [N, 2], (x, y) in pixels from the middle, y down.
        position_um: float64 [N, 2], place in cortex.
        gain: float64 [N], spikes for a projection of one, before the spontaneous rate.
        mean: mean spikes of a presentation.
    """

    patches: np.ndarray
    is_complex: np.ndarray
    orientation_deg: np.ndarray
    wavelength_px: np.ndarray
    centre: np.ndarray
    position_um: np.ndarray
    gain: np.ndarray
    mean: float

    def rates(self, images: np.ndarray) -> np.ndarray:
        """Expected spikes in a presentation of each image [n, H, W], float64 [n, N]."""
        return SPONTANEOUS * self.mean + self.gain * self._projection(images)

    def _projection(self, images: np.ndarray) -> np.ndarray:
        flat = images.reshape(len(images), -1).astype(np.float64)
        seen = flat @ self.patches.reshape(-1, flat.shape[1]).astype(np.float64).T
        seen = seen.reshape(len(images), -1, 2)
        simple, squares = np.maximum(seen[..., 0], 0.0), np.square(seen).sum(-1)
        return np.where(self.is_complex, np.sqrt(squares), simple)


def cells_of(spec: V1Spec, animal: int, seed: int) -> Cells:
    """The cells of one animal; a function of (spec, animal, seed)."""
    rng = np.random.default_rng([seed, _CELLS, animal])
    number, half = spec.num_cells, spec.image_px / 2
    theta = rng.uniform(0, np.pi, number)
    wavelength = np.exp(rng.uniform(*np.log(WAVELENGTH_PX), number))
    phase = rng.uniform(0, 2 * np.pi, number)
    centre = rng.uniform(-REACH, REACH, (number, 2)) * half
    is_complex = np.arange(number) % 2 == 1
    x, y = np.meshgrid(*[np.arange(spec.image_px) + 0.5 - half] * 2)
    x, y = (grid - at[:, None, None] for grid, at in zip((x, y), centre.T, strict=True))
    sigma = SIGMA_OF_WAVELENGTH * wavelength[:, None, None]
    window = np.exp(-(x**2 + y**2) / (2 * sigma**2))
    # Bars along theta change across it; y runs down in an image.
    across = x * np.sin(theta)[:, None, None] + y * np.cos(theta)[:, None, None]
    turn = 2 * np.pi * across / wavelength[:, None, None] + phase[:, None, None]
    patches = np.stack([window * np.cos(turn), window * np.sin(turn)], axis=1)
    patches -= patches.mean((2, 3), keepdims=True)
    patches /= np.sqrt(np.square(patches).sum((2, 3), keepdims=True))
    angle, stretch = rng.uniform(0, 2 * np.pi), rng.uniform(0.7, 1.3, 2)
    turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    position = centre / (REACH * half) @ (turned * stretch)
    mean = NOISES[spec.noise]
    cells = Cells(
        patches=patches.astype(np.float32),
        is_complex=is_complex,
        orientation_deg=np.degrees(theta),
        wavelength_px=wavelength,
        centre=centre,
        position_um=position * CORTEX_UM,
        gain=np.ones(number),
        mean=mean,
    )
    scaling = textures(np.random.default_rng([seed, _SCALE]), NUM_SCALING, spec.image_px)
    gain = (1 - SPONTANEOUS) * mean / cells._projection(scaling).mean(0)
    return dataclasses.replace(cells, gain=gain)


def stimuli(spec: V1Spec, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(images float32 [n, 1, H, W] of zero mean and unit sd each, kind int8 [n] of KINDS): first
    those that train and validate, then the tests, kind by kind."""
    rng = np.random.default_rng([seed, _STIMULI])
    shown_once = spec.num_train + spec.num_validation
    images = [textures(rng, shown_once + spec.num_test, spec.image_px)]
    images.append(random_gratings(rng, spec.num_test, spec.image_px))
    images.append(standardised(rng.standard_normal((spec.num_test, spec.image_px, spec.image_px))))
    kind = np.repeat(np.arange(3, dtype=np.int8), [len(one) for one in images])
    return np.concatenate(images)[:, None].astype(np.float32), kind


def make_session(spec: V1Spec, animal: int, seed: int, images: np.ndarray) -> Session:
    """What one animal's cells answered; a trial is a presentation, one bin.

    Args:
        images: of `stimuli`.
    """
    cells = cells_of(spec, animal, seed)
    shown_once = spec.num_train + spec.num_validation
    tested = np.repeat(np.arange(shown_once, len(images)), spec.num_repeats)
    shown = np.concatenate([np.arange(shown_once), tested])
    split = np.repeat(
        np.int8([TRAIN, VALIDATION, TEST]), [spec.num_train, spec.num_validation, len(tested)]
    )
    rates = cells.rates(images[:, 0])[shown]
    counts = np.random.default_rng([seed, _COUNTS, animal]).poisson(rates)
    metadata = {
        "x_um": cells.position_um[:, 0],
        "y_um": cells.position_um[:, 1],
        "orientation_deg": cells.orientation_deg,
        "wavelength_px": cells.wavelength_px,
        "is_complex": cells.is_complex.astype(np.float64),
    }
    return from_counts(
        counts[:, None],
        bin_size_s=PRESENTATION_S,
        session_id=f"v1_{animal}",
        region=np.full(spec.num_cells, "VISp"),
        region_source=np.full(spec.num_cells, "synthetic"),
        split=split,
        conditions={"stimulus": shown},
        unit_metadata=metadata,
        true_rates=rates[:, None],
        info={"subject_id": f"animal_{animal}", "source": "synthetic V1", "seed": seed},
    )


def ceiling(spec: V1Spec, animal: int, seed: int) -> dict[str, float]:
    """What the truth itself reaches on textures, in the mean over cells: `explainable`, share of
    the variance of single counts that is due to the image, and `true_rate_correlation`, of counts
    with their own expectation; the oracle of scores.responses, a mean of repeats, is lower."""
    images = textures(np.random.default_rng([seed, _SCALE, 1]), NUM_SCALING, spec.image_px)
    rates = cells_of(spec, animal, seed).rates(images)
    share = rates.var(0) / (rates.var(0) + rates.mean(0))
    true = float(np.sqrt(share).mean())
    return {"explainable": float(share.mean()), "true_rate_correlation": true}


def standardised(images: np.ndarray) -> np.ndarray:
    """Images [n, H, W] with zero mean and unit sd each."""
    images = images - images.mean((1, 2), keepdims=True)
    return images / np.maximum(images.std((1, 2), keepdims=True), 1e-12)


def textures(rng: np.random.Generator, number: int, height: int, width: int = 0) -> np.ndarray:
    """Noise of amplitude 1 / f at unit sd, float64 [number, height, width]; square without
    `width`."""
    width = width or height
    frequency = np.hypot(*np.meshgrid(np.fft.rfftfreq(width), np.fft.fftfreq(height)))
    frequency[0, 0] = np.inf
    noise = np.fft.rfft2(rng.standard_normal((number, height, width)))
    return standardised(np.fft.irfft2(noise / frequency, s=(height, width)))


def random_gratings(rng: np.random.Generator, number: int, size: int) -> np.ndarray:
    """Full-field gratings of random orientation, phase and wavelength (4 to 12 pixels) at unit sd,
    float64 [number, size, size]."""
    theta, phase = rng.uniform(0, np.pi, number), rng.uniform(0, 2 * np.pi, number)
    wavelength = np.exp(rng.uniform(np.log(4), np.log(12), number))
    x, y = np.meshgrid(np.arange(size), np.arange(size))
    across = x * np.sin(theta)[:, None, None] + y * np.cos(theta)[:, None, None]
    return standardised(
        np.cos(2 * np.pi * across / wavelength[:, None, None] + phase[:, None, None])
    )
