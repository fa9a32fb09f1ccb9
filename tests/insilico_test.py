"""Experiments on a twin whose neurons are Gabor filters of known tuning."""

import jax.numpy as jnp
import numpy as np
import pytest

from neurojax.api import virtual_lab
from neurojax.data.synthetic import v1
from neurojax.errors import InputError
from neurojax.insilico import exciting, gratings, tuning
from neurojax.insilico.encoder import Encoder
from neurojax.models import conv_core
from neurojax.models.interface import Weights
from neurojax.train import settings
from tests.configs_test import CONFIGS, load

ORIENTATIONS = np.array([0.0, 45.0, 60.0, 105.0])
PLACES = np.array([[0, 0], [0.5, 0], [0, -0.5], [-0.5, 0.5]])  # of a map of 20 x 20 pixels


@pytest.fixture(scope="module")
def gabors() -> Encoder:
    """Four neurons that each read one channel, a Gabor filter of 11 pixels and six pixels' wavelength."""
    changes = {"image_height": 30, "image_width": 30, "input_kernel": 11, "num_layers": 1, "places": "unit"}
    changes |= {"width": 4, "activation": "none", "place_bounded": False, "norm_epsilon": 1e-6}
    declared = load(next(path for path in CONFIGS if path.stem == "twin"), "")
    config = settings.model_of(declared | {"model": declared["model"] | changes}).config
    x, y = np.meshgrid(np.arange(11) - 5.0, np.arange(11) - 5.0)
    theta = np.radians(ORIENTATIONS)[:, None, None]
    wave = np.cos(2 * np.pi * (x * np.sin(theta) + y * np.cos(theta)) / 6) * np.exp(-(x**2 + y**2) / 10)
    wave -= wave.mean((1, 2), keepdims=True)
    filters = np.moveaxis(wave, 0, -1)[:, :, None] / 3
    scale = {"norm_scale": jnp.ones((1, 4)), "norm_bias": jnp.zeros((1, 4))}
    buffers = {"norm_mean": jnp.zeros((1, 4)), "norm_variance": jnp.ones((1, 4))}
    rows = {"feature": np.eye(4), "bias": np.full(4, -0.5), "spread": np.zeros((4, 2, 2)), "place": PLACES}
    rows = {name: jnp.asarray(values[None], jnp.float32) for name, values in rows.items()}
    weights = Weights({"filters": jnp.asarray(filters, jnp.float32)} | scale, rows, buffers)
    assert conv_core.map_shape(30, 30, config) == (20, 20)
    return Encoder(weights, config, image_channels=1, behaviours=0)


def test_gratings_have_zero_mean_unit_sd_and_bars_along_their_orientation():
    shown = gratings.gratings(20, 32, [0.0, 90.0], [1 / 8], [0.0, 90.0])
    assert shown.shape == (2, 1, 2, 20, 32)
    np.testing.assert_allclose(shown.mean((-2, -1)), 0, atol=1e-5)
    np.testing.assert_allclose(shown.std((-2, -1)), 1, atol=1e-5)
    assert np.ptp(shown[0, 0, 0], axis=1).max() < 1e-4 and np.ptp(shown[0, 0, 0], axis=0).min() > 2
    assert np.ptp(shown[1, 0, 0], axis=0).max() < 1e-4


def test_tuning_of_gabor_filters_is_found(gabors):
    tuned = tuning.to_gratings(gabors, cycles_per_pixel=(1 / 12, 1 / 6, 1 / 4))
    np.testing.assert_array_equal(tuned.preferred_deg, ORIENTATIONS)
    np.testing.assert_allclose(tuned.mean_deg, ORIENTATIONS, atol=3)
    assert (tuned.best_frequency == 1).all() and (tuned.selectivity > 0.5).all()
    assert (tuned.modulation > 0.8).all()  # simple cells
    np.testing.assert_allclose(tuning.centres_px(gabors), 14.5 + PLACES * 9.5)
    sizes = tuning.to_sizes(gabors, [0, 1], tuned, (1.0, 3.0, 6.0, 12.0))
    assert (np.diff(sizes.responses[:, :3]) > 0).all()
    assert (np.abs(np.diff(sizes.responses[:, 2:])) < 0.1 * sizes.responses[:, 3:]).all()  # no surround
    with pytest.raises(InputError, match="orientations_deg has 3 entries; expected an even number"):
        tuning.to_gratings(gabors, [0.0, 60.0, 120.0])


def test_the_most_exciting_image_of_a_filter_is_the_filter_where_the_neuron_looks(gabors):
    found = exciting.most_exciting(gabors, [1, 3], steps=8, smoothing_px=0.0)
    np.testing.assert_allclose(found.images.std((1, 2, 3)), 1, atol=1e-4)
    filters = np.asarray(gabors.weights.params["filters"])[:, :, 0]
    for image, neuron in zip(found.images[:, 0], (1, 3), strict=True):
        wanted = np.zeros((30, 30))
        column, row = np.round(9.5 + PLACES[neuron] * 9.5 + 1e-6).astype(int)
        wanted[row : row + 11, column : column + 11] = filters[..., neuron]
        # Half a pixel off in one direction: the read-out lies between two of the map.
        assert np.corrcoef(image.ravel(), wanted.ravel())[0, 1] > 0.75
    shown = v1.textures(np.random.default_rng(0), 64, 30)
    assert (found.responses > 2 * gabors.responses(shown)[:, [1, 3]].max(0)).all()
    own = gabors.of_neurons([1, 3]).responses(found.images)
    np.testing.assert_allclose(np.diagonal(own), found.responses, rtol=1e-4)


@pytest.mark.parametrize("neurons", [[7], [4], [-1], [0.0], [[0]]])
def test_neurons_that_are_not_there_are_refused(gabors, neurons):
    with pytest.raises(InputError, match="expected whole numbers from 0 to 3"):
        gabors.of_neurons(neurons)


def test_pages_of_neurons_link_to_each_other(gabors, tmp_path):
    pytest.importorskip("matplotlib")
    index = virtual_lab.write_pages(gabors, [0, 2], tmp_path / "pages", steps=8)
    content = index.read_text()
    assert '<a href="neuron_0.html">0</a>' in content and '<a href="neuron_2.html">2</a>' in content
    page = (tmp_path / "pages" / "neuron_2.html").read_text()
    assert 'href="neuron_0.html"' in page and "<script" not in page and "60" in page
    with pytest.raises(InputError, match=r"neurons=\[0, 4\]; expected 1 to 2000 different whole numbers below 4"):
        virtual_lab.write_pages(gabors, [0, 4], tmp_path / "more")
