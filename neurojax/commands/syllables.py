"""`neurojax syllables TRACKS...`: syllables of behaviour in keypoints that a tracker found."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from neurojax.analysis import pose
from neurojax.analysis import syllables as fitting
from neurojax.data.readers import tracks as reader
from neurojax.errors import require
from neurojax.evals.tables import align
from neurojax.files import require_writable, write_bytes, write_json

SCHEMA = 1


def syllables(
    tracks: Sequence[str | Path],
    *,
    sampling_hz: float,
    front: str,
    back: str,
    out: str | Path,
    software: str = reader.ARRAYS,
    individual: str | None = None,
    num_syllables: int = 20,
    expected_s: float = 0.4,
    components: int | None = None,
    seed: int = 0,
) -> None:
    """Fits syllables to all recordings together. Writes to `out`, of each recording NAME:

        NAME.syllables.csv  time_s, syllable, probability: of every frame
        NAME.behavior.csv   time_s and a column a syllable, 1 where it is on: a table of behaviour
                            that `convert` takes
        syllables.json, syllables.npz, syllables.png

    Args:
        tracks: files, see `readers.tracks`; their names without the ending name the recordings.
        sampling_hz: frames per second; frame 0 is at 0 s.
        front, back: keypoints that the animal's direction goes through.
        out: folder.
        software: that tracked.
        individual: animal, where the files hold several.
        num_syllables: at most; those that nothing needs stay nearly empty.
        expected_s: a syllable's expected duration before any frame is seen.
        components: of the posture; default: as many as explain 98 % of its variance.
        seed: of the first guesses.

    Raises:
        InputError: see `readers.tracks`, `analysis.pose` and `analysis.syllables`; keypoints that
            differ between recordings, two recordings of one name, or tracks that would be
            overwritten.
    """
    require(
        sampling_hz > 0
        and expected_s > 0
        and num_syllables >= 2
        and (components is None or components >= 1),
        f"--sampling_hz={sampling_hz:g} --expected_s={expected_s:g} "
        f"--num_syllables={num_syllables}; expected numbers over 0 and at least 2 syllables",
    )
    folder, paths = Path(out), [Path(path) for path in tracks]
    require_writable(folder, folder=True)
    names = _names(paths, folder)
    found = [reader.read(path, software, individual) for path in paths]
    keypoints = _same_keypoints(found, paths)
    for option, name in (("front", front), ("back", back)):
        require(name in keypoints, f"--{option}={name}; the keypoints are {', '.join(keypoints)}")
    edges = np.cumsum([len(one.keypoints_px) for one in found])[:-1]
    seen = pose.posture(
        np.concatenate([one.keypoints_px for one in found]),
        np.concatenate([one.confidence for one in found]),
        keypoints.index(front),
        keypoints.index(back),
        num_components=components,
    )
    print(
        f"{len(found)} recordings, {len(seen.weight) / sampling_hz / 60:.1f} min; "
        f"{seen.components.shape[1]} components of posture; "
        f"{(seen.weight < pose.SURE).mean():.1%} of the frames tell little"
    )
    fitted = fitting.fit(
        np.split(seen.components, edges),
        np.split(seen.weight, edges),
        num_syllables=num_syllables,
        sampling_hz=sampling_hz,
        expected_s=expected_s,
        seed=seed,
    )
    record = _record(fitted, names, keypoints, sampling_hz, num_syllables)
    _write(folder, fitted, seen, record)
    print("\n".join(_lines(record)))
    print(f"written: {folder / 'syllables.json'} and two tables a recording")
    print(_draw(folder / "syllables.png", fitted, seen, record))


def _names(paths: Sequence[Path], folder: Path) -> list[str]:
    """Names of the recordings; raises InputError where two are alike or a file would be lost."""
    names = [path.stem for path in paths]
    twice = sorted({name for name in names if names.count(name) > 1})
    require(not twice, f"two recordings are called {twice[0] if twice else ''}; rename one")
    written = [f"{name}.{table}.csv" for name in names for table in ("syllables", "behavior")]
    written += [f"syllables.{kind}" for kind in ("json", "npz", "png")]
    lost = {(folder / name).resolve() for name in written} & {path.resolve() for path in paths}
    require(
        not lost,
        f"{min(map(str, lost), default='')} would be overwritten; give another --out",
    )
    return names


def _write(folder: Path, fitted: fitting.Fitted, seen: pose.Posture, record: dict) -> None:
    """Tables of each recording, the record and the model."""
    folder.mkdir(parents=True, exist_ok=True)
    sampling_hz, count = record["sampling_hz"], len(record["syllables"])
    for name, labels in zip(record["recordings"], fitted.labels, strict=True):
        write_bytes(folder / f"{name}.syllables.csv", _per_frame(labels, sampling_hz))
        write_bytes(folder / f"{name}.behavior.csv", _behaviour(labels, sampling_hz, count))
    write_json(folder / "syllables.json", record)
    with io.BytesIO() as content:
        np.savez(content, **fitted.model._asdict(), axes=seen.axes, mean_px=seen.mean)
        write_bytes(folder / "syllables.npz", content.getvalue())


def _same_keypoints(found: Sequence[reader.Tracked], paths: Sequence[Path]) -> tuple[str, ...]:
    names = found[0].names
    for one, path in zip(found, paths, strict=True):
        require(
            one.names == names,
            f"{path} has the keypoints {', '.join(one.names)}, {paths[0]} has {', '.join(names)}; "
            "recordings that share syllables share keypoints, in this order",
        )
    return names


def _per_frame(labels: fitting.Labels, sampling_hz: float) -> bytes:
    rows = zip(labels.syllable, labels.probability, strict=True)
    lines = [f"{t / sampling_hz:.6f},{s},{p:.4f}" for t, (s, p) in enumerate(rows)]
    return ("\n".join(["time_s,syllable,probability", *lines]) + "\n").encode()


def _behaviour(labels: fitting.Labels, sampling_hz: float, num_syllables: int) -> bytes:
    # A column each: the number of a syllable has no mean over the frames of a bin, its share has.
    is_on = np.arange(num_syllables) == labels.syllable[:, None]
    with io.StringIO() as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["time_s", *(f"syllable_{s}" for s in range(num_syllables))])
        for t, row in enumerate(is_on):
            writer.writerow([f"{t / sampling_hz:.6f}", *row.astype(int)])
        return text.getvalue().encode()


def _record(
    fitted: fitting.Fitted,
    names: Sequence[str],
    keypoints: Sequence[str],
    sampling_hz: float,
    num_syllables: int,
) -> dict:
    """Content of syllables.json."""
    used = np.zeros(num_syllables)
    of_each: dict[int, list[np.ndarray]] = {s: [] for s in range(num_syllables)}
    follow = np.zeros((num_syllables, num_syllables))
    for labels in fitted.labels:
        used += np.bincount(labels.syllable, minlength=num_syllables)
        which, seconds = fitting.durations_s(labels.syllable, sampling_hz)
        for s in range(num_syllables):
            of_each[s].append(seconds[which == s])
        follow += fitting.pairs(labels.syllable, num_syllables)
    seconds = {s: np.concatenate(parts) for s, parts in of_each.items()}
    return {
        "schema": SCHEMA,
        "recordings": list(names),
        "keypoints": list(keypoints),
        "sampling_hz": sampling_hz,
        "log_likelihood_nats_per_frame": fitted.log_likelihood.tolist(),
        "syllables": [
            {
                "syllable": s,
                "share_of_frames": float(used[s] / used.sum()),
                "times": len(seconds[s]),
                "median_s": float(np.median(seconds[s])) if len(seconds[s]) else None,
            }
            for s in np.argsort(-used, kind="stable").tolist()
        ],
        "followed_by": fitting.shares(follow).tolist(),
        "mean_probability": float(np.mean([one.probability.mean() for one in fitted.labels])),
    }


def _lines(record: dict) -> list[str]:
    rows = [("syllable", "share of frames", "times", "median, s")]
    for one in record["syllables"]:
        if one["times"]:
            share, median = f"{one['share_of_frames']:.1%}", f"{one['median_s']:.2f}"
            rows.append((str(one["syllable"]), share, str(one["times"]), median))
    sure = f"a frame's syllable is certain to {record['mean_probability']:.0%} in the mean"
    return [*align(rows), sure]


def _draw(path: Path, fitted: fitting.Fitted, seen: pose.Posture, record: dict) -> str:
    """Writes the figure; returns the line that says so, or why there is none."""
    from neurojax.report.figures import style  # they need matplotlib
    from neurojax.report.figures import syllables as figure

    labels = np.concatenate([one.syllable for one in fitted.labels])
    body = seen.mean + seen.components @ seen.axes
    body = body.reshape(len(labels), len(record["keypoints"]), 2)
    order = [one["syllable"] for one in record["syllables"] if one["share_of_frames"]]
    follow = np.array(record["followed_by"])
    try:
        with style.context():
            drawn = figure.draw(labels, body, record["sampling_hz"], order, follow)
            write_bytes(path, style.png_bytes(drawn))
    except ImportError:
        return 'no figure: matplotlib is missing; pip install "neurojax[viz]"'
    return f"figure: {path}"
