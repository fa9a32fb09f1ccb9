"""The test items of a run on gestures, for its audit: windows of people that training never saw."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from neurojax.batch import Batch
from neurojax.data import emg_features
from neurojax.data.checks import check_signals
from neurojax.data.session import TEST, TRAIN
from neurojax.data.sources import emg, signals
from neurojax.data.store.dataset import Dataset
from neurojax.evals import ring_order
from neurojax.evals.audits.of_units import groups_of, person_of
from neurojax.evals.audits.parts import Part

MAX_PEOPLE, MAX_WINDOWS, MAX_TRAIN = 27, 24, 12
BOUNDS = (
    f"at most {MAX_PEOPLE} people, {MAX_WINDOWS} windows of each drawn with the seed; training "
    f"windows: {MAX_TRAIN} of each person"
)


def parts_of(
    model, dataset: Dataset, settings: Mapping[str, Any], seed: int, split: int = TEST
) -> list[Part]:
    """One part: windows of all people, so that people can be told apart as groups."""
    del settings
    sessions, config = dataset.sessions, model.source_config
    _, labels = signals.classes_of(sessions, config.label)
    classes = int(model.facts["num_classes"])
    rng = np.random.default_rng([seed, 10])
    tested = _drawn(sessions, split, MAX_WINDOWS, rng, MAX_PEOPLE)
    trained = _drawn(sessions, TRAIN, MAX_TRAIN, rng, len(sessions))
    if not tested:
        return []
    windows, bins, known, recording = _windows(sessions, tested)
    before = _windows(sessions, trained)[0] if trained else windows[:0]
    told = np.concatenate([labels[number][trials] for number, trials in tested])
    seen = [labels[number][trials] for number, trials in trained]
    seen = np.concatenate(seen) if seen else np.zeros(0, np.int64)
    groups = [groups_of(sessions[number]) for number, _ in tested]
    owner = np.repeat(np.arange(len(tested)), [len(trials) for _, trials in tested])
    names = {name for one in groups for name in one}
    answer = _of_features if isinstance(config, emg.Config) else _of_samples
    counted = np.bincount(seen if len(seen) else told, minlength=classes)
    unit_id = np.asarray(sessions[0].unit_id).astype(str)
    return [
        Part(
            name="people",
            kind="classes",
            inputs=windows,
            input_bins=bins,
            targets=told,
            mask=None,
            predict=answer(model, dataset, tested, owner, known, split),
            null=counted / counted.sum(),
            train_inputs=before[:, : windows.shape[1]],
            train_targets=seen,
            start_s=np.concatenate([sessions[k].trial_start_s[t] for k, t in tested]),
            channel_group=unit_id,
            region=np.full(len(unit_id), ""),
            groups={name: np.array([groups[one].get(name, "") for one in owner]) for name in names},
            unit=recording,
            train_unit=_people(sessions, trained),
            person=_people(sessions, tested),
        )
    ]


def headline(record: Mapping[str, Any]) -> float | None:
    """The score of a run that is compared over seeds."""
    return (record.get("gestures") or {}).get("balanced_accuracy")


def _drawn(sessions, split: int, most: int, rng, people: int) -> list[tuple[int, np.ndarray]]:
    """(number of a person, some windows of theirs), of up to so many people."""
    having = [number for number, session in enumerate(sessions) if len(session.trials_of(split))]
    chosen = sorted(rng.permutation(having)[:people].tolist()) if having else []
    return [
        (int(number), np.sort(rng.permutation(sessions[number].trials_of(split))[:most]))
        for number in chosen
    ]


def _windows(sessions, drawn) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(windows float32 [n, T, C] in the recording's unit, bins of each, which of them were
    observed, name of each recording)."""
    width = max(int(sessions[k].trial_num_bins[t].max()) for k, t in drawn)
    values = [sessions[k].gather_trials(t, width)[0].astype(np.float32) for k, t in drawn]
    bins = [sessions[k].trial_num_bins[t] for k, t in drawn]
    known = [sessions[k].entry_valid(t, width) for k, t in drawn]
    names = [np.full(len(t), sessions[k].session_id) for k, t in drawn]
    return tuple(np.concatenate(parts) for parts in (values, bins, known, names))


def _people(sessions, drawn) -> np.ndarray:
    """The person of each window, text [n]."""
    names = [np.full(len(t), person_of(sessions[k])) for k, t in drawn]
    return np.concatenate([np.zeros(0, "U1"), *names])


def _of_samples(model, dataset: Dataset, tested, owner, known, split: int) -> Callable:
    """Probabilities by a network that reads the samples, standardised by person."""
    del split
    config, sessions = model.source_config, dataset.sessions
    size = config.trials_per_batch
    width = max(int(session.trial_num_bins.max()) for session in sessions)
    mean, sd = np.zeros((2, len(tested), sessions[0].num_units), np.float32)
    sd += 1
    if config.normalise != "none":
        moments = [check_signals.channel_moments(sessions[number]) for number, _ in tested]
        mean, sd = (np.stack(part).astype(np.float32) for part in zip(*moments, strict=True))
        sd = np.where(sd > 0, sd, 1)

    def predict(inputs: np.ndarray) -> np.ndarray:
        values = (inputs - mean[owner][:, None]) / sd[owner][:, None] * known
        bins = known.any(2)  # [n, T]
        found = []
        for first in range(0, len(values), size):
            some = slice(first, first + size)
            number = len(values[some])
            padded = np.zeros((1, size, width, values.shape[2]), np.float32)
            padded[0, :number, : values.shape[1]] = values[some]
            valid = np.zeros((1, size, width), bool)
            valid[0, :number, : values.shape[1]] = bins[some]
            trials = {
                "values": padded,
                "bin_valid": valid,
                "trial_id": np.zeros((1, size), np.int32),
                "label": np.full((1, size), -1, np.int32),
            }
            found.append(np.asarray(model.mean(Batch(trials, {}), ()), np.float64)[0, :number])
        return np.concatenate(found)

    return predict


def _of_features(model, dataset: Dataset, tested, owner, known, split: int) -> Callable:
    """Probabilities by a network that reads features, in the order found for each person."""
    config = model.source_config
    features = emg.Features(dataset.sessions, config.min_step)
    answers = ring_order.answers_of(model, config.trials_per_batch)
    columns = features.columns if config.order == "ring" else features.columns[:1]
    means, scales, orders, filled = [], [], [], []
    for number, _ in tested:
        values = features.standardised(number)
        own = values[dataset.sessions[number].trials_of(split)]
        orders.append(columns[int(ring_order.by_recording(answers, own, columns).order[0])])
        raw = features.raw(number)
        scales.append(raw.std(0))
        means.append(raw.mean(0))
        filled.append(check_signals.channel_moments(dataset.sessions[number])[0])
    mean, scale, order, middle = (np.stack(a) for a in (means, scales, orders, filled))

    def predict(inputs: np.ndarray) -> np.ndarray:
        shown = np.where(known, inputs, middle[owner][:, None])
        found = emg_features.all_features(shown, config.min_step)
        spread = np.where(scale > 0, scale, 1)[owner]
        found = ((found - mean[owner]) / spread).astype(np.float32)
        return answers(np.take_along_axis(found, order[owner], axis=1))

    return predict
