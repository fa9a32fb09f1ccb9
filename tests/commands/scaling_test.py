"""neurojax scaling: points of runs and of tables, what is printed and written, and one line for bad input."""

import json

import numpy as np
import pytest

from neurojax.commands import scaling_points
from neurojax.errors import InputError
from neurojax.files import read_json
from neurojax.main import main

SIZES = (1, 2, 3, 5, 8, 12, 20)


def score_of(size):
    return 0.35 - 0.2 * size**-0.5


@pytest.fixture
def runs(tmp_path):
    """Runs on 1 to 20 sessions, as far as the command reads them; session s1 is easy, later ones are hard."""
    folders = []
    for size in SIZES:
        folder = tmp_path / f"run{size}"
        (folder / "checkpoints" / "40").mkdir(parents=True)
        blocks = {
            f"s{n}": {"tasks": {"co_smoothing": {"bps_pooled": score_of(size) + (0.5 if n == 1 else -0.3)}}}
            for n in range(1, size + 1)
        }
        evaluation = {"schema": 1, "protocol_hash": "abc", "step": 40, "sessions": blocks}
        evaluation |= {"mean": {"co_smoothing": {"bps_pooled": 9.0}}}
        evaluation |= {"cost": {"shared_parameters": 5, "training_s": 11.0 * size}}
        (folder / "evaluation.json").write_text(json.dumps(evaluation))
        entries = [
            {"num_units": 10 * n, "num_trials": {"train": 7, "test": 3}, "subject_id": f"mouse{n % 3}"}
            for n in range(1, size + 1)
        ]
        (folder / "sessions.json").write_text(json.dumps({"schema": 1, "sessions": entries}))
        arrays = {"params/a": {"shape": [3, size]}, "tables/b": {"shape": [2]}, "dense_moments/a": {"shape": [99]}}
        manifest = {"arrays": arrays, "step": 40}
        (folder / "checkpoints" / "40" / "neurojax_manifest.json").write_text(json.dumps(manifest))
        recordings = [{"trained_s": [0.0, 30.0 * size, 1000.0, 1000.0 + 30.0 * size]}]
        times = {"schema": 2, "all_times_known": True, "recordings": recordings, "digests": []}
        (folder / "trained_trials.json").write_text(json.dumps(times))
        folders.append(folder)
    return folders


def command(capsys, *words):
    code = main(["scaling", *map(str, words)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def table(path, rows, header="sessions,score"):
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


def curve(tmp_path, sizes=SIZES):
    noise = 0.002 * np.random.default_rng(0).standard_normal(len(sizes))
    return table(tmp_path / "points.csv", zip(sizes, score_of(np.array(sizes)) + noise, strict=True))


def test_a_table_of_points_is_fitted_drawn_and_forecast(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    code, out, _ = command(capsys, curve(tmp_path), "--axis=sessions", "--at=40,200,201", f"--out={tmp_path / 'out'}")
    assert code == 0 and "no_change" in out and "7 points, 1 to 20 sessions" in out
    record = read_json(tmp_path / "out" / "scaling.json")
    near, edge, far = record["forecasts"]
    assert near["low"] < near["value"] < near["high"] and near["value"] == pytest.approx(score_of(40), abs=0.02)
    assert edge["value"] is not None and far["value"] is None and "no single number" in far["words"]
    assert far["words"] in out and record["axis"] == "sessions" and len(record["points"]) == 7
    assert sum(one["weight"] for one in record["fits"]) == pytest.approx(1)
    assert {"value", "low", "high"} == set(record["fits"][0]["parameters_90"]["limit"])
    assert (tmp_path / "out" / "scaling.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "axis, sizes",
    [
        ("sessions", SIZES),
        ("trials", [7 * n for n in SIZES]),
        ("units", [5 * n * (n + 1) for n in SIZES]),
        ("minutes", SIZES),
        ("parameters", [3 * n + 2 for n in SIZES]),
        ("compute", [11 * n for n in SIZES]),
        ("people", [1, 2, 3, 3, 3, 3, 3]),
    ],
)
def test_runs_are_read_along_any_axis_and_scored_on_the_sessions_that_all_share(runs, capsys, tmp_path, axis, sizes):
    code, out, err = command(capsys, *runs, f"--axis={axis}", f"--out={tmp_path}", "--forms=power_floor,log_linear")
    if axis != "people":
        assert code == 0, err
    else:  # three sizes are too few for a comparison: that is told
        assert code == 2 and "to hold out" in err
        return
    assert "means over the 1 sessions that all runs share" in out
    points = read_json(tmp_path / "scaling.json")["points"]
    assert [one["size"] for one in points] == pytest.approx(sizes)
    assert [one["score"] for one in points] == pytest.approx([score_of(n) + 0.5 for n in SIZES])


def test_a_run_that_does_not_say_what_it_cost_has_no_place_on_a_curve_over_compute(runs):
    path = runs[2] / "evaluation.json"
    found = read_json(path)
    found["cost"]["training_s"] = None
    path.write_text(json.dumps(found))
    with pytest.raises(InputError, match="run3/evaluation.json does not say what training took"):
        scaling_points.read(runs, "compute", None)


def test_a_session_without_a_score_in_one_run_is_left_out_and_told(runs, tmp_path):
    path = runs[3] / "evaluation.json"
    found = read_json(path)
    found["sessions"]["s2"]["tasks"]["co_smoothing"]["bps_pooled"] = None
    path.write_text(json.dumps(found))
    read = scaling_points.read(runs[1:], "sessions", None)
    assert read.scores == pytest.approx([score_of(n) + 0.5 for n in SIZES[1:]])  # of the easy session alone
    assert any("left out" in note and note.endswith("of them: s2") for note in read.notes)
    with pytest.raises(InputError, match="run2/evaluation.json has no number at tasks.co_smoothing.r2"):
        scaling_points.read(runs[1:], "sessions", "mean.co_smoothing.r2")


def test_a_folder_of_seeds_has_the_size_of_its_seeds_and_the_score_of_all(runs, capsys, tmp_path):
    for folder in runs[2:]:
        (folder / "seed_0").mkdir()
        for name in ("sessions.json", "trained_trials.json", "checkpoints"):
            (folder / name).rename(folder / "seed_0" / name)
    for axis, sizes in (("sessions", SIZES), ("parameters", [3 * n + 2 for n in SIZES])):
        words = (*runs, f"--axis={axis}", f"--out={tmp_path}", "--forms=log_linear")
        assert command(capsys, *words)[0] == 0
        assert [one["size"] for one in read_json(tmp_path / "scaling.json")["points"]] == pytest.approx(sizes)


def test_columns_and_bounds_can_be_named(tmp_path, capsys):
    rows = [(n, 0.5 + 0.04 * np.log(n), 0.01) for n in SIZES]
    path = table(tmp_path / "p.csv", rows, "compute,accuracy,se")
    words = [path, "--axis=compute", "--score=accuracy", f"--out={tmp_path}", "--limit=0,1", "--at=100"]
    assert command(capsys, *words, "--forms=power_floor,shoulder")[0] == 0
    record = read_json(tmp_path / "scaling.json")
    assert record["errors"] == [0.01] * 7 and record["score"] == "accuracy"
    assert all(one["parameters_90"]["limit"]["high"] <= 1 for one in record["fits"])


def test_a_curve_that_goes_nowhere_is_said_to(tmp_path, capsys):
    path = table(tmp_path / "p.csv", [(n, 0.3) for n in (1, 2, 3, 5, 8)])
    code, out, _ = command(capsys, path, "--axis=sessions", f"--out={tmp_path}")
    assert code == 0 and "no_change" in out


@pytest.mark.parametrize(
    "rows, words, told",
    [
        ([(1, 0.1), (2, "x"), (3, 0.2)], [], "row 3: score is 'x'"),
        ([(1, 0.1), (2, "nan"), (3, 0.2)], [], "row 3: score is 'nan'"),
        ([(0, 0.1), (2, 0.1), (3, 0.2)], [], "expected numbers over 0"),
        ([(1, 0.1), (2, 0.2), (3, 0.3)], [], "to hold out"),
        ([(1, 0.1), (1, 0.2)], [], "different sizes"),
        ([], [], "has no column 'sessions'"),
        ([(n, 0.1) for n in SIZES], ["--score=r2"], "has no column 'r2'"),
        ([(n, 0.1) for n in SIZES], ["--at=-5"], "expected sizes over 0"),
        ([(n, 0.1) for n in SIZES], ["--limit=1,0"], "expected LOWEST,HIGHEST"),
        ([(n, 0.1) for n in SIZES], ["--forms=powr"], "no form 'powr'"),
    ],
)
def test_a_table_that_is_no_curve_is_one_line(tmp_path, capsys, rows, words, told):
    path = table(tmp_path / "p.csv", rows)
    code, _, err = command(capsys, path, "--axis=sessions", f"--out={tmp_path}", *words)
    assert code == 2 and err.count("\n") == 1 and told in err


def test_runs_that_do_not_belong_together_are_one_line(runs, tmp_path, capsys):
    def refused(*words):
        code, _, err = command(capsys, *words, f"--out={tmp_path}")
        assert code == 2 and err.count("\n") == 1
        return err

    assert "named twice" in refused(runs[0], runs[0], "--axis=sessions")
    assert "--axis=flops" in refused(*runs, "--axis=flops")
    assert "or one CSV file" in refused(curve(tmp_path), runs[0], "--axis=sessions")
    assert "does not exist" in refused(tmp_path / "none", "--axis=sessions")
    assert "no number at tasks.forward.bps_pooled" in refused(
        *runs, "--axis=sessions", "--score=mean.forward.bps_pooled"
    )
    assert "no number at mean.forward" in refused(*runs, "--axis=sessions", "--score=mean.forward")
    evaluation = read_json(runs[0] / "evaluation.json")
    (runs[0] / "evaluation.json").write_text(json.dumps(evaluation | {"protocol_hash": "other"}))
    assert "2 protocols" in refused(*runs, "--axis=sessions")
    (runs[0] / "evaluation.json").write_text(json.dumps(evaluation | {"sessions": {"elsewhere": {}}}))
    assert "share no scored session" in refused(*runs, "--axis=sessions")
    (runs[0] / "evaluation.json").write_text(json.dumps(evaluation | {"eval": {"evaluator": "gestures"}}))
    assert "several kinds" in refused(*runs, "--axis=sessions")
    (runs[0] / "evaluation.json").write_text(json.dumps(evaluation))
    (runs[0] / "trained_trials.json").write_text('{"all_times_known": false, "recordings": []}')
    assert "does not know all times" in refused(*runs, "--axis=minutes")
    (runs[0] / "sessions.json").write_text('{"sessions": [{"num_units": 3}]}')
    assert "says nothing of trials" in refused(*runs, "--axis=trials")
