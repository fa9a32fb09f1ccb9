"""The fixed questions of a session: every unit asked for once a task, and never while it is visible."""

import numpy as np

from neurojax.data.questions import TASKS, eighths, questions_of
from neurojax.data.store.sessions import from_counts

REGION = np.asarray(["CA1"] * 19 + ["VISp"] * 10 + ["unknown"] * 3 + ["LP"] + ["ca1"] * 5)


def session_of(region=REGION, name="rat", unit_id=None):
    counts = np.random.default_rng(0).poisson(1.0, (6, 4, len(region)))
    return from_counts(counts, bin_size_s=0.02, session_id=name, region=region, unit_id=unit_id)


def test_eighths_are_even_over_the_session_and_in_every_region():
    part = eighths(session_of())
    assert part.dtype == np.int32
    for own in (slice(None), np.isin(REGION, ["CA1", "ca1"]), REGION == "VISp"):
        sizes = np.bincount(part[own], minlength=8)
        assert len(sizes) == 8 and np.ptp(sizes) <= 1


def test_eighths_are_the_same_every_time_and_others_for_another_session():
    part = eighths(session_of())
    np.testing.assert_array_equal(part, eighths(session_of()))
    assert (part != eighths(session_of(name="other"))).any()


def test_each_task_asks_for_each_of_its_units_once_and_hides_it():
    questions = questions_of(session_of())
    known, ca1 = REGION != "unknown", np.isin(REGION, ["CA1", "ca1"])
    alone = REGION == "LP"  # nothing would be visible within a region of one unit
    expected = dict(zip(TASKS, (np.ones(len(REGION)), np.ones(len(REGION)), known, known & ~alone), strict=True))
    for task, times in expected.items():
        own = [question for question in questions if question.task == task]
        np.testing.assert_array_equal(np.sum([question.asked for question in own], 0), times)
        for question in own:
            assert not (question.asked & ~question.hidden).any() or task == "forward"
            assert task == "forward" or not question.hidden.all()
    forward = [question for question in questions if question.task == "forward"]
    assert len(forward) == 1 and not forward[0].hidden.any()
    inter = [question for question in questions if question.task == "inter_region"]
    assert sum(np.array_equal(question.asked, ca1) for question in inter) == 1  # in either spelling
    for question in questions:
        if question.task == "intra_region":
            own = ca1 if ca1[question.asked].all() else REGION == "VISp"
            np.testing.assert_array_equal(~question.hidden, own & ~question.asked)


def test_a_session_without_regions_is_asked_nothing_about_them():
    tasks = {question.task for question in questions_of(session_of(np.full(9, "unknown")))}
    assert tasks == {"co_smoothing", "forward"}
