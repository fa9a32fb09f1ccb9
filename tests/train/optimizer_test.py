"""Touched rows step as optax would step them; the others do not move by a bit."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from neurojax.errors import InputError
from neurojax.train import optimizer
from tests.configs_for_tests import optimizer_config

CONFIG = optimizer_config(learning_rate=3e-2, row_weight_decay=0.1)
DECAYS = {"read_in": True, "read_out_bias": False, "session_token": False}
ROWS, WIDTH, SESSIONS = 7, 3, 4
PAD = ROWS  # past the end


def make_tables(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "read_in": rng.standard_normal((ROWS, WIDTH)).astype(np.float32),
        "read_out_bias": rng.standard_normal(ROWS).astype(np.float32),
        "session_token": rng.standard_normal((SESSIONS, WIDTH)).astype(np.float32),
    }


def make_gradients(index, seed):
    rng = np.random.default_rng(seed)
    shapes = {"read_in": (WIDTH,), "read_out_bias": (), "session_token": (WIDTH,)}
    return {
        name: rng.standard_normal(rows.shape + shapes[name]).astype(np.float32) * 10.0 ** rng.integers(-3, 2)
        for name, rows in index.items()
    }


def index_of(units, sessions):
    return {
        "read_in": np.asarray(units, np.int32),
        "read_out_bias": np.asarray(units, np.int32),
        "session_token": np.asarray(sessions, np.int32),
    }


@functools.partial(jax.jit, static_argnames="config")
def step(gradients, moments, tables, index, learning_rate, apply, config):
    return optimizer.update_rows(gradients, moments, tables, index, learning_rate, apply, config, DECAYS)


def run(indices, apply=True, config=CONFIG, learning_rate=CONFIG.learning_rate):
    """Tables and moments after each step, gradients drawn for step i with seed i."""
    tables = make_tables()
    moments = jax.tree.map(np.asarray, optimizer.init_rows(tables))
    history = [(tables, moments)]
    for number, index in enumerate(indices):
        gradients = make_gradients(index, number)
        history.append(step(gradients, *history[-1][::-1], index, np.float32(learning_rate), apply, config))
    return jax.tree.map(np.asarray, history)


def test_rows_touched_at_every_step_follow_optax_adamw():
    order = [[3, 0, 6], [1, 5, 2]], [[4, PAD, PAD], [PAD, PAD, PAD]]  # G = 2 groups; two batches cover all rows
    steps = 6
    index = [index_of(np.concatenate(order, axis=1), [2, 0, 3, 1])] * steps
    tables, _ = run(index)[-1]
    for name, start in make_tables().items():
        rows = index[0][name].reshape(-1)
        inside = rows < len(start)
        decay = CONFIG.row_weight_decay if DECAYS[name] else 0.0
        reference = optax.adamw(CONFIG.learning_rate, CONFIG.b1, CONFIG.b2, CONFIG.epsilon, weight_decay=decay)
        state, expected = reference.init(start), start
        update = jax.jit(reference.update)
        for number in range(steps):
            gradient = make_gradients(index[0], number)[name].reshape((-1,) + start.shape[1:])
            dense = np.zeros_like(start)
            dense[rows[inside]] = gradient[inside]
            change, state = update(dense, state, expected)
            expected = expected + change
        np.testing.assert_allclose(tables[name], expected, rtol=2e-5, atol=2e-6, err_msg=name)


def test_rows_that_a_batch_does_not_touch_stay_bit_equal():
    history = run([index_of([[0, 1, 2]], [0]), index_of([[4, 5, PAD]], [3]), index_of([[1, PAD, 6]], [0])])
    for before, after, touched, sessions in zip(
        history, history[1:], ({0, 1, 2}, {4, 5}, {1, 6}), ({0}, {3}, {0}), strict=False
    ):
        for name in make_tables():
            rows = sessions if name == "session_token" else touched
            parts = [(before[0], after[0])] + [(getattr(before[1], f), getattr(after[1], f)) for f in before[1]._fields]
            for old, new in parts:
                same = np.asarray([np.array_equal(x, y) for x, y in zip(old[name], new[name], strict=True)])
                np.testing.assert_array_equal(np.flatnonzero(~same), sorted(rows), err_msg=name)


def test_bias_correction_counts_a_rows_own_steps():
    """A row first touched at step 3 moves by the learning rate, as a row at step 1 does."""
    config = optimizer_config(row_weight_decay=0.0)
    late = run([index_of([[0, 1]], [0])] * 3 + [index_of([[5, 1]], [2])], config=config, learning_rate=0.5)
    before, after = late[3][0]["read_in"], late[4][0]["read_in"]
    np.testing.assert_allclose(np.abs(after[5] - before[5]), 0.5, rtol=1e-4)
    assert late[-1][1].count["read_in"].tolist() == [3, 4, 0, 0, 0, 1, 0]
    assert late[-1][1].count["session_token"].tolist() == [3, 0, 1, 0]


def test_padding_is_dropped_and_not_written_to_the_last_row():
    history = run([index_of([[0, PAD, PAD]], [0])])
    for name in ("read_in", "read_out_bias"):
        np.testing.assert_array_equal(history[1][0][name][1:], history[0][0][name][1:])
        assert history[1][1].count[name].tolist() == [1, 0, 0, 0, 0, 0, 0]


def test_without_apply_nothing_changes_even_by_gradients_that_are_not_numbers():
    tables = make_tables()
    index = index_of([[0, 1, 2]], [0])
    moments = jax.tree.map(np.asarray, run([index])[-1][1])
    gradients = {name: np.full_like(gradient, np.nan) for name, gradient in make_gradients(index, 0).items()}
    after = step(gradients, moments, tables, index, np.float32(0.1), False, CONFIG)
    jax.tree.map(np.testing.assert_array_equal, after, (tables, moments))


def test_decay_reaches_weights_and_with_decay_everything_all_tables():
    index = index_of([[0]], [0])
    zero = {name: np.zeros_like(gradient) for name, gradient in make_gradients(index, 0).items()}
    tables = make_tables()
    moments = jax.tree.map(np.asarray, optimizer.init_rows(tables))
    for everything in (False, True):
        config = optimizer_config(decay_everything=everything, row_weight_decay=0.5)
        after, _ = step(zero, moments, tables, index, np.float32(0.1), True, config)
        for name in tables:
            shrink = 1 - 0.1 * 0.5 if everything or DECAYS[name] else 1.0
            np.testing.assert_allclose(after[name][0], tables[name][0] * shrink, rtol=1e-6, err_msg=name)
    never = functools.partial(optimizer.update_rows, config=config, decays=DECAYS | {"read_out_bias": None})
    after, _ = jax.jit(never)(zero, moments, tables, index, np.float32(0.1), True)
    np.testing.assert_array_equal(after["read_out_bias"], tables["read_out_bias"])


def test_dense_parameters_follow_optax_adamw_with_decay_on_kernels_only():
    rng = np.random.default_rng(0)
    params = {
        "embed": {"kernel": rng.standard_normal((2, 3)), "bias": rng.standard_normal(3)},
        "prompts": rng.standard_normal((4, 3)),
    }
    params = jax.tree.map(lambda leaf: leaf.astype(np.float32), params)
    gradients = jax.tree.map(lambda leaf: 0.1 * np.cos(leaf), params)
    for everything in (False, True):
        config = optimizer_config(weight_decay=0.3, decay_everything=everything)
        mask = {"embed": {"kernel": True, "bias": everything}, "prompts": everything}
        reference = optax.adamw(0.1, config.b1, config.b2, config.epsilon, weight_decay=0.3, mask=mask)
        transform = optimizer.dense_transform(config)

        @jax.jit
        def after_two_steps(params, reference=reference, transform=transform):
            results = []
            for transformation, scale in ((transform, -0.1), (reference, 1.0)):
                state, values = transformation.init(params), params
                for _ in range(2):
                    change, state = transformation.update(gradients, state, values)
                    values = jax.tree.map(lambda value, c, scale=scale: value + scale * c, values, change)
                results.append(values)
            return results

        mine, theirs = after_two_steps(params)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7), mine, theirs)


@pytest.mark.parametrize("max_norm, factor", [(2.5, 0.5), (5.0, 1.0), (50.0, 1.0), (0.0, 1.0)])
def test_clipping_scales_to_the_norm_and_zero_is_off(max_norm, factor):
    norm, found = jax.jit(lambda tree: optimizer.clip_scale(tree, max_norm))(
        {"a": np.asarray([3.0]), "b": np.asarray([[4.0]])}
    )
    np.testing.assert_allclose([norm, found], [5.0, factor], rtol=1e-6)
    norm, found = jax.jit(lambda tree: optimizer.clip_scale(tree, max_norm))({"a": np.zeros(2)})
    assert float(norm) == 0 and float(found) == 1


def test_schedule_rises_to_the_peak_and_ends_near_zero():
    config = optimizer_config(learning_rate=2.0, warmup_share=0.25, initial_divisor=10.0, final_divisor=100.0)
    rates = np.asarray(jax.jit(jax.vmap(optimizer.schedule(config, 200)))(jnp.arange(201)))
    np.testing.assert_allclose(rates[[0, 50, 200]], [0.2, 2.0, 0.002], rtol=1e-5)
    assert np.all(np.diff(rates[:51]) > 0) and np.all(np.diff(rates[50:]) < 0)
    assert float(optimizer.schedule(config, 3)(1)) == 2.0


@pytest.mark.parametrize(
    "values, message",
    [
        ({"learning_rate": 0.0}, "optimizer.learning_rate=0.0; expected a positive number"),
        ({"learning_rate": float("nan")}, "optimizer.learning_rate=nan"),
        ({"clip_norm": -1.0}, "optimizer.clip_norm=-1.0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        optimizer_config(**values)
