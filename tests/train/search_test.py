"""A search trains each candidate as a run of its own would be; a run made to collapse is flagged, a good one is not."""

import functools

import jax
import numpy as np
import pytest

from neurojax.data.session import Session
from neurojax.data.store.dataset import dataset_of
from neurojax.errors import InputError
from neurojax.evals import collapse, passes, protocols
from neurojax.report import collapse_block
from neurojax.schemes import NEURON
from neurojax.train import search, settings, state, step
from neurojax.train.predictor import Predictor
from tests.configs_test import CONFIGS, load

STEPS, BINS, UNITS, TRIALS = 60, 12, 12, 160
CANDIDATES = (
    {"optimizer.learning_rate": 0.03, "objective.kl_weight": 0.5},
    {"optimizer.learning_rate": 0.02, "objective.kl_weight": 500.0},
)


def rotation() -> Session:
    """Units that follow one rotation, of a phase that is new in every trial."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, (TRIALS, 1)) + 0.6 * np.arange(BINS)
    log_rates = 1.2 * np.stack([np.cos(angle), np.sin(angle)], -1) @ rng.standard_normal((2, UNITS)) - 0.5
    return Session.from_counts(rng.poisson(np.exp(log_rates)), bin_size_s=0.02, session_id="rat")


@functools.cache
def config():
    declared = load(next(path for path in CONFIGS if path.stem == "lfads"), "improved")
    declared["data"] |= {"sessions_per_batch": 1, "trials_per_batch": 32, "bucket_units": 12}
    declared["model"] |= {"encoder_width": 12, "generator_width": 16, "dropout": 0.0}
    declared["objective"] |= {"kl_stop_step": 20, "regions_share": 0.0, "last_bins_share": 0.0, "units_share": 0.5}
    declared["train"] |= {"num_steps": STEPS, "log_every_steps": 1}
    return declared


@pytest.fixture(scope="module")
def searched():
    session, told = rotation(), []
    return session, search.search(config(), CANDIDATES, dataset=dataset_of([session]), log=told.append), told


@pytest.mark.slow  # compiles the program of a run, too
def test_a_candidate_is_trained_as_a_run_of_its_own(searched):
    session, found, told = searched
    declared = search._merged(config(), CANDIDATES[1])
    recipe, source = settings.recipe(declared), found.source
    begin = jax.jit(functools.partial(state.init_run, recipe, source.facts))
    alone = state.with_fitted_rows(begin(source.facts.mean_counts), recipe, source)
    program, losses = jax.jit(functools.partial(step.train_step, recipe=recipe)), []
    for number in range(STEPS // 2):
        alone, sums = program(alone, source.batch(number))
        losses.append(float(sums["loss"]))
    of_search = [float(line.split(",")[-1]) for line in told[: STEPS // 2]]
    np.testing.assert_allclose(of_search, losses, rtol=1e-3, atol=1e-4)
    other = [float(line.split()[-2].rstrip(",")) for line in told[: STEPS // 2]]
    assert np.abs(np.array(other) - losses)[10:].min() > 1e-3


def test_candidates_start_where_their_own_entries_say(searched):
    """A prior's first variance is read by nothing but the first state."""
    found = searched[1]
    asked = [{"model.initial_state_variance": 0.1}, {"model.initial_state_variance": 0.4}]
    first = search._first_states(config(), asked, settings.recipe(config()), found.source)
    variances = np.asarray(first.params["initial_state_prior"]["log_variance"])
    np.testing.assert_allclose(np.exp(variances).T, [[0.1, 0.4]] * len(variances.T), rtol=1e-5)


def test_a_run_made_to_collapse_is_flagged_and_a_good_one_is_not(searched):
    session, found, _ = searched
    asked = {"trials_per_pass": 16, "num_boot": 50}
    good, fallen = (collapse.of_session(found.predictor(k), session, asked, 0, protocols.MTM) for k in range(2))
    assert good["latents"]["collapsed"] is False and good["latents"]["gap_share_ci95"][0] > collapse.LEAST_SHARE
    assert sum(good["latents"]["nats"].values()) > 2 * sum(fallen["latents"]["nats"].values()) > 0
    assert fallen["latents"]["collapsed"] is True and good["latents"]["num_trials"] == 32
    line = collapse.line({"sessions": {"rat": good, "cat": fallen}})
    assert "in 1 of 2 sessions (cat)" in line and "the posterior collapsed" in line
    assert "warning" not in collapse.line({"sessions": {"rat": good}})
    page = "".join(collapse_block.latents_table({"sessions": {"rat": good, "cat": fallen}}))
    assert page.count("% collapsed<") == 1
    assert (
        collapse_block.latents_table({"sessions": {"rat": {}}}) == []
        and collapse.line({"sessions": {"rat": {}}}) is None
    )


def test_a_predictor_of_samples_answers_with_their_mean_rate(searched):
    """`eval.num_samples`; a model without a posterior is refused."""
    session, found, _ = searched
    model, trial_ids, nothing = found.predictor(0), session.trials_of(2)[:16], np.zeros(UNITS, bool)
    ((_, batch, query),) = passes.over(model, session, trial_ids, nothing, NEURON, 16)
    asked = model(batch, query, num_samples=3, key=jax.random.key(0)).natural
    along_means = np.asarray(model.log_rates(batch, query))
    model.num_samples = 3
    averaged = np.asarray(model.log_rates(batch, query))
    np.testing.assert_array_equal(averaged, asked)
    assert np.abs(averaged - along_means).max() > 1e-2
    recipe = settings.predicting(config())
    with pytest.raises(InputError, match="eval.num_samples=2 of model.name=ndt; expected 0"):
        Predictor({}, {}, recipe._replace(model=recipe.model._replace(name="ndt")), None, num_samples=2)


def test_the_best_candidate_is_of_the_score_asked_for(searched):
    _, found, _ = searched
    name = "validation/neuron_bps_pooled"
    assert found.scores[0][name] > found.scores[1][name]
    assert found.best(name)["objective"]["kl_weight"] == 0.5
    assert found.best(name, smallest=True)["optimizer"]["learning_rate"] == 0.02
    with pytest.raises(InputError, match="no candidate has a score 'bps'; there are train/loss"):
        found.best("bps")


@pytest.mark.parametrize(
    "candidates, message",
    [
        ([{"objective.kl_weight": 1.0}], "1 candidates; expected 2 to 32"),
        ([{"model.generator_width": 8}, {}], "a search over 'model.generator_width'; expected a number with a decimal"),
        ([{"model.name": 8}, {}], "a search over 'model.name'"),
        ([{"data.seed": 1.0}, {}], "a search over 'data.seed'"),
        ([{"optimizer.learning_rate": -1.0}, {}], "optimizer.learning_rate=-1.0"),
        ([{"optimizer.clip_norm": 1.0}, {}], "over optimizer.clip_norm: one of them decides what is computed"),
    ],
)
def test_what_does_not_fit_one_program_is_refused(candidates, message):
    with pytest.raises(InputError, match=message):
        search.search(config(), candidates, dataset=dataset_of([rotation()]), log=lambda line: None)


def test_swapped_latents_of_a_single_trial_say_nothing():
    class One:
        infers = ("kl",)

        def log_rates(self, batch, query):
            return np.zeros(batch.trials["counts"].shape)

        def __call__(self, batch, query, key):
            return type("Outputs", (), {"extras": {"kl": np.ones((1, 4))}})

        def asked_as(self, scheme):
            return scheme

        bucket_units = 1

    session = rotation()
    split = session.split.copy()
    split[np.flatnonzero(split == 2)[1:]] = -1
    model = One()
    model.layout = search.settings.open_source(config(), [session]).layout
    found = collapse.of_session(
        model, session.with_fields(split=split), {"trials_per_pass": 4, "num_boot": 5}, 0, protocols.MTM
    )
    assert found["latents"]["gap_share"] is None and found["latents"]["nats"] == {"kl": 1.0}
    model.infers = ()
    assert collapse.of_session(model, session, {}, 0, protocols.MTM) == {}
