"""Does the muscle audit find what was planted? A decoder near the best reader, four gains of the jaw, three trainings.

    python experiments/eeg_speech/planted.py     # a minute or two of CPU time; writes planted.json

The decoder is the encoding model of evals/speech_floors.py, of each person alone, trained on windows as they are, on
windows with the muscle of another trial, and on windows with everything but the muscle of another trial. Planted: what
the best reader reaches where the jaw (or the brain) is silent, and what it reaches in the same audit.
"""

import dataclasses
from pathlib import Path

import numpy as np

from neurojax.data import robust_scale
from neurojax.data.session import TEST, TRAIN
from neurojax.data.synthetic import speech_eeg
from neurojax.evals import muscle_audit, speech_floors
from neurojax.files import write_json
from neurojax.runs.workdir import provenance
from neurojax.scores import retrieval

HERE = Path(__file__).parent
GAINS = (0.0, 0.3, 1.0, 3.0)
NUM_TRIALS = 4096  # of each person; 2,048 sentences
TRAININGS = ("as it is", "muscle swapped", "rest swapped")


def person(spec: speech_eeg.SpeechSpec, number: int) -> dict:
    """Audits of the decoder after each training and of the best reader, and what is planted."""
    own, seed = speech_eeg.trials(spec, 0, number), 0
    test, train = np.flatnonzero(own.split == TEST), np.flatnonzero(own.split == TRAIN)
    values, spoken = own.neural + own.muscle + own.noise, speech_eeg.features(spec, seed, np.arange(spec.num_sentences))
    scale = robust_scale.of_samples(values[train].reshape(-1, values.shape[-1]))
    said = speech_eeg.features(spec, seed, np.unique(own.sentence[train]))
    said = said[np.unique(own.sentence[train], return_inverse=True)[1]]
    on_jaw = np.arange(values.shape[-1]) >= spec.num_sensors
    known = own.day[test] < spec.num_days - 1
    windows = muscle_audit.Windows(values[test], own.muscle[test], own.sentence[test], test, known, on_jaw)
    other = train[muscle_audit.partners(own.sentence[train], np.random.default_rng([seed, number, 1]))]
    rest = values - own.muscle
    given = {
        "as it is": values[train],
        "muscle swapped": rest[train] + own.muscle[other],
        "rest swapped": rest[other] + own.muscle[train],
    }

    def standardised(samples):
        return (samples - scale.centre) / scale.spread

    def best(samples, trial):
        return speech_eeg.best_read(spec, seed, number, samples, own.day[trial])

    found = {}
    for name, samples in given.items():
        fitted = speech_floors.encoding(standardised(samples), said)
        readers = lambda samples, trial, fitted=fitted: fitted(standardised(samples), spoken)  # noqa: E731
        rng = np.random.default_rng([seed, number])
        found[name] = muscle_audit.of_person(readers, windows, rng, controls=False)
    found["best reader"] = muscle_audit.of_person(best, windows, np.random.default_rng([seed, number]), controls=False)
    silent = {"brain alone": ("muscle_gain", own.neural), "jaw alone": ("neural_gain", own.muscle)}
    for name, (gain, part) in silent.items():
        alone = dataclasses.replace(spec, **{gain: 0.0})
        heard = (part + own.noise)[test][known]
        score = speech_eeg.best_read(alone, seed, number, heard, own.day[test][known])
        found[name] = retrieval.top(retrieval.ranks(score, own.sentence[test][known]), 1)
    return found


def mean(people: list) -> dict | float:
    """Mean over people of numbers, however deep."""
    if isinstance(people[0], dict):
        return {name: mean([one[name] for one in people]) for name in people[0]}
    return float(np.mean(people))


def main() -> None:
    found = {"command": "python experiments/eeg_speech/planted.py", **provenance(HERE), "gains": {}}
    for gain in GAINS:
        spec = speech_eeg.SpeechSpec(muscle_gain=gain, num_trials=NUM_TRIALS)
        one = mean([person(spec, number) for number in range(spec.num_people)])
        neural, muscle = one["muscle swapped"]["as_trained"], one["rest swapped"]["as_trained"]
        before = one["as it is"]["muscle_channels_alone"]
        after = one["muscle swapped"]["muscle_channels_alone"]
        one["summary"] = {
            "neural_minus_planted": neural - one["brain alone"],
            "muscle_minus_planted": muscle - one["jaw alone"],
            "audit_minus_best": {name: one["as it is"][name] - one["best reader"][name] for name in muscle_audit.NAMES},
            "muscle_removed": 1 - after / before if before > 0.01 else None,
        }
        found["gains"][f"{gain:g}"] = one
        write_json(HERE / "planted.json", found)
        print(
            gain,
            {name: round(value, 3) for name, value in one["summary"].items() if isinstance(value, float)},
            flush=True,
        )


if __name__ == "__main__":
    main()
