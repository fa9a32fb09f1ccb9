"""Planted syllables found again in keypoints, how much memory that takes, and whether spikes tell them.

    python experiments/syllables/run.py [--part=planted,memory,spikes]   # results.json, entry by entry; resumes

planted   three animals at three settings of the noise: labels from tracked keypoints beside the best reader, who knows
          the dynamics and sees the posture itself, and beside mixtures of Gaussians and k-means of scikit-learn on
          posture and the size of its steps, means of five frames
memory    largest memory of a process that labels ever longer recordings from disk
spikes    units that fire with the syllable: the fitted labels read from the spikes of each frame and those around it
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.ndimage import uniform_filter1d
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.mixture import GaussianMixture

from neurojax.analysis import pose, syllables
from neurojax.data.synthetic import poses
from neurojax.files import read_json, write_json
from neurojax.runs.workdir import provenance

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
DRIVES, ANIMALS, FRAMES = (0.25, 0.4, 0.6), (0, 1, 2), 9000  # 5 minutes at 30 Hz
LENGTHS = (20_000, 80_000, 320_000)
UNITS, MEAN_HZ, TUNED, AROUND = 40, 8.0, 0.6, 3  # the deviation of log-rates over syllables; frames before and after
Settings = tuple[poses.PoseSpec, poses.Animal]


def animal(drive: float, seed: int) -> Settings:
    spec = poses.PoseSpec(drive=drive)
    return spec, poses.make_animal(spec, seed)


def best_reader(spec: poses.PoseSpec, made: poses.Animal) -> syllables.Model:
    """The generator's own dynamics, with durations taken as geometric of the same mean."""
    mean_frames = made.median_s * np.exp(spec.duration_spread**2 / 2) * spec.sampling_hz
    stay = 1 - 1 / mean_frames
    noise = np.tile(np.eye(spec.num_postures) * made.drive**2, (spec.num_syllables, 1, 1))
    transitions = np.diag(stay) + (1 - stay)[:, None] * made.following
    return syllables.Model(made.dynamics, noise, transitions, np.full(spec.num_syllables, 1 / spec.num_syllables))


def seen_of(spec: poses.PoseSpec, tracks: poses.Tracks) -> pose.Posture:
    return pose.posture(tracks.keypoints_px, tracks.confidence, 0, spec.num_keypoints - 1)


def matched(labels: np.ndarray, truth: np.ndarray, count: int) -> np.ndarray:
    """Number of the planted syllable that each label shares most frames with, [count]."""
    table = np.zeros((count, count))
    np.add.at(table, (labels, truth), 1)
    return table.argmax(1)


def planted(drive: float, seed: int) -> dict:
    """Adjusted Rand of model, ceiling and floors; transitions and durations found again."""
    spec, made = animal(drive, seed)
    tracks = poses.make_tracks(spec, made, FRAMES, 0)
    truth, count = tracks.syllable, spec.num_syllables
    start = time.process_time()
    seen = seen_of(spec, tracks)
    fitted = syllables.fit([seen.components], [seen.weight], num_syllables=count)
    cpu_s = time.process_time() - start
    labels = fitted.labels[0].syllable
    best = syllables.label(best_reader(spec, made), tracks.posture)
    steps = np.abs(np.diff(seen.components, axis=0, prepend=seen.components[:1]))
    described = uniform_filter1d(np.concatenate([seen.components, steps], 1), 5, axis=0)
    described /= described.std(0)
    floors = {
        "mixture of Gaussians": GaussianMixture(count, n_init=3, random_state=0).fit_predict(described),
        "k-means": KMeans(count, n_init=5, random_state=0).fit_predict(described),
    }
    renamed = matched(labels, truth, count)[labels]
    follow = [syllables.shares(syllables.pairs(one, count)) for one in (renamed, truth)]
    seconds = []
    for one in (renamed, truth):
        which, lasted = syllables.durations_s(one, spec.sampling_hz)
        seconds.append(
            np.array([np.median(lasted[which == s]) if (which == s).any() else np.nan for s in range(count)])
        )
    return {
        "adjusted_rand": {
            "model": syllables.adjusted_rand(truth, labels),
            "best reader": syllables.adjusted_rand(truth, best.syllable),
            **{name: syllables.adjusted_rand(truth, one) for name, one in floors.items()},
        },
        # half of the summed difference: 0 the same, 1 nothing in common
        "transitions_distance": float(np.abs(follow[0] - follow[1]).sum(1).mean() / 2),
        "median_duration_ratio": float(np.nanmedian(seconds[0] / seconds[1])),
        "certain": float(fitted.labels[0].probability.mean()),
        "right": float((renamed == truth).mean()),
        "cpu_s": round(cpu_s, 1),
    }


def memory(frames: int) -> dict:
    """Labels of a recording of so many frames, read from disk, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        spec, made = animal(0.4, 0)
        some = poses.make_tracks(spec, made, 20_000, 0).posture.astype(np.float32)
        path = Path(folder) / "posture.npy"
        whole = np.lib.format.open_memmap(path, "w+", np.float32, (frames, some.shape[1]))
        for first in range(0, frames, len(some)):
            whole[first : first + len(some)] = some[: frames - first]
        whole.flush()
        del whole
        asked = [sys.executable, __file__, f"--label={path}"]
        said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
    return {"largest_mb": float(said[0]), "cpu_s": float(said[1]), "posture_mb": frames * some.shape[1] * 4 / 1e6}


def label_file(path: Path) -> None:
    """Prints the largest memory, MB, and CPU seconds of one round of fitting and of labelling a file."""
    spec, made = animal(0.4, 0)
    posture = np.load(path, mmap_mode="r")
    syllables.fit([posture], num_syllables=spec.num_syllables, num_starts=1, num_iterations=2)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, time.process_time())


def spikes(seed: int) -> dict:
    """Balanced accuracy of the fitted labels from spikes: first 70 % of the frames to fit, the rest to test."""
    spec, made = animal(0.4, seed)
    tracks = poses.make_tracks(spec, made, FRAMES, 0)
    rng = np.random.default_rng([seed, 7])
    log_rates = np.log(MEAN_HZ / spec.sampling_hz) + rng.normal(0, TUNED, (spec.num_syllables, UNITS))
    counts = rng.poisson(np.exp(log_rates[tracks.syllable]))
    seen = seen_of(spec, tracks)
    labels = syllables.fit([seen.components], [seen.weight], num_syllables=spec.num_syllables).labels[0].syllable
    around = np.concatenate([np.roll(counts, lag, axis=0) for lag in range(-AROUND, AROUND + 1)], 1)
    cut = int(0.7 * FRAMES)
    past, later = slice(AROUND, cut - AROUND), slice(cut + AROUND, FRAMES - AROUND)  # nothing is read on both sides
    reader = LogisticRegression(C=0.01, max_iter=300).fit(around[past], labels[past])
    shuffled = np.roll(labels, FRAMES // 3)
    control = LogisticRegression(C=0.01, max_iter=300).fit(around[past], shuffled[past])
    return {
        "balanced_accuracy": float(balanced_accuracy_score(labels[later], reader.predict(around[later]))),
        "labels_shifted_by_a_third": float(balanced_accuracy_score(shuffled[later], control.predict(around[later]))),
        "chance": 1 / spec.num_syllables,
    }


def main(parts: list[str]) -> None:
    asked = {
        "planted": [(f"drive {d:g}, animal {a}", lambda d=d, a=a: planted(d, a)) for d in DRIVES for a in ANIMALS],
        "memory": [(f"{frames} frames", lambda frames=frames: memory(frames)) for frames in LENGTHS],
        "spikes": [(f"animal {a}", lambda a=a: spikes(a)) for a in ANIMALS],
    }
    for part in parts:
        for name, measured in asked[part]:
            results = read_json(RESULTS) if RESULTS.exists() else {}
            done = results.setdefault(part, {})
            if name not in done:
                done[name] = measured() | provenance(HERE)
                write_json(RESULTS, results)
                print(part, name, done[name], flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", type=lambda text: text.split(","), default=["planted", "memory", "spikes"])
    parser.add_argument("--label", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.label:
        label_file(given.label)
    else:
        main(given.part)
