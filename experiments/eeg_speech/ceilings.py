"""What any reader of the made-up EEG can reach at most, by the true likelihood; no model is trained here.

    python experiments/eeg_speech/ceilings.py     # a minute of CPU time; writes ceilings.json

Top-1 and top-10 among 512 sentences that training never meets, four people, 1,024 windows each, by readers who know
every mixing: at three noises, and for four muscle gains beside what brain or jaw alone say (the other's gain is zero).
"""

import dataclasses
from pathlib import Path

import numpy as np

from neurojax.data.session import TEST
from neurojax.data.synthetic import speech_eeg
from neurojax.files import write_json
from neurojax.runs.workdir import provenance
from neurojax.scores import retrieval

HERE = Path(__file__).parent
NOISES = (2.7, 3.0, 3.3)
MUSCLE_GAINS = (0.0, 0.3, 1.0, 3.0)
FEW = {"num_trials": 1, "num_trained_sentences": 1}  # nothing is trained, and tests do not depend on it


def ceiling(spec: speech_eeg.SpeechSpec, seed: int = 0) -> dict:
    """Top-1 and top-10 of the best reader, mean over people, and with its standard error over windows."""
    first, tenth = [], []
    for person in range(spec.num_people):
        own = speech_eeg.trials(spec, seed, person)
        kept = own.split == TEST
        values = (own.neural + own.muscle + own.noise)[kept]
        score = speech_eeg.best_read(spec, seed, person, values, own.day[kept])
        rank = retrieval.ranks(score, own.sentence[kept])
        first.append(retrieval.top(rank, 1))
        tenth.append(retrieval.top(rank, 10))
    top1, number = float(np.mean(first)), spec.num_people * 2 * spec.num_sentences
    return {
        "top1": round(top1, 4),
        "top1_se": round(float(np.sqrt(top1 * (1 - top1) / number)), 4),
        "top10": round(float(np.mean(tenth)), 4),
        "people_top1": [round(float(one), 4) for one in first],
    }


def main() -> None:
    spec = speech_eeg.SpeechSpec(**FEW)
    found = {"command": "python experiments/eeg_speech/ceilings.py", **provenance(HERE)}
    found["spec"] = dataclasses.asdict(speech_eeg.SpeechSpec())
    found["noise"] = {f"{noise:g}": ceiling(dataclasses.replace(spec, noise=noise)) for noise in NOISES}
    found["muscle_gain"] = {}
    for gain in MUSCLE_GAINS:
        planted = dataclasses.replace(spec, muscle_gain=gain)
        parts = {"both": planted, "muscle": dataclasses.replace(planted, neural_gain=0.0)}
        found["muscle_gain"][f"{gain:g}"] = {name: ceiling(one) for name, one in parts.items()}
    found["neural_alone"] = ceiling(dataclasses.replace(spec, muscle_gain=0.0))
    write_json(HERE / "ceilings.json", found)
    print(found)


if __name__ == "__main__":
    main()
