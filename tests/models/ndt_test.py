"""The model reads what it may read, and nothing else: gradients that must be exactly zero are."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax import masking
from neurojax.models import ndt, stitcher
from neurojax.models.config import ModelConfig
from neurojax.types import Batch

G, B, T, N = 2, 3, 8, 10
MODEL = ModelConfig(
    read_in_width=6, embed_width=7, width=8, num_layers=3, num_heads=2, mlp_width=12, num_positions=T
)  # fmt: skip
PATHS = dict(
    hidden_counts="mean", posterior_noise=0.5, smoothed_tokens=True, linear_path=True, own_history=True, link="softplus"
)
VARIANTS = [{"positions": "learned"}, {"positions": "rotary"}, {"positions": "rotary", **PATHS}]
REGIONS = np.asarray([0, 0, 0, 0, 1, 1, 1, 2, 2, -1], np.int32)


def make_batch(seed=0, width=N) -> Batch:
    counts = np.random.default_rng(seed).poisson(1.0, (G, B, T, width)).astype(np.uint8)
    region_id = np.full((G, width), -1, np.int32)
    region_id[:, :N] = REGIONS
    unit_row = np.full((G, width), G * N, np.int32)
    unit_row[:, :N] = np.arange(G * N).reshape(G, N)
    counts[..., N:] = 0
    return Batch(
        counts=counts.astype(np.float32),
        bin_valid=np.ones((G, B, T), bool),
        unit_valid=unit_row < G * N,
        region_id=region_id,
        unit_row=unit_row,
        session_id=np.arange(G, dtype=np.int32),
        trial_id=np.zeros((G, B), np.int32),
    )


@functools.cache
def make_weights(config=MODEL):
    """Weights of the right shapes and away from their initial zeros, so that a leak would show."""

    def init(key):
        return ndt.init_params(key, config), stitcher.init_tables(key, config, np.asarray([N, N]), np.full(G * N, 0.3))

    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(init, jax.random.key(0))
    return jax.tree.map(lambda leaf: (0.4 * rng.standard_normal(leaf.shape)).astype(np.float32), shapes)


@functools.partial(jax.jit, static_argnames="config")
def log_rates_of(params, tables, batch, masks, schemes, config=MODEL):
    return ndt.log_rates(params, stitcher.gather_rows(tables, batch), batch, masks, schemes, config)


@functools.partial(jax.jit, static_argnames="config")
def gradient_of(params, tables, batch, masks, schemes, weights, config):
    """Gradient of sum(weights * log_rates) with respect to the counts, [G, b, T, N]."""

    def readout(counts):
        rows = stitcher.gather_rows(tables, batch)
        return jnp.sum(weights * ndt.log_rates(params, rows, batch._replace(counts=counts), masks, schemes, config))

    return jax.grad(readout)(batch.counts)


@jax.jit
def draw(batch, schemes):
    return masking.draw_masks(jax.random.key(0), batch, schemes, masking.MaskingConfig())


def masks_for(batch, scheme):
    schemes = jnp.full((G, B), masking.scheme_id(scheme), jnp.int32)
    return schemes, draw(batch, schemes)


def random_weights():
    return np.random.default_rng(5).standard_normal((G, B, T, N)).astype(np.float32)


@pytest.mark.parametrize("fields", VARIANTS, ids=["learned", "rotary", "all paths"])
@pytest.mark.parametrize("scheme", masking.SCHEMES)
def test_hidden_counts_have_zero_gradient_on_all_log_rates(scheme, fields):
    config = dataclasses.replace(MODEL, **fields)
    batch = make_batch()
    schemes, masks = masks_for(batch, scheme)
    gradient = np.asarray(gradient_of(*make_weights(config), batch, masks, schemes, random_weights(), config))
    visible = np.asarray(masks.visible())
    assert not visible.all()
    assert np.all(gradient[~visible] == 0)
    assert np.mean(gradient[visible] != 0) > 0.9  # and the visible ones matter


@pytest.mark.parametrize("fields", VARIANTS, ids=["learned", "rotary", "all paths"])
@pytest.mark.parametrize("bin_index", [0, 3, T - 2])
def test_causal_log_rates_ignore_later_counts_exactly(bin_index, fields):
    config = dataclasses.replace(MODEL, **fields)
    batch = make_batch()
    schemes = np.full((G, B), masking.CAUSAL, np.int32)
    nothing = masking.Masks(*(np.zeros((G, B, size), bool) for size in (N, T, N, T)))
    up_to_bin = random_weights()
    up_to_bin[:, :, bin_index + 1 :] = 0

    gradient = np.asarray(gradient_of(*make_weights(config), batch, nothing, schemes, up_to_bin, config))
    assert np.all(gradient[:, :, bin_index + 1 :] == 0)
    assert np.all(np.any(gradient[:, :, : bin_index + 1] != 0, axis=-1))
    other = np.full_like(schemes, masking.NEURON)  # the same network is not causal under another scheme
    gradient = np.asarray(gradient_of(*make_weights(config), batch, nothing, other, up_to_bin, config))
    assert np.any(gradient[:, :, bin_index + 1 :] != 0)


@pytest.mark.parametrize("fields", [{}, PATHS], ids=["plain", "all paths"])
def test_padding_of_units_and_bins_changes_nothing(fields):
    config = dataclasses.replace(MODEL, num_positions=T + 3, **fields)
    weights = make_weights(config)
    batch, wide = make_batch(), make_batch(width=N + 6)
    schemes, masks = masks_for(batch, "neuron")
    plain = log_rates_of(*weights, batch, masks, schemes, config)

    def pad(array, axis, size, value):
        sizes = [(0, size if a == axis else 0) for a in range(np.ndim(array))]
        return np.pad(np.asarray(array), sizes, constant_values=value)

    wide = wide._replace(
        counts=pad(pad(batch.counts, 3, 6, 7), 2, 3, 5), bin_valid=pad(batch.bin_valid, 2, 3, False)
    )  # junk in the padding
    wide_masks = masking.Masks(
        *(
            pad(m, 2, size, value)
            for m, size, value in zip(masks, (6, 3, 6, 3), (True, True, False, False), strict=True)
        )
    )
    padded = log_rates_of(*weights, wide, wide_masks, schemes, config)
    np.testing.assert_allclose(padded[:, :, :T, :N], plain, rtol=1e-5, atol=1e-5)


def test_sessions_of_equal_size_share_no_row():
    batch = make_batch()
    _, tables = make_weights()
    rows = jax.jit(lambda tables: stitcher.gather_rows(tables, batch))(tables)
    for name in tables:
        assert not np.any(np.asarray(rows[name][0]) == np.asarray(rows[name][1])), name


def test_padding_rows_read_zeros_and_not_the_last_row():
    wide = make_batch(width=N + 2)
    _, tables = make_weights()
    rows, wrapped = jax.jit(
        lambda tables: (
            stitcher.gather_rows(tables, wide),
            tables["read_in"].at[jnp.asarray([-1])].get(mode="fill", fill_value=0),
        )
    )(tables)
    assert np.all(np.asarray(rows["read_in"])[:, N:] == 0)
    assert np.any(np.asarray(wrapped) != 0)  # why padding is an index past the end and not -1


def test_paper_size_has_the_published_number_of_parameters():
    config = ModelConfig(
        read_in_width=668, embed_width=1336, width=512, num_layers=5, num_heads=8, mlp_width=1024,
        num_positions=100, num_session_rows=40, positions="learned", bin_mask_token=False, init="released",
    )  # fmt: skip
    shapes = jax.eval_shape(
        lambda: (
            ndt.init_params(jax.random.key(0), config),
            stitcher.init_tables(jax.random.key(0), config, np.asarray([676]), np.full(676, 0.1)),
        )
    )
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes)) == 12_966_024


def test_parameter_names_and_shapes_of_a_small_model_are_frozen():
    params, tables = make_weights()
    flat = {
        "/".join(key.key for key in path): leaf.shape for path, leaf in jax.tree_util.tree_flatten_with_path(params)[0]
    }
    layers = "transformer/layers/"
    assert flat == {
        "bin_mask_token": (8,),
        "prompts": (4, 8),
        "positions": (8, 8),
        "tokenizer/embed/kernel": (6, 7),
        "tokenizer/embed/bias": (7,),
        "tokenizer/project/kernel": (7, 8),
        "tokenizer/project/bias": (8,),
        "transformer/norm/scale": (8,),
        "transformer/norm/bias": (8,),
        **{layers + f"{norm}/{leaf}": (3, 8) for norm in ("norm_attention", "norm_mlp") for leaf in ("scale", "bias")},
        **{layers + f"{name}/kernel": (3, 8, 8) for name in ("query", "key", "value", "output")},
        **{layers + f"{name}/bias": (3, 8) for name in ("query", "key", "value", "output")},
        layers + "expand/kernel": (3, 8, 12),
        layers + "expand/bias": (3, 12),
        layers + "contract/kernel": (3, 12, 8),
        layers + "contract/bias": (3, 8),
    }
    assert {name: table.shape for name, table in tables.items()} == {
        "read_in": (20, 6),
        "read_out": (20, 8),
        "read_out_bias": (20,),
        "read_in_bias": (2, 6),
        "session_token": (2, 8),
    }


def test_scaled_init_starts_at_each_units_mean_rate():
    batch = make_batch()
    mean_counts = np.random.default_rng(0).uniform(0.01, 0.5, G * N).astype(np.float32)
    params, _ = make_weights()
    init = jax.jit(lambda mean: stitcher.init_tables(jax.random.key(0), MODEL, jnp.asarray([N, N]), mean))
    schemes, masks = masks_for(batch, "neuron")
    log_rates = log_rates_of(params, init(mean_counts), batch, masks, schemes)
    expected = np.broadcast_to(mean_counts.reshape(G, 1, 1, N), log_rates.shape)
    np.testing.assert_allclose(np.exp(log_rates), expected, rtol=1e-5)


@pytest.mark.parametrize("fields", [{}, PATHS], ids=["plain", "all paths"])
def test_a_hidden_unit_that_reads_as_its_mean_leaves_the_latents_where_they_are(fields):
    """With counts at their base rates nothing is news: hiding changes no log-rate, unless a zero reads as silence."""
    config = dataclasses.replace(MODEL, **fields)
    params, tables = make_weights(config)
    batch = make_batch()
    rates = np.exp(tables["read_out_bias"]).reshape(G, 1, 1, N)
    batch = batch._replace(counts=np.broadcast_to(rates, batch.counts.shape).astype(np.float32))
    schemes, masks = masks_for(batch, "neuron")
    nothing = masking.Masks(*(np.zeros_like(mask) for mask in masks))
    hidden, shown = (np.asarray(log_rates_of(params, tables, batch, m, schemes, config)) for m in (masks, nothing))
    assert np.allclose(hidden, shown, rtol=1e-4, atol=1e-5) == bool(fields)


def test_a_unit_predicted_from_its_own_history_alone_gets_nothing_from_the_states():
    """In training and under the causal scheme only; an evaluation knows no such units."""
    config = dataclasses.replace(MODEL, **{**PATHS, "link": "exp"}, own_alone_share=0.5)
    params, tables = make_weights(config)
    batch = make_batch()

    @jax.jit
    def log_rates(params, tables, batch, key, schemes, masks):
        rows = stitcher.gather_rows(tables, batch)
        return ndt.log_rates(params, rows, batch, masks, schemes, config, key)

    for scheme, share in (("causal", 0.5), ("neuron", 0.0)):
        schemes, masks = masks_for(batch, scheme)
        key = jax.random.key(3)
        blind = {**tables, "read_out": 0 * tables["read_out"]}
        with_states, without = (log_rates(params, t, batch, key, schemes, masks) for t in (tables, blind))
        alone = np.asarray((with_states == without).all(2))  # [G, B, N]
        assert alone.any() == (share > 0) and abs(alone.mean() - share) < 0.2
        assert len(np.unique(alone.reshape(G * B, N), axis=0)) == (G * B if share else 1)  # each trial draws for itself
    schemes, masks = masks_for(batch, "causal")
    plain = dataclasses.replace(config, own_alone_share=0.0)
    args = (params, tables, batch, masks, schemes)
    np.testing.assert_array_equal(log_rates_of(*args, config), log_rates_of(*args, plain))


def test_dropout_of_states_reaches_the_read_out_in_training_only():
    config = dataclasses.replace(MODEL, dropout_embed=0.0, dropout=0.0, dropout_states=0.5)
    params, tables = make_weights(config)
    batch = make_batch()
    schemes, masks = masks_for(batch, "neuron")

    @jax.jit
    def both(params, tables, batch, masks, key):
        rows = stitcher.gather_rows(tables, batch)
        return [ndt.hidden_states(params, rows, batch, masks, schemes, config, k) for k in (key, None)]

    kept, whole = map(np.asarray, both(params, tables, batch, masks, jax.random.key(0)))
    assert abs((kept == 0).mean() - 0.5) < 0.05
    np.testing.assert_allclose(kept[kept != 0], 2 * whole[kept != 0], rtol=1e-5)
    assert len(np.unique((kept == 0).reshape(G * B, -1), axis=0)) == G * B


@pytest.mark.parametrize("link", ["exp", "softplus"])
def test_one_unit_read_out_equals_its_column_of_the_full_read_out(link):
    _, tables = make_weights()
    batch = jax.tree.map(lambda leaf: leaf[:1], make_batch())
    hidden = np.random.default_rng(1).standard_normal((1, B, T, MODEL.width)).astype(np.float32)
    unit = np.asarray([4, 0, 9])

    @jax.jit
    def both(tables, hidden, unit):
        rows = stitcher.gather_rows(tables, batch)
        return stitcher.read_out(rows, hidden, link)[0], stitcher.read_out_one_unit(rows, hidden, unit, link)

    full, one = map(np.asarray, both(tables, hidden, unit))
    np.testing.assert_allclose(one, full[np.arange(B), :, unit], rtol=1e-5)


def test_what_a_unit_is_expected_to_do_is_trained_as_the_bias_of_its_log_rate_alone():
    """Base rates enter as constants where counts are centred, weighed and compared: only the bias itself is left."""
    config = dataclasses.replace(MODEL, **PATHS)
    params, tables = make_weights(config)
    batch, weights = make_batch(), random_weights()
    schemes, masks = masks_for(batch, "neuron")

    def weighted_sum(bias, tables, params):
        rates = log_rates_of(params, tables | {"read_out_bias": bias}, batch, masks, schemes, config)
        return jnp.sum(weights * rates)

    found = jax.jit(jax.grad(weighted_sum))(tables["read_out_bias"], tables, params)
    np.testing.assert_allclose(found, weights.sum((1, 2)).ravel(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("scheme", ["temporal", "causal"])
def test_a_hidden_bin_is_left_out_of_what_is_smoothed(scheme):
    """Counts that stay the same from bin to bin have the same means over any of the bins, unless a hidden one counts.

    The transformer is silenced, so that the linear path is all that reaches the read-out.
    """
    config = dataclasses.replace(MODEL, linear_path=True)
    params, tables = make_weights(config)
    norm = {name: np.zeros_like(leaf) for name, leaf in params["transformer"]["norm"].items()}
    params = params | {"transformer": params["transformer"] | {"norm": norm}}
    batch = make_batch()
    batch = batch._replace(counts=np.repeat(batch.counts[:, :, :1], T, axis=2))
    schemes, masks = masks_for(batch, scheme)
    nothing = masking.Masks(*(np.zeros_like(mask) for mask in masks))
    hidden, shown = (np.asarray(log_rates_of(params, tables, batch, m, schemes, config)) for m in (masks, nothing))
    seen = ~np.asarray(masks.hidden_bins)
    told = np.logical_or.accumulate(seen, axis=2) if scheme == "causal" else seen.any(2, keepdims=True) | seen
    assert (told & ~seen).any() and np.ptp(shown[told], axis=0).max() > 0.1
    np.testing.assert_allclose(hidden[told], shown[told], rtol=1e-4, atol=1e-5)


def test_dropout_of_tokens_is_drawn_for_each_of_two_equal_trials():
    config = dataclasses.replace(MODEL, num_layers=1, dropout=0.0, dropout_embed=0.5)
    params, tables = make_weights(config)
    batch = make_batch()
    batch = batch._replace(counts=np.repeat(batch.counts[:, :1], B, axis=1))
    masks = masking.Masks(*(np.zeros((G, B, size), bool) for size in (N, T, N, T)))
    schemes = np.full((G, B), masking.NEURON, np.int32)

    @jax.jit
    def states(params, tables, key):
        return ndt.hidden_states(params, stitcher.gather_rows(tables, batch), batch, masks, schemes, config, key)

    found = np.asarray(states(params, tables, jax.random.key(0)))
    assert (found[:, 1:] != found[:, :-1]).any((2, 3)).all()
