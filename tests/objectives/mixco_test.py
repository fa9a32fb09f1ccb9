"""BiMixCo and SoftCLIP: equal to sums written out in numpy, a picture that comes twice is right twice, voxels mixed."""

import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax.batch import Batch
from neurojax.errors import InputError
from neurojax.evals import image_retrieval
from neurojax.models.interface import Outputs, Weights
from neurojax.objectives import mixco
from neurojax.train import microbatches, settings
from neurojax.train.step import Objective

CONFIG = mixco.Config(
    mix_steps=10, mixed_share=0.5, mix_beta=0.15, mix_temperature=0.1, soft_from=0.05, soft_to=0.2, soft_steps=10
)


def made():
    """Two people, three trials each: predictions and embeddings [2, 3, E], of any length."""
    return np.random.default_rng(0).standard_normal((2, 2, 3, 5)).astype(np.float32)


def cosines(one, other):
    one, other = (np.asarray(a, float).reshape(-1, a.shape[-1]) for a in (one, other))
    return np.array([[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in other] for a in one])


def log_share(logits):
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


@jax.jit
def compiled(said, told, item, query, step):
    trials = {"values": jnp.ones((2, 3, 1, 4)), "bin_valid": None, "embedding": told, "item": item}
    asked = (Weights({}, {}), Batch(trials, {}), query, step, jax.random.key(0), CONFIG)
    return mixco.loss(lambda weights, inputs, key: Outputs(said[:, :, None]), None, *asked)


def loss_of(item, other, part, step):
    return compiled(*made(), np.int32(item), mixco.Query(np.int32(other), np.float32(part)), step)


def test_bimixco_is_the_sum_written_out():
    """After mixco_nce of MindEye2, MIT: both ways, the other picture right by its part."""
    other, part = [[1, 2, 0], [0, 2, 1]], [[0.7, 1.0, 0.2], [1.0, 0.5, 0.9]]
    logits = cosines(*made()) / 0.1
    right = np.zeros((6, 6))
    for person in range(2):
        for trial in range(3):
            right[3 * person + trial, 3 * person + trial] += part[person][trial]
            right[3 * person + trial, 3 * person + other[person][trial]] += 1 - part[person][trial]
    forth = -(log_share(logits) * right).sum(1).mean()
    back = -(log_share(logits.T) * right.T).sum(1).mean()
    found = loss_of(np.arange(6).reshape(2, 3), other, part, 9)
    np.testing.assert_allclose(found.loss(), (forth + back) / 2, rtol=1e-5)
    np.testing.assert_allclose(found.loss(), 8.951554, rtol=1e-5)  # of the numpy above, saved once
    best = cosines(*made()).argmax(1) == np.arange(6)
    assert found.weight == found.metrics["trials"] == 6 and found.metrics["retrieved"] == best.sum()


def test_softclip_is_the_sum_written_out_and_its_temperature_goes_half_a_cosine():
    """After soft_clip_loss of MindEye2, MIT."""
    for step, heat in ((10, 0.05), (15, 0.125), (20, 0.2), (99, 0.2)):
        assert float(mixco.temperature(step, CONFIG)) == pytest.approx(heat, rel=1e-5)
    logits, likeness = cosines(*made()) / 0.125, cosines(made()[1], made()[1]) / 0.125
    right = np.exp(log_share(likeness))
    expected = -((log_share(logits) + log_share(logits.T)) * right).sum(1).mean() / 2
    found = loss_of(np.arange(6).reshape(2, 3), [[0, 1, 2]] * 2, [[1.0] * 3] * 2, 15)
    np.testing.assert_allclose(found.loss(), expected, rtol=1e-5)


def test_pictures_are_compared_after_the_map_of_a_model():
    rng = np.random.default_rng(2)
    said, told, pictures = rng.standard_normal((4, 5)), rng.standard_normal((3, 5)), rng.standard_normal((5, 5))
    natural = said / np.linalg.norm(said, axis=1, keepdims=True) @ pictures
    found = mixco.cosines(np.float32(natural), mixco.unit(np.float32(told)), np.float32(pictures))
    np.testing.assert_allclose(found, cosines(said, told @ pictures.T), rtol=1e-4)


def test_training_and_validation_rank_pictures_as_evaluation_does():
    """By n . e alone the second picture would come first, for the map makes the first one shorter."""
    pictures, told = np.diag([3.0, 1.0]).astype(np.float32), np.float32([[0.6, 0.8], [1, 0]])
    said = mixco.unit(told @ pictures.T) @ pictures
    assert (said[0] @ told.T).argmax() == 1
    extras, item = {"pictures": pictures}, np.int32([[0, 1]])
    found = mixco.sums(said[None, :, None], (told[None, :, None], item), item >= 0, None, extras)
    batch = Batch({"values": jnp.ones((1, 2, 1, 4)), "bin_valid": None, "embedding": told[None], "item": item}, {})
    asked = (Weights({}, {}), batch, mixco.Query(item, np.ones((1, 2))), 99, jax.random.key(0), CONFIG)
    logged = mixco.loss(lambda weights, inputs, key: Outputs(said[None, :, None], extras=extras), None, *asked)
    one = image_retrieval.Test([], np.arange(2), told, told, told, 1.0)
    ranked = image_retrieval._agreement(said, pictures, one).argmax(1) == np.arange(2)
    assert found[1] == logged.metrics["retrieved"] == ranked.sum() == 2


def test_a_picture_that_comes_twice_is_right_twice():
    logits = np.random.default_rng(1).standard_normal((3, 3)).astype(np.float32)
    found = mixco.bimixco(logits, np.int32([4, 4, 7]), np.arange(3), np.ones(3, np.float32))
    right = np.array([[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]])
    expected = -((log_share(logits) + log_share(logits.T)) * right).sum(1) / 2
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_voxels_are_mixed_within_a_person_until_it_ends():
    values = np.arange(12, dtype=np.float32).reshape(2, 3, 1, 2)
    batch = Batch({"values": values, "bin_valid": None, "item": np.zeros((2, 3), np.int32)}, {})
    query = mixco.Query(np.int32([[1, 0, 2], [2, 1, 0]]), np.float32([[0.25, 1, 1], [1, 1, 0.5]]))
    mixed = np.asarray(mixco.inputs(batch, query, CONFIG).values)
    np.testing.assert_allclose(mixed[0, 0], 0.25 * values[0, 0] + 0.75 * values[0, 1])
    np.testing.assert_allclose(mixed[1, 2], 0.5 * values[1, 2] + 0.5 * values[1, 0])
    np.testing.assert_array_equal(mixed[:, 1], values[:, 1])
    np.testing.assert_array_equal(mixco.inputs(batch, (), CONFIG).values, values)
    wide = Batch({"item": np.zeros((2, 200), np.int32)}, {})
    draw = jax.jit(lambda step: mixco.draw(jax.random.key(0), wide, step, CONFIG))
    drawn = draw(9)
    assert (np.sort(drawn.other, axis=1) == np.arange(200)).all() and (drawn.other[0] != drawn.other[1]).any()
    assert 0.3 < (np.asarray(drawn.own_part) < 1).mean() < 0.6
    assert (np.asarray(draw(10).own_part) == 1).all()


def test_trials_are_coupled():
    with pytest.raises(InputError, match="objective mixco compares the trials of a batch; set it to 1"):
        microbatches.require_even(2, [(2, 2, 1, 2)], 1, Objective("mixco", CONFIG))


def test_an_ensemble_is_refused_before_training():
    config = runpy.run_path(str(Path(__file__).parents[2] / "configs/mindeye.py"))["get_config"]().to_dict()
    with pytest.raises(InputError, match="members=2: objective.name=mixco compares pictures by a map .* set members=1"):
        settings.recipe(config | {"members": 2})
