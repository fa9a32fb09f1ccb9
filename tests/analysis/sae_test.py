"""A sparse autoencoder finds the atoms that states were made of, and its sparsity, revival and key do what they say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax.analysis import sae
from neurojax.errors import InputError

ATOMS, DIMS, ACTIVE = 48, 24, 3
SETTINGS = sae.Settings(num_features=ATOMS, num_active=ACTIVE, num_steps=500, rows_per_step=256)


@pytest.fixture(scope="module")
def planted():
    """(atoms [A, D], states [n, D], each the sum of three of them, around 5)."""
    rng = np.random.default_rng(0)
    atoms = rng.standard_normal((ATOMS, DIMS))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    chosen = rng.random((6000, ATOMS)).argsort(1)[:, :ACTIVE]
    weights = np.zeros((6000, ATOMS))
    np.put_along_axis(weights, chosen, rng.uniform(0.5, 1.5, chosen.shape), axis=1)
    return atoms, (5 + weights @ atoms).astype(np.float32)


@pytest.fixture(scope="module")
def fitted(planted):
    return sae.fit(planted[1], SETTINGS, jax.random.key(0))


def test_the_atoms_are_found(planted, fitted):
    atoms, states = planted
    decoder = np.asarray(fitted.autoencoder.decoder)
    np.testing.assert_allclose(np.linalg.norm(decoder, axis=1), 1, rtol=1e-5)
    assert (atoms @ decoder.T).max(1).mean() >= 0.9
    use = sae.use(fitted.autoencoder, states, SETTINGS)
    assert (use.share == 0).mean() < 0.05
    assert 0.9 * ACTIVE < use.num_active <= ACTIVE and use.unexplained < 0.2


def test_states_come_back_on_their_own_scale(planted, fitted):
    states = planted[1][:200].reshape(2, 100, DIMS)
    activations = sae.encode(fitted.autoencoder, states, SETTINGS)
    assert activations.shape == (2, 100, ATOMS) and (activations >= 0).all()
    again = np.asarray(sae.decode(fitted.autoencoder, activations))
    assert abs(again.mean() - 5) < 0.1 and np.square(again - states).sum() < 0.2 * np.square(states - 5).sum()
    # Feature by feature the same, less what is there without any.
    empty = sae.decode(fitted.autoencoder, jnp.zeros(ATOMS))
    parts = sum(sae.contribution(fitted.autoencoder, activations[..., f], f) for f in range(ATOMS))
    np.testing.assert_allclose(parts + empty[None, None], again, atol=1e-4)


def test_the_key_decides_alone(planted, fitted):
    again = sae.fit(planted[1], SETTINGS, jax.random.key(0)).autoencoder
    other = sae.fit(planted[1], SETTINGS, jax.random.key(1)).autoencoder
    np.testing.assert_array_equal(fitted.autoencoder.encoder, again.encoder)
    assert not np.array_equal(fitted.autoencoder.encoder, other.encoder)


def test_silence_is_counted_and_ends_with_firing(planted, fitted):
    use = sae.use(fitted.autoencoder, planted[1], SETTINGS)
    # One of 256 states: whoever fires in one of a hundred was not silent for thirty steps.
    assert (np.asarray(fitted.steps_since_firing)[use.share > 0.01] < 30).all()
    assert not fitted.num_dead[: SETTINGS.dead_after_steps].any()
    # Of states along one line few features can be on; the others are silent from some step on.
    line = np.random.default_rng(1).standard_normal((len(planted[1]), 1)) @ planted[0][:1]
    found = sae.fit(line, SETTINGS, jax.random.key(0))
    silent = np.asarray(found.steps_since_firing)
    assert found.num_dead[-1] == (silent > SETTINGS.dead_after_steps).sum() > 5
    assert not sae.use(found.autoencoder, line, SETTINGS).share[silent > SETTINGS.dead_after_steps].any()


def test_a_dead_feature_learns_from_what_is_left_and_a_living_one_does_not(planted, fitted):
    states, dead = jnp.asarray(planted[1][:64]), np.zeros(ATOMS, bool)
    slope = jax.jit(jax.grad(lambda one, dead: sae._loss(one, states, dead, SETTINGS)[0]))
    # A feature that is never among the largest, but drives a little.
    one = fitted.autoencoder
    small = one._replace(encoder=one.encoder.at[:, 7].multiply(1e-3), encoder_bias=one.encoder_bias.at[7].set(1e-4))
    assert not sae.encode(small, states, SETTINGS)[:, 7].any()
    assert not np.asarray(slope(small, dead).decoder[7]).any()
    dead[7] = True
    found = slope(small, dead)
    assert np.asarray(found.decoder[7]).any() and np.asarray(found.encoder[:, 7]).any()


def test_thresholds_are_learned_until_as_many_are_on_as_asked_for(planted):
    settings = SETTINGS._replace(kind=sae.JUMPRELU, num_steps=400)
    found = sae.fit(planted[1], settings, jax.random.key(0)).autoencoder
    use = sae.use(found, planted[1], settings)
    assert 0.7 * ACTIVE < use.num_active < 1.3 * ACTIVE and use.unexplained < 0.3
    assert np.ptp(np.asarray(found.log_threshold)) > 0.1


def test_what_cannot_be_is_refused(planted):
    states, key = planted[1], jax.random.key(0)
    with pytest.raises(InputError, match="kind='relu'; choose from topk, jumprelu"):
        sae.fit(states, SETTINGS._replace(kind="relu"), key)
    with pytest.raises(InputError, match="num_active=99 of num_features=48"):
        sae.fit(states, SETTINGS._replace(num_active=99), key)
    with pytest.raises(InputError, match="standard deviation of 0.0; expected finite"):
        sae.fit(np.ones((9, 4)), SETTINGS, key)
    with pytest.raises(InputError, match=r"states of shape \(9,\)"):
        sae.fit(np.ones(9), SETTINGS, key)
