"""Whether a dataset can be trained on and scored: asked before hours of training, not after."""

from collections.abc import Sequence

from neurojax.data.session import SPLIT_NAMES, TEST, TRAIN, VALIDATION, Session
from neurojax.data.splits import later_trials_within
from neurojax.errors import InputError, require
from neurojax.evals import leaks


def require_scorable(sessions: Sequence[Session], *, needs_validation: bool) -> None:
    """Every session has what training, baselines and scores need.

    Args:
        sessions: of the dataset.
        needs_validation: baselines are tuned on validation trials.

    Raises:
        InputError: a session lacks trials of a split or train spikes, a test trial repeats a train
            trial, or trials of different splits share bins or time.
    """
    needed = (TRAIN, VALIDATION, TEST) if needs_validation else (TRAIN, TEST)
    for session in sessions:
        for split in needed:
            if not len(session.trials_of(split)):
                remedy = "convert it with another --split"
                if split == VALIDATION:
                    remedy += ", or evaluate without baselines: --config.eval.baselines="
                raise InputError(
                    f"session {session.session_id} has no {SPLIT_NAMES[split]} trial; {remedy}"
                )
        require(
            session.mean_counts(TRAIN).any(),
            f"session {session.session_id} has no spike in its train trials; leave it out",
        )
        leaks.require_no_overlap(session)
        times = (session.trial_start_s, session.trial_num_bins, session.bin_size_s, session.split)
        if shared := int(later_trials_within(*times).sum()):
            raise InputError(
                f"session {session.session_id}: {shared} pairs of trials of different splits "
                "share time, so test "
                "spikes were seen in training; convert it with --split=blocks:300s or a shorter "
                "--window"
            )
    leaks.require_no_copies(sessions)
