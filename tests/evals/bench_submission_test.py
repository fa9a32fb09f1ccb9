"""Predictions for BrainWideBench: its windows, its hidden units and bins, its file layout, its scores."""

import json

import numpy as np
import pytest

from neurojax.commands import submission
from neurojax.data import batching, bench_windows
from neurojax.data.readers import brainwide
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.session import TEST, TRAIN, VALIDATION
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError
from neurojax.evals import bench_submission, protocols
from neurojax.files import read_json
from neurojax.main import main

h5py = pytest.importorskip("h5py")
RNG = np.random.default_rng(0)
UNITS, LENGTH_S, HELD_OUT = 8, 60.0, (2, 5)
TIMES, INDEX = np.sort(RNG.uniform(0, LENGTH_S, 4000)), RNG.integers(0, UNITS - 1, 4000)  # the last unit is silent
ALIGNED = np.array([[1.0, 4.013], [6.5, 9.5], [21.0, 22.4], [31.3, 33.333], [40.0, 40.5], [41.0, 43.0]])
DOMAINS = {"train": (0.0, 20.0), "val": (20.0, 30.0), "test": (30.0, 60.0)}
TEST_INTERVALS = [(31.3, 33.333), (41.0, 43.0)]
COLUMN = "ts2_co_smoothing_is_held_out_test"


def put(file, name, **columns):
    for column, values in columns.items():
        file[f"{name}/{column}"] = values


def make(path, held_out=True, aligned=True):
    with h5py.File(path, "w") as file:
        put(file, "spikes", timestamps=TIMES, unit_index=INDEX)
        put(file, "units", id=[f"u{k}".encode() for k in range(UNITS)], region_beryl=[b"CA1"] * UNITS)
        if held_out:
            file[f"units/{COLUMN}"] = np.isin(np.arange(UNITS), HELD_OUT)
        put(file, "domain", start=[0.0], end=[LENGTH_S])
        if aligned:
            put(file, "task_aligned_intervals/domain", start=ALIGNED[:, 0], end=ALIGNED[:, 1])
        for name, (start, end) in DOMAINS.items():
            put(file, f"ts2_{name}_domain", start=[start], end=[end])
        for name, attributes in (
            ("brainset", {"id": "bwb", "derived_version": "1.0.0", "unit_filtering": "selected_units"}),
            ("session", {"id": "eid-1"}),
            ("subject", {"id": "mouse1"}),
        ):
            file.create_group(name).attrs.update(attributes)
    return path


def read(path, **fields):
    return brainwide.read_session(str(path), ReadSpec(options=(("windows", "benchmark"),), **fields))


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    return read(make(tmp_path_factory.mktemp("bwb") / "eid-1.h5"))


class Watcher:
    """A model whose rate is that of the visible spikes in the same bin; remembers what was hidden."""

    bucket_units, hides_by_zeroing, on_accelerator = 8, True, False

    def __init__(self, session):
        self.layout = batching.Layout.of([session])
        self.asked = []

    def asked_as(self, scheme):
        return scheme

    def log_rates(self, batch, query):
        self.asked.append(query)
        counts = batch.trials["counts"].astype(float)
        counts = counts * ~query.hidden_units[:, :, None] * ~query.hidden_bins[..., None]
        return np.log(0.05 + 0.1 * counts.sum(-1, keepdims=True)) + np.zeros(counts.shape)


def histogram(first, units):
    edges = first + np.arange(51) * 0.02
    return np.stack([np.histogram(TIMES[unit == INDEX], edges)[0] for unit in units], 1)


def test_the_reader_keeps_task_aligned_time_and_whole_test_intervals(session):
    start, end = (np.asarray(session.conditions[name]) for name in bench_windows.INTERVAL)
    assert start.dtype == np.float64
    pairs = list(zip(start.tolist(), end.tolist(), strict=True))
    found = {code: sorted({pairs[k] for k in np.flatnonzero(session.split == code)}) for code in range(3)}
    assert found[TEST] == TEST_INTERVALS and found[VALIDATION] == [(21.0, 22.4)]  # one lasts half a second
    assert found[TRAIN] == [(1.0, 4.013), (6.5, 9.5)]
    assert (session.trial_num_bins[session.split == TRAIN] == 50).all() and (session.split == TRAIN).sum() == 6
    test = session.trials_of(TEST)
    assert session.trial_num_bins[test].tolist() == [50, 50, 1, 50, 50, 50]  # 33.333 is on no bin; 43.0 is
    assert session.info["findings"]["intervals of a domain shorter than a window"] == 1


def test_other_windows_and_files_without_task_aligned_time_are_refused(tmp_path):
    path = make(tmp_path / "a.h5", aligned=False)
    with pytest.raises(InputError, match="no task_aligned_intervals/domain"):
        read(path)
    for wrong in ({"bin_ms": 10.0}, {"window_s": 2.0}, {"split": "random"}):
        with pytest.raises(InputError, match="1 s in bins of 20 ms"):
            read(path, **wrong)


def test_every_window_of_the_benchmark_is_predicted_from_what_it_shows(session):
    model = Watcher(session)
    found = bench_submission.predict(model, session, "ts2-co_smoothing", 64)
    expected = np.concatenate(
        [
            np.append(bench_windows.grid_starts(*interval), [] if last is None else [last])
            for interval in TEST_INTERVALS
            for last in [bench_windows.last_start(*interval)]
        ]
    )
    np.testing.assert_array_equal(found.window_start_s, expected)
    assert len(found.window_start_s) == 52 + 1 + 51 and found.log_rates.shape == (104, 50, 2)
    assert found.unit_id.tolist() == ["eid-1/u2", "eid-1/u5"] and found.log_rates.dtype == np.float16
    visible = [unit for unit in range(UNITS - 1) if unit not in HELD_OUT]
    for place in (0, 30, 52, 103):
        first = found.window_start_s[place]
        np.testing.assert_array_equal(found.counts[place], histogram(first, HELD_OUT))
        total = histogram(first, visible).sum(1)
        np.testing.assert_allclose(found.log_rates[place, :, 0], np.log(0.05 + 0.1 * total), atol=2e-3)
    assert all(not query.hidden_bins.any() for query in model.asked)


def test_forecasts_are_of_the_last_five_bins_of_all_units(session):
    model = Watcher(session)
    found = bench_submission.predict(model, session, "ts2-forecasting", 64)
    assert found.log_rates.shape == (104, 5, UNITS) and len(found.unit_id) == UNITS
    query = model.asked[0]
    assert query.hidden_bins[0, 0, :50].tolist() == [False] * 45 + [True] * 5
    assert query.hidden_units[0, 0, :UNITS].tolist() == [False] * (UNITS - 1) + [True]  # no train spike
    np.testing.assert_array_equal(found.counts[40], histogram(found.window_start_s[40], range(UNITS))[45:])
    # Bins that are hidden say nothing; the silent unit has half a spike in 300 train bins.
    np.testing.assert_allclose(found.log_rates[..., 0], np.log(0.05), atol=2e-3)
    np.testing.assert_allclose(found.log_rates[..., -1], np.log(0.5 / 300), atol=4e-3)


def test_many_windows_are_asked_in_parts_of_one_size(session, monkeypatch):
    whole = bench_submission.predict(Watcher(session), session, "ts2-co_smoothing", 64)
    monkeypatch.setattr(bench_submission, "MOST_WINDOWS", 30)
    done = []
    parts = bench_submission.predict(Watcher(session), session, "ts2-co_smoothing", 64, done.append)
    assert done == [30, 30, 30, 14]
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("missing, told", [("aligned", "windows=benchmark"), ("held_out", COLUMN)])
def test_sessions_that_are_none_of_the_benchmark_say_why(tmp_path, missing, told):
    path = make(tmp_path / "a.h5", **{missing: False})
    made = brainwide.read_session(str(path), ReadSpec()) if missing == "aligned" else read(path)
    assert told in bench_submission.reason_against(made)
    with pytest.raises(InputError, match=told):
        bench_submission.predict(Watcher(made), made, "ts2-forecasting", 64)


def made_up():
    """Predictions and counts as a generator of numbers gives them: those that the golden scores are of."""
    rng = np.random.default_rng(7)
    rates = rng.gamma(2.0, 0.15, (300, 5, 6))
    counts = rng.poisson(rates).astype(np.uint8)
    counts[..., 4] = 0  # without a spike
    log_rates = np.log(rates * rng.lognormal(0, 0.4, rates.shape)).astype(np.float16)
    starts = 100 + np.arange(300) * 0.02
    return bench_submission.Predicted(log_rates, counts, starts, np.array([f"e/u{k}" for k in range(6)]))


# What ibl-bwb-eval 0.1.0 (torch 2.13.0) gives for `made_up`.
GOLDEN = {"poisson_d2": 0.09439971297979355, "bps": 0.198908731341362}


def test_scores_are_those_of_the_benchmarks_scorer():
    found = bench_submission.scores(made_up())
    for name, value in GOLDEN.items():
        assert found[name] == pytest.approx(value, abs=1e-6)
    assert 0.05 < found["poisson_d2"] < 0.9  # neither trivial


def write_both(folder, session, predicted, seeds=(43, 44, 45)):
    """A submission and the ground truth that the scorer wants: (folder of predictions, folder of truth)."""
    numpy_files = pytest.importorskip("safetensors.numpy")
    for task in bench_submission.TASKS:
        counts = np.ascontiguousarray(predicted.counts, np.float32)  # safetensors writes memory as it lies
        truth = {"targets": counts, "window_timestamps": predicted.window_start_s}
        truth["unit_ids"] = np.ascontiguousarray(bench_submission.encoded(predicted.unit_id))
        place = folder / "truth" / task / session.session_id
        place.mkdir(parents=True)
        (place / "ground_truth.safetensors").write_bytes(numpy_files.save(truth))
        for seed in seeds:
            place = folder / "ours" / task / session.session_id / f"seed_{seed}.safetensors"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(submission.content_of(predicted, task, session, "ours", seed, numpy_files))
    return folder / "ours", folder / "truth"


def test_files_hold_what_the_leaderboard_asks_for(session, tmp_path):
    numpy_files = pytest.importorskip("safetensors")
    turned = made_up()._replace(log_rates=np.asfortranarray(made_up().log_rates))
    ours, _ = write_both(tmp_path, session, turned)
    path = ours / "ts2-forecasting/eid-1/seed_44.safetensors"
    with numpy_files.safe_open(path, "np") as file:
        told, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}
    assert tensors["predictions"].dtype == np.float16
    np.testing.assert_array_equal(tensors["predictions"], turned.log_rates)
    assert tensors["window_timestamps"].dtype == np.float64
    assert bytes(tensors["unit_ids"][0]) == b"e/u0" and tensors["unit_ids"].dtype == np.uint8
    wanted = {"label": "ours", "task": "ts2-forecasting", "seed": "44", "recording_id": "eid-1"}
    wanted |= {"unit_filtering": "selected_units", "dataset_version": "1.0.0"}
    assert wanted.items() <= told.items()
    assert bytes(bench_submission.encoded(np.array(["ab", "c"]))[1]) == b"c\0"
    with pytest.raises(InputError, match="ASCII"):
        bench_submission.encoded(np.array(["µ"]))


def test_the_real_scorer_reads_the_files_and_agrees(session, tmp_path):
    """Needs `pip install ibl-bwb-eval` (it brings torch); skipped without it."""
    scorer = pytest.importorskip("ibl_bwb_eval.scoring.ts2", reason="ibl-bwb-eval is not installed")
    folder, truth = write_both(tmp_path, session, made_up())
    raw = scorer.score_dir(folder.parent / "ours", truth)
    assert {key[1:] for key in raw} == {
        (task, "eid-1", seed) for task in bench_submission.TASKS for seed in (43, 44, 45)
    }
    own = bench_submission.scores(made_up())
    for found in raw.values():
        for name, value in found.items():
            assert value == pytest.approx(own[name], abs=1e-6) and value == pytest.approx(GOLDEN[name], abs=1e-6)


def test_the_real_scorer_aligns_the_windows_of_a_session(session, tmp_path):
    scorer = pytest.importorskip("ibl_bwb_eval.scoring.ts2", reason="ibl-bwb-eval is not installed")
    found = bench_submission.predict(Watcher(session), session, "ts2-co_smoothing", 64)
    folder, truth = write_both(tmp_path, session, found)
    raw = scorer.score_dir(folder, truth)
    for name, value in bench_submission.scores(found).items():
        assert raw["ours", "ts2-co_smoothing", "eid-1", 44][name] == pytest.approx(value, abs=1e-6)


@pytest.mark.slow
def test_the_command_writes_a_submission_of_every_seed(tmp_path, monkeypatch, capsys):
    pytest.importorskip("safetensors")
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "eid-1.h5")
    assert main(["convert", "brainwide", "eid-1.h5", "--out=bwb", "--options=windows=benchmark"]) == 0
    small = {"width": 8, "num_heads": 2, "num_layers": 1, "read_in_width": 8, "mlp_width": 8}
    entries = [f"model.{name}={value}" for name, value in small.items()]
    entries += ["data.root=bwb", "data.trials_per_batch=4", "data.bucket_units=8", "eval.num_boot=20"]
    entries += ["eval.baselines=train_mean", "eval.mixed_with=", "train.num_steps=4", "train.log_every_steps=4"]
    entries += ["train.validate_every_steps=0", "train.save_every_steps=4", "eval.protocol=brainwide"]
    train = ["train", "--config=mtm:size=tiny", "--workdir=runs", *(f"--config.{entry}" for entry in entries)]
    assert main([*train, "--seeds=2", "--config.seed=43"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "--workdir=runs", "--protocol=brainwide", "--submission=ours"]) == 0
    told = capsys.readouterr().out
    assert "a submission needs 3 in a row" in told and told.count("mean of 1") == 4
    files = sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "ours").rglob("*.safetensors"))
    assert files == [
        f"ours/{task}/eid-1/seed_{seed}.safetensors" for task in sorted(bench_submission.TASKS) for seed in (43, 44)
    ]
    for words, wanted in (
        (["--workdir=runs/seed_43", "--protocol=mtm"], "those of --protocol=brainwide"),
        (["--workdir=runs/seed_43", "--out=x.json"], "--out is of scores"),
    ):
        assert main(["evaluate", *words, "--submission=ours"]) == 2
        assert wanted in capsys.readouterr().err
    config = read_json(tmp_path / "runs/seed_43/config.json") | {"seed": 3}
    (tmp_path / "other").mkdir()
    (tmp_path / "other/config.json").write_text(json.dumps(config))
    assert main(["evaluate", "--workdir=other", "--submission=ours"]) == 2
    assert "seeds 43 to 47" in capsys.readouterr().err


def test_the_protocol_takes_the_files_own_held_out_units(session):
    wide = protocols.get_protocol("brainwide")
    assert np.flatnonzero(protocols.held_out_units(session, wide)).tolist() == list(HELD_OUT)
    plain = from_counts(np.ones((6, 4, 20), np.uint8), bin_size_s=0.02, session_id="plain")
    assert protocols.held_out_units(plain, wide).sum() == 2  # a tenth, drawn
    assert any(COLUMN in note for note in protocols.notes(plain, wide))
