"""The evaluation of speech from EEG: where the right sentence stands among all candidates.

An evaluator; see evals.spikes for what its five functions are for. Candidates are all items of the
test trials, by their speech features; a trial of a day that training never saw is scored apart.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neurojax.data.session import TEST, TRAIN, Session
from neurojax.data.sources import speech
from neurojax.data.store import trained_trials
from neurojax.data.store.dataset import Dataset
from neurojax.data.synthetic import speech_eeg
from neurojax.data.synthetic.recipe import Recipe, recipe_of
from neurojax.errors import require
from neurojax.evals import floor_names, leaks, muscle_audit, speech_floors, speech_scores
from neurojax.report import speech_report
from neurojax.scores import retrieval

FLOORS = {"ridge": speech_floors.ridge, "encoding": speech_floors.encoding}
DAY = "day"  # the condition that names it
MUSCLE_REGION = "jaw"  # region of channels that lie on muscles
MOST_SENTENCES = 2**14  # of a made-up recording whose best reader is asked
Log = Callable[[str], Any]


class Candidates(NamedTuple):
    """Attributes:
    name: str [K], what may have been said.
    spoken: float32 [K, T, F], features of each.
    direction: float32 [K, T * F], the same, of length 1.
    """

    name: np.ndarray
    spoken: np.ndarray
    direction: np.ndarray


def about(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Checks the `eval` block; nothing more than the block itself tells evaluations apart."""
    floor_names.chosen(settings, FLOORS)
    require(
        "muscle_bound" not in settings,
        "eval.muscle_bound is called eval.muscle_audit now; rename it in the config, of an older "
        "run in its config.json",
    )
    asked = settings.get("muscle_audit")
    require(isinstance(asked, bool), f"eval.muscle_audit={asked!r}; expected True or False")
    return {}


def prepare(
    dataset: Dataset, settings: Mapping[str, Any], *, run: Path | None = None, log: Log = print
) -> Dataset:
    """All sessions; raises InputError where nobody is there to be tested."""
    require(
        any(len(session.trials_of(TEST)) for session in dataset.sessions),
        "no session has a test trial; expected trials of split 2, convert with a split",
    )
    return dataset


def evaluate(
    model,
    dataset: Dataset,
    settings: Mapping[str, Any],
    seed: int,
    *,
    folder: Path,
    root: str,
    log: Log = print,
) -> dict[str, Any]:
    """Ranks the candidates for every test trial of every person.

    Args:
        model: a predictor of speech features that knows what its batches are (`source_config`).
        dataset: people the run has rows for.
        settings: the `eval` block.
        seed: of the audit's swaps.
        folder, root, log: as of `evals.spikes.evaluate`.

    Returns:
        {"retrieval": see `speech_scores.block_of`, and "num_left_out": trials of any split whose
        speech is not known throughout, "num_candidates_trained": candidates that a train trial
        said; "muscle_audit": see `evals.muscle_audit`, where asked for and
        muscle is known}.

    Raises:
        InputError: a test trial was trained on, or the speech has other features than the run's.
    """
    leaks.require_unseen(dataset.sessions, trained_trials.read(folder), dataset.digests)
    source = speech.open_source(dataset.sessions, model.source_config, seed)
    known = model.facts.get("num_targets")
    require(
        source.facts.num_targets == known,
        f"the data have {source.facts.num_targets} speech features, the run was trained on "
        f"{known}; convert them with the same ones",
    )
    require(
        any(len(session.trials_of(TEST)) for session in source.sessions),
        "no test trial has speech that is known throughout; convert with the speech of all of them",
    )
    source.layout = model.layout  # rows of the run, which may know more people
    candidates = candidates_of(source)
    readers = {"model": lambda number: reader(model, source, number, candidates)}
    for name in floor_names.chosen(settings, FLOORS):
        readers[name] = lambda number, fit=FLOORS[name]: _floor(fit, source, number, candidates)
    made = [_recipe(source, number) for number in range(len(source.sessions))]
    if all(made) and len({(one.seed, one.spec) for one in made}) == 1:  # of one set of sentences
        readers["bayes"] = lambda number: _best(source.sessions[number], made[number], candidates)
    listed = [n for n, session in enumerate(source.sessions) if len(session.trials_of(TEST))]
    tests = {number: windows_of(source, number, candidates) for number in listed}
    ranks = {name: {} for name in readers}
    for name, of in readers.items():
        for number in listed:
            one, session_id = tests[number], source.sessions[number].session_id
            score = of(number)(one.values, one.trial)
            ranks[name][session_id] = (retrieval.ranks(score, one.item), one.known_day)
    found = {"retrieval": speech_scores.block_of(ranks, len(candidates.name))}
    if swap_muscle := model.source_config.swap_muscle:
        for floor in found["retrieval"]["floors"].values():
            speech_scores.leave_out_difference(floor, swap_muscle)
    found["retrieval"]["num_left_out"] = source.num_left_out
    found["retrieval"]["num_candidates_trained"] = _num_trained(source, candidates)
    if found["retrieval"]["of_held_out_day"]:
        tests = {n: one._replace(known_day=~one.known_day) for n, one in tests.items()}
    if settings["muscle_audit"]:
        found |= _audits(readers, tests, source, candidates, seed, log)
    return found


def _num_trained(source: speech.SpeechSource, candidates: Candidates) -> int:
    """Candidates that a train trial of these sessions said."""
    names = np.array(list(source.items))
    numbers = [i[s.trials_of(TRAIN)] for i, s in zip(source.item, source.sessions, strict=True)]
    return int(np.isin(candidates.name, names[np.unique(np.concatenate(numbers))]).sum())


def candidates_of(source: speech.SpeechSource, split: int = TEST) -> Candidates:
    """Everything that is said in a trial of a split, once."""
    names = np.array(list(source.items))
    first: dict[int, np.ndarray] = {}
    for number, session in enumerate(source.sessions):
        trials = session.trials_of(split)
        _, places = np.unique(source.item[number][trials], return_index=True)
        chosen = [trial for trial in trials[places] if source.item[number][trial] not in first]
        if chosen:
            spoken = source.raw(number, np.asarray(chosen), speech.SPEECH)
            first |= dict(zip(source.item[number][chosen].tolist(), spoken, strict=True))
    order = sorted(first)
    spoken = np.stack([first[item] for item in order])
    flat = spoken.reshape(len(order), -1)
    norm = np.linalg.norm(flat, axis=1, keepdims=True)
    require(norm.min() > 0, "an item of a test trial has speech features that are zero throughout")
    return Candidates(names[order], spoken, flat / norm)


def windows_of(
    source: speech.SpeechSource, number: int, candidates: Candidates
) -> muscle_audit.Windows:
    """Test windows of one person, with the muscle part where it is known (else zero)."""
    session = source.sessions[number]
    trials = session.trials_of(TEST)
    values = source.raw(number, trials)
    muscle = np.zeros((0, *values.shape[1:]), np.float32)
    if one_has_muscle(session):
        muscle = source.raw(number, trials, speech.MUSCLE)
    said = np.asarray(session.conditions[source.item_name]).astype(str)[trials]
    place = {name: number for number, name in enumerate(candidates.name.tolist())}
    known = np.ones(len(trials), bool)
    if DAY in session.conditions:
        day = np.asarray(session.conditions[DAY])
        trained = day[session.trials_of(TRAIN)]
        known = np.isin(day[trials], trained) if len(trained) else known
    on_muscle = session.region == MUSCLE_REGION
    item = np.array([place[name] for name in said])
    return muscle_audit.Windows(values, muscle, item, trials, known, on_muscle)


def one_has_muscle(session: Session) -> bool:
    """Whether the muscle part of a recording is known."""
    return speech.MUSCLE in session.behaviour


def reader(model, source: speech.SpeechSource, number: int, candidates: Candidates):
    """(values [W, T, C] as recorded, trial [W]) -> float32 [W, K] of one person, by a run."""

    def score(values: np.ndarray, trial: np.ndarray) -> np.ndarray:
        found, done = [], 0
        for part, batch in source.passes(number, trial):
            window = source.standardised(number, values[done : done + len(part)])
            present = batch.trials["bin_valid"][0, : len(part), :, None]
            batch.trials["values"][0, : len(part), :, : window.shape[-1]] = window * present
            features = np.asarray(model(batch, ()).natural)[0, : len(part)]
            found.append(features.reshape(len(part), -1) @ candidates.direction.T)
            done += len(part)
        return np.concatenate(found)

    return score


def _floor(fit, source: speech.SpeechSource, number: int, candidates: Candidates):
    """The same by a floor of `speech_floors`."""
    trials = source.sessions[number].trials_of(TRAIN)
    if not len(trials):
        return lambda values, trial: np.zeros((len(values), len(candidates.name)))
    windows = source.standardised(number, source.raw(number, trials))
    fitted = fit(windows, source.raw(number, trials, speech.SPEECH))

    def score(values: np.ndarray, trial: np.ndarray) -> np.ndarray:
        return fitted(source.standardised(number, values), candidates.spoken)

    return score


def _recipe(source: speech.SpeechSource, number: int) -> Recipe | None:
    """How a made-up person was made, where channels, days and sentences bear it out."""
    session = source.sessions[number]
    made = recipe_of(session, "speech_eeg", speech_eeg.SpeechSpec, "person")
    if made is None or DAY not in session.conditions:
        return None
    tested = session.trials_of(TEST)
    day, length = np.asarray(session.conditions[DAY])[tested], session.trial_num_bins[tested]
    names = np.array(list(source.items))[source.item[number][tested]].tolist()
    numbers = [int(name) for name in names if re.fullmatch("[0-9]{1,6}", name)]
    fits = (
        session.num_units == made.spec.num_sensors + len(speech_eeg.JAW)
        and source.facts.num_targets == made.spec.num_features
        and (length == speech_eeg.NUM_BINS).all()
        and source.facts.num_bins == speech_eeg.NUM_BINS
        and day.dtype.kind in "iu"
        and (day >= 0).all()
        and len(numbers) == len(names)
        and max(numbers, default=0) < made.spec.num_sentences <= MOST_SENTENCES
    )
    return made if fits else None


def _best(session: Session, made: Recipe, candidates: Candidates):
    """The same by the reader who knows how the recording was made."""
    day, numbers = np.asarray(session.conditions[DAY]), candidates.name.astype(int)

    def score(values: np.ndarray, trial: np.ndarray) -> np.ndarray:
        return speech_eeg.best_read(*made, values, day[trial])[:, numbers]

    return score


def _audits(
    readers: Mapping[str, Callable],
    tests: Mapping[int, muscle_audit.Windows],
    source: speech.SpeechSource,
    candidates: Candidates,
    seed: int,
    log: Log,
) -> dict[str, Any]:
    """{"muscle_audit": of the model and of the best reader}; empty where nobody can be audited."""
    audited = [number for number in tests if one_has_muscle(source.sessions[number])]
    if not audited:
        log(
            f"no muscle audit: no recording has the behaviour {speech.MUSCLE!r} (what of each "
            "sample is muscle), see docs/speech.md"
        )
    few = [number for number in audited if not muscle_audit.can_swap(tests[number])]
    if few:
        names = ", ".join(source.sessions[number].session_id for number in few)
        log(f"no muscle audit of {names[:80]}: fewer than three things are said on trained days")
    audited = [number for number in audited if number not in few]
    if not audited:
        return {}
    log("muscle audit: windows are swapped, silenced, moved and reversed")
    found = {
        name: _audit(readers[name], tests, audited, source, seed)
        for name in ("model", "bayes")
        if name in readers
    }
    about = {"bin_size_s": source.facts.bin_size_s, "chance": 1 / len(candidates.name)}
    return {"muscle_audit": found | about}


def _audit(of, tests, audited, source: speech.SpeechSource, seed: int) -> dict[str, Any]:
    people = {}
    for number in audited:
        rng = np.random.default_rng([seed, number])  # the same swaps for every reader
        name = source.sessions[number].session_id
        people[name] = muscle_audit.of_person(of(number), tests[number], rng)
    return muscle_audit.over_people(people)


def show(evaluation: Mapping[str, Any], log: Log = print) -> None:
    """Tells the scores of a record."""
    log(speech_report.terminal_table(evaluation))


def draw(
    folder: Path,
    evaluation: Mapping[str, Any],
    example: Any,
    metrics: Sequence[Mapping[str, Any]],
    *,
    suffix: str = "",
    log: Log = print,
) -> None:
    """Writes figures<suffix>/ and report<suffix>.html of a record into a workdir."""
    speech_report.write(Path(folder), evaluation, metrics, suffix=suffix, log=log)


def compared(records: Mapping[str, Mapping[str, Any]]) -> tuple[list[list[str]], list[str]]:
    """Runs side by side, for `neurojax compare`: see `speech_report.compared`."""
    return speech_report.compared(records)
