"""How a recording lies in a file: text, names, choices, behaviour, declared time, and the words that go with it.

A door is `make(recording, folder, rng)`: it writes the recording and returns what to run and the names of its units.
"""

from collections.abc import Callable, Sequence

import numpy as np
from recording import BIN_S, TRIAL_S, WINDOW_S, Recording

from neurojax.data.session import Session

Made = tuple[list[str] | Callable[[], Session], Sequence[str]]
LEAD_S = 0.2  # from the start of a trial to its event, where a door cuts around events


def text(recording: Recording, values: Sequence[str]) -> np.ndarray:
    """Text as the door's file has it: plain, bytes or objects."""
    made = np.array([str(value) for value in values])
    form = recording.how.get("text")
    return made.astype(object) if form == "object" else np.char.encode(made) if form == "bytes" else made


def unit_names(recording: Recording) -> tuple[np.ndarray, list[str]]:
    """The column of names, and the names that units will have: by their row where these will not do."""
    own, form = list(recording.unit_id), recording.how.get("ids")
    if form == "numbers":
        numbers = 100 + np.arange(len(own))
        return numbers, numbers.astype(str).tolist()
    if form == "twice":
        own[3] = own[4]
    if form == "blank":
        own[3] = ""
    return text(recording, own), own


def behaviour(recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    """Times and values of the samples as the file has them."""
    signal = recording.signal
    values = signal.values[:, 0] if signal.values.shape[1] == 1 else signal.values
    if signal.layout == "extra axis":
        values = signal.values[:, :, None] if signal.values.shape[1] > 1 else signal.values
    elif signal.layout == "transposed":
        values = signal.values.T
    elif signal.layout == "short":
        values = values[:-7]
    return recording.in_file(signal.times_s, "behavior"), values


def declared(recording: Recording) -> np.ndarray:
    """Bad times that the recording states, float64 [n, 2] in seconds."""
    spans = np.array([[start, stop] for _, start, stop, said in recording.unseen if said]).reshape(-1, 2)
    form = recording.how.get("declared")
    return spans * 1000 if form == "ms" else spans[:, ::-1] if form == "turned" else spans


def words_of(recording: Recording, *words: str) -> list[str]:
    """Words of the command line, with those that perturbations add."""
    unit = recording.words.get("time_unit")
    if words[1] == "phy" and unit:  # its spikes are samples, and params.py says of what rate
        unit = unit.removeprefix("spikes=s,")
    words = [*words, f"--window_s={WINDOW_S:g}"] if recording.windows else list(words)
    return [*words, *([f"--time_unit={unit}"] if unit else [])]


def with_choice(recording: Recording) -> bool:
    """Whether there is a column of choices."""
    return recording.how.get("choice") != "none" and not recording.windows


def choices(recording: Recording) -> np.ndarray:
    """The column of choices as the file has it."""
    form = recording.how.get("choice")
    if form == "text":
        words = ["" if value != value else ("left", "right")[int(value)] for value in recording.choice.tolist()]
        return text(recording, words)
    return recording.choice[:-1] if form == "short" else recording.choice


def binned(recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    """Counts [trials, bins, units] of trials of one length, as the door is given them, and starts in seconds."""
    usable = recording.usable_trials()
    number = round(TRIAL_S / BIN_S)
    counts = np.stack(
        [[recording.counts_of(u, recording.trials[t, 0], number) for u in range(len(recording.trains))] for t in usable]
    )
    counts = counts.transpose(0, 2, 1)
    form = recording.how.get("counts")
    if form in ("f8", "nan", "half"):
        counts = counts.astype(np.float64)
    if form == "bool":
        for unit, train in enumerate(recording.trains):  # one spike a bin is what such a file can say
            counts[..., unit] = np.minimum(counts[..., unit], 1)
            recording.trains[unit] = np.concatenate(
                [
                    recording.trials[t, 0] + (np.flatnonzero(counts[t, :, unit]) + 0.5) * BIN_S
                    for t in range(len(usable))
                ]
            )
            del train
        counts = counts.astype(bool)
    if form in ("nan", "masked"):
        first = len(counts) // 3
        start, stop = recording.trials[usable[first], 0], recording.trials[usable[first + 2], 1]
        recording.unseen.append((1, start, stop, True))
        hidden = np.zeros(counts.shape, bool)
        hidden[first : first + 3, :, recording.probe == 1] = True
        counts = np.ma.array(counts, mask=hidden) if form == "masked" else np.where(hidden, np.nan, counts)
    if form == "half":
        counts[0, 0, 0] += 0.5
    if form == "negative":
        counts[0, 0, 0] = -1
    if recording.how.get("axis") == "more":
        counts = counts[..., None]
    if recording.how.get("axis") == "transposed":
        counts = counts.transpose(2, 1, 0)
    return counts, recording.trials[usable, 0]
