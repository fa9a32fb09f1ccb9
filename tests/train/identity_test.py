"""A refused command changes no byte of a run, and data that are not the run's are told, whatever they are called."""

import dataclasses
import hashlib
import json
import re
import shutil
import types
from pathlib import Path

import jax
import numpy as np
import pytest

import neurojax as nj
from neurojax import main
from neurojax.commands import config as declarations
from neurojax.commands.doctor import doctor
from neurojax.data import belongs
from neurojax.data.observed import intervals_of
from neurojax.data.session import TEST
from neurojax.data.store import roster, trained_trials
from neurojax.data.store.dataset import open_dataset, write_dataset_index
from neurojax.data.store.session_format import content_sha256, write_session
from neurojax.data.store.sessions import from_counts
from neurojax.data.synthetic import animals as synthetic
from neurojax.errors import InputError
from neurojax.files import read_json
from neurojax.runs import restore, together, workdir
from neurojax.runs.manifest import steps_on_disk
from neurojax.train import run as train_run
from neurojax.train import run_folder

CHECKOUT = Path(__file__).parents[2]
TINY = [
    *("model.width=8", "model.num_heads=2", "model.num_layers=1", "model.read_in_width=8", "model.mlp_width=8"),
    *("data.trials_per_batch=4", "data.bucket_units=32", "eval.num_boot=20", "eval.trials_per_pass=32"),
    *("train.num_steps=2", "train.log_every_steps=4", "train.save_every_steps=1", "train.validate_every_steps=0"),
    *("eval.baselines=train_mean", "sharding.data=1"),
]
SPEC = synthetic.SyntheticSpec(
    num_sessions=4, min_units=20, max_units=20, num_trials=60, num_bins=16, regions=("CA1", "LP"), min_region_units=8,
    mean_rate_hz=15.0, region_std=0.1,
)  # fmt: skip


def train_command(folder, root, *entries):
    fields = [f"--config.{entry}" for entry in (*TINY, f"data.root={root}", *entries)]
    return ["train", f"--config={CHECKOUT / 'configs' / 'mtm.py'}", f"--workdir={folder}", *fields]


def write_root(root, sessions):
    for session in sessions:
        write_session(session, root)
    write_dataset_index(root)
    return root


def plain(session, name=None):
    """A session as a lab has it: units 0 to N - 1, trials on a clock without gaps, no truth."""
    return from_counts(
        np.asarray(session.counts).reshape(60, 16, -1),
        bin_size_s=session.bin_size_s,
        session_id=name or session.session_id,
        region=session.region,
        split=session.split,
    )


def no_scores(*arguments, **options):
    return {}


@pytest.fixture(scope="module")
def sessions():
    return [plain(session) for session in synthetic.make_sessions(SPEC, seed=0)]


@pytest.fixture(scope="module")
def area(tmp_path_factory, sessions):
    """run: trained 2 steps on the first two sessions, below `data`; up to 3 steps are one program, of one rate."""
    area = tmp_path_factory.mktemp("identity")
    write_root(area / "data", sessions[:2])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_run, "evaluate_run", no_scores)
        assert main.main(train_command(area / "run", area / "data")) == 0
    return area


@pytest.fixture
def run(area, tmp_path, monkeypatch):
    monkeypatch.setattr(train_run, "evaluate_run", no_scores)
    return shutil.copytree(area / "run", tmp_path / "run")


def bytes_of(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def fewer(sessions):
    return sessions[:1]


def more(sessions):
    return sessions[:3]


def other_units(sessions):
    first = sessions[0]
    kept = dataclasses.replace(
        first,
        counts=np.asarray(first.counts)[:, 1:],
        **{
            name: getattr(first, name)[1:] for name in ("unit_id", "region", "region_group", "region_source")
        },
    )  # fmt: skip
    return [kept, sessions[1]]


def renamed(sessions):
    return [dataclasses.replace(sessions[0], session_id="elsewhere"), sessions[1]]


def other_split(sessions):
    """A trial that was trained on is tested now."""
    split = sessions[0].split.copy()
    split[np.flatnonzero(split == 0)[:2]] = TEST
    return [dataclasses.replace(sessions[0], split=split), sessions[1]]


def shifted(sessions):
    """The same recording one bin later, split otherwise: no trial is equal, nearly all time is."""
    first = sessions[0]
    counts = np.asarray(first.counts)[1:-15].reshape(59, 16, -1)
    again = from_counts(
        counts,
        bin_size_s=first.bin_size_s,
        session_id=first.session_id,
        region=first.region,
        split_seed=7,
        trial_start_s=first.trial_start_s[:59] + first.bin_size_s,
    )
    return [again, sessions[1]]


def copied(sessions):
    """The recording twice, the copy one bin later under another name."""
    copy = dataclasses.replace(shifted(sessions)[0], session_id="copy")
    return [*sessions[:2], copy]


@pytest.mark.parametrize("made", [fewer, more, other_units, renamed, other_split, shifted, copied])
@pytest.mark.parametrize("allowed", [False, True])
def test_a_train_command_that_is_refused_changes_no_byte(run, area, sessions, tmp_path, made, allowed, capsys):
    other, before = write_root(tmp_path / "other", made(sessions)), bytes_of(run)
    command = train_command(run, other, "train.num_steps=3") + ["--allow_dataset_change"] * allowed
    assert main.main(command) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and bytes_of(run) == before
    doctor(run, log=lambda line: None)
    # What was refused is of no consequence: the command of the run goes on.
    assert main.main(train_command(run, area / "data", "train.num_steps=3")) == 0
    assert steps_on_disk(run / "checkpoints")[-1] == 3


@pytest.mark.parametrize(
    "words",
    [
        "train --config.model.width=16",
        "train --config.objective.causal_ratio=0.1",
        "train --config.train.num_steps=1",
        "train --config.data.root=ROOT/nowhere",
        "train --config.eval.protocol=none",
        "train --config.data.placement=attic",
        "train --config.seed=5",
        "evaluate --protocol=none",
        "evaluate --data=ROOT/other",
        "evaluate --out=ROOT/folder",
        "decode --target=none",
        "decode --target=contrast_side --out=ROOT/file",
        "predict --out=ROOT/file",
        "predict --out=ROOT/taken",
        "predict --out=ROOT/out --task=none",
        "predict --out=ROOT/out --data=ROOT/other",
        "export --out=ROOT/folder",
        "doctor --workdir=ROOT/nowhere",
    ],
)
def test_a_command_that_is_refused_changes_no_byte(run, area, sessions, tmp_path, words, capsys):
    write_root(tmp_path / "other", [dataclasses.replace(sessions[3], session_id=sessions[0].session_id)])
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "taken" / f"{sessions[0].session_id}.npz").mkdir(parents=True)
    verb, *options = words.replace("ROOT", str(tmp_path)).split()
    if verb == "train":
        changes = [option.removeprefix("--config.") for option in options]
        command = train_command(run, area / "data", "train.num_steps=3", *changes)
    else:
        command = [verb, f"--workdir={run}", *options]
    before = bytes_of(tmp_path)
    assert main.main(command) == 2
    assert bytes_of(tmp_path) == before
    assert capsys.readouterr().err.count("\n") == 1


def judged_and_written(plan, folder, log, commit):
    commit()
    return types.SimpleNamespace(step=np.int32(3))


def test_a_start_that_was_killed_while_its_files_changed_is_completed_by_the_same_command(
    run, area, sessions, tmp_path, monkeypatch
):
    """At every call that gives a file its name."""
    command = [*train_command(run, area / "data", "train.num_steps=3", "eval.num_boot=21"), "--allow_dataset_change"]
    real = together.os.replace

    class Killed(BaseException):
        pass

    number = 0
    while True:
        number += 1
        place, calls = shutil.copytree(run, tmp_path / f"killed_{number}"), 0

        def replace(source, target, last=number):
            nonlocal calls
            calls += 1
            if calls == last:
                raise Killed
            return real(source, target)

        with monkeypatch.context() as patch:
            patch.setattr(together.os, "replace", replace)
            patch.setattr(train_run, "_train", judged_and_written)
            again = [word.replace(str(run), str(place)) for word in command]
            try:
                main.main(again)
            except Killed:
                assert calls == number
        if not together.is_complete(place):
            with pytest.raises(InputError, match="repeat the train command"):
                run_folder.read_run(place)
            with pytest.raises(InputError, match="need attention"):
                doctor(place, log=lambda line: None)
        with monkeypatch.context() as patch:
            patch.setattr(train_run, "_train", judged_and_written)
            assert main.main(again) == 0
        assert workdir.read_config(place)["eval"]["num_boot"] == 21
        assert roster.read(place / "sessions.json") == roster.read(run / "sessions.json")
        assert len(workdir.read_run(place)["notes"]) == 1  # of more steps, said once
        if calls < number:
            break
    assert number > 6


def permuted(sessions):
    order = np.random.default_rng(0).permutation(20)
    return [dataclasses.replace(sessions[0], counts=np.asarray(sessions[0].counts)[:, order])]


def two_swapped(sessions):
    order = np.arange(20)
    order[[4, 9]] = order[[9, 4]]
    return [dataclasses.replace(sessions[0], counts=np.asarray(sessions[0].counts)[:, order])]


def another_animal(sessions):
    return [dataclasses.replace(sessions[3], session_id=sessions[0].session_id)]


@pytest.mark.parametrize(
    "made, told",
    [
        (permuted, "in other places than the run"),
        (two_swapped, "has 2 of its 20 units in other places"),
        (another_animal, "is another recording than the one of that name"),
    ],
)
@pytest.mark.parametrize("verb", ["evaluate", "decode", "predict"])
def test_other_units_under_a_name_of_the_run_are_refused(run, sessions, tmp_path, made, told, verb, capsys):
    other = write_root(tmp_path / "other", made(sessions))
    options = {"predict": [f"--out={tmp_path / 'out'}"], "decode": ["--target=contrast_side"]}.get(verb, [])
    assert main.main([verb, f"--workdir={run}", f"--data={other}", *options]) == 2
    assert told in capsys.readouterr().err
    with pytest.raises(InputError, match=told):
        nj.load(run).embed(made(sessions)[0])


@pytest.mark.parametrize(
    "made, told",
    [
        (permuted, "in other places than the run"),
        (two_swapped, "has 2 of its 20 units in other places"),
        (another_animal, "is another recording than the one of that name"),
        (other_units, "has 19 units, the one of that name in the run 20"),
    ],
)
def test_other_units_under_a_name_of_the_run_are_not_trained_on(run, sessions, tmp_path, made, told, capsys):
    other, before = write_root(tmp_path / "other", [*made(sessions)[:1], sessions[1]]), bytes_of(run)
    command = [*train_command(run, other, "train.num_steps=3"), "--allow_dataset_change"]
    assert main.main(command) == 2
    line = capsys.readouterr().err
    assert told in line and "or train it in a new workdir" in line and line.count("\n") == 1
    assert bytes_of(run) == before


def test_a_run_that_goes_on_with_units_it_cannot_know_again_says_so(run, sessions, tmp_path, capsys):
    clockless = dataclasses.replace(sessions[0], trial_start_s=np.zeros(sessions[0].num_trials))
    counts = np.array(clockless.counts)
    counts[0, 0] += 1
    clockless = dataclasses.replace(clockless, counts=counts)
    other = write_root(tmp_path / "other", [clockless, sessions[1]])
    command = [*train_command(run, other, "train.num_steps=3"), "--allow_dataset_change"]
    assert main.main(command) == 0
    said = f"session {sessions[0].session_id}: whether its units are those of the run: not checked"
    assert said in capsys.readouterr().out
    assert any(note.startswith(said) for note in workdir.read_run(run)["notes"])


def test_what_is_the_same_and_what_is_not_known_is_said(area, sessions):
    told = belongs.told_of_run(area / "run", open_dataset(area / "data"))
    assert set(told.values()) == {"same counts"}
    again = dataclasses.replace(shifted(sessions)[0])
    entries, trained = roster.read(area / "run" / "sessions.json"), trained_trials.read(area / "run")
    assert belongs.require_units_of_run(again, entries, trained).told == belongs.SAME_UNITS
    assert belongs.require_units_of_run(again, entries, None).told.startswith(belongs.NOT_CHECKED)


@pytest.mark.parametrize("number", range(5))
def test_one_byte_that_changed_is_told_with_its_file(area, sessions, tmp_path, number, capsys):
    root = shutil.copytree(area / "data", tmp_path / "data")
    path = root / sessions[number % 2].session_id / "counts.npy"
    raw = bytearray(path.read_bytes())
    raw[np.random.default_rng(number).integers(128, len(raw))] ^= 1
    path.write_bytes(raw)
    assert main.main(train_command(tmp_path / "run", root)) == 2
    assert f"{path}: counts does not match its checksum" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    for verb in (["evaluate"], ["predict", f"--out={tmp_path / 'out'}"]):
        assert main.main([*verb, f"--workdir={area / 'run'}", f"--data={root}"]) == 2
        assert str(path) in capsys.readouterr().err


def twice(sessions):
    return [sessions[0], dataclasses.replace(sessions[0], session_id="b")]


@pytest.mark.parametrize("made", [copied, twice])
def test_what_check_calls_unusable_is_not_trained_on(sessions, tmp_path, made, capsys):
    root = write_root(tmp_path / "data", made(sessions))
    assert main.main(["check", str(root)]) == 2
    assert "unusable" in capsys.readouterr().err
    assert main.main(train_command(tmp_path / "run", root)) == 2
    assert not (tmp_path / "run" / "config.json").exists()
    with pytest.raises(InputError):
        train_run.train(_config(root), tmp_path / "run", log=lambda line: None)


def _config(root):
    words = train_command("", root)
    return declarations.load([words[1], *words[3:]])


@pytest.mark.parametrize("setting, value", [("jax_default_prng_impl", "rbg"), ("jax_threefry_partitionable", None)])
def test_random_numbers_of_another_kind_are_refused(run, area, setting, value, capsys):
    before, found = getattr(jax.config, setting), bytes_of(run)
    assert restore.newest_manifest(run / "checkpoints")["random_numbers"][setting] == before
    try:
        jax.config.update(setting, (not before) if value is None else value)
        assert main.main(train_command(run, area / "data", "train.num_steps=3")) == 2
    finally:
        jax.config.update(setting, before)
    assert f"{setting.upper()}={before}" in capsys.readouterr().err and bytes_of(run) == found


def _forget_a_row(run):
    content = read_json(run / "sessions.json")
    content["sessions"].pop()
    (run / "sessions.json").write_text(json.dumps(content))


def _other_content(run):
    content = read_json(run / "sessions.json")
    content["sessions"][0]["content_sha256"] = "0" * 64
    (run / "sessions.json").write_text(json.dumps(content))


def _forget_trials(run):
    content = read_json(run / "trained_trials.json")
    content["recordings"].pop()
    (run / "trained_trials.json").write_text(json.dumps(content))


def _other_fingerprint(run):
    content = read_json(run / "config.json")
    content["run"]["dataset_fingerprint"] = "0" * 64
    (run / "config.json").write_text(json.dumps(content))


def _half_a_start(run):
    (run / together.FOLDER_NAME).mkdir()


@pytest.mark.parametrize(
    "damage, told",
    [
        (_forget_a_row, "sessions.json lists .* checkpoint 2 has rows for .*--allow_dataset_change"),
        (_other_content, "config.json and sessions.json are of other data in session"),
        (_forget_trials, "trained_trials.json does not know the trials of session .*repeat the train command"),
        (_other_fingerprint, "dataset_fingerprint of checkpoint 2 is not that of config.json; restore"),
        (_half_a_start, "killed while its files changed; repeat the train command"),
    ],
)
def test_the_doctor_compares_the_files_of_a_run_with_one_another(run, damage, told):
    damage(run)
    lines = []
    with pytest.raises(InputError, match="need attention"):
        doctor(run, log=lines.append)
    assert [line for line in lines if line.startswith("BAD") and re.search(told, line)], lines


def test_a_session_observed_in_part_has_another_content(sessions):
    watched = np.ones(sessions[0].counts.shape, bool)
    watched[5:40, 3] = False
    counts = np.where(watched, sessions[0].counts, 0)
    part, whole = (dataclasses.replace(sessions[0], counts=counts, validity=v) for v in (intervals_of(watched), None))
    assert content_sha256(part) != content_sha256(whole)
    shorter = np.roll(watched, 1, axis=0)
    assert content_sha256(dataclasses.replace(part, validity=intervals_of(shorter))) != content_sha256(part)
