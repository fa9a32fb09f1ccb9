"""What a run must not have been trained on, asked before training as the evaluation will ask it."""

from collections.abc import Mapping, Sequence
from typing import Any

from neurojax.data import pictures
from neurojax.data.session import TEST, Session
from neurojax.data.store.session_format import Digests
from neurojax.data.store.trained_trials import Trained
from neurojax.errors import require
from neurojax.evals import evaluators, leaks


def require_unseen(
    settings: Mapping[str, Any],
    sessions: Sequence[Session],
    trained: Trained | None,
    digests: Mapping[str, Digests] | None = None,
) -> None:
    """`leaks.require_unseen`, and what the evaluator of an `eval` block asks beside trials.

    Args:
        settings: the `eval` block.
        sessions, trained, digests: as of `leaks.require_unseen`.

    Raises:
        InputError: something tested was trained on.
    """
    leaks.require_unseen(sessions, trained, digests)
    if more := getattr(evaluators.named(settings), "require_unseen", None):
        more(sessions, trained)


def require_unseen_pictures(sessions: Sequence[Session], trained: Trained | None) -> None:
    """No test picture is one that a run was trained on, whoever it was shown to. Of tasks that rank
    pictures: for any other a picture may come again, as what the trial was about.

    Args:
        sessions: to be tested.
        trained: None where it is not known, and nothing is asked.

    Raises:
        InputError: one is.
    """
    for session in sessions if trained and trained.shown else ():
        again = pictures.shown(session, TEST) & trained.shown
        require(
            not again,
            f"the run, or one it was fine-tuned from, was trained on {len(again)} of the test "
            f"pictures of session {session.session_id}; keep one set of test pictures for "
            "everybody, or start from another run",
        )
