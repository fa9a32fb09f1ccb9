"""`neurojax adapt` and `model.adapt(steps=0)`: the run that is written, what is refused, what a stop leaves."""

import shutil

import numpy as np
import pytest

import neurojax as nj
from neurojax import main
from neurojax.api.pretrained import Pretrained
from neurojax.commands import adapt as command
from neurojax.commands import config
from neurojax.data.session import TRAIN
from neurojax.data.store.dataset import open_dataset
from neurojax.data.store.sessions import from_counts
from neurojax.files import read_json, write_json
from neurojax.finetune import closed_form, poisson_rows
from neurojax.finetune.weights import read_run
from neurojax.train import loop
from tests.finetune.closed_form_test import recording
from tests.finetune.conftest import write_root
from tests.finetune.every_model_test import exported, weights_of
from tests.finetune.observed_test import poked, with_gaps


@pytest.fixture(scope="module", autouse=True)
def quick_scores():
    """The command's runs are scored beside the train mean alone: the stack takes minutes."""
    quick = {"baselines": "train_mean", "mixed_with": "", "num_boot": 20, "num_permutations": 19}
    load = config.load

    def loaded(arguments):
        declared = load(arguments)
        return declared | {"eval": declared["eval"] | quick}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config, "load", loaded)
        yield


@pytest.fixture(scope="module")
def adapted(area, tmp_path_factory):
    """What the command makes of the two new sessions."""
    out = tmp_path_factory.mktemp("adapted") / "out"
    assert main.main(words(area, out)) == 0
    return out


@pytest.fixture(scope="module")
def new(area):
    return open_dataset(area / "new").sessions


@pytest.fixture(scope="module")
def known(area):
    return open_dataset(area / "known").sessions


def words(area, out, *more):
    return ["adapt", f"--from={area / 'run'}", f"--data={area / 'new'}", f"--out={out}", *more]


def same_arrays(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_array_equal(theirs[name], array, err_msg=name)


def files_of(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def rows_of(weights, table, session_id):
    """Rows of the units of one session."""
    first = 0
    for entry in weights.table:
        if entry["session_id"] == session_id:
            return weights.arrays[f"tables/{table}"][first : first + entry["num_units"]]
        first += entry["num_units"]
    raise KeyError(session_id)


@pytest.mark.parametrize("steps, strategy", [(0, "none"), (1, "stitcher_only"), (40, "gradual_unfreeze")])
def test_the_config_is_the_declared_one_with_rows_in_closed_form(steps, strategy, tmp_path):
    asked, people = command.asked_of(tmp_path / "run", tmp_path / "new", steps)
    declared = config.load(["--config=finetune"])
    assert people is None  # nobody was read for it
    assert asked["finetune"] == {"strategy": strategy, "unfreeze_step": max(1, steps // 4), "new_rows": "closed_form"}
    assert asked["train"]["num_steps"] == max(1, steps)
    own = {"train": ("num_steps", "validate_every_steps"), "data": ("root", "synthetic")}
    for block in declared.keys() - {"init_from", "finetune"}:
        for name, value in declared[block].items() if isinstance(declared[block], dict) else ():
            assert name in own.get(block, ()) or asked[block][name] == value, f"{block}.{name}"
    assert {"mixed_with", "baselines"} <= asked["eval"].keys()


def test_the_run_keeps_what_was_known_and_has_rows_for_the_new_sessions(area, adapted, new):
    left, source = read_run(adapted), read_run(area / "run")
    assert left.step == 0
    assert [entry["session_id"] for entry in left.entries[2:]] == [session.session_id for session in new]
    for name, array in source.arrays.items():
        if name.startswith(("params/", "tables/", "buffers/")):
            np.testing.assert_array_equal(left.arrays[name][: len(array)] if array.ndim else left.arrays[name], array)
    for session in new:
        assert np.abs(rows_of(left, "read_out", session.session_id)).max() > 0
    assert len(left.trained.recordings) == len(source.trained.recordings) + len(new)


def test_other_commands_take_the_run_and_the_same_command_leaves_it(area, adapted, new, tmp_path):
    assert np.isfinite(nj.load(adapted).rates(new[0], num_groups=2)).all()
    scores = tmp_path / "scores.json"
    assert main.main(["evaluate", f"--workdir={adapted}", f"--data={area / 'new'}", f"--out={scores}"]) == 0
    assert set(read_json(scores)["sessions"]) == {session.session_id for session in new}
    assert main.main(["doctor", f"--workdir={adapted}"]) == 0
    before = files_of(adapted / "checkpoints")
    assert main.main(words(area, adapted)) == 0
    assert files_of(adapted / "checkpoints") == before


def test_the_python_door_makes_the_same_rows(area, adapted, new, known):
    left, stranger = read_run(adapted), new[0]
    found = nj.load(area / "run").adapt(stranger, steps=0, known_sessions=known).weights
    for table in ("read_in", "read_out", "read_out_bias"):
        ours, theirs = (rows_of(weights, table, stranger.session_id) for weights in (found, left))
        np.testing.assert_allclose(ours, theirs, atol=1e-5, err_msg=table)


@pytest.mark.slow
def test_an_export_is_a_model_to_start_from(area, adapted, new, tmp_path):
    source = read_run(area / "run")
    exported(source, tmp_path / "release")
    arguments = ["adapt", f"--from={tmp_path / 'release'}", f"--data={area / 'new'}", f"--out={tmp_path / 'out'}"]
    assert main.main(arguments) == 0
    found, of_run = read_run(tmp_path / "out"), read_run(adapted)
    for entry in source.table:
        ours, theirs = (rows_of(weights, "read_out", entry["session_id"]) for weights in (found, source))
        np.testing.assert_array_equal(ours, theirs)
    for session in new:  # an export has no recordings to align components to: read-ins differ, mean rates do not
        ours, theirs = (rows_of(weights, "read_out_bias", session.session_id) for weights in (found, of_run))
        np.testing.assert_array_equal(ours, theirs)
        assert np.abs(rows_of(found, "read_out", session.session_id)).max() > 0


def test_the_rows_foretell_hidden_units_of_trials_that_were_not_fitted(area, new, known):
    """Above the units' mean rates, and above the rows that `pca` starts from."""
    stranger, model = new[0], nj.load(area / "run")
    fitted = np.repeat(stranger.split == TRAIN, stranger.trial_num_bins)  # trials fill the recording
    assert len(fitted) == len(stranger.counts)
    counts, likelihood = stranger.counts[~fitted], {}
    for new_rows in ("closed_form", "pca"):
        rates_hz = model.adapt(stranger, steps=0, new_rows=new_rows, known_sessions=known).rates(stranger)
        expected = rates_hz[~fitted] * stranger.bin_size_s
        likelihood[new_rows] = (counts * np.log(expected) - expected).sum()
    means = stranger.counts[fitted].mean(0)
    assert likelihood["closed_form"] > likelihood["pca"]
    assert likelihood["closed_form"] > (counts * np.log(means) - means).sum()


@pytest.mark.slow
def test_steps_go_on_from_the_rows(area, adapted, new, tmp_path):
    assert main.main(words(area, tmp_path / "out", "--steps=4")) == 0
    left, begun = read_run(tmp_path / "out"), read_run(adapted)
    assert left.step == 4
    for session in new:
        ours, theirs = (rows_of(weights, "read_out", session.session_id) for weights in (left, begun))
        assert 0 < np.abs(ours - theirs).max() < 0.2


def test_a_dry_run_tells_memory_and_writes_nothing(area, tmp_path, capsys):
    assert main.main(words(area, tmp_path / "out", "--dry_run")) == 0
    told = capsys.readouterr().out
    assert told.count("take at most") == 2 and "MiB" in told and "units are scored" in told
    assert "training: none" in told and "1 steps" not in told
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_adapted_is_refused_in_one_line(area, adapted, new, tmp_path, capsys):
    def refused(source=area / "run", data=area / "new", out=tmp_path / "a", more=()):
        assert main.main(["adapt", f"--from={source}", f"--data={data}", f"--out={out}", *more]) == 2
        said = capsys.readouterr().err.strip()
        assert said and "\n" not in said
        assert not (tmp_path / "a").exists()
        return said

    assert "--steps=-1" in refused(more=["--steps=-1"])
    assert "nothing" in refused(source="nothing")
    assert "does not exist" in refused(data="nowhere")
    assert "is the model that it starts from" in refused(out=area / "run")
    for more in ([], ["--steps=4"]):
        assert "knows all 2 of the data: use the run as it is" in refused(data=area / "known", more=more)
    assert "new workdir" in refused(out=adapted, more=["--steps=9"])
    (tmp_path / "release").mkdir()
    (tmp_path / "release" / "model.safetensors").write_bytes(b"")
    assert "neurojax export" in refused(out=tmp_path / "release")
    (tmp_path / "a_file").write_text("text")
    assert "a_file" in refused(out=tmp_path / "a_file")
    untrained = [session.with_fields(split=np.full_like(session.split, 2)) for session in new]
    assert "train" in refused(data=write_root(tmp_path / "untrained", untrained))


def test_damaged_models_are_refused_in_one_line(area, tmp_path, capsys):
    def refused(source):
        assert main.main(["adapt", f"--from={source}", f"--data={area / 'new'}", f"--out={tmp_path / 'out'}"]) == 2
        said = capsys.readouterr().err.strip()
        assert said and "\n" not in said
        assert not (tmp_path / "out" / "config.json").exists()
        return said

    exported(read_run(area / "run"), tmp_path / "release")
    path = tmp_path / "release" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-40])
    assert "model.safetensors" in refused(tmp_path / "release")
    several = tmp_path / "ensemble"
    shutil.copytree(area / "run", several)
    write_json(several / "config.json", read_json(several / "config.json") | {"members": 3})
    assert "not from an ensemble" in refused(several)
    shutil.rmtree(several / "checkpoints")
    assert "has no checkpoint" in refused(several)


@pytest.mark.parametrize("model", ["lfads", "signals"])
def test_models_without_such_rows_are_refused(area, model, tmp_path, capsys):
    exported(weights_of(model), tmp_path / "release")
    arguments = ["adapt", f"--from={tmp_path / 'release'}", f"--data={area / 'new'}", f"--out={tmp_path / 'out'}"]
    assert main.main(arguments) == 2
    said = capsys.readouterr().err
    assert model in said and said.count("\n") == 1 and not (tmp_path / "out").exists()
    with pytest.raises(nj.InputError, match=model):
        Pretrained(weights_of(model)).adapt(recording(), steps=0)


@pytest.mark.parametrize("place", [(closed_form, "rows"), (loop, "_without_steps")], ids=["fitting", "saving"])
def test_what_was_stopped_is_completed_by_the_same_command(area, adapted, tmp_path, monkeypatch, place):
    def stopped(*arguments, **options):
        raise KeyboardInterrupt

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(*place, stopped)
        with pytest.raises(KeyboardInterrupt):
            command.adapt(area / "run", root=area / "new", out=out)
    if place[0] is closed_form:
        assert [path.name for path in out.iterdir()] in ([], [".lock"])
    assert not any((out / "checkpoints").rglob("*manifest*"))
    assert main.main(words(area, out)) == 0
    same_arrays(read_run(out).arrays, read_run(adapted).arrays)


@pytest.mark.slow
def test_what_nobody_watched_says_nothing_of_a_unit(monkeypatch):
    weights = weights_of("ndt")  # of trials of six bins
    model = Pretrained(weights._replace(arrays={name: 0.1 * array for name, array in weights.arrays.items()}))
    counts, fields = recording().gather_trials(np.arange(16))[0], {"bin_size_s": 0.02, "session_id": "stranger"}
    whole = from_counts(counts[:, :6], split=recording().split, region=recording().region, **fields)
    session, seen = with_gaps(whole)
    given, fit = [], poisson_rows.fit
    monkeypatch.setattr(poisson_rows, "fit", lambda *arguments: given.append(arguments) or fit(*arguments))
    ours, theirs = (model.adapt(one, steps=0).weights.arrays for one in (session, poked(session, seen)))
    assert all(np.isfinite(array).all() for array in ours.values())
    assert np.abs(ours["tables/read_out"][-session.num_units :]).max() > 0
    same_arrays(ours, theirs)
    watched = seen[: 12 * 6]  # of the training trials
    for one in (given[: len(given) // 2], given[len(given) // 2 :]):
        silent = 0  # of the last question, which asks for every bin once
        for _, spikes, offset, *_ in one:
            assert not spikes[offset == 0].any()
            silent += (offset[-len(watched) :] == 0).sum()
        assert silent == (~watched).sum()  # and no rate is expected of them: they are no silence
