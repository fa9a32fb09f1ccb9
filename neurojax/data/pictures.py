"""Which pictures a session shows, as embeddings: the digests by which one is known again."""

import hashlib

import numpy as np

from neurojax.data.session import Session

EMBEDDING = "embedding"  # the behaviour: a picture as a network for images sees it


def known_pictures(session: Session) -> np.ndarray:
    """Trials whose embedding is known in full, bool [trials]."""
    held = session.behaviour[EMBEDDING]
    known = session.behaviour_valid[EMBEDDING] & np.isfinite(held).all(1) & (held != 0).any(1)
    return known[session.trial_start_bin]


def shown(session: Session, split: int) -> set[bytes]:
    """Digests of the embeddings of a split that are known; none of a session without embeddings."""
    if EMBEDDING not in session.behaviour:
        return set()
    trials = session.trials_of(split)
    trials = trials[known_pictures(session)[trials]]
    held = np.asarray(session.behaviour[EMBEDDING], np.float32)
    return {hashlib.sha256(held[row]).digest()[:16] for row in session.trial_start_bin[trials]}
