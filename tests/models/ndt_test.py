"""The model reads what it may read, and nothing else: gradients that must be exactly zero are."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax import schemes
from neurojax.batch import Batch
from neurojax.errors import InputError
from neurojax.facts import Facts
from neurojax.models import ndt_linear, roots, stitcher
from neurojax.models.interface import Weights, gather_rows
from neurojax.objectives import mtm
from neurojax.objectives.interface import Query
from neurojax.train import state
from tests.configs_for_tests import linear_config, model_of, mtm_config, ndt_config, random_weights

G, B, T, N = 2, 3, 8, 10
SIZES = dict(read_in_width=6, embed_width=7, width=8, num_layers=3, num_heads=2, mlp_width=12, num_positions=T)
MODEL = ndt_config(**SIZES, positions="learned")
ROTARY = ndt_config(**SIZES, positions="rotary")
LINEAR = linear_config(**SIZES, positions="rotary", posterior_noise=0.5)
VARIANTS = pytest.mark.parametrize("config", [MODEL, ROTARY, LINEAR], ids=["learned", "rotary", "linear"])
FACTS = Facts(num_bins=T, bin_size_s=0.02, units_per_session=(N, N), mean_counts=np.full(G * N, 0.3, np.float32))
REGIONS = np.asarray([0, 0, 0, 0, 1, 1, 1, 2, 2, -1], np.int32)


def make_batch(seed=0, width=N) -> Batch:
    counts = np.random.default_rng(seed).poisson(1.0, (G, B, T, width)).astype(np.uint8)
    region_id = np.full((G, width), -1, np.int32)
    region_id[:, :N] = REGIONS
    unit_row = np.full((G, width), G * N, np.int32)
    unit_row[:, :N] = np.arange(G * N).reshape(G, N)
    counts[..., N:] = 0
    return Batch(
        trials={
            "counts": counts.astype(np.float32),
            "bin_valid": np.ones((G, B, T), bool),
            "trial_id": np.zeros((G, B), np.int32),
        },
        groups={
            "unit_valid": unit_row < G * N,
            "region_id": region_id,
            "unit_row": unit_row,
            "session_row": np.arange(G, dtype=np.int32),
        },
    )


@functools.cache
def make_weights(config=MODEL):
    return random_weights(config, FACTS)


def outputs(params, tables, batch, query, config, key=None):
    """What training and evaluation compute: rows of the batch, inputs of the objective, the model."""
    module = model_of(config).module
    weights = Weights(params, gather_rows(tables, module.tables(config), batch))
    return module.apply(weights, mtm.inputs(batch, query, mtm_config()), config, train=key is not None, key=key)


@functools.partial(jax.jit, static_argnames="config")
def log_rates_of(params, tables, batch, query, config=MODEL):
    return outputs(params, tables, batch, query, config).natural


@functools.partial(jax.jit, static_argnames="config")
def gradient_of(params, tables, batch, query, weights, config):
    """Gradient of sum(weights * log_rates) with respect to the counts, [G, b, T, N]."""

    def readout(counts):
        log_rates = outputs(params, tables, batch.with_trials(counts=counts), query, config).natural
        return jnp.sum(weights * log_rates)

    return jax.grad(readout)(batch.trials["counts"])


@jax.jit
def draw(batch, scheme):
    single_bins = mtm_config(causal_ratio=0.6, causal_span_share=0.0, region_size_power=0.0)
    return mtm.draw_query(jax.random.key(0), batch, scheme, single_bins)


def query_for(batch, scheme) -> Query:
    return draw(batch, jnp.full((G, B), schemes.scheme_id(scheme), jnp.int32))


def nothing_hidden(scheme: int) -> Query:
    asked_as = np.full((G, B), scheme, np.int32)
    return Query(np.zeros((G, B, N), bool), np.zeros((G, B, T), bool), asked_as)


def everything_shown(query: Query) -> Query:
    """The same question about trials of which nothing is hidden."""
    return query._replace(hidden_units=np.zeros_like(query.hidden_units), hidden_bins=np.zeros_like(query.hidden_bins))


def random_read_out():
    return np.random.default_rng(5).standard_normal((G, B, T, N)).astype(np.float32)


@VARIANTS
@pytest.mark.parametrize("scheme", schemes.SCHEMES)
def test_hidden_counts_have_zero_gradient_on_all_log_rates(scheme, config):
    batch = make_batch()
    query = query_for(batch, scheme)
    gradient = np.asarray(gradient_of(*make_weights(config), batch, query, random_read_out(), config))
    visible = np.asarray(query.visible())
    assert not visible.all()
    assert np.all(gradient[~visible] == 0)
    assert np.mean(gradient[visible] != 0) > 0.9  # and the visible ones matter


@VARIANTS
@pytest.mark.parametrize("bin_index", [0, 3, T - 2])
def test_causal_log_rates_ignore_later_counts_exactly(bin_index, config):
    batch = make_batch()
    up_to_bin = random_read_out()
    up_to_bin[:, :, bin_index + 1 :] = 0

    def gradient_as(scheme):
        query = nothing_hidden(scheme)
        return np.asarray(gradient_of(*make_weights(config), batch, query, up_to_bin, config))

    gradient = gradient_as(schemes.CAUSAL)
    assert np.all(gradient[:, :, bin_index + 1 :] == 0)
    assert np.all(np.any(gradient[:, :, : bin_index + 1] != 0, axis=-1))
    other = gradient_as(schemes.NEURON)  # the same network is not causal under another scheme
    assert np.any(other[:, :, bin_index + 1 :] != 0)


@pytest.mark.parametrize("make_config", [ndt_config, linear_config])
def test_padding_of_units_and_bins_changes_nothing(make_config):
    config = make_config(**SIZES | {"num_positions": T + 3}, positions="learned")
    weights = make_weights(config)
    batch, wide = make_batch(), make_batch(width=N + 6)
    query = query_for(batch, "neuron")
    plain = log_rates_of(*weights, batch, query, config)

    def pad(array, axis, size, value):
        sizes = [(0, size if a == axis else 0) for a in range(np.ndim(array))]
        return np.pad(np.asarray(array), sizes, constant_values=value)

    junk = pad(pad(batch.trials["counts"], 3, 6, 7), 2, 3, 5)
    wide = wide.with_trials(counts=junk, bin_valid=pad(batch.trials["bin_valid"], 2, 3, False))
    wide_query = Query(pad(query.hidden_units, 2, 6, True), pad(query.hidden_bins, 2, 3, True), query.scheme)
    padded = log_rates_of(*weights, wide, wide_query, config)
    np.testing.assert_allclose(padded[:, :, :T, :N], plain, rtol=1e-5, atol=1e-5)


def rows_of(batch, tables):
    return jax.jit(lambda tables: gather_rows(tables, stitcher.tables(MODEL), batch))(tables)


def test_sessions_of_equal_size_share_no_row():
    _, tables = make_weights()
    rows = rows_of(make_batch(), tables)
    assert set(rows) == set(tables)
    for name in tables:
        assert not np.any(np.asarray(rows[name][0]) == np.asarray(rows[name][1])), name


def test_rows_are_those_that_the_batch_names_for_units_and_for_sessions():
    """Sessions in another order than in the tables, and units in any order."""
    _, tables = make_weights()
    batch, rng = make_batch(), np.random.default_rng(2)
    units = rng.permutation(G * N).reshape(G, N).astype(np.int32)
    batch = batch._replace(groups=batch.groups | {"unit_row": units, "session_row": np.int32([1, 0])})
    rows, specs = rows_of(batch, tables), stitcher.tables(MODEL)
    for name, table in tables.items():
        wanted = table[units] if specs[name].rows == "unit" else table[[1, 0]]
        np.testing.assert_array_equal(rows[name], wanted, err_msg=name)
    assert {spec.rows for spec in specs.values()} == {"unit", "session"}


def test_padding_rows_read_zeros_and_not_the_last_row():
    _, tables = make_weights()
    rows = rows_of(make_batch(width=N + 2), tables)
    for name in ("read_in", "read_out", "read_out_bias"):
        assert np.all(np.asarray(rows[name])[:, N:] == 0), name
    wrapped = jax.jit(lambda table: table.at[jnp.asarray([-1])].get(mode="fill", fill_value=0))(tables["read_in"])
    assert np.any(np.asarray(wrapped) != 0)  # why padding is an index past the end and not -1


def test_paper_size_has_the_published_number_of_parameters():
    config = ndt_config(
        read_in_width=668, embed_width=1336, width=512, num_layers=5, num_heads=8, mlp_width=1024,
        num_positions=100, num_session_rows=40, positions="learned", bin_mask_token=False, init="released",
    )  # fmt: skip
    facts = Facts(100, 0.02, (676,), np.full(676, 0.1, np.float32))
    shapes = state.abstract_weights(model_of(config), facts)
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


def test_what_the_linear_model_adds_to_the_parameters_is_frozen():
    (params, tables), (plain, plain_tables) = make_weights(LINEAR), make_weights(ROTARY)
    own = {name: jax.tree.map(np.shape, params[name]) for name in set(params) - set(plain)}
    memories = {"both_ways": (3,), "past": (3,), "own": (3,)}
    path = {"kernel": (24, 8), "bias": (8,)}
    assert own == {"own_history": (3,), "linear_path": path, "log_memories": memories}
    assert {name: tables[name].shape for name in set(tables) - set(plain_tables)} == {"own_history": (20, 3)}
    assert set(plain) < set(params) and set(plain_tables) < set(tables)
    decaying = {name for name, spec in ndt_linear.tables(LINEAR).items() if spec.decays}
    assert decaying == {"read_in", "read_out"}


@pytest.mark.parametrize("config", [MODEL, LINEAR], ids=["plain", "linear"])
def test_scaled_init_starts_at_each_units_mean_rate(config):
    batch, module = make_batch(), model_of(config).module
    mean_counts = np.random.default_rng(0).uniform(0.01, 0.5, G * N).astype(np.float32)
    facts = dataclasses.replace(FACTS, mean_counts=mean_counts)
    params, _ = make_weights(config)
    if config is LINEAR:
        params = params | {"own_history": np.zeros(3, np.float32)}  # as every run starts
    init = jax.jit(lambda key: state.init_tables(key, module.tables(config), facts))
    log_rates = log_rates_of(params, init(jax.random.key(0)), batch, query_for(batch, "neuron"), config)
    expected = np.broadcast_to(mean_counts.reshape(G, 1, 1, N), log_rates.shape)
    np.testing.assert_allclose(np.exp(log_rates), expected, rtol=1e-5)


@pytest.mark.parametrize("config", [MODEL, LINEAR], ids=["plain", "linear"])
def test_a_hidden_unit_that_reads_as_its_mean_leaves_the_latents_where_they_are(config):
    """With counts as expected nothing is news: hiding changes no log-rate, unless a zero reads as silence."""
    params, tables = make_weights(config)
    batch = make_batch()
    rates = np.exp(tables["read_out_bias"]).reshape(G, 1, 1, N)
    if config is LINEAR:  # it expects of roots; its own history, of counts, is silenced
        rates = np.asarray(roots.moments(rates)[0]) ** 2
        params, tables = ({**part, "own_history": 0 * part["own_history"]} for part in (params, tables))
    counts = np.broadcast_to(rates, batch.trials["counts"].shape).astype(np.float32)
    batch, query = batch.with_trials(counts=counts), query_for(make_batch(), "neuron")
    asked = (query, everything_shown(query))
    hidden, shown = (np.asarray(log_rates_of(params, tables, batch, q, config)) for q in asked)
    assert np.allclose(hidden, shown, rtol=1e-3, atol=5e-3) == (config is LINEAR)
    assert model_of(config).module.HIDES_BY_ZEROING == (config is MODEL)


def test_a_unit_predicted_from_its_own_history_alone_gets_nothing_from_the_states():
    """In training and under the causal scheme only; an evaluation knows no such units."""
    config = dataclasses.replace(LINEAR, own_alone_share=0.5)
    params, tables = make_weights(config)
    batch = make_batch()

    @jax.jit
    def log_rates(params, tables, batch, key, query):
        return outputs(params, tables, batch, query, config, key).natural

    for scheme, share in (("causal", 0.5), ("neuron", 0.0)):
        query = query_for(batch, scheme)
        key = jax.random.key(3)
        blind = {**tables, "read_out": 0 * tables["read_out"]}
        with_states, without = (log_rates(params, t, batch, key, query) for t in (tables, blind))
        alone = np.asarray((with_states == without).all(2))  # [G, B, N]
        assert alone.any() == (share > 0) and abs(alone.mean() - share) < 0.2
        each_trial_for_itself = G * B if share else 1
        assert len(np.unique(alone.reshape(G * B, N), axis=0)) == each_trial_for_itself
    args = (params, tables, batch, query_for(batch, "causal"))
    np.testing.assert_array_equal(log_rates_of(*args, config), log_rates_of(*args, LINEAR))


def test_one_unit_read_out_equals_its_column_of_the_full_read_out():
    _, tables = make_weights()
    hidden = np.random.default_rng(1).standard_normal((G, B, T, MODEL.width)).astype(np.float32)
    unit = np.asarray([[4, 0, 9], [1, 1, 7]])

    @jax.jit
    def both(tables, hidden, unit):
        rows = gather_rows(tables, stitcher.tables(MODEL), make_batch())
        return stitcher.log_rates(rows, hidden), stitcher.log_rates(rows, hidden, unit)

    full, one = map(np.asarray, both(tables, hidden, unit))
    assert one.shape == (G, B, T, 1)
    expected = np.take_along_axis(full, unit[..., None, None], axis=-1)
    np.testing.assert_allclose(one, expected, rtol=1e-5, atol=1e-6)


def test_what_a_unit_is_expected_to_do_is_trained_as_the_bias_of_its_log_rate_alone():
    """Base rates enter as constants where counts are centred, weighed and compared: only the bias itself is left."""
    params, tables = make_weights(LINEAR)
    batch, weights = make_batch(), random_read_out()
    query = query_for(batch, "neuron")

    def weighted_sum(bias, tables, params):
        return jnp.sum(weights * log_rates_of(params, tables | {"read_out_bias": bias}, batch, query, LINEAR))

    found = jax.jit(jax.grad(weighted_sum))(tables["read_out_bias"], tables, params)
    rates = np.exp(log_rates_of(params, tables, batch, query, LINEAR))
    ceilings = stitcher.CEILING * np.exp(tables["read_out_bias"]).reshape(G, 1, 1, N) + 1
    slopes = weights * (1 - rates / ceilings)  # of what is bounded
    np.testing.assert_allclose(found, slopes.sum((1, 2)).ravel(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scheme", ["temporal", "causal"])
def test_a_hidden_bin_is_left_out_of_what_is_smoothed(scheme):
    """Counts that stay the same from bin to bin have the same means over any of the bins, unless a hidden one counts.

    Transformer and own history are silenced, so that the linear path is all that reaches the read-out.
    """
    params, tables = make_weights(LINEAR)
    norm = {name: np.zeros_like(leaf) for name, leaf in params["transformer"]["norm"].items()}
    params = params | {"transformer": params["transformer"] | {"norm": norm}, "own_history": np.zeros(3, np.float32)}
    tables = tables | {"own_history": np.zeros_like(tables["own_history"])}
    batch = make_batch()
    batch = batch.with_trials(counts=np.repeat(batch.trials["counts"][:, :, :1], T, axis=2))
    query = query_for(batch, scheme)
    asked = (query, everything_shown(query))
    hidden, shown = (np.asarray(log_rates_of(params, tables, batch, q, LINEAR)) for q in asked)
    seen = ~np.asarray(query.hidden_bins)
    told = np.logical_or.accumulate(seen, axis=2) if scheme == "causal" else seen.any(2, keepdims=True) | seen
    assert (told & ~seen).any() and np.ptp(shown[told], axis=0).max() > 0.1
    np.testing.assert_allclose(hidden[told], shown[told], rtol=1e-4, atol=1e-5)


def test_dropout_of_tokens_is_drawn_for_each_of_two_equal_trials():
    config = dataclasses.replace(MODEL, num_layers=1, dropout=0.0, dropout_embed=0.5)
    params, tables = make_weights(config)
    batch = make_batch()
    batch = batch.with_trials(counts=np.repeat(batch.trials["counts"][:, :1], B, axis=1))
    query = nothing_hidden(schemes.NEURON)

    @jax.jit
    def states(params, tables, key):
        return outputs(params, tables, batch, query, config, key).states

    found = np.asarray(states(params, tables, jax.random.key(0)))
    assert (found[:, 1:] != found[:, :-1]).any((2, 3)).all()


@pytest.mark.parametrize(
    "values, message",
    [
        ({"width": 9}, "model.width=9 is not a multiple of model.num_heads=2"),
        ({"width": 6, "positions": "rotary"}, "even head width, got 6 / 2"),
        ({"read_in_width": 0}, "model.read_in_width=0; expected at least 1"),
        ({"embed_width": -1}, "model.embed_width=-1; expected 0 or more"),
        ({"dropout_embed": 1.0}, r"model.dropout_embed=1.0; expected a share in \[0, 1\)"),
        ({"read_in_init": "pca"}, "model.read_in_init='pca'; choose from random, principal"),
        ({"attention": "cudnn", "dropout_attention": 0.1}, "set that to 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        ndt_config(**SIZES | values)


def test_a_posterior_without_noise_is_refused():
    with pytest.raises(InputError, match="model.posterior_noise=0.0; expected a positive ratio"):
        linear_config(posterior_noise=0.0)
