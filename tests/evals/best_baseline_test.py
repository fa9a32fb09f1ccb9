"""The baseline to beat is chosen on validation, once for all sessions, and never knows the truth."""

import pytest

from neurojax.evals import best_baseline
from neurojax.evals.best_baseline import Best
from neurojax.report import terminal


def session(**baselines):
    """name -> (test score, validation score); None: not scored there."""
    return {
        "baselines": {
            name: {"forward": {"bps_pooled": test, "validation_bps_pooled": validation}}
            for name, (test, validation) in baselines.items()
        }
    }


def test_validation_decides_although_another_is_best_on_test():
    sessions = {
        "a": session(train_mean=(0.0, 0.0), stack=(0.2, 0.30), lucky=(0.9, 0.25), oracle_of_it=(2.0, 2.0)),
        "b": session(train_mean=(0.0, 0.0), stack=(0.1, 0.20), lucky=(0.8, 0.24), oracle_of_it=(2.0, 2.0)),
    }
    assert best_baseline.best_baselines(sessions, ["forward", "other"]) == {"forward": Best("stack", "validation")}


def test_one_is_chosen_for_all_sessions_among_those_that_most_of_them_score():
    sessions = {
        "a": session(stack=(0.1, 0.1), often=(0.1, 0.2), rare=(0.1, 0.9)),
        "b": session(stack=(0.1, 0.4), often=(0.1, 0.2), rare=(0.9, None)),
    }
    assert best_baseline.best_baselines(sessions, ["forward"])["forward"].name == "stack"


def test_without_validation_scores_test_decides_and_the_name_says_so():
    blocks = {name: {"forward": {"bps_pooled": score}} for name, score in {"psth": 0.1, "ridge": 0.2}.items()}
    found = best_baseline.best_baselines({"a": {"baselines": blocks}, "b": {"baselines": None}}, ["forward"])
    assert found == {"forward": Best("ridge", "test")}
    assert best_baseline.common_name(list(found.values())) == "ridge (best on test)"


@pytest.mark.parametrize(
    ("bests", "name", "names"),
    [
        ([Best("stack", "validation")] * 2, "stack", None),
        ([Best("stack", "validation"), Best("psth", "validation")], "best on validation", ["stack", "PSTH"]),
        ([Best("stack", "validation"), Best("stack", "test")], "stack (best baseline)", None),
        (
            [Best("stack", "validation"), Best("psth", "test")],
            "best baseline",
            ["stack (validation)", "PSTH (test)"],
        ),
        ([Best(None, "test")] * 2, "best on test", None),
    ],
)
def test_the_row_says_whom_it_is_against(bests, name, names):
    assert best_baseline.common_name(bests) == name and best_baseline.names_of(bests) == names


def block(**changes):
    """A difference of four sessions that is above zero over sessions, after Holm."""
    return {
        **{"baseline": "stack", "chosen_on": "validation", "bps_pooled": 0.1, "ci95": [0.04, 0.16]},
        **{"trials_ci95": [0.09, 0.11], "p_value": 0.01, "p_holm": 0.04, "num_sessions": 4, "num_above": 4},
        **{"num_animals": 4, "animals": 0.1, "animals_ci95": [0.04, 0.16], "signs": dict.fromkeys("abcd", 1)},
    } | changes


def paired(**changes):
    return best_baseline.paired({"mean": {"forward": {"paired_mean": block(**changes)}}}, "forward")


def test_what_holds_over_sessions_is_claimed():
    pair = paired()
    assert pair.verdict == "above" and pair.score.half == pytest.approx(0.06) and pair.score.over == "sessions"
    assert pair.animals is None  # as many as sessions: nothing new
    assert terminal.verdict_text(pair) == "above, p 0.04"


@pytest.mark.parametrize("changes", [{"ci95": [-0.01, 0.21]}, {"p_holm": 0.051}, {"p_holm": None}])
def test_what_only_trials_of_these_sessions_show_is_not_claimed(changes):
    pair = paired(**changes)
    assert pair.verdict == "not resolved" == terminal.verdict_text(pair)
    assert pair.trials_ci95 == (0.09, 0.11)


def test_one_session_shows_its_trials_and_claims_nothing():
    pair = paired(num_sessions=1, ci95=None, p_value=None, p_holm=None, num_animals=1)
    assert pair.score.over == "trials" and pair.score.ci95 == (0.09, 0.11) and pair.verdict == "not resolved"
    assert paired(num_sessions=1, p_value=0.001, p_holm=0.001).verdict == "not resolved"


def test_records_of_older_versions_are_of_trials_and_of_each_sessions_own_best():
    old = {"bps_pooled": 0.1, "bps_pooled_se": 0.01, "ci95": [0.08, 0.12], "num_sessions": 4, "num_above": 4}
    pair = best_baseline.paired({"mean": {"forward": {"paired_mean": old}}}, "forward")
    assert pair.score.over == "trials" and pair.trials_ci95 == (0.08, 0.12) and pair.verdict == "not resolved"
    assert best_baseline.common_name([pair.best]) == "best on test"
    assert "each session's own" in best_baseline.how_chosen([pair.best])


def test_fewer_animals_than_sessions_have_an_interval_of_their_own():
    pair = paired(num_animals=2, animals=0.12, animals_ci95=[-0.5, 0.74])
    assert pair.animals.value == 0.12 and pair.animals.half == pytest.approx(0.62) and pair.num_animals == 2
    assert paired(num_animals=1, animals_ci95=None).animals is None
