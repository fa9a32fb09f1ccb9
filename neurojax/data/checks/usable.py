"""Can these sessions be used at all? One set of questions for `check`, training, scores and
decoding."""

from collections.abc import Collection, Sequence

from neurojax.data.checks.check import surveys_of
from neurojax.data.checks.findings import Finding
from neurojax.data.session import Session
from neurojax.errors import require

# What only matters where test trials are scored.
OF_TESTS = frozenset(("no_test_trial", "no_spikes_test", "no_test_session"))


def errors_of(sessions: Sequence[Session]) -> dict[str, list[Finding]]:
    """Session id -> the errors that `check_dataset` finds, without what only warns, which takes
    most of the time. What is trained on, scored and decoded is asked the same."""
    sessions = list(map(_used, sessions))
    if not sessions:  # of texts
        return {}
    surveys = surveys_of(sessions, errors_only=True)
    return {
        session.session_id: [f for f in survey.findings if f.level == "error"]
        for session, survey in zip(sessions, surveys, strict=True)
    }


def require_usable(sessions: Sequence[Session], besides: Collection[str] = ()) -> None:
    """Raises InputError for the first error of `errors_of`.

    Args:
        sessions: of one kind.
        besides: codes of findings that do not matter here.
    """
    for name, errors in errors_of(sessions).items():
        for error in errors:
            require(
                error.code in besides,
                f"session {name} cannot be used: {error.sentence}; {error.remedy}; "
                "`neurojax check` says more",
            )


def _used(session: Session) -> Session:
    """The session without trials that a run leaves out, see `splits.with_train_fraction`."""
    used = session.split >= 0
    if used.all():
        return session
    columns = ("trial_start_bin", "trial_num_bins", "trial_start_s", "split")
    kept = {name: getattr(session, name)[used] for name in columns}
    conditions = {name: values[used] for name, values in session.conditions.items()}
    return session.with_fields(**kept, conditions=conditions)
