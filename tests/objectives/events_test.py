"""Events and velocities: what is asked, the sums, and the event error of worked examples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from neurojax import heads
from neurojax.batch import Batch
from neurojax.errors import InputError
from neurojax.models.interface import Outputs, Weights
from neurojax.objectives import events, velocity
from neurojax.scores.events import Event, error, found

LOGITS = np.random.default_rng(0).standard_normal((1, 2, 3, 2)).astype(np.float32)


def loss_of(objective, head, **trials):
    batch = Batch({"values": None, "bin_valid": None, **trials}, {})
    answer = lambda weights, inputs, key: Outputs(jnp.asarray(LOGITS))  # noqa: E731
    return objective.loss(
        answer, heads.named(head), Weights({}, {}), batch, (), 0, jax.random.key(0), objective.Config()
    )


def test_events_are_coins_and_what_nobody_knows_is_not_asked():
    pulses = np.array([0, 1, 0, 0, 1, -1, 0, 0, 0, -1, 1, 1.0]).reshape(LOGITS.shape).astype(np.float32)
    told = loss_of(events, "pulses", pulses=pulses)
    chance = special.expit(LOGITS.astype(float))
    nats = -np.where(pulses == 1, np.log(chance), np.log(1 - chance))[pulses >= 0].sum()
    assert told.weight == 10 and told.numerator == pytest.approx(nats, rel=1e-5)
    joined = heads.named("pulses").joined(jnp.asarray(LOGITS[0]))
    np.testing.assert_allclose(special.expit(joined), special.expit(LOGITS[0]).mean(0), rtol=1e-5)


def test_velocities_have_an_absolute_error_and_holes():
    true = np.zeros_like(LOGITS)
    true[0, 1, 1, 0] = np.nan
    told = loss_of(velocity, "gaussian", velocity=true)
    expected = np.abs(LOGITS).sum() - abs(LOGITS[0, 1, 1, 0])
    assert told.weight == 11 and told.numerator == pytest.approx(expected, rel=1e-5)
    assert velocity.scores([(11, expected)]) == {"mean_absolute_error": pytest.approx(expected / 11)}


def test_events_begin_where_a_probability_comes_over_the_threshold():
    probability = np.array([[0, 0.9], [0.6, 0.9], [0.7, 0], [0, 0.9], [0.8, 0.1], [0.1, 0.1]])
    assert found(probability, 0.1, 0.5, 0.0) == [(0.0, 1), (0.1, 0), (pytest.approx(0.3), 1), (0.4, 0)]
    assert [one.kind for one in found(probability, 0.1, 0.5, 0.31)] == [1, 0]
    with pytest.raises(InputError, match="threshold=1; expected a number over 0 and below 1"):
        found(probability, 0.1, 1, 0.0)


def test_event_error_of_worked_examples():
    true = [Event(1.0, 0), Event(2.0, 1), Event(3.0, 0), Event(4.0, 1)]
    assert error([true], [true], 0.1) == 0
    late = [Event(one.time_s + 0.05, one.kind) for one in true]
    assert error([late], [true], 0.1) == 0 and error([late], [true], 0.01) == 2  # four missed, four invented
    # 1.0 right, 2.0 mistaken for another kind, 3.0 missed, 4.0 right, 5.0 invented: three of four.
    said = [Event(1.0, 0), Event(2.0, 0), Event(4.0, 1), Event(5.0, 1)]
    assert error([said], [true], 0.1) == 0.75 and error([[]], [true], 0.1) == 1
    # An event of one window stands for none of another: one is missed, one invented.
    assert error([true[:1], []], [[], true[:1]], 0.1) == 2
    assert error([true, said], [true, true], 0.1) == 3 / 8
    with pytest.raises(InputError, match="no event was there"):
        error([said], [[]], 0.1)
