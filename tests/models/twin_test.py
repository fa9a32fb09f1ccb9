"""The digital twin: its convolution and read-out against other libraries, and what training alone does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from neurojax.errors import InputError
from neurojax.models import conv_core, gaussian_readout, twin
from neurojax.models.interface import StimulusInputs, Weights
from neurojax.train import settings
from tests.configs_test import CONFIGS, load

CONFIG = next(path for path in CONFIGS if path.stem == "twin")


def config(**changes):
    declared = load(CONFIG, "")
    return settings.model_of(declared | {"model": declared["model"] | changes}).config


@pytest.mark.parametrize("padding", [0, 1, 3])
def test_one_filter_a_channel_is_a_grouped_convolution_and_so_is_its_gradient(padding):
    rng = np.random.default_rng(0)
    values, kernel = rng.standard_normal((2, 5, 6, 3)), rng.standard_normal((3, 3, 3))
    values, kernel = np.float32(values), np.float32(kernel)

    def grouped(values, kernel):
        pads = [(padding, padding)] * 2
        names = ("NHWC", "HWIO", "NHWC")
        shape = {"dimension_numbers": names, "feature_group_count": 3}
        return jax.lax.conv_general_dilated(values, kernel[:, :, None], (1, 1), pads, **shape)

    ours = conv_core.depthwise(values, kernel, padding)
    weight = np.float32(rng.standard_normal(ours.shape))
    np.testing.assert_allclose(ours, grouped(values, kernel), atol=1e-5)
    found = jax.grad(lambda *a: (conv_core.depthwise(*a, padding) * weight).sum(), (0, 1))(values, kernel)
    wanted = jax.grad(lambda *a: (grouped(*a) * weight).sum(), (0, 1))(values, kernel)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_features_are_read_between_pixels_and_as_zero_outside():
    rng = np.random.default_rng(1)
    features, weights = np.float32(rng.standard_normal((2, 4, 7, 3))), np.float32(rng.standard_normal((5, 3)))
    places = np.float32(rng.uniform(-1.4, 1.4, (2, 5, 2)))
    places[0, 0] = (1.0, -1.0)  # the upper right pixel
    found = gaussian_readout.read(features, places, weights)
    rows, columns = (places[..., 1] + 1) * 1.5, (places[..., 0] + 1) * 3
    for trial in range(2):
        for unit in range(5):
            at = [[rows[trial, unit]], [columns[trial, unit]]]
            read = [ndimage.map_coordinates(np.pad(plane, 2), np.add(at, 2), order=1)[0]
                    for plane in np.moveaxis(features[trial], -1, 0)]  # fmt: skip
            np.testing.assert_allclose(found[trial, unit], weights[unit] @ read, atol=1e-5)
    assert found[0, 0] == pytest.approx(weights[0] @ features[0, 0, 6], abs=1e-6)
    same = gaussian_readout.read(features, places[:1], weights)
    np.testing.assert_allclose(same[0], found[0], atol=1e-6)


def test_the_logarithm_of_a_response_is_that_of_elu_plus_one_and_has_a_way_back():
    drive = jnp.array([-90.0, -3.0, -1e-3, 0.0, 0.5, 20.0])
    np.testing.assert_allclose(jnp.exp(twin.log_response(drive))[1:], jax.nn.elu(drive)[1:] + 1, rtol=1e-5)
    assert twin.log_response(drive)[0] == -90  # where ELU + 1 is zero in float32
    np.testing.assert_allclose(twin.drive_of(jnp.exp(twin.log_response(drive[1:]))), drive[1:], atol=1e-5)


def state(settings, seed=0):
    """Weights of three neurons in two groups of random rows."""
    rng = np.random.default_rng(seed)
    channels = 1 + 2 * (settings.behaviour == "channels")
    params, buffers = conv_core.init(jax.random.key(seed), settings, channels)
    facts = type("Facts", (), {"units_per_session": (3, 3), "mean_counts": np.ones(6), "num_features": 2})
    rows = {}
    for name, spec in twin.tables(settings).items():
        shape = spec.init(jax.random.key(1), facts).shape
        own = (2, 3, *shape[1:]) if spec.rows == "unit" else shape
        rows[name] = jnp.asarray(0.3 * rng.standard_normal(own), jnp.float32)
    return Weights(params, rows, buffers)


def inputs(rng, pupil=None):
    images = np.float32(rng.standard_normal((2, 2, 1, 12, 12)))
    pupil = np.full((2, 2, 2), np.nan, np.float32) if pupil is None else pupil
    return StimulusInputs(images, np.float32(rng.standard_normal((2, 2, 2))), pupil)


def test_training_alone_draws_places_and_moves_statistics_and_a_new_animal_leaves_them():
    small, rng = config(), np.random.default_rng(0)
    weights, given = state(small), inputs(rng)
    apply = jax.jit(twin.apply, static_argnames=("config", "train"))
    still = apply(weights, given, small, train=False, key=None)
    again = apply(weights, given, small, train=False, key=jax.random.key(3))
    np.testing.assert_array_equal(still.natural, again.natural)
    assert still.natural.shape == (2, 2, 1, 3) and not still.extras
    drawn = [apply(weights, given, small, train=True, key=jax.random.key(k)) for k in (0, 1)]
    assert np.abs(drawn[0].natural - drawn[1].natural).min() > 0
    filtered = jax.lax.conv_general_dilated(
        np.moveaxis(given.images, 2, -1).reshape(4, 12, 12, 1), weights.params["filters"], (1, 1), "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip
    moved = 0.1 * np.asarray(filtered).var((0, 1, 2)) + 0.9
    np.testing.assert_allclose(drawn[0].buffers["norm_variance"][0], moved, rtol=1e-5)
    frozen = apply(weights, given, config(norm_momentum=0.0), train=True, key=None)
    np.testing.assert_allclose(frozen.natural, still.natural, atol=1e-5)
    np.testing.assert_array_equal(frozen.buffers["norm_mean"], weights.buffers["norm_mean"])


def test_a_neuron_reads_its_own_session_its_pupil_and_its_behaviour():
    small, rng = config(shifter_layers=1, behaviour="gain"), np.random.default_rng(0)
    weights, given = state(small), inputs(rng, np.zeros((2, 2, 2), np.float32))

    def log_rates(given):
        return np.asarray(twin.apply(weights, given, small, train=False).natural)[:, :, 0]

    first = log_rates(given)
    given.pupil_center[0, 1] = np.nan
    second = log_rates(given)
    changed = second != first
    assert changed[0, 1].all() and changed.sum() == 3  # nothing shifts there any more, elsewhere nothing changes
    told = given._replace(behaviour=given.behaviour + np.float32([1, 0]))
    np.testing.assert_allclose(
        log_rates(told) - second, np.broadcast_to(weights.rows["gain"][:, None, :, 0], (2, 2, 3)), atol=1e-5
    )


def test_images_of_another_size_and_filters_larger_than_the_image_are_refused():
    small, rng = config(), np.random.default_rng(0)
    large = inputs(rng)._replace(images=np.zeros((2, 2, 1, 14, 12), np.float32))
    with pytest.raises(InputError, match="images of 14 x 12 pixels, the twin reads 12 x 12; scale them"):
        twin.apply(state(small), large, small, train=False)
    with pytest.raises(InputError, match="model.image_height=12 and image_width=12 leave features of 0 x 0"):
        config(input_kernel=13)
