"""Doors of folders: phy and SpikeInterface sortings with tables beside them, ALF."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from forms import LEAD_S, Made, behaviour, choices, text, with_choice, words_of
from recording import RATE_HZ, TRIAL_S, Recording


def _sorting_tables(recording: Recording, folder: Path, ids: Sequence[int]) -> list[str]:
    """Tables beside a sorting: labels with regions, trials, behaviour; options that name them."""
    if recording.region or recording.how.get("labels") or recording.how.get("rows"):
        region = recording.region or [""] * len(ids)
        words = ["good"] * len(ids)
        if recording.how.get("labels") == "noise":
            words[2], words[5], words[11] = "Noise", "noise ", "NOISE"
        rows = [f"{k}\t{word}\t{label.strip()}" for k, word, label in zip(ids, words, region, strict=True)]
        rows[1:1] = ["\t\t"] if recording.how.get("rows") == "blank" else []
        (folder / "cluster_info.tsv").write_text("cluster_id\tgroup\tregion\n" + "\n".join(rows) + "\n")
    if recording.how.get("labels") == "older":  # says that all is noise, but is older
        (folder / "cluster_KSLabel.tsv").write_text("cluster_id\tKSLabel\n" + "".join(f"{k}\tnoise\n" for k in ids))
    if recording.how.get("rows") == "unreadable":
        (folder / "cluster_purity.tsv").write_bytes(b"\xff\xfe\0cluster_id\tpurity")
    # A name that says its unit counts before --time_unit.
    names = ("start", "stop") if "time_unit" in recording.words else ("start_s", "stop_s")
    table = {name: recording.in_file(values, "trials") for name, values in zip(names, recording.trials.T, strict=True)}
    table |= {"choice": choices(recording)} if with_choice(recording) else {}
    if recording.how.get("segments"):
        later = recording.how["segment of trials"]
        for name in names:
            table[name] = np.round(table[name] - later * recording.how["middle"], 6)
        table["segment"] = later
    lines = [
        ",".join("" if value != value else str(value) for value in row)
        for row in zip(*map(np.ndarray.tolist, table.values()), strict=True)
    ]
    if not recording.windows:
        (folder / "trials.csv").write_text(",".join(table) + "\n" + "\n".join(lines) + "\n")
    if recording.signal is None:
        return []
    times, values = behaviour(recording)
    if values.ndim == 1 and len(values) == len(times):
        (folder / "behavior.csv").write_text(
            "time_s,speed\n" + "".join(f"{t!r},{v!r}\n" for t, v in zip(times.tolist(), values.tolist(), strict=True))
        )
        return ["--options=behavior=behavior.csv"]
    np.savez(folder / "behavior.npz", time_s=times, speed=values)
    return ["--options=behavior=behavior.npz"]


def _samples(recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    times, rows = recording.flat()
    return np.rint(times * RATE_HZ).astype(np.int64), rows


def phy(recording: Recording, folder: Path, rng: np.random.Generator) -> Made:
    place = folder / "day1"
    place.mkdir()
    samples, rows = _samples(recording)
    np.save(place / "spike_times.npy", samples[:, None] if recording.how.get("axis") else samples)
    np.save(place / "spike_clusters.npy", rows.astype(np.int32))
    (place / "params.py").write_text(
        "dat_path = 'raw.dat'\nn_channels_dat = 4\ndtype = 'int16'\nsample_rate = 30000.0\n"
    )
    words = _sorting_tables(recording, place, range(len(recording.trains)))
    if recording.how.get("labels") == "noise":
        recording.how["never"] = ("2", "5", "11")
    silent = [unit for unit, train in enumerate(recording.trains) if not len(train)]
    names = [str(unit) for unit in range(len(recording.trains)) if unit not in silent]
    if silent:  # a cluster without spikes is in no file of spikes
        for unit in reversed(silent):
            del recording.trains[unit], recording.true_region[unit]
        recording.probe = np.delete(recording.probe, silent)
    return words_of(recording, "convert", "phy", str(place), *words), names


def phy_two_probes(recording: Recording, folder: Path, rng: np.random.Generator) -> Made:
    """A sorting of each probe, joined side by side."""
    samples, rows = _samples(recording)
    names, words = [], []
    for number in (0, 1):
        place = folder / f"imec{number}"
        place.mkdir()
        own = np.flatnonzero(recording.probe == number)
        mine = np.isin(rows, own)
        np.save(place / "spike_times.npy", samples[mine])
        np.save(place / "spike_clusters.npy", np.searchsorted(own, rows[mine]).astype(np.int32))
        (place / "params.py").write_text("dat_path = 'raw.dat'\nn_channels_dat = 4\nsample_rate = 30000.0\n")
        part = dataclasses.replace(recording)
        part.region = [recording.region[unit] for unit in own] if recording.region else []
        words = _sorting_tables(part, place, range(len(own)))
        names += [f"imec{number}:{row}" for row in range(len(own)) if len(recording.trains[own[row]])]
    silent = [unit for unit, train in enumerate(recording.trains) if not len(train)]
    for unit in reversed(silent):
        del recording.trains[unit], recording.true_region[unit]
    recording.probe = np.delete(recording.probe, silent)
    paths = [str(folder / f"imec{number}") for number in (0, 1)]
    return words_of(recording, "convert", "phy", *paths, "--join=units", "--session_id=day1", *words), names


def _two_segments(recording: Recording) -> float:
    """When the second of two segments begins; its trials count from there."""
    middle = round(float(np.sort(recording.trials[:, 0])[len(recording.trials) // 2]) - 0.3, 3)
    recording.how["segment of trials"] = (recording.trials[:, 0] > middle).astype(int)
    recording.how["middle"], recording.signal = middle, None
    recording.told = {topic: number for topic, number in recording.told.items() if topic not in ("fill", "behaviour")}
    return middle


def spikeinterface(recording: Recording, folder: Path, rng: np.random.Generator) -> Made:
    place = folder / "day1"
    (place / "properties").mkdir(parents=True)
    samples, rows = _samples(recording)
    segment = np.zeros(len(samples), np.int64)
    if recording.how.get("segments"):
        middle = _two_segments(recording)
        segment = (samples >= middle * RATE_HZ).astype(np.int64)
        samples = samples - segment * round(middle * RATE_HZ)
        order = np.argsort(segment, kind="stable")
        samples, rows, segment = samples[order], rows[order], segment[order]
    spikes = np.zeros(len(samples), [("sample_index", "<i8"), ("unit_index", "<i8"), ("segment_index", "<i8")])
    spikes["sample_index"], spikes["unit_index"], spikes["segment_index"] = samples, rows, segment
    np.save(place / "spikes.npy", spikes)
    info = {"unit_ids": recording.unit_id, "sampling_frequency": RATE_HZ, "num_segments": int(segment.max()) + 1}
    if recording.how.get("ids") == "numbers":
        info["unit_ids"] = list(range(100, 100 + len(recording.trains)))
    if recording.how.get("ids") == "twice":
        info["unit_ids"] = [recording.unit_id[0], *recording.unit_id[:-1]]
    (place / "numpysorting_info.json").write_text(json.dumps(info))
    if recording.region:
        values = text(recording, recording.region)
        np.save(place / "properties/brain_area.npy", values)
    np.save(place / "properties/depth.npy", np.arange(len(recording.trains)) * 20.0)
    region, recording.region = recording.region, []
    words = _sorting_tables(recording, place, range(len(recording.trains)))
    recording.region = region
    return words_of(recording, "convert", "phy", str(place), *words), list(map(str, info["unit_ids"]))


def ibl(recording: Recording, folder: Path, rng: np.random.Generator) -> Made:
    place, names = folder / "lab/Subjects/M1/2024-01-01/001", []
    for number in (0, 1):
        probe = place / f"alf/probe0{number}"
        probe.mkdir(parents=True)
        own = np.flatnonzero(recording.probe == number)
        times, rows = recording.flat()
        mine = np.isin(rows, own)
        np.save(probe / "spikes.times.npy", recording.in_file(times[mine], "spikes"))
        np.save(probe / "spikes.clusters.npy", np.searchsorted(own, rows[mine]).astype(np.uint32))
        np.save(probe / "clusters.channels.npy", np.arange(len(own)))
        if recording.region:
            labels = text(recording, [recording.region[unit] for unit in own])
            np.save(probe / "clusters.brainLocationAcronyms_ccf_2017.npy", labels)
        names += [f"probe0{number}:{row}" for row in range(len(own))]
    event = recording.trials[:, 0] + LEAD_S
    alf = place / "alf"
    if not recording.windows:
        np.save(alf / "_ibl_trials.stimOn_times.npy", recording.in_file(event, "trials"))
        np.save(alf / "_ibl_trials.intervals.npy", recording.in_file(recording.trials, "trials"))
    if with_choice(recording):
        made = choices(recording)
        made = made if made.dtype.kind in "USO" else made.astype(np.float64)
        np.save(alf / "_ibl_trials.choice.npy", made)
    if recording.signal is not None:
        times, values = behaviour(recording)
        np.save(alf / "_ibl_wheel.timestamps.npy", times)
        np.save(alf / "_ibl_wheel.velocity.npy", values)
        if recording.how.get("optional"):
            content = (alf / "_ibl_wheel.velocity.npy").read_bytes()
            (alf / "_ibl_wheel.velocity.npy").write_bytes(content[: len(content) // 2])
            recording.signal.usable = False
    words = ["convert", "ibl", str(place)]
    if not recording.windows:
        words += ["--align=stimOn_times", f"--window={-LEAD_S},{TRIAL_S - LEAD_S:g}"]
    return words_of(recording, *words), names
