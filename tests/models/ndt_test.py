"""The model reads what it may read, and nothing else: gradients that must be exactly zero are."""

import dataclasses
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
REGIONS = np.asarray([0, 0, 0, 0, 1, 1, 1, 2, 2, -1], np.int32)


def make_batch(seed=0, width=N) -> Batch:
    counts = np.random.default_rng(seed).poisson(1.0, (G, B, T, width)).astype(np.uint8)
    region_id = np.full((G, width), -1, np.int32)
    region_id[:, :N] = REGIONS
    unit_row = np.full((G, width), G * N, np.int32)
    unit_row[:, :N] = np.arange(G * N).reshape(G, N)
    counts[..., N:] = 0
    return Batch(
        counts=jnp.asarray(counts, jnp.float32),
        bin_valid=jnp.ones((G, B, T), bool),
        unit_valid=jnp.asarray(unit_row < G * N),
        region_id=jnp.asarray(region_id),
        unit_row=jnp.asarray(unit_row),
        session_id=jnp.arange(G, dtype=jnp.int32),
        trial_id=jnp.zeros((G, B), jnp.int32),
    )


def make_weights(config=MODEL, seed=0):
    """Weights away from their initial zeros, so that a leak would show."""
    key = jax.random.key(seed)
    sizes = jnp.asarray([N, N])
    params = ndt.init_params(key, config)
    tables = stitcher.init_tables(key, config, sizes, jnp.full(G * N, 0.3))
    tables = {
        name: table + 0.3 * jax.random.normal(jax.random.fold_in(key, i), table.shape)
        for i, (name, table) in enumerate(tables.items())
    }
    return params, tables


def masks_for(batch, scheme, seed=0):
    schemes = jnp.full((G, B), masking.scheme_id(scheme), jnp.int32)
    return schemes, masking.draw_masks(jax.random.key(seed), batch, schemes, masking.MaskingConfig())


@pytest.mark.parametrize("positions", ["learned", "rotary"])
@pytest.mark.parametrize("scheme", masking.SCHEMES)
def test_hidden_counts_have_zero_gradient_on_all_log_rates(scheme, positions):
    config = dataclasses.replace(MODEL, positions=positions)
    batch = make_batch()
    params, tables = make_weights(config)
    schemes, masks = masks_for(batch, scheme)
    weights = jax.random.normal(jax.random.key(5), (G, B, T, N))

    def readout(counts):
        rows = stitcher.gather_rows(tables, batch)
        log_rates = ndt.log_rates(params, rows, batch._replace(counts=counts), masks, schemes, config)
        return jnp.sum(weights * log_rates)

    gradient = np.asarray(jax.grad(readout)(batch.counts))
    visible = np.asarray(masks.visible())
    assert np.all(gradient[~visible] == 0)
    assert np.mean(gradient[visible] != 0) > 0.9  # and the visible ones matter


@pytest.mark.parametrize("positions", ["learned", "rotary"])
@pytest.mark.parametrize("bin_index", [0, 3, T - 2])
def test_causal_log_rates_ignore_later_counts_exactly(bin_index, positions):
    config = dataclasses.replace(MODEL, positions=positions)
    batch = make_batch()
    params, tables = make_weights(config)
    schemes = jnp.full((G, B), masking.CAUSAL, jnp.int32)
    nothing = masking.Masks(*(jnp.zeros((G, B, size), bool) for size in (N, T, N, T)))
    weights = jax.random.normal(jax.random.key(5), (G, B, bin_index + 1, N))

    def up_to_bin(counts, schemes):
        rows = stitcher.gather_rows(tables, batch)
        log_rates = ndt.log_rates(params, rows, batch._replace(counts=counts), nothing, schemes, config)
        return jnp.sum(weights * log_rates[:, :, : bin_index + 1])

    gradient = np.asarray(jax.grad(up_to_bin)(batch.counts, schemes))
    assert np.all(gradient[:, :, bin_index + 1 :] == 0)
    assert np.all(np.any(gradient[:, :, : bin_index + 1] != 0, axis=-1))
    other = np.asarray(jax.grad(up_to_bin)(batch.counts, jnp.full_like(schemes, masking.NEURON)))
    assert np.any(other[:, :, bin_index + 1 :] != 0)  # the same network is not causal under another scheme


def test_padding_of_units_and_bins_changes_nothing():
    config = dataclasses.replace(MODEL, num_positions=T + 3)
    params, tables = make_weights(config)
    batch, wide = make_batch(), make_batch(width=N + 6)
    schemes, masks = masks_for(batch, "neuron")
    plain = ndt.log_rates(params, stitcher.gather_rows(tables, batch), batch, masks, schemes, config)

    pad = lambda array, axis, size, value: jnp.pad(  # noqa: E731
        array, [(0, size if a == axis else 0) for a in range(array.ndim)], constant_values=value
    )
    wide = wide._replace(
        counts=pad(pad(batch.counts, 3, 6, 7), 2, 3, 5), bin_valid=pad(batch.bin_valid, 2, 3, False)
    )  # junk in the padding
    wide_masks = masking.Masks(
        *(
            pad(m, 2, size, value)
            for m, size, value in zip(masks, (6, 3, 6, 3), (True, True, False, False), strict=True)
        )
    )
    padded = ndt.log_rates(params, stitcher.gather_rows(tables, wide), wide, wide_masks, schemes, config)
    np.testing.assert_allclose(padded[:, :, :T, :N], plain, rtol=1e-5, atol=1e-5)


def test_sessions_of_equal_size_share_no_row():
    batch = make_batch()
    _, tables = make_weights()
    rows = stitcher.gather_rows(tables, batch)
    for name in tables:
        assert not np.any(np.asarray(rows[name][0]) == np.asarray(rows[name][1])), name


def test_padding_rows_read_zeros_and_not_the_last_row():
    wide = make_batch(width=N + 2)
    _, tables = make_weights()
    rows = stitcher.gather_rows(tables, wide)
    assert np.all(np.asarray(rows["read_in"])[:, N:] == 0)
    wrapped = tables["read_in"].at[jnp.asarray([-1])].get(mode="fill", fill_value=0)
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
    params = ndt.init_params(jax.random.key(0), MODEL)
    tables = stitcher.init_tables(jax.random.key(0), MODEL, jnp.asarray([N, N]), jnp.asarray(mean_counts))
    schemes, masks = masks_for(batch, "neuron")
    log_rates = ndt.log_rates(params, stitcher.gather_rows(tables, batch), batch, masks, schemes, MODEL)
    expected = np.broadcast_to(mean_counts.reshape(G, 1, 1, N), log_rates.shape)
    np.testing.assert_allclose(np.exp(log_rates), expected, rtol=1e-5)


def test_one_unit_read_out_equals_its_column_of_the_full_read_out():
    _, tables = make_weights()
    batch = jax.tree.map(lambda leaf: leaf[:1], make_batch())
    rows = stitcher.gather_rows(tables, batch)
    hidden = jax.random.normal(jax.random.key(1), (1, B, T, MODEL.width))
    unit = jnp.asarray([4, 0, 9])
    full = stitcher.read_out(rows, hidden)[0]
    one = stitcher.read_out_one_unit(rows, hidden, unit)
    np.testing.assert_allclose(one, full[jnp.arange(B), :, unit], rtol=1e-5)


def test_attention_with_dropout_is_the_fused_attention_in_the_mean():
    from neurojax.models.transformer import attention

    keys = jax.random.split(jax.random.key(0), 4)
    queries, keys_, values = (jax.random.normal(key, (2, 6, 2, 4)) for key in keys[:3])
    allowed = ndt.attention_mask(jnp.ones((2, 4), bool), jnp.asarray([True, False]), jnp.ones(2, bool))
    fused = attention(queries, keys_, values, allowed)
    draws = jax.vmap(lambda key: attention(queries, keys_, values, allowed, 0.3, key))(jax.random.split(keys[3], 3000))
    np.testing.assert_allclose(draws.mean(0), fused, atol=0.1)
    np.testing.assert_allclose(attention(queries, keys_, values, allowed, 1e-7, keys[3]), fused, rtol=1e-5, atol=1e-6)


def test_attention_mask_written_out():
    """Context [session, prompt], then three bins of which the last is padding; rows attend to columns."""
    bin_valid = jnp.asarray([[True, True, False]] * 2)
    allowed = ndt.attention_mask(bin_valid, jnp.asarray([True, False]), jnp.asarray([True, False]))
    causal = [
        [1, 1, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0],
        [1, 1, 1, 1, 1],
    ]
    no_prompt = [
        [1, 0, 1, 1, 0],
        [1, 1, 1, 1, 0],
        [1, 0, 1, 1, 0],
        [1, 0, 1, 1, 0],
        [1, 0, 1, 1, 1],
    ]
    np.testing.assert_array_equal(np.asarray(allowed[:, 0], int), [causal, no_prompt])
