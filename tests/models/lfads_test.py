"""LFADS: what it may read, what its divergences are, and that it learns dynamics."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.integrate
import scipy.stats

from neurojax import heads
from neurojax.batch import Batch
from neurojax.data.session import Session
from neurojax.errors import InputError
from neurojax.facts import Facts
from neurojax.models import divergences, interface, lfads
from neurojax.models.interface import SpikeInputs, Weights
from neurojax.objectives import elbo

G, B, T, N = 2, 3, 6, 5
CONFIG = lfads.Config(
    read_in_width=4,
    read_in_init="random",
    encoder_width=5,
    initial_state_width=3,
    controller_width=4,
    generator_width=6,
    num_inputs=2,
    num_factors=3,
    dropout=0.2,
    initial_state_variance=0.1,
    input_time_constant_s=0.1,
    input_noise_variance=0.1,
    variance_floor=1e-4,
)
FACTS = Facts(T, 0.02, (N, N), np.full(G * N, 0.5, np.float32))
OBJECTIVE = elbo.Config(
    kl_start_step=0,
    kl_stop_step=1,
    kl_weight=1.0,
    recurrent_l2=0.0,
    coordinated_dropout=0.25,
    units_share=0.0,
    regions_share=0.0,
    last_bins_share=0.0,
    units_ratio=0.3,
    last_bins_ratio=0.2,
)


def make_batch(seed=0) -> Batch:
    counts = np.random.default_rng(seed).poisson(1.0, (G, B, T, N)).astype(np.float32)
    return Batch(
        trials={
            "counts": counts,
            "bin_valid": np.ones((G, B, T), bool),
            "trial_id": np.zeros((G, B), np.int32),
        },
        groups={
            "unit_valid": np.ones((G, N), bool),
            "region_id": np.zeros((G, N), np.int32),
            "unit_row": np.arange(G * N, dtype=np.int32).reshape(G, N),
            "session_row": np.arange(G, dtype=np.int32),
        },
    )


@functools.cache
def make_weights() -> Weights:
    """Weights of the right shapes and away from their initial values, so that a leak would show."""

    def initial(key):
        specs = lfads.tables(CONFIG)
        made = {name: spec.init(key, FACTS) for name, spec in specs.items()}
        return lfads.init(key, CONFIG, FACTS)[0], interface.gather_rows(made, specs, make_batch())

    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(initial, jax.random.key(0))

    def away(leaf):
        return (0.5 * rng.standard_normal(leaf.shape)).astype(np.float32)

    return Weights(*jax.tree.map(away, shapes))


def all_visible(**changes) -> SpikeInputs:
    batch = make_batch()
    return SpikeInputs(
        counts=batch.trials["counts"],
        bin_valid=batch.trials["bin_valid"],
        hidden_units=np.zeros((G, B, N), bool),
        hidden_bins=np.zeros((G, B, T), bool),
        scheme=np.zeros((G, B), np.int32),
    )._replace(**changes)


@functools.partial(jax.jit, static_argnames="train")
def outputs_of(weights, inputs, key=None, train=False):
    return lfads.apply(weights, inputs, CONFIG, train=train, key=key)


def query_hiding(what: str) -> elbo.Query:
    rng = np.random.default_rng(3)
    hidden_units, hidden_bins = np.zeros((G, B, N), bool), np.zeros((G, B, T), bool)
    dropped = np.zeros((G, B, T, N), bool)
    if what == "units":
        hidden_units[..., 1:3] = True
    if what == "bins":
        hidden_bins[..., [2, T - 1]] = True
    if what == "entries":
        dropped = rng.random(dropped.shape) < 0.4
    return elbo.Query(hidden_units, hidden_bins, np.zeros((G, B), np.int32), dropped=dropped)


@jax.jit
def gradient_of(weights, batch, query, readout, key):
    """Gradient of sum(readout * log-rates) with respect to the counts, [G, b, T, N]."""

    def summed(counts):
        inputs = elbo.inputs(batch.with_trials(counts=counts), query, OBJECTIVE)
        return jnp.sum(readout * lfads.apply(weights, inputs, CONFIG, train=False, key=key).natural)

    return jax.grad(summed)(batch.trials["counts"])


@pytest.mark.parametrize("sampled", [False, True])
@pytest.mark.parametrize("what", ["units", "bins", "entries"])
def test_hidden_counts_have_zero_gradient_on_all_log_rates(what, sampled):
    query = query_hiding(what)
    readout = np.random.default_rng(5).standard_normal((G, B, T, N)).astype(np.float32)
    key = jax.random.key(1) if sampled else None
    gradient = np.asarray(gradient_of(make_weights(), make_batch(), query, readout, key))
    hidden = ~np.asarray(query.visible()) | query.dropped
    assert hidden.any() and np.all(gradient[hidden] == 0)
    assert np.mean(gradient[~hidden] != 0) > 0.9  # and the visible ones matter


def test_the_model_alone_reads_no_count_that_is_hidden_or_padded():
    bin_valid = np.ones((G, B, T), bool)
    bin_valid[..., 4:] = False
    hidden_units = np.zeros((G, B, N), bool)
    hidden_units[..., 0] = True
    inputs = all_visible(bin_valid=bin_valid, hidden_units=hidden_units)
    junk = inputs.counts.copy()
    junk[..., 0] = 7
    junk[:, :, 4:] = 9
    plain = outputs_of(make_weights(), inputs)
    other = outputs_of(make_weights(), inputs._replace(counts=junk))
    jax.tree.map(np.testing.assert_array_equal, plain, other)


def test_padded_bins_change_nothing():
    weights, inputs = make_weights(), all_visible()
    plain = outputs_of(weights, inputs)

    def padded(array, value):
        sizes = [(0, 2 * (axis == 2)) for axis in range(array.ndim)]
        return np.pad(array, sizes, constant_values=value)

    longer = outputs_of(
        weights,
        inputs._replace(
            counts=padded(inputs.counts, 3),
            bin_valid=padded(inputs.bin_valid, False),
            hidden_bins=padded(inputs.hidden_bins, False),
        ),
    )
    np.testing.assert_allclose(longer.natural[:, :, :T], plain.natural, atol=1e-5)
    for name in ("kl_initial_state", "kl_inputs"):
        np.testing.assert_allclose(longer.extras[name], plain.extras[name], rtol=1e-4)


def test_neither_the_order_of_units_nor_padded_units_matter():
    weights = make_weights()
    hidden_units = np.zeros((G, B, N), bool)
    hidden_units[..., 1] = True
    inputs = all_visible(hidden_units=hidden_units)
    plain = outputs_of(weights, inputs)
    order = np.r_[np.random.default_rng(1).permutation(N), [N] * 3]  # three places of padding

    def moved(array, axis):
        wide = np.pad(array, [(0, int(a == axis)) for a in range(array.ndim)])
        return np.take(wide, order, axis=axis)

    is_unit = ("read_in", "read_out", "read_out_bias")
    rows = {name: moved(a, 1) if name in is_unit else a for name, a in weights.rows.items()}
    other = outputs_of(
        weights._replace(rows=rows),
        inputs._replace(counts=moved(inputs.counts, 3), hidden_units=moved(hidden_units, 2)),
    )
    np.testing.assert_allclose(other.natural, moved(np.asarray(plain.natural), 3), atol=1e-5)
    np.testing.assert_allclose(other.extras["kl_inputs"], plain.extras["kl_inputs"], rtol=1e-4)


def test_the_unit_left_out_is_the_column_of_all_units():
    left_out = np.random.default_rng(2).integers(0, N, (G, B)).astype(np.int32)
    everything = outputs_of(make_weights(), all_visible()).natural
    alone = outputs_of(make_weights(), all_visible(left_out=left_out)).natural
    column = np.take_along_axis(np.asarray(everything), left_out[..., None, None], axis=-1)
    np.testing.assert_allclose(alone, column, atol=1e-5)


def test_latents_keep_their_scale_when_units_are_hidden():
    rows = {
        "read_in": np.ones((G, N, 4), np.float32),
        "read_in_bias": np.zeros((G, 4), np.float32),
        "read_out_bias": np.zeros((G, N), np.float32),
    }
    hidden_units = np.zeros((G, B, N), bool)
    hidden_units[:, 1:, :4] = True
    seen = np.asarray(lfads.visible_latents(rows, all_visible(hidden_units=hidden_units)))
    counts = all_visible().counts - 1  # the mean is one spike per bin
    np.testing.assert_allclose(seen[:, 0, :, 0], counts[:, 0].sum(-1), atol=1e-5)
    np.testing.assert_allclose(seen[:, 1, :, 0], N * counts[:, 1, :, 4], atol=1e-5)
    np.testing.assert_allclose(seen[:, :2, 0, -1], [[1.0, 1 / N]] * G, rtol=1e-5)


def test_samples_follow_their_key_and_without_one_there_is_no_chance():
    weights, inputs, key = make_weights(), all_visible(), jax.random.key(4)
    keys = (None, key, key, jax.random.key(5))
    mean, first, again, other = (outputs_of(weights, inputs, k).natural for k in keys)
    np.testing.assert_array_equal(first, again)
    assert np.all(np.any(np.asarray(first) != np.asarray(other), axis=(-2, -1)))
    assert np.all(np.any(np.asarray(first) != np.asarray(mean), axis=(-2, -1)))
    trained = outputs_of(weights, inputs, key, train=True).extras["kl_initial_state"]
    evaluated = outputs_of(weights, inputs, key).extras["kl_initial_state"]
    mean_path = outputs_of(weights, inputs).extras["kl_initial_state"]
    np.testing.assert_allclose(evaluated, mean_path, rtol=1e-5)  # no dropout outside training
    assert np.all(np.asarray(trained) != np.asarray(evaluated))
    with pytest.raises(ValueError, match="needs a key"):
        lfads.apply(weights, inputs, CONFIG, train=True, key=None)


def test_factors_have_rows_of_unit_length():
    weights, inputs = make_weights(), all_visible()
    scale = np.asarray([0.2, 3.0, 10.0], np.float32)
    params = weights.params | {"factors": weights.params["factors"] * scale}
    plain, scaled = outputs_of(weights, inputs), outputs_of(weights._replace(params=params), inputs)
    np.testing.assert_allclose(scaled.states, plain.states, atol=1e-5)


@pytest.mark.parametrize("gaussians", [(0.3, 0.5, -0.2, 0.1), (1.0, 0.01, 0.0, 2.0), (0, 1, 0, 1)])
def test_the_divergence_of_gaussians_is_its_integral(gaussians):
    mean, variance, prior_mean, prior_variance = gaussians
    posterior = scipy.stats.norm(mean, variance**0.5)
    prior = scipy.stats.norm(prior_mean, prior_variance**0.5)

    def integrand(value):
        return posterior.pdf(value) * (posterior.logpdf(value) - prior.logpdf(value))

    width = 10 * variance**0.5
    integral = scipy.integrate.quad(integrand, mean - width, mean + width)[0]
    found = divergences.gaussian(*(jnp.asarray(value, jnp.float32) for value in gaussians))
    np.testing.assert_allclose(found, integral, atol=1e-4)


def ar1_covariance(carried: float, noise_variance: float) -> np.ndarray:
    lags = np.abs(np.subtract.outer(np.arange(T), np.arange(T)))
    return noise_variance / (1 - carried**2) * carried**lags


def prior_of(time_constant_bins: float, noise_variance: float):
    logs = np.log([[time_constant_bins], [noise_variance]]).astype(np.float32)
    return {"log_time_constant_bins": logs[0], "log_noise_variance": logs[1]}


def test_a_path_known_for_certain_costs_its_density_under_the_ar1_process():
    time_constant_bins, noise_variance, variance = 4.0, 0.3, 1e-5
    path = np.random.default_rng(0).standard_normal(T)
    covariance = ar1_covariance(np.exp(-1 / time_constant_bins), noise_variance)
    log_density = scipy.stats.multivariate_normal(np.zeros(T), covariance).logpdf(path)
    entropy = T * 0.5 * np.log(2 * np.pi * np.e * variance)
    means = path[:, None].astype(np.float32)
    prior = prior_of(time_constant_bins, noise_variance)
    cost = divergences.ar1(prior, means, np.full_like(means, variance), means).sum()
    np.testing.assert_allclose(cost, -entropy - log_density, rtol=1e-3)


def test_the_divergence_from_the_ar1_process_is_right_in_the_mean_over_paths():
    rng = np.random.default_rng(1)
    means, variances = rng.standard_normal(T), rng.uniform(0.1, 0.6, T)
    covariance = ar1_covariance(np.exp(-1 / 3.0), 0.5)
    inverse = np.linalg.inv(covariance)
    exact = 0.5 * (
        np.trace(inverse @ np.diag(variances))
        + means @ inverse @ means
        - T
        + np.linalg.slogdet(covariance)[1]
        - np.log(variances).sum()
    )
    shape = (T, 20_000, 1)
    of_paths = [np.broadcast_to(a[:, None, None], shape) for a in (means, variances)]
    of_paths = [array.astype(np.float32) for array in of_paths]
    drawn = of_paths[0] + np.sqrt(of_paths[1]) * rng.standard_normal(shape).astype(np.float32)
    costs = np.asarray(divergences.ar1(prior_of(3.0, 0.5), *of_paths, drawn).sum(0))
    error = costs.std() / np.sqrt(len(costs))
    assert abs(costs.mean() - exact) < 4 * error and error < 0.01 * exact


def test_time_constants_are_seconds_whatever_the_bin():
    def bins_of(bin_size_s):
        facts = dataclasses.replace(FACTS, bin_size_s=bin_size_s)
        initial = jax.jit(lambda key: lfads.init(key, CONFIG, facts)[0]["input_prior"])
        return np.exp(initial(jax.random.key(0))["log_time_constant_bins"])

    np.testing.assert_allclose([bins_of(0.02), bins_of(0.01)], [[5.0] * 2, [10.0] * 2], rtol=1e-5)


@pytest.mark.parametrize(
    "change",
    [{"num_inputs": 0}, {"dropout": 1.0}, {"variance_floor": np.inf}, {"read_in_init": "pca"}],
)
def test_a_config_without_sense_is_refused(change):
    with pytest.raises(InputError, match=f"model.{next(iter(change))}="):
        dataclasses.replace(CONFIG, **change)


def test_data_without_spikes_are_refused():
    with pytest.raises(InputError, match="reads spikes"):
        signals = Facts(T, 0.02, num_channels=3)
        lfads.tables(CONFIG)["read_out_bias"].init(jax.random.key(0), signals)


def test_principal_read_in_rows_come_without_a_bias():
    """Counts are read around their mean already; a second centring would shift the latents."""
    counts = np.random.default_rng(0).poisson(0.5, (G, 20, T, N))
    sessions = [
        Session.from_counts(of_session, bin_size_s=0.02, session_id=f"s{number}")
        for number, of_session in enumerate(counts)
    ]
    assert lfads.fitted_rows(CONFIG, sessions, FACTS) == {}
    principal = dataclasses.replace(CONFIG, read_in_init="principal")
    rows = lfads.fitted_rows(principal, sessions, FACTS)
    assert set(rows) == {"read_in"} and rows["read_in"].shape == (G * N, CONFIG.read_in_width)


def oscillations(num_trials: int, seed: int) -> np.ndarray:
    """Counts [trials, 12, 12] of units that follow one rotation of random phase."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, (num_trials, 1)) + 0.6 * np.arange(12)
    loadings = np.random.default_rng(99).standard_normal((2, 12))
    return rng.poisson(np.exp(1.2 * np.stack([np.cos(angle), np.sin(angle)], -1) @ loadings - 0.5))


def test_it_learns_a_rotation_and_pays_for_what_it_infers():
    """Held-out trials, some units hidden: better than each unit's mean, at a cost above 0."""
    counts = oscillations(160, seed=0)
    means = counts[:128].mean((0, 1)).astype(np.float32)
    facts, batch_trials, rate = Facts(12, 0.02, (12,), means), 32, 0.03
    config = dataclasses.replace(CONFIG, encoder_width=12, generator_width=16, dropout=0.0)
    objective = dataclasses.replace(OBJECTIVE, kl_stop_step=40, units_share=0.5)
    specs, head = lfads.tables(config), heads.named("poisson")

    def batch_of(trials) -> Batch:
        valid = {"bin_valid": np.ones((1, len(trials), 12), bool), "trial_id": trials[None]}
        rows = np.arange(12, dtype=np.int32)[None]
        return Batch(
            trials={"counts": counts[trials][None].astype(np.float32), **valid},
            groups={
                "unit_valid": np.ones((1, 12), bool),
                "region_id": np.zeros((1, 12), np.int32),
                "unit_row": rows,
                "session_row": np.zeros(1, np.int32),
            },
        )

    def sums_of(state, batch, query, step, key, train):
        params, tables = state
        weights = Weights(params, interface.gather_rows(tables, specs, batch))
        apply = functools.partial(lfads.apply, config=config, train=train)
        return elbo.loss(apply, head, weights, batch, query, step, key, objective)

    optimizer = optax.adam(rate)

    @jax.jit
    def trained(state, moments, batch, step):
        draw_key, key = jax.random.split(jax.random.key(step))
        query = elbo.draw(draw_key, batch, step, objective)
        gradient = jax.grad(lambda s: sums_of(s, batch, query, step, key, True).loss())(state)
        updates, moments = optimizer.update(gradient, moments)
        return optax.apply_updates(state, updates), moments

    @jax.jit
    def begun(key):
        made = {name: spec.init(key, facts) for name, spec in specs.items()}
        return lfads.init(key, config, facts)[0], made

    state = begun(jax.random.key(0))
    moments, rng = jax.jit(optimizer.init)(state), np.random.default_rng(0)
    for step in range(70):
        batch = batch_of(rng.choice(128, batch_trials, replace=False).astype(np.int32))
        state, moments = trained(state, moments, batch, step)

    @jax.jit
    def tested(state, batch):
        query = elbo.validation_query(jax.random.key(7), batch, 0, objective)
        return sums_of(state, batch, query, 0, None, False).metrics, elbo.asked(query, batch)

    batch = batch_of(np.arange(128, 160, dtype=np.int32))
    metrics, asked = tested(state, batch)
    null = head.nll(np.broadcast_to(np.log(means), (1, 32, 12, 12)), batch.trials["counts"])
    null = np.where(asked, null, 0).sum()
    assert metrics["nll_sum"] < null - 0.1 * metrics["entries"]
    assert metrics["kl_initial_state"] + metrics["kl_inputs"] > 0.5 * metrics["trials"]
