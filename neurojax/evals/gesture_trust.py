"""How far a reader of gestures can be trusted, person by person: parts of the block `gestures`.

    confusion          which gesture is taken for which
    abstention         how often it is wrong among the windows of which it is most sure
    conformal          sets of gestures that hold the true one, segment by segment
    false_activations  how often an hour it acts while the person does nothing
    intervals          of each person's balanced accuracy, over segments

Confusion and intervals are of the answers that are scored, the three others of those that somebody
who wears the armband would get: of each person known by the past alone, where there is such a
reading.
Windows overlap and a gesture is held for seconds, so intervals and conformal sets take a segment as
one case; its probability is the mean over its windows.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from neurojax.data.session import Session
from neurojax.evals import conformal, false_activations, selective
from neurojax.scores import activations
from neurojax.scores.intervals import t_interval

HOLDS = (1, 5)  # windows in a row before an activation begins
GATE = "gate"  # the other way to begin one, see `scores.activations`
_DRAWS = 500
_SHARES = (0.05, 0.95)


class Windows(NamedTuple):
    """The scored windows of one person, in order of time.

    Attributes:
        probability: float [windows, K].
        label: int [windows].
        segment: int [windows], which of the recording's segments each is from.
        block: int [windows], its round; its repetition where there is one round.
        step_s: from the start of a window to that of the next.
    """

    probability: np.ndarray
    label: np.ndarray
    segment: np.ndarray
    block: np.ndarray
    step_s: float


def windows_of(
    session: Session, trials: np.ndarray, probability: np.ndarray, label: np.ndarray
) -> Windows | None:
    """What was said of some windows of a person, with the segments they are from.

    Args:
        session: converted by `convert emg`; None is returned of others, which name no segment.
        trials: int [windows].
        probability, label: of these, [windows, K] and [windows].
    """
    known, step_ms = session.conditions, session.info.get("step_ms")
    if "segment" not in known or not isinstance(step_ms, int | float):
        return None
    time = np.argsort(session.trial_start_bin[trials], kind="stable")
    trials = trials[time]
    blocks = [np.asarray(known[name])[trials] for name in ("round", "repetition") if name in known]
    varied = [one for one in blocks if len(np.unique(one)) > 1]
    block = varied[0] if varied else np.zeros(len(trials), int)
    segment = np.asarray(known["segment"])[trials]
    return Windows(probability[time], label[time], segment, block, step_ms / 1000)


def blocks_of(
    people: Mapping[str, Windows],
    class_names: Sequence[str],
    live: Mapping[str, Windows] | None = None,
) -> dict[str, Any]:
    """Parts of the block `gestures`, see above; each person counts alike.

    Args:
        people: name -> its windows, all probabilities finite.
        class_names: K names.
        live: the same windows as they are read while they come; default: as in `people`.
    """
    number = len(class_names)
    found: dict[str, Any] = {
        "confusion": confusion(people, number),
        "abstention": abstention(people if live is None else live),
        "intervals": {name: interval_over_segments(own, number) for name, own in people.items()},
    }
    people = people if live is None else live
    cases = {name: segments(own) for name, own in people.items()}
    parts = [{name: own[k] for name, own in cases.items()} for k in range(3)]
    found["conformal"] = conformal.by_group(*parts)
    neutral = activations.neutral_of(class_names)
    if neutral is None:
        reason = f"no gesture is named {' or '.join(activations.NEUTRAL)}"
        return found | {"false_activations": None, "false_activations_reason": reason}
    false = false_in_neutral(people, neutral)
    return found | {"false_activations": false, "gestures_by_gate": found_by_gate(people, neutral)}


def confusion(people: Mapping[str, Windows], num_classes: int) -> list[list[float | None]]:
    """[K][K]: of the windows of the gesture of a row the share read as that of a column, mean over
    the people who made it; None where nobody did."""
    each = []
    for own in people.values():
        counts = np.zeros((num_classes, num_classes))
        np.add.at(counts, (own.label, own.probability.argmax(1)), 1)
        made = counts.sum(1, keepdims=True)
        each.append(np.divide(counts, made, out=np.full_like(counts, np.nan), where=made > 0))
    made = np.isfinite(each).sum(0)  # people who made the gesture of each row
    mean = np.where(made, np.nansum(each, axis=0) / np.maximum(made, 1), np.nan)
    return [[None if np.isnan(value) else float(value) for value in row] for row in mean]


def abstention(people: Mapping[str, Windows]) -> dict[str, Any]:
    """Risk against coverage, mean over people and the middle nine tenths of them.

    Returns:
        {"coverage", "risk", "risk_low", "risk_high": lists, "area": mean over people, "people":
        {NAME: {"risk": list, "area"}}}.
    """
    each = {}
    for name, own in people.items():
        confidence, right = own.probability.max(1), own.probability.argmax(1) == own.label
        risk = selective.curve(confidence, right)["risk"]
        each[name] = {"risk": risk, "area": selective.area(confidence, right)}
    risks = np.array([one["risk"] for one in each.values()])
    low, high = np.quantile(risks, _SHARES, axis=0)
    return {
        "coverage": list(selective.SHARES),
        "risk": risks.mean(0).tolist(),
        "risk_low": low.tolist(),
        "risk_high": high.tolist(),
        "area": float(np.mean([one["area"] for one in each.values()])),
        "people": each,
    }


def segments(own: Windows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean probability [segments, K], label [segments] and block [segments] of each segment."""
    _, first, place = np.unique(own.segment, return_index=True, return_inverse=True)
    total = np.zeros((len(first), own.probability.shape[1]))
    np.add.at(total, place, own.probability)
    mean = total / np.bincount(place)[:, None]
    return mean, own.label[first], own.block[first]


def interval_over_segments(own: Windows, num_classes: int, seed: int = 0) -> list[float] | None:
    """95 % interval of a person's balanced accuracy: each gesture's segments are drawn again.

    None where a gesture was made in one segment, which says nothing of others.
    """
    right = own.probability.argmax(1) == own.label
    _, first, place = np.unique(own.segment, return_index=True, return_inverse=True)
    hits, sizes, label = np.bincount(place, right), np.bincount(place), own.label[first]
    rng, shares = np.random.default_rng(seed), []
    for one in range(num_classes):
        members = np.flatnonzero(label == one)
        if not len(members):
            continue
        if len(members) == 1:
            return None
        drawn = rng.choice(members, (_DRAWS, len(members)))
        shares.append(hits[drawn].sum(1) / sizes[drawn].sum(1))
    return [float(end) for end in np.quantile(np.mean(shares, axis=0), (0.025, 0.975))]


def false_in_neutral(people: Mapping[str, Windows], neutral: int) -> dict[str, Any]:
    """Activations in the segments in which people do nothing, by N windows in a row and by a gate.

    Each segment is begun with nothing read, so of its windows only those count in which an
    activation could begin: from the Nth on, or from the first that can fill the gate.

    Returns:
        {"hold_N" and "gate": as of `false_activations.per_hour`, over all people, and
        "people_with_none"}, None where no segment is as long; "people": {NAME: {"hold_N", "gate":
        number, "hours": {"hold_N", "gate"}}}}; no interval over people is in it, the spread is in
        "people_per_hour_ci95" (t) of each.
    """
    before = {f"hold_{hold}": hold - 1 for hold in HOLDS}
    before[GATE] = activations.least_windows(activations.USUAL) - 1
    each: dict[str, dict[str, Any]] = {}
    for name, own in people.items():
        said = own.probability.argmax(1)
        at_rest = [own.segment == one for one in np.unique(own.segment[own.label == neutral])]
        if at_rest:
            hours = {
                name: sum(max(int(rest.sum()) - less, 0) for rest in at_rest) * own.step_s / 3600
                for name, less in before.items()
            }
            counts = {
                f"hold_{hold}": sum(
                    false_activations.begun(said[rest], neutral, hold) for rest in at_rest
                )
                for hold in HOLDS
            }
            through = [activations.acted(own.probability[rest], neutral) for rest in at_rest]
            counts[GATE] = sum(false_activations.begun(one, neutral, 1) for one in through)
            each[name] = {"hours": hours, **counts}
    found: dict[str, Any] = {"people": each}
    for name in before if each else ():
        watched = [(one[name], one["hours"][name]) for one in each.values() if one["hours"][name]]
        if not watched:
            found[name] = None
            continue
        numbers, hours = zip(*watched, strict=True)
        total = false_activations.per_hour(sum(numbers), sum(hours))
        spread = t_interval([number / long for number, long in watched])
        ends = None if spread is None else list(spread.ci95)
        more = {"people_with_none": numbers.count(0), "people_per_hour_ci95": ends}
        found[name] = total | more
    return found


def found_by_gate(people: Mapping[str, Windows], neutral: int) -> dict[str, Any]:
    """What a gate makes of the segments in which people make a gesture: what resting in peace
    costs.

    Returns:
        {"windows", "begins", "ends": of the gate; "found": share of the segments whose own gesture
        it acts first, "other": share in which another one comes first, each a mean over people;
        "delay_s": median over the people of their median time to the first, from the end of the
        segment's first window; "people": {NAME: {"found", "other", "delay_s"}}}.
    """
    each = {}
    for name, own in people.items():
        firsts, delays = [], []
        for one in np.unique(own.segment[own.label != neutral]):
            inside = own.segment == one
            said = activations.acted(own.probability[inside], neutral)
            acts = np.flatnonzero(said != neutral)
            firsts.append(bool(said[acts[0]] == own.label[inside][0]) if len(acts) else None)
            delays += [acts[0] * own.step_s] if firsts[-1] else []
        if firsts:
            each[name] = {
                "found": firsts.count(True) / len(firsts),
                "other": firsts.count(False) / len(firsts),
                "delay_s": float(np.median(delays)) if delays else None,
            }
    delays = [one["delay_s"] for one in each.values() if one["delay_s"] is not None]
    means = {
        name: float(np.mean([one[name] for one in each.values()])) if each else None
        for name in ("found", "other")
    }
    delay_s = float(np.median(delays)) if delays else None
    return activations.USUAL._asdict() | means | {"delay_s": delay_s, "people": each}
