"""What came of a perturbed recording, by rules: refused in words, right, counted, or FAILED.

refused  exit code 2 and one line that speaks of what was done to the recording
right    every observed entry, region, condition and known bin of behaviour is the truth, and nothing is missing
counted  nothing is wrong, something is missing, and its number stands where it can be read: each kind of missing thing
         needs words of its own, and units, trials and spikes their exact number
FAILED   all else
"""

import contextlib
import dataclasses
import io
import json
import re
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from perturbations import Perturbation
from recording import BIN_S, WINDOW_S, Recording

from neurojax.data.session import Session, names_a_region
from neurojax.data.store.dataset import open_dataset, write_dataset_index
from neurojax.data.store.session_format import write_session
from neurojax.errors import InputError
from neurojax.files import read_json
from neurojax.main import main

OUTCOMES = ("right", "counted", "refused", "FAILED")
_TOLERANCE = 0.3  # of behaviour: samples lie up to 0.2 s apart on a slow curve
_LONGEST_S = 1.0  # no gap of samples above this may be bridged by itself
# What words must speak of for each kind of missing thing.
_WORDS = {
    "units": r"units?\b.* left out|part left out|clusters? left out|never observed",
    "trials": r"trials? left out",
    "windows": r"trials? left out",
    "entries": r"not observed: ",
    "behaviour": r"behaviour",
    "regions": r"^[^:]*(region of|regions? left|pickle.*brain_area|brainLocation)|units have no known region",
    "choice": r"column|condition|one value each|trial_columns|choice",
    "copies": r"repeated spike times|copies",
    "spikes": r"spikes? left out.*(finite|NaN)|spike times? (that are )?not finite|without a time",
    "bad times": r"bad times that touch nothing",
    "fill": r"stand for none|behaviour",
}
_EXACT = ("units", "trials", "copies", "spikes", "bad times")


@dataclasses.dataclass
class Difference:
    """Between a session and the truth: what is wrong, and how much of each kind is missing."""

    wrong: list[str] = dataclasses.field(default_factory=list)
    missing: dict[str, float] = dataclasses.field(default_factory=dict)


def compare(session: Session, recording: Recording, names: Sequence[str], has: frozenset) -> Difference:
    """A session of counts beside the truth; `names` of the units as the door makes them."""
    found = Difference()
    lost = _lay_windows(session, recording, found) if recording.windows else 0
    rows = _rows_of_units(session, names, recording.how.get("never", ()), found)
    trials = _rows_of_trials(session, recording, found)
    if lost:
        found.missing["windows"] = lost
    if found.wrong:
        return found
    if round(session.bin_size_s, 9) != BIN_S:
        found.wrong.append(f"bins of {session.bin_size_s} s")
        return found
    _compare_counts(session, recording, rows, trials, found)
    if "regions" in has:
        _compare_regions(session, recording, rows, found)
    if "conditions" in has and recording.how.get("choice") != "none":
        _compare_choice(session, recording, trials, found)
    if "behaviour" in has and recording.signal is not None:
        _compare_behaviour(session, recording, found)
    if recording.how.get("declared") == "ms":
        found.missing["bad times"] = 1
    for topic, number in recording.told.items():
        found.missing[topic] = number
    return found


def _lay_windows(session: Session, recording: Recording, found: Difference) -> int:
    """The windows of a recording without trials become its trials; the number of those that are not there."""
    starts = session.trial_start_s
    steps = np.diff(starts) / WINDOW_S
    if not np.allclose(steps, np.round(steps), atol=1e-6) or (steps < 0.5).any():
        found.wrong.append("windows that do not lie end to end")
    spikes = np.concatenate(recording.trains)
    first, last = spikes[np.isfinite(spikes)].min(), spikes[np.isfinite(spikes)].max()
    if starts.min() < first - WINDOW_S or starts.max() > last:
        found.wrong.append(f"windows from {starts.min()} to {starts.max()} s, spikes from {first} to {last} s")
    recording.trials = np.stack([starts, starts + WINDOW_S], axis=1)
    recording.how["choice"] = "none"
    # One at either end may not be whole.
    return max(int(np.floor((last - first) / WINDOW_S)) - len(starts) - 1, 0)


def _rows_of_units(session: Session, names: Sequence[str], never: Sequence[str], found: Difference) -> list[int]:
    """The true unit of each unit of the session."""
    own = session.unit_id.tolist()
    if len(set(own)) != len(own):
        found.wrong.append("two units of one name")
    place = {name: row for row, name in enumerate(names)}
    known = len(place) == len(names) and all(name in place for name in own)
    if not known and len(own) != len(names):
        found.wrong.append(f"units {own[:4]} ... for {list(names)[:4]} ...")
        return []
    rows = [place[name] for name in own] if known else list(range(len(own)))
    if kept := set(never) & set(own):
        found.wrong.append(f"noise was kept: {sorted(kept)}")
    if len(rows) < len(names):
        found.missing["units"] = len(names) - len(rows)
    return rows


def _rows_of_trials(session: Session, recording: Recording, found: Difference) -> list[int]:
    """The true trial of each trial of the session, by its start."""
    usable = recording.usable_trials()
    starts, rows = recording.trials[usable, 0], []
    if recording.how.get("segments") and session.num_trials == len(usable):
        # Where the second segment lies on the session's clock is the door's to choose.
        later = session.trial_start_s - np.sort(starts)
        found.wrong += ["trials of segments out of order"] * (not (np.diff(session.trial_start_s) > 0).all())
        found.wrong += ["more than one shift of segments"] * (len(set(np.round(later, 3).tolist())) > 2)
        return usable[np.argsort(starts, kind="stable")].tolist()
    for start_s in session.trial_start_s.tolist():
        near = int(np.argmin(np.abs(starts - start_s)))
        if abs(starts[near] - start_s) > 1e-3:
            found.wrong.append(f"a trial at {start_s:.6f} s that is none")
            return []
        rows.append(int(usable[near]))
    if len(set(rows)) != len(rows):
        found.wrong.append("one trial twice")
    if len(rows) < len(recording.trials):
        found.missing["trials"] = len(recording.trials) - len(rows)
    return rows


def _compare_counts(session, recording, rows, trials, found) -> None:
    counts, bin_valid = session.gather_trials(np.arange(session.num_trials))
    seen = session.entry_valid(np.arange(session.num_trials))
    hidden = total = 0
    for place, trial in enumerate(trials):
        start, stop = recording.trials[trial]
        number = int(np.floor((stop - start) / BIN_S + 1e-4))
        if bin_valid[place].sum() != number:
            found.wrong.append(f"trial {trial} has {bin_valid[place].sum()} bins instead of {number}")
            return
        for column, unit in enumerate(rows):
            own, expected = counts[place, :number, column], recording.counts_of(unit, start, number)
            watched = seen[place, :number, column]
            sure, never = recording.seen_of(unit, start, number)
            if (watched & never).any():
                found.wrong.append(f"{(watched & never).sum()} bins of unit {unit}, trial {trial} count as silence")
                return
            if (own != expected)[watched].any():
                found.wrong.append(f"counts of unit {unit} in trial {trial}: {own.sum()} for {expected.sum()}")
                return
            hidden, total = hidden + int((~watched).sum()), total + number
            if (~watched & sure).sum() > number // 2:
                found.wrong.append(f"unit {unit}, trial {trial} was observed, but is marked as not")
                return
    if hidden:
        found.missing["entries"] = 100 * hidden / total


def _plain(label: str) -> str:
    return "".join(letter for letter in label if letter.isalnum()).lower() if names_a_region(label) else ""


def _compare_regions(session, recording, rows, found) -> None:
    own, lost = session.region.tolist(), 0
    for column, unit in enumerate(rows):
        expected = _plain(recording.true_region[unit])
        if expected and not names_a_region(own[column]):
            lost += 1
        elif _plain(own[column]) != expected:
            found.wrong.append(f"region {own[column]!r} for {recording.true_region[unit]!r}")
            return
    pairs = {(_plain(recording.true_region[unit]), own[column]) for column, unit in enumerate(rows)}
    if len({label for label, _ in pairs if label}) < len([own for label, own in pairs if label]):
        found.wrong.append(f"one region under several names: {sorted({name for _, name in pairs})}")
    if lost:
        found.missing["regions"] = lost


def _compare_choice(session, recording, trials, found) -> None:
    named = [values for name, values in session.conditions.items() if name.rpartition(".")[2] == "choice"]
    if not named:
        found.missing["choice"] = 1
        return
    expected = recording.choice[trials].astype(float)
    own = named[0]
    if recording.how.get("choice") == "text":
        own = np.array([{"left": 0.0, "right": 1.0}.get(str(word), np.nan) for word in own.tolist()])
    if not np.array_equal(own.astype(float), expected, equal_nan=True):
        found.wrong.append(f"choices {own[:5].tolist()} for {expected[:5].tolist()}")


def _compare_behaviour(session, recording, found) -> None:
    signal = recording.signal
    named = list(session.behaviour)
    if not named:
        found.missing["behaviour"] = 100
        return
    values, known = session.behaviour[named[0]], session.behaviour_known(named[0])
    within = np.arange(len(values)) - np.repeat(session.trial_start_bin, session.trial_num_bins)
    centres = np.repeat(session.trial_start_s, session.trial_num_bins) + (within + 0.5) * BIN_S
    expected = signal.truth(centres)
    if values.shape != expected.shape:
        found.wrong.append(f"behaviour {list(values.shape)} for {list(expected.shape)}")
        return
    lacking = 0.0
    for dim in range(values.shape[1]):
        column = signal.values[:, dim]
        has = np.isfinite(signal.times_s) & np.isfinite(column) & (np.abs(column) < 1e30)
        times = np.sort(signal.times_s[has])
        after = np.searchsorted(times, centres)
        before_s = centres - times[np.maximum(after - 1, 0)] if times.size else np.full(len(centres), np.inf)
        after_s = times[np.minimum(after, times.size - 1)] - centres if times.size else np.full(len(centres), np.inf)
        gap_s = np.where((after > 0) & (after < times.size), before_s + after_s, np.inf)
        nearest = np.minimum(np.abs(before_s), np.abs(after_s))
        bad = known[:, dim] & (~(np.abs(values[:, dim] - expected[:, dim]) < _TOLERANCE) | (nearest > _LONGEST_S))
        if signal.wild:
            bad &= np.abs(values[:, dim]) < 1e9
        if "behaviour in ms" in recording.applied and bad.mean() < 0.02:
            bad[:] = False  # samples that lie in a trial by chance: told as missing nearly everywhere
        if bad.sum() > 0 or (np.abs(values[:, dim]) > 1e9).sum() > 3:
            found.wrong.append(f"behaviour in {bad.sum()} bins: {values[bad][:1, dim]} for {expected[bad][:1, dim]}")
            return
        clear = gap_s < 0.3 if signal.usable else np.ones(len(gap_s), bool)
        lacking = max(lacking, (clear & ~known[:, dim]).mean(), 0.0 if times.size else 1.0)
    # Bins beside a gap and at its edges are nobody's loss.
    if lacking > 0.02 or (not signal.usable and not known.all()) or "behaviour in ms" in recording.applied:
        found.missing["behaviour"] = 100 * lacking


def unspoken(missing: dict[str, float], told: Sequence[str]) -> list[str]:
    """What is missing and not told with a number of its own: "trials: 3", ..."""
    silent = []
    for topic, number in missing.items():
        lines = [line for line in told if re.search(_WORDS[topic], line)]
        if topic == "entries":
            percents = [float(found) for line in lines for found in re.findall(r"not observed: ([\d.]+) %", line)]
            spoken = any(abs(percent - number) < 0.2 for percent in percents)
        elif topic in _EXACT:
            # one unit may be called by its part: a probe left out takes all of its units
            numbers = [int(found) for line in lines for found in re.findall(r": (\d+)$", line.rstrip("."))]
            spoken = sum(numbers) == number or number in numbers
        elif topic == "windows":  # whether those at the ends are whole is the door's to say
            numbers = [int(found) for line in lines for found in re.findall(r": (\d+)$", line)]
            spoken = number <= sum(numbers) <= number + 2
        else:
            spoken = any(re.search(r"\d|every bin", line) for line in lines)
        if not spoken:
            silent.append(f"{topic}: {number:g}")
    return silent


def findings_of(root: Path) -> list[str]:
    """Sentences of `neurojax check --json`."""
    code, text, ended = run_command(["check", str(root), "--json"])
    report = json.loads(text[text.index("{") : text.rindex("}") + 1])
    if ended or code not in (0, 2):
        raise RuntimeError(f"check ended with {code}: {ended or text[-400:]}")
    return [f["sentence"] for facts in report["sessions"].values() for f in facts["findings"]]


def run_command(words: list[str]) -> tuple[int, str, str]:
    """Exit code, all output, and the traceback that ended it."""
    output, ended, code = io.StringIO(), "", -1
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            code = main(words)
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        except BaseException:
            ended = traceback.format_exc()[-1500:]
    return code, output.getvalue(), ended


def outcome_of(
    made: list[str] | Callable[[], Session],
    scratch: Path,
    applied: Sequence[Perturbation],
    judge: Callable[[Session], Difference],
) -> tuple[str, str]:
    """Runs `neurojax convert` with words, or calls for a session, and judges what comes of it.

    Returns:
        outcome and message.
    """
    root = scratch / "root"
    if callable(made):
        code, text, ended = _called(made, root)
    else:
        code, text, ended = run_command([*made, f"--out={root}", "--num_workers=0"])
    if ended or "Traceback" in text or code not in (0, 2):
        return "FAILED", f"exit code {code}: {ended or text}"[-900:]
    if code == 2:
        return _refused(text, root, applied)
    folders = [folder for folder in root.iterdir() if folder.is_dir()]
    if len(folders) != 1:
        return "FAILED", f"{len(folders)} sessions: {[folder.name for folder in folders]}"
    session = open_dataset(root, verify="full").sessions[0]
    difference = judge(session)
    if difference.wrong:
        return "FAILED", "; ".join(difference.wrong) + f" | {text.strip()[-300:]}"
    if not difference.missing:
        return "right", ""
    told = findings_of(root)
    if silent := unspoken(difference.missing, told):
        return "FAILED", f"not a word of {', '.join(silent)} | {told} | {_dropped(folders[0])}"
    return "counted", str({topic: round(number, 1) for topic, number in difference.missing.items()})


def _dropped(folder: Path) -> dict:
    meta = read_json(folder / "meta.json")
    return {key: meta[key] for key in ("units_dropped", "trials_dropped", "spikes_dropped") if meta.get(key)}


def _refused(text: str, root: Path, applied: Sequence[Perturbation]) -> tuple[str, str]:
    lines = [line for line in text.splitlines() if line.startswith("neurojax: ")]
    if len(lines) != 1 or len(lines[0]) > 2000:
        return "FAILED", f"{len(lines)} lines of error: {text[-600:]}"
    if root.exists() and any(path.is_dir() or path.name.startswith(".") for path in root.iterdir()):
        return "FAILED", f"refused, but left {[path.name for path in root.iterdir()]}"
    if not any(one.says and re.search(one.says, _sentence(lines[0]), re.IGNORECASE) for one in applied):
        return "FAILED", f"refused without need or without its reason: {lines[0]}"
    return "refused", lines[0]


def _sentence(line: str) -> str:
    """A refusal without folders, whose names are no reason."""
    return re.sub(r"\S*/", "", line.removeprefix("neurojax: "))


def _called(make: Callable[[], Session], root: Path) -> tuple[int, str, str]:
    """A Python door as a command: its session written, an `InputError` one line and exit code 2."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            write_session(make(), root)
            write_dataset_index(root)
        except InputError as error:
            return 2, f"neurojax: {error}", ""
        except BaseException:
            return 1, output.getvalue(), traceback.format_exc()[-1500:]
    return 0, output.getvalue(), ""


def lines_of(outcomes: dict[str, dict[str, int]]) -> Iterator[str]:
    """A table of doors and outcomes."""
    yield f"{'door':18}" + "".join(f"{outcome:>9}" for outcome in OUTCOMES)
    for door, numbers in outcomes.items():
        yield f"{door:18}" + "".join(f"{numbers.get(outcome, 0):>9}" for outcome in OUTCOMES)
