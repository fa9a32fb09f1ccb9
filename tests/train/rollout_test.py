"""Bin by bin is what a full pass says; what a model goes on with reads nothing later; live is the same again."""

import jax
import numpy as np
import pytest

from neurojax import heads
from neurojax.data import batching
from neurojax.data.sources import spikes
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError
from neurojax.models import lora
from neurojax.objectives import next_bin
from neurojax.train import predictor, rollout, sharding, state
from neurojax.train.step import Model, Objective
from tests import configs_for_tests
from tests.configs_for_tests import linear_config, mtm_config, ndt_config, objective_of

SIZES = dict(read_in_width=6, width=8, num_layers=2, num_heads=2, mlp_width=8)
MODELS = {
    "ndt": ndt_config(**SIZES, positions="learned", num_positions=9, embed_width=5),
    "ndt_linear": linear_config(**SIZES),
    "possm": configs_for_tests.tokens_config("possm", **SIZES, state_width=3, event_share=1.0, answer_steps=2),
}
T, PROMPT, H = 9, 4, 4


@pytest.fixture(scope="module")
def source():
    """Two sessions of five and seven units in batches of eight."""
    rng = np.random.default_rng(0)
    sessions = [from_counts(rng.poisson(0.8, (6, T, n)), bin_size_s=0.02, session_id=f"rat{n}") for n in (5, 7)]
    return spikes.open_source(sessions, configs_for_tests.batching_config(trials_per_batch=4, bucket_units=8), 0)


def made(name, source, head="poisson"):
    """Random weights of the right shapes."""
    model = Model(name, MODELS[name], head if heads.named(head).rows else "")
    rng = np.random.default_rng(1)
    params, tables = jax.tree.map(
        lambda leaf: (0.4 * rng.standard_normal(leaf.shape)).astype(np.float32),
        state.abstract_weights(model, source.facts),
    )
    recipe = predictor.Recipe(model, Objective("next_bin", next_bin.Config()), head)
    mesh = sharding.make_mesh(1, 1, jax.devices()[:1])
    return predictor.Predictor(params, tables, recipe, source.layout, 8, mesh)


def trials(source):
    plan = batching.Plan(np.asarray([0, 1]), np.arange(6).reshape(2, 3), 8)
    return batching.gather(source.sessions, source.layout, plan)


def full_pass(model, batch):
    query = next_bin.draw(None, batch, 0, next_bin.Config())
    return np.asarray(model.log_rates(batch, query))


@pytest.fixture(scope="module")
def linear(source):
    return made("ndt_linear", source)


def test_one_bin_after_another_is_the_full_pass_and_the_mean_path_reads_what_it_expects(source, linear):
    batch = trials(source)
    expected = full_pass(linear, batch)
    valid = np.broadcast_to(batch.groups["unit_valid"][:, None], expected[:, :, 0].shape)
    for prompt in (0, PROMPT, T - 1):  # with none read, the first bin of a full pass
        found = linear.rollout(batch, prompt, 1)
        log_rates, counts = np.asarray(found.log_rates)[:, :, 0], np.asarray(found.counts)[0, :, :, 0]
        np.testing.assert_allclose(log_rates[valid], expected[:, :, prompt][valid], atol=1e-5)
        np.testing.assert_allclose(counts[valid], np.exp(log_rates[valid]), rtol=1e-5)


def test_the_plain_model_with_rows_of_a_head_too_and_they_reach_what_is_drawn(source):
    """Session 0 is bursty, session 1 is not."""
    model, batch = made("ndt", source, "negative_binomial"), trials(source)
    rows = np.repeat(np.float32([3.0, -9.0]), [5, 7])
    model.tables = model.tables | {"log_dispersion": jax.device_put(rows, jax.devices()[0])}
    expected = full_pass(model, batch)
    for prompt in (0, PROMPT):
        found = model.rollout(batch, prompt, 1, num_samples=60, key=jax.random.key(0))
        for group, units in enumerate((5, 7)):
            shown = np.asarray(found.log_rates)[group, :, 0, :units]
            np.testing.assert_allclose(shown, expected[group, :, prompt, :units], atol=1e-5)
            drawn = np.asarray(found.counts)[:, group, :, 0, :units]
            dispersion = drawn.var(0).sum() / drawn.mean(0).sum()
            assert dispersion > 3 if group == 0 else dispersion < 1.3


def test_what_was_drawn_is_read_like_counts_and_nothing_later_is(source, linear):
    batch, key = trials(source), jax.random.key(3)
    drawn = linear.rollout(batch, PROMPT, H, num_samples=2, key=key)
    counts = np.array(batch.trials["counts"], np.float32)
    expected = []
    for sample in np.asarray(drawn.counts):
        counts[:, :, PROMPT : PROMPT + H] = sample
        expected.append(full_pass(linear, batch.with_trials(counts=counts))[:, :, PROMPT : PROMPT + H])
    valid = np.broadcast_to(batch.groups["unit_valid"][:, None, None], expected[0].shape)
    mean = np.log(np.exp(expected).mean(0))
    np.testing.assert_allclose(np.asarray(drawn.log_rates)[valid], mean[valid], atol=1e-4)
    assert np.asarray(drawn.counts)[:, ~valid].sum() == 0 < np.asarray(drawn.counts).sum()

    other = batch.trials["counts"].copy()
    other[:, :, PROMPT:] = 9
    again = linear.rollout(batch.with_trials(counts=other), PROMPT, H, num_samples=2, key=key)
    np.testing.assert_array_equal(again.counts, drawn.counts)
    np.testing.assert_array_equal(again.log_rates, drawn.log_rates)
    elsewhere = linear.rollout(batch, PROMPT, H, num_samples=2, key=jax.random.key(4))
    assert (np.asarray(elsewhere.counts) != np.asarray(drawn.counts)).any()
    earlier = batch.trials["counts"].copy()
    earlier[:, :, PROMPT - 1] += 3
    moved = linear.rollout(batch.with_trials(counts=earlier), PROMPT, H, num_samples=2, key=key)
    assert np.abs(np.asarray(moved.log_rates) - np.asarray(drawn.log_rates)).max() > 1e-3


def test_a_trial_as_it_comes_in_gets_the_rates_of_the_full_pass(source, linear):
    batch = trials(source)
    expected, session = np.exp(full_pass(linear, batch))[1, 0, :, :7], source.sessions[1]
    counts = batch.trials["counts"][1, 0, :, :7]
    live = linear.live(session.session_id)
    for _ in range(2):
        found = [live.begin(), *(live.step(of_bin) for of_bin in counts[:-1])]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    with pytest.raises(InputError, match="at most 9 bins in this run; call begin"):
        live.step(counts[-1])
    live.begin()
    with pytest.raises(InputError, match=r"shape \(5,\); expected \(7,\), of all units"):
        live.step(counts[0, :5])
    for wrong in (np.nan, -1.0, np.inf):
        with pytest.raises(InputError, match=r"for unit \[2\]; expected spikes of each unit, finite and not"):
            live.step(np.where(np.arange(7) == 2, wrong, counts[0]))
    np.testing.assert_allclose(live.step(counts[0]), expected[1], rtol=1e-4, atol=1e-6)
    with pytest.raises(InputError, match="session cat is not one the run has rows for"):
        linear.live("cat")
    with pytest.raises(InputError, match="no trial has begun"):
        linear.live(session.session_id).step(counts[0])


def test_chunks_of_events_as_they_come_in_get_the_rates_of_the_full_pass(source):
    """Of seven units in a batch that is padded to eight; the trial ends within a chunk."""
    model, batch = made("possm", source), trials(source)
    expected, live = np.exp(full_pass(model, batch))[1, 0, :, :7], model.live(source.sessions[1].session_id)
    counts = batch.trials["counts"][1, 0, :, :7]
    for _ in range(2):  # a second trial knows nothing of the first
        found = [live.begin(), *(live.step(of_bin) for of_bin in counts[:-1])]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert np.ptp(np.log(expected), axis=0).max() > 0.1


def test_what_cannot_go_on_says_why(source, linear):
    batch = trials(source)
    with pytest.raises(InputError, match="6 bins to read and 4 to go on; expected .* no more than the 9 bins"):
        linear.rollout(batch, 6, 4)
    with pytest.raises(InputError, match="num_samples=2 needs a key"):
        linear.rollout(batch, 2, 2, num_samples=2)
    ready = linear.recipe
    wrong = {
        "only a run that predicts the next bin": ready._replace(objective=objective_of(mtm_config())),
        "lfads does not go bin by bin; choose from .*ndt": ready._replace(model=Model("lfads", None)),
        "head.name=gaussian draws no counts": ready._replace(head="gaussian"),
        "an ensemble of 2 members": ready._replace(members=2),
        r"adapters \(finetune.strategy=lora\) does not go": ready._replace(
            model=lora.AdaptedModel("ndt_linear", MODELS["ndt_linear"], lora.Adapters(("query",), 1, 1.0))
        ),
    }
    for words, recipe in wrong.items():
        with pytest.raises(InputError, match=words):
            rollout.require_streamed(recipe)
        said = rollout.why_not_streamed(recipe)  # of another objective nobody expects it
        assert not rollout.is_streamed(recipe) and bool(said) == ("next bin" not in words)
    assert rollout.is_streamed(ready) and linear.goes_on and not linear.goes_on_reason


def test_each_member_of_an_ensemble_goes_on_and_the_ensemble_says_why_not(source, linear):
    both = jax.tree.map(lambda leaf: np.stack([leaf, leaf]), (linear.params, linear.tables))
    recipe = linear.recipe._replace(members=2)
    ensemble = predictor.Predictor(*both, recipe, source.layout, 8, sharding.make_mesh(1, 1, jax.devices()[:1]))
    assert not ensemble.goes_on and "an ensemble of 2 members" in ensemble.goes_on_reason
    assert all(member.goes_on for member in ensemble.each_member)


def test_the_estimate_bounds_what_a_compiled_rollout_allots_and_so_the_trials():
    counts, bins, samples, size = np.ones((4, 40, 128), np.uint8), 20, 8, 4
    session = from_counts(counts, bin_size_s=0.02, session_id="rat", split=[0, 1, 2, 2])
    source = spikes.open_source([session], configs_for_tests.batching_config(trials_per_batch=1), 0)
    model = made("ndt_linear", source)
    batch = batching.session_batch(session, source.layout, np.arange(4), 128)
    trained, asked = (model.params, model.tables, model.buffers), {"num_bins": bins, "num_samples": samples}
    lowered = predictor._rollout.lower(trained, batch, np.int32(9), jax.random.key(0), model.recipe, room=40, **asked)
    found = lowered.compile().memory_analysis()
    allotted = found.temp_size_in_bytes + found.output_size_in_bytes
    estimate = rollout.bytes_per_trial(trained, batch.groups, model.recipe, room=40, **asked)
    assert allotted <= size * estimate <= 4 * allotted
    of_three = -(-3 * estimate // 2**20)
    assert model.trials_of_rollout(batch, bins, num_samples=samples, memory_mb=4096, at_most=16) == 16
    assert 3 <= model.trials_of_rollout(batch, bins, num_samples=samples, memory_mb=of_three, at_most=16) < 16
    with pytest.raises(InputError, match="eval.memory_mb=1 does not hold one trial that goes on, which takes about 5"):
        model.trials_of_rollout(batch, bins, num_samples=60, memory_mb=1, at_most=16)
