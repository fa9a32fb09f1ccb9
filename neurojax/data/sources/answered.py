"""Spike counts beside stored answers: each trial comes with one fixed question and what somebody
answered to it.

Which trials a batch holds is as of `spikes`; which question each of them comes with is drawn from
(seed, i) too. An objective asks exactly that question (`objectives.interface.stored_query`) and
finds the answer in the batch: a teacher's rates to learn from, or a base to add to.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.batch import Batch
from neurojax.data.batching import BatchingConfig
from neurojax.data.questions import TASKS, Question, questions_of
from neurojax.data.session import TRAIN, Session
from neurojax.data.sources import spikes
from neurojax.data.sources.spikes import rows_of  # noqa: F401  as of any spikes
from neurojax.data.store.answers import Answers, read_answers
from neurojax.errors import require
from neurojax.schemes import CAUSAL, INTER_REGION, INTRA_REGION, NEURON

SCHEME = dict(zip(TASKS, (NEURON, CAUSAL, INTER_REGION, INTRA_REGION), strict=True))


@dataclasses.dataclass(frozen=True)
class Config(BatchingConfig):
    """Attributes: answers: folder of stored answers, see `data.store.answers`."""

    answers: str


class AnsweredSource:
    """Batches of the train split with a question and an answer for each trial.

    Beside what batches of spikes hold, `Batch.trials` has
        hidden_units bool [G, b, N], hidden_bins bool [G, b, T], what the question hides,
        asked_units bool [G, b, N], whom it asks for (in the hidden bins, if there are any),
        scheme int32 [G, b], the scheme of its task,
        answer float32 [G, b, T, N], log of the expected spikes per bin, 0 where there is none,
        answered bool [G, b, T, N], where there is one; never more than what is asked.
    Validation batches are those of spikes.

    Attributes: as of `spikes.SpikeSource`; `answers` as read, of each session; `answers_sha256` of
        them all, wherever they lie, for the run's config.
    """

    # No `layout`: answers live on the host, and data.placement=device is refused by that.
    def __init__(self, spike_source: spikes.SpikeSource, answers: Sequence[Answers], seed: int):
        self._spikes, self._seed, self.answers = spike_source, seed, tuple(answers)
        self.facts, self.sessions = spike_source.facts, spike_source.sessions
        self.table, self.trials_per_batch = spike_source.table, spike_source.trials_per_batch
        of_each = {
            one.session_id: own.sha256 for one, own in zip(self.sessions, answers, strict=True)
        }
        told = json.dumps(of_each, sort_keys=True)
        self.answers_sha256 = hashlib.sha256(told.encode()).hexdigest()
        self._asked = [
            _by_task(session, own) for session, own in zip(self.sessions, answers, strict=True)
        ]
        self.shapes, self.contents = spike_source.shapes, spike_source.contents
        self.session_names = spike_source.session_names
        self.validation_batches = spike_source.validation_batches

    def batch(self, index: int, rows: Callable[[int], slice] = slice) -> Batch:
        """Batch `index`; `rows` says which of the b trials of a group to gather, default all."""
        plan = self._spikes.plan(index)
        draw = np.random.default_rng([self._seed, index, 1]).random((*plan.trial.shape, 2))
        own = rows(plan.trial.shape[1])
        batch = self._spikes.batch(index, rows)
        groups = zip(plan.session, plan.trial[:, own], draw[:, own], strict=True)
        joined = _empty(batch)
        for group, (session, trials, drawn) in enumerate(groups):
            for place, (trial, (first, second)) in enumerate(zip(trials, drawn, strict=True)):
                question = _drawn(self._asked[session], first, second)
                here = {name: array[group, place] for name, array in joined.items()}
                length = self.sessions[session].trial_num_bins[trial]
                _join(here, question, self.answers[session], trial, length)
                joined["scheme"][group, place] = SCHEME[question.task]
        return batch.with_trials(**joined)

    def largest_batch(self) -> Batch:
        """A batch of the shape with the most entries; nothing is hidden or answered in it."""
        batch = self._spikes.largest_batch()
        return batch.with_trials(**_empty(batch))


def open_source(
    sessions: Sequence[Session],
    config: Config,
    seed: int,
    table: list[dict[str, Any]] | None = None,
    new_until: tuple[int, int] | None = None,
) -> AnsweredSource:
    """The source of a run; arguments as of `sources.spikes.open_source`.

    Raises:
        InputError: no answers, damaged ones, those of other recordings, or a train trial without.
    """
    require(
        config.answers,
        "data.answers is empty; give the folder that neurojax predict --format=answers wrote",
    )
    answers = [read_answers(Path(config.answers), session) for session in sessions]
    for session, own in zip(sessions, answers, strict=True):
        missing = np.setdiff1d(session.trials_of(TRAIN), own.trial_id)
        require(
            not len(missing),
            f"{config.answers} has no answers to {len(missing)} train trials of session "
            f"{session.session_id}; write the answers again",
        )
    answerers = {str(dict(own.answerer)) for own in answers}
    require(
        len(answerers) == 1,
        f"{config.answers} holds answers of {len(answerers)} teachers, expected one for all "
        "sessions; write them again into a new folder",
    )
    source = spikes.open_source(sessions, config, seed, table, new_until)
    return AnsweredSource(source, answers, seed)


def _by_task(session: Session, answers: Answers) -> list[tuple[list[Question], np.ndarray]]:
    """The questions of each answered task, and how often one up to each is drawn."""
    found = []
    for task in answers.log_rates:
        own = [question for question in questions_of(session) if question.task == task]
        # A question is drawn as often as it asks for units: every unit is asked for alike.
        sizes = np.cumsum([question.asked.sum() for question in own], dtype=float)
        if own:
            found.append((own, sizes / sizes[-1]))
    require(
        found,
        f"session {session.session_id} has answers to no question that it can be asked (no region "
        "is known); write answers of co_smoothing or forward",
    )
    return found


def _drawn(by_task, first: float, second: float) -> Question:
    """A question, from two uniform numbers: tasks alike, units of a task alike."""
    questions, up_to = by_task[int(first * len(by_task))]
    return questions[min(int(np.searchsorted(up_to, second, "right")), len(questions) - 1)]


def _empty(batch: Batch) -> dict[str, np.ndarray]:
    """Arrays of a question that hides nothing and has no answer."""
    shape = batch.trials["counts"].shape
    units, bins = (*shape[:2], shape[3]), shape[:3]
    return {
        "hidden_units": np.zeros(units, bool),
        "asked_units": np.zeros(units, bool),
        "hidden_bins": np.zeros(bins, bool),
        "scheme": np.zeros(shape[:2], np.int32),
        "answer": np.zeros(shape, np.float32),
        "answered": np.zeros(shape, bool),
    }


def _join(
    here: dict[str, np.ndarray], question: Question, answers: Answers, trial: int, length: int
) -> None:
    """Writes a question and its answer into the arrays of one trial of `length` bins."""
    row = int(np.searchsorted(answers.trial_id, trial))
    log_rates = answers.log_rates[question.task][row, :length]
    num_bins, num_units = log_rates.shape
    here["hidden_units"][:num_units] = question.hidden
    here["asked_units"][:num_units] = question.asked
    there = np.isfinite(log_rates) & question.asked
    if question.task == "forward":
        here["hidden_bins"][:num_bins] = answers.last_bins[row, :length]
        there &= answers.last_bins[row, :length, None]
    here["answer"][:num_bins, :num_units] = np.where(there, log_rates, 0)
    here["answered"][:num_bins, :num_units] = there
