"""A model's answers: what a forward pass of its own gives for each question, and nothing else."""

import numpy as np

from neurojax import schemes
from neurojax.data.observed import intervals_of
from neurojax.data.questions import TASKS, questions_of
from neurojax.data.session import TRAIN
from neurojax.evals.answers import answers_of
from tests.evals import activity_test
from tests.evals.activity_test import SESSION, make_model, make_session

SCHEME = dict(zip(TASKS, (schemes.NEURON, schemes.CAUSAL, schemes.INTER_REGION, schemes.INTRA_REGION), strict=True))


def test_every_question_is_answered_as_by_a_pass_of_its_own(monkeypatch):
    model = make_model([make_session("other", seed=5, longest=14), SESSION])
    train = SESSION.trials_of(TRAIN)
    found = answers_of(model, SESSION, train, {"name": "test"}, trials_per_pass=3)
    monkeypatch.setattr(activity_test, "TEST", TRAIN)  # the passes below are about the trials answered
    length = SESSION.trial_num_bins[train]
    bins = np.arange(length.max()) < length[:, None]
    last = bins & (np.arange(length.max()) >= length[:, None] - 1)  # a tenth of at most 12 bins
    np.testing.assert_array_equal(found.last_bins, last)
    assert found.answerer == {"name": "test"} and found.trial_id.tolist() == train.tolist()
    asked = {task: np.zeros(SESSION.num_units, bool) for task in TASKS}
    for question in questions_of(SESSION):
        hidden = last if question.task == "forward" else None
        expected = activity_test.forward_pass(model, SESSION, question.hidden, SCHEME[question.task], hidden)
        where = (last if question.task == "forward" else bins)[..., None] & question.asked
        np.testing.assert_allclose(np.exp(found.log_rates[question.task])[where], expected[where], rtol=1e-4)
        asked[question.task] |= question.asked
    for task, units in asked.items():
        where = (last if task == "forward" else bins)[..., None] & units
        np.testing.assert_array_equal(np.isfinite(found.log_rates[task]), where)


def test_what_was_not_observed_has_no_answer():
    entries = np.ones(SESSION.counts.shape, bool)
    entries[: SESSION.trial_num_bins[0], 2] = False
    part = SESSION.with_fields(validity=intervals_of(entries))
    found = answers_of(make_model([part]), part, part.trials_of(TRAIN), {}, trials_per_pass=4)
    for log_rates in found.log_rates.values():
        assert np.isnan(log_rates[0, :, 2]).all()
    assert np.isfinite(found.log_rates["co_smoothing"][1, :3, 2]).all()
