"""The test items of a run on speech from EEG, for its audit: windows, and where the sentence of
each stands among all candidates."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurojax.data.session import TEST, TRAIN, names_a_region
from neurojax.data.sources import speech
from neurojax.data.store.dataset import Dataset
from neurojax.evals import speech_retrieval
from neurojax.evals.audits.of_units import groups_of, person_of
from neurojax.evals.audits.parts import Part

MAX_PEOPLE, MAX_WINDOWS, MAX_TRAIN, CHANNEL_GROUPS = 12, 32, 96, 8
BOUNDS = (
    f"at most {MAX_PEOPLE} people, {MAX_WINDOWS} test windows of each drawn with the seed; a "
    "window's score is the share of the other candidates that its sentence is above; training "
    f"windows: {MAX_TRAIN} drawn of each person; channels in {CHANNEL_GROUPS} groups by chance"
)


def parts_of(
    model, dataset: Dataset, settings: Mapping[str, Any], seed: int, split: int = TEST
) -> list[Part]:
    """A part of each person (of up to MAX_PEOPLE, drawn with the seed)."""
    del settings
    source = speech.open_source(dataset.sessions, model.source_config, seed)
    source.layout = model.layout
    candidates = speech_retrieval.candidates_of(source, split)
    chosen = np.random.default_rng([seed, 13]).permutation(len(source.sessions))[:MAX_PEOPLE]
    return [
        _part(model, source, candidates, int(number), [seed, 14, int(number)], split)
        for number in np.sort(chosen)
        if len(source.sessions[number].trials_of(split)) > 1
    ]


def headline(record: Mapping[str, Any]) -> float | None:
    """The score of a run that is compared over seeds."""
    block = record.get("retrieval") or {}
    return block.get("top10", block.get("top1"))


def _part(
    model, source: speech.SpeechSource, candidates, number: int, seed: list[int], split: int
) -> Part:
    session, rng = source.sessions[number], np.random.default_rng(seed)
    tested = np.sort(rng.permutation(session.trials_of(split))[:MAX_WINDOWS])
    trained = np.sort(rng.permutation(session.trials_of(TRAIN))[:MAX_TRAIN])
    score = speech_retrieval.reader(model, source, number, candidates)
    place = {name: k for k, name in enumerate(candidates.name.tolist())}
    said = np.asarray(session.conditions[source.item_name]).astype(str)
    others = {name: len(place) + k for k, name in enumerate(source.items)}  # never a candidate
    count, channels = len(tested), session.num_units
    groups = {name: np.full(count, text) for name, text in groups_of(session).items()}
    if speech_retrieval.DAY in session.conditions:
        day = np.asarray(session.conditions[speech_retrieval.DAY])[tested]
        groups["day"] = day.astype(str)
    region = [str(label) if names_a_region(str(label)) else "" for label in session.region]
    return Part(
        name=session.session_id,
        kind="retrieval",
        inputs=source.raw(number, tested),
        input_bins=session.trial_num_bins[tested],
        targets=np.array([place[name] for name in said[tested]]),
        mask=None,
        predict=lambda inputs: score(inputs, tested),
        null=np.zeros(len(place)),
        train_inputs=source.raw(number, trained),
        train_targets=np.array([place.get(n, others[n]) for n in said[trained]], np.int64),
        start_s=np.asarray(session.trial_start_s[tested], np.float64),
        channel_group=np.array(
            [f"channels {k % CHANNEL_GROUPS + 1}" for k in rng.permutation(channels)]
        ),
        region=np.array(region),
        groups=groups,
        unit=np.full(count, session.session_id),
        person=np.full(count, person_of(session)),
    )
