"""InfoNCE: equal to sums written out, blind to the length of candidates, other readings of a sentence are none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax.batch import Batch
from neurojax.errors import InputError
from neurojax.models.interface import Outputs, Weights
from neurojax.objectives import contrastive
from neurojax.train import microbatches
from neurojax.train.step import Objective

ITEM = np.int32([[3, 5], [3, -1]])  # two people: one sentence is read by both, one trial is padding


def made():
    rng = np.random.default_rng(0)
    predicted, spoken = rng.standard_normal((2, 2, 2, 3, 2)).astype(np.float32)
    return predicted, spoken


def by_hand(predicted, spoken):
    """Nats and ranks with loops, float64."""
    flat, wanted, item = predicted.reshape(4, -1).astype(float), spoken.reshape(4, -1).astype(float), ITEM.ravel()
    nats, first = 0.0, 0
    for trial in range(3):
        allowed = [other for other in range(3) if other == trial or item[other] != item[trial]]
        score = {other: flat[trial] @ wanted[other] / np.linalg.norm(wanted[other]) for other in allowed}
        nats += np.log(sum(np.exp(value) for value in score.values())) - score[trial]
        first += all(score[trial] > value for other, value in score.items() if other != trial)
    return nats, first


@jax.jit
def loss_of(predicted, spoken):
    batch = Batch(
        {"values": None, "bin_valid": None, "speech": spoken, "item": ITEM}, {"position": 0, "channel_valid": 0}
    )
    asked = (Weights({}, {}), batch, (), 0, jax.random.key(0), contrastive.Config())
    return contrastive.loss(lambda weights, inputs, key: Outputs(predicted), None, *asked)


def test_nats_are_those_written_out():
    predicted, spoken = made()
    found, (nats, first) = loss_of(predicted, spoken), by_hand(predicted, spoken)
    np.testing.assert_allclose(found.numerator, nats, rtol=1e-5)
    assert found.weight == found.metrics["trials"] == 3 and found.metrics["retrieved"] == first
    np.testing.assert_allclose(found.loss(), nats / 3, rtol=1e-5)
    louder = spoken * np.float32([[[[2]], [[5]]], [[[0.3]], [[9]]]])
    np.testing.assert_allclose(loss_of(predicted, louder).numerator, nats, rtol=1e-5)


def test_padding_is_neither_asked_nor_a_candidate():
    predicted, spoken = made()
    expected = loss_of(predicted, spoken)
    changed, said = predicted.copy(), spoken.copy()
    changed[1, 1], said[1, 1] = 50.0, predicted[0, 0]  # the padding says what the first trial hears
    np.testing.assert_allclose(loss_of(changed, said).numerator, expected.numerator, rtol=1e-6)
    gradient = jax.grad(lambda one: loss_of(one, jnp.asarray(spoken)).numerator)(jnp.asarray(predicted))
    assert not gradient[1, 1].any() and gradient[0].any()


def test_who_says_nothing_retrieves_nothing_and_scores_are_over_all_batches():
    predicted, spoken = made()
    assert loss_of(np.zeros_like(predicted), spoken).metrics["retrieved"] == 0
    assert loss_of(20 * spoken, spoken).metrics["retrieved"] == 3
    assert contrastive.scores([(3, 1, 6.0), (1, 1, 2.0)]) == {"retrieved": 0.5, "nats": 2.0}
    assert contrastive.scores([(0, 0, 0.0)]) == {}


def test_a_batch_is_not_computed_in_parts():
    objective = Objective("contrastive", contrastive.Config())
    microbatches.require_even(1, [(2, 2, 3, 2)], 1, objective)
    with pytest.raises(InputError, match="objective contrastive compares the trials of a batch; set it to 1"):
        microbatches.require_even(2, [(2, 2, 3, 2)], 1, objective)
