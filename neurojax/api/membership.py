"""Whether the trials a model was trained on can be told from others by the likelihood it gives
them.

The simplest attack on a trained model (Yeom et al. 2018): a trial that the model explains better
than others of its kind was probably trained on. Every unit is predicted from others; what is
compared is the log-likelihood of a trial's spikes above that of the units' mean rates, per bin. Of
other systems scores of an audit's items or of documents are compared. An AUC of 0.5 tells nothing,
1 tells every trial.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata

from neurojax.api.pretrained import Pretrained
from neurojax.data.observed import entries_of
from neurojax.data.session import TEST, TRAIN, Session
from neurojax.data.some_trials import trials_alone
from neurojax.data.store import cards
from neurojax.data.store.corpus import Corpus
from neurojax.data.store.session_format import content_sha256
from neurojax.evals.audits import parts
from neurojax.evals.audits.parts import Part
from neurojax.evals.text_scores import nats_of_tokens
from neurojax.scores.bootstrap import trial_weights

MAX_TRIALS = 200  # of each split of a session; more narrow the interval little
NUM_GROUPS = 4  # units are hidden a quarter at a time
NUM_BOOT = 500
LEAST_TRIALS = 2


def measure(
    model: Pretrained,
    sessions: Sequence[Session],
    progress: Callable[[int], Any] = lambda done: None,
) -> dict[str, Any]:
    """The attack on every session that is as it was when the model was trained.

    Args:
        model: with the roster of its sessions.
        sessions: recordings of the run, with their split.
        progress: receives the number of sessions done.

    Returns:
        "sessions": name -> "auc", "auc_ci95", "num_train_trials", "num_test_trials", or "reason"
        where there is none; "auc" and "auc_ci95": mean over sessions, None and a "reason" without
        any. Intervals are over trials.
    """
    if not model.weights.of_spikes():
        return not_measured("it is measured for models of spikes alone")
    entries = {entry["session_id"]: entry for entry in model.weights.entries}
    given, found, draws = {session.session_id: session for session in sessions}, {}, []
    for number, name in enumerate(entries):
        reason = _why_not(given.get(name), entries[name])
        if reason:
            found[name] = {"auc": None, "reason": reason}
        else:
            found[name], drawn = _of_session(model, given[name], number)
            draws.append(drawn)
        progress(number + 1)
    return _together(found, draws)


def of_parts(members: Sequence[Part], others: Sequence[Part]) -> dict[str, Any]:
    """The attack on a system that an audit can ask: scores of training items against test items.

    Args:
        members: of trials that were trained on.
        others: of test trials; parts of one name are compared.

    Returns:
        as `measure`; intervals are over recordings where a part holds several (of gestures, where
        training and test are of other people), else over items.
    """
    known, found, draws = {part.name: part for part in others}, {}, []
    for number, part in enumerate(members):
        other = known.get(part.name)
        if other is None or min(len(part.targets), len(other.targets)) < LEAST_TRIALS:
            found[part.name] = {"auc": None, "reason": "too few items of one of the splits"}
            continue
        scores = [_likelihood(one) for one in (part, other)]
        units = [np.unique(one.people, return_inverse=True)[1] for one in (part, other)]
        several = min(own.max() for own in units) > 0
        owners = units if several else [np.arange(len(own)) for own in scores]
        block, drawn = _compared(*scores, number, owners)
        found[part.name] = block | ({"over": "people"} if several else {})
        draws.append(drawn)
    return _together(found, draws)


def of_documents(model, corpus: Corpus, tokens_per_pass: int) -> dict[str, Any]:
    """The attack on a language model: nats a token of training documents against test documents.

    Args:
        model: a predictor of the next token.
        corpus: with its split.
        tokens_per_pass: of a batch, at most.

    Returns:
        as `measure`, of one "documents"; of each document the first tokens that fit the context.
    """
    context, rng = model.recipe.model.config.num_positions, np.random.default_rng(0)
    scores = []
    for split in (TRAIN, TEST):
        drawn = np.sort(rng.permutation(corpus.documents_of(split))[:MAX_TRIALS])
        texts = [np.asarray(corpus.tokens_of(k))[: context + 1] for k in drawn]
        texts = [tokens for tokens in texts if len(tokens) > 1]
        nats = nats_of_tokens(model, texts, context, tokens_per_pass)
        scores.append(np.array([-own.astype(np.float64).mean() for own in nats]))
    if min(map(len, scores)) < LEAST_TRIALS:
        return not_measured("too few documents of one of the splits")
    block, drawn = _compared(*scores, 0, [np.arange(len(own)) for own in scores])
    return _together({"documents": block}, [drawn])


def _likelihood(part: Part) -> np.ndarray:
    """How well each item is explained by its own prediction, float64 [n]: log of the probability of
    a class, place among candidates, else nats (of values, squares) above `null`, per entry."""
    predicted, targets = np.asarray(part.predict(part.inputs), np.float64), part.targets
    if part.kind == "classes":
        own = predicted[np.arange(len(targets)), targets]
        return np.log(np.maximum(own, 1e-12))
    if part.kind == "retrieval":
        return np.diag(parts.pair_scores(part, predicted))
    mask = np.ones(targets.shape, bool) if part.mask is None else part.mask
    null = np.broadcast_to(part.null, targets.shape)
    found = np.where(np.isfinite(predicted), predicted, null)
    if part.kind == "counts":
        null, found = np.maximum(null, parts.TINY), np.maximum(found, parts.TINY)
        gain = targets * np.log(found / null) - found + null
    else:
        gain = np.square(targets - null) - np.square(targets - found)
    # Not the scores of an audit: those are over the mean of their own split.
    rows = len(targets)
    entries = np.maximum(mask.reshape(rows, -1).sum(1), 1)
    return np.where(mask, gain, 0.0).reshape(rows, -1).sum(1) / entries


def not_measured(reason: str) -> dict[str, Any]:
    """What `measure` gives where nothing could be asked."""
    return {"auc": None, "reason": reason, "sessions": {}}


def lines(membership: Mapping[str, Any] | None) -> list[str]:
    """The section of the model card."""
    if membership is None or membership["auc"] is None:
        why = "" if membership is None else f": {membership['reason']}"
        return [
            "Whether training trials can be told from test trials by their likelihood was not "
            f"measured{why}."
        ]
    low, high = membership["auc_ci95"]
    measured = {
        name: block for name, block in membership["sessions"].items() if block["auc"] is not None
    }
    many = f"mean of {len(measured)} sessions" if len(measured) > 1 else "1 session"
    over = sorted({block.get("over", "trials") for block in measured.values()})
    rows = [
        f"| {cards.text(name)} | {block['auc']:.3f} | {block['auc_ci95'][0]:.3f} to "
        f"{block['auc_ci95'][1]:.3f} | {block['num_train_trials']}, {block['num_test_trials']} |"
        for name, block in measured.items()
    ]
    left_out = [
        f"- {cards.text(name)}: {b['reason']}"
        for name, b in membership["sessions"].items()
        if b["auc"] is None
    ]
    return [
        "Training trials are told from test trials by the likelihood the model gives them with "
        f"AUC {membership['auc']:.3f} [{low:.3f}, {high:.3f}] ({many}, 95 % interval over "
        f"{' and '.join(over)}): 0.5 tells nothing, 1 tells every trial, and below "
        "0.5 test trials are the easier ones. This is the simplest of such attacks; a stronger one "
        "may tell more.",
        "",
        "| session | AUC | 95 % interval | trials (train, test) |",
        "|---|---|---|---|",
        *rows,
        *([""] + left_out if left_out else []),
    ]


def auc(members: np.ndarray, others: np.ndarray) -> float:
    """Share of pairs in which the member is the higher one; ties count half."""
    ranks = rankdata(np.concatenate([members, others]))[: len(members)].sum()
    return float((ranks - len(members) * (len(members) + 1) / 2) / (len(members) * len(others)))


def _why_not(session: Session | None, entry: Mapping[str, Any]) -> str:
    if session is None:
        return "not among the recordings at hand"
    if content_sha256(session) != entry["content_sha256"]:
        return "the recording changed since the model was trained"
    least = min(len(_watched(session, session.trials_of(split))) for split in (TRAIN, TEST))
    return "" if least >= LEAST_TRIALS and session.num_units > 1 else "too few trials or units"


def _watched(session: Session, trials: np.ndarray) -> np.ndarray:
    """Those of some trials in which a unit was observed."""
    if session.validity is None:
        return trials
    return trials[[bool(session.entry_valid(trials[k : k + 1]).any()) for k in range(len(trials))]]


def _of_session(
    model: Pretrained, session: Session, number: int
) -> tuple[dict[str, Any], np.ndarray]:
    """Draws are of the session's own stream: shared ones would rise and fall together in the mean
    over sessions."""
    rng = np.random.default_rng([number, 2])
    chosen = [
        rng.permutation(_watched(session, session.trials_of(split)))[:MAX_TRIALS]
        for split in (TRAIN, TEST)
    ]
    gains = _gain_of_trials(model, session, np.concatenate(chosen))
    members, others = gains[: len(chosen[0])], gains[len(chosen[0]) :]
    return _compared(members, others, number, [np.arange(len(members)), np.arange(len(others))])


def _compared(
    members: np.ndarray, others: np.ndarray, number: int, owners: Sequence[np.ndarray]
) -> tuple[dict[str, Any], np.ndarray]:
    """(block of one recording, AUC of draws); an owner, int [n], is drawn with all it has."""
    weights = [
        trial_weights(int(own.max()) + 1, NUM_BOOT, seed=[number, k]).astype(int)[:, own]
        for k, own in enumerate(owners)
    ]
    drawn = np.asarray(
        [
            auc(np.repeat(members, mine), np.repeat(others, theirs))
            for mine, theirs in zip(*weights, strict=True)
        ]
    )
    block = {"auc": auc(members, others), "auc_ci95": np.percentile(drawn, [2.5, 97.5]).tolist()}
    return block | {"num_train_trials": len(members), "num_test_trials": len(others)}, drawn


def _together(found: dict[str, Any], draws: Sequence[np.ndarray]) -> dict[str, Any]:
    """Mean over recordings, each drawn of a stream of its own."""
    values = [block["auc"] for block in found.values() if block["auc"] is not None]
    if not values:
        return {"auc": None, "reason": "no session could be measured", "sessions": found}
    ends = np.percentile(np.mean(draws, axis=0), [2.5, 97.5])
    return {"auc": float(np.mean(values)), "auc_ci95": ends.tolist(), "sessions": found}


def _gain_of_trials(model: Pretrained, session: Session, trials: np.ndarray) -> np.ndarray:
    """Log-likelihood of observed entries above that of the units' mean rates, in nats per bin,
    float64 [trials]."""
    asked = trials_alone(session, trials)
    counts, starts, lengths = asked.counts, asked.trial_start_bin, asked.trial_num_bins
    seen = entries_of(asked.validity, *counts.shape)
    rates = (
        model.rates(asked, num_groups=min(NUM_GROUPS, session.num_units)).astype(np.float64)
        * session.bin_size_s
    )
    null = np.maximum(session.mean_counts(), 1e-6)
    gain = counts * (np.log(np.maximum(rates, 1e-12)) - np.log(null)) - rates + null
    if seen is None:
        return np.add.reduceat(gain.sum(1), starts) / lengths
    whole_bins = np.add.reduceat(seen.sum(1), starts) / session.num_units
    return np.add.reduceat(np.where(seen, gain, 0).sum(1), starts) / whole_bins
