"""The report is one page without requests or scripts, whatever is missing and however data are named."""

import html.parser
import io
import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")
from neurojax.evals import tables
from neurojax.evals.calibration import calibration
from neurojax.report import run_report as report
from neurojax.report import terminal
from neurojax.report.figures import style
from neurojax.report.figures.report_figures import draw_figures
from neurojax.report.score_groups import score_groups

HOSTILE = "<script>alert(1)</script>"


def block(value, reason="no known region has enough units"):
    if value is None:
        return {"bps_pooled": None, "bps_pooled_reason": reason, "d2_pooled": None, "num_units_scored": 0}
    interval = {"bps_pooled_se": 0.01, "bps_pooled_ci95": [value - 0.02, value + 0.02]}
    others = {
        "bps_unit_mean": value,
        "bps_unit_median": value,
        "bps_pooled_train_null": value,
        "d2_pooled": value,
    }
    return {"bps_pooled": value, "num_units_scored": 30, **interval, **others}


def record(num_sessions=2, oracle=True, session_name="animal{}", **changes):
    """A made-up evaluation of schema 1."""
    sessions = {}
    for index in range(num_sessions):
        tasks = {task: block(0.3 + 0.01 * index) for task in tables.TASK_LABELS}
        lower = {task: block(0.1) for task in tasks}
        session = {"num_units": 32, "num_test_trials": 7, "tasks": tasks}
        session["baselines"] = {"train_mean": {task: block(-0.01) for task in tasks}, "psth": lower}
        if oracle:
            session["oracle"] = {task: block(0.5) for task in tasks}
        sessions[session_name.format(index)] = session
    identity = {
        "protocol_hash": "a1b2",
        "dataset_fingerprint": "d3e4",
        "config_hash": "c5f6",
        "seed": 0,
        "step": 20,
    }
    return {"schema": 1, "protocol": "mtm", "sessions": sessions, "mean": {}, **identity, **changes}


def calibrated():
    """A session's calibration on a task, as evals.calibration computes it."""
    rates = np.random.default_rng(0).gamma(1.0, 0.1, (12, 30, 20))
    counts = np.random.default_rng(1).poisson(rates)
    return calibration({"held": rates}, counts, 0.02, seed=0, num_boot=50)["held"]


def example(num_regions=3, num_bins=10, num_units=12, **changes):
    """One session's example, as the caller of draw_figures prepares it."""
    rng = np.random.default_rng(0)
    rates = rng.gamma(1.0, 0.1, (num_bins, num_units))
    names = [HOSTILE, "A$1$", "B"][:num_regions]
    return {
        "session_id": "animal0",
        "bin_size_s": 0.02,
        "counts": rng.poisson(rates),
        "predicted": rates,
        "true": rates,
        "region": np.array([names[index % num_regions] for index in range(num_units)]),
        "psth_observed": rates[None],
        "psth_predicted": rates[None],
        "bps_unit_model": rng.normal(0.1, 0.1, num_units),
        "bps_unit_baseline": rng.normal(0.0, 0.1, num_units),
        "baseline": "psth",
    } | changes


METRICS = [
    {"step": step, "time_s": 0.1 * step, "train/loss": 1.0, "train/nats_per_entry": 0.3, "trials_per_s": 90.0}
    | ({"validation/neuron_bps_pooled": 0.1} if step % 10 == 0 else {})
    for step in range(1, 21)
]
ALL = {
    "first_look",
    "tasks",
    "raster",
    "rate_maps",
    "rates",
    "psth",
    "units",
    "regions",
    "region_drop",
    "loss",
    "calibration",
    "dispersion",
}


class Page(html.parser.HTMLParser):
    """Tags, attributes and text of a page, and whether what was opened was closed."""

    VOID = {"meta", "img", "link", "br", "hr", "input"}

    def __init__(self, source):
        super().__init__()
        self.tags, self.attributes, self.words, self.open = [], [], [], []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def without_pictures(source):
    return re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", source)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A full report: folder, page source, names of the figures."""
    workdir = tmp_path_factory.mktemp("run")
    (workdir / "config.json").write_text('{"note": "' + HOSTILE + '"}')
    evaluation = record()
    matrix = [[None, 0.1], [0.2, None]]
    q_value = [[None, 0.01], [0.7, None]]
    block_of_regions = {"bps_pooled": matrix, "null_bps_pooled": matrix, "p_value": q_value, "q_value": q_value}
    evaluation["sessions"]["animal0"]["regions"] = {
        "names": [HOSTILE, "A$1$"],
        "num_permutations": 99,
        "alone": block_of_regions | {"note": "a probe"},
        "drop": block_of_regions,
    }
    evaluation["sessions"]["animal0"]["calibration"] = {"co_smoothing": calibrated()}
    evaluation["sessions"]["animal1"]["tasks"]["intra_region"] = block(None, f"region {HOSTILE} has one unit")
    figures = draw_figures(evaluation, example(), METRICS)
    lines = []
    path = report.write_report(workdir, evaluation, figures, METRICS, lines.append)
    assert lines == [f"report: {path}"]
    return workdir, path.read_text(), set(figures)


def test_every_figure_is_drawn_and_none_is_empty(written):
    import matplotlib.image

    workdir, _, names = written
    assert names == ALL == {path.stem for path in (workdir / "figures").iterdir()}
    for path in (workdir / "figures").iterdir():
        pixels = matplotlib.image.imread(io.BytesIO(path.read_bytes()), format="png")[..., :3]
        assert min(pixels.shape[:2]) >= 300 and 0.01 < (pixels.min(-1) < 0.99).mean() < 0.9, path.name


def test_the_page_loads_nothing_and_runs_nothing(written):
    _, source, names = written
    page = Page(source)
    assert not page.open
    assert not {"script", "link", "iframe", "object", "base"} & set(page.tags)
    loads = [value for name, value in page.attributes if name in ("src", "href", "srcset", "action", "data")]
    assert len(loads) >= 8 and all(value.startswith("data:image/png;base64,") for value in loads)
    rest = without_pictures(source)
    assert "http:" not in rest and "https:" not in rest and "@import" not in rest and "url(" not in rest
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "viewport" in source and "prefers-color-scheme: dark" in source


def test_names_from_data_stay_text(written):
    _, source, _ = written
    assert "<script" not in source
    assert "region &lt;script&gt;alert(1)&lt;/script&gt; has one unit" in source
    hostile = record(1, session_name=HOSTILE + "{}", protocol=HOSTILE, config_hash='"><img src=x>')
    hostile["sessions"][HOSTILE + "0"]["baselines"][HOSTILE] = {"forward": block(0.1)}
    page = report._report(written[0], hostile, {HOSTILE: b"\x89PNG"}, [])
    assert "<script" not in page and "<img src=x" not in page


def test_the_page_says_what_the_numbers_are(written):
    workdir, source, _ = written
    words = " ".join(Page(source).words)
    for label in (
        *tables.TASK_LABELS.values(),
        "PSTH",
        "train mean",
        "oracle",
        "bits/spike, pooled",
        "Null:",
    ):
        assert label in words
    for fact in ("a1b2", "d3e4", "c5f6", "animal0", "animal1", "jax ", "numpy "):
        assert fact in words
    assert f"neurojax evaluate --workdir={workdir}" in words and "neurojax compare" in words
    assert "0.305 ±\xa00.064" in words  # mean of 0.30 and 0.31, t(0.975, 1 df) = 12.706 times 0.01 / 2
    assert "± half of the 95 % interval over 2 sessions (t)" in words and "standard error" not in words
    assert "0.300 [0.280,\xa00.320]" in words and "+0.200" in words
    assert "2 of 2" in words and "1 of 1" in words  # the null of one session leaves one to compare
    assert "seen / predicted" in words
    assert "61 %" in words  # 0.305 of the oracle's 0.5
    assert "None" not in words and "nan" not in words.split()


@pytest.mark.parametrize(
    ("evaluation", "examples", "expected"),
    [
        (record(1, oracle=False), None, {"tasks"}),
        (record(0), {}, set()),
        (record(40), None, {"tasks"}),
        (
            record(1),
            example(1, true=None, psth_observed=None, bps_unit_model=None),
            {"first_look", "tasks", "raster", "rate_maps"},
        ),
        (
            record(1, oracle=False),
            example(true=None, region=None),
            {"first_look", "tasks", "raster", "rate_maps", "psth", "units"},
        ),
    ],
    ids=["no example", "no session", "40 sessions", "one region", "no regions"],
)
def test_what_is_missing_is_left_out(tmp_path, evaluation, examples, expected):
    figures = draw_figures(evaluation, examples, [])
    assert set(figures) == expected
    small = {name: style.png_bytes(figures[name], dpi=40) for name in expected & {"first_look", "psth"}}
    page = Page(report.write_report(tmp_path, evaluation, small).read_text())
    assert not page.open and page.tags.count("img") == len(small)
    for key in evaluation["sessions"]:
        assert key in page.words


def test_a_record_of_nulls_does_not_crash(tmp_path):
    evaluation = record(2)
    for session in evaluation["sessions"].values():
        session["tasks"] = {task: block(None) for task in session["tasks"]}
        session["baselines"]["psth"] = None
        session["oracle"] = {}
    assert draw_figures(evaluation, None, [{"step": 1, "train/loss": None}]).keys() == {"tasks"}
    source = report.write_report(tmp_path, evaluation, {}).read_text()
    assert "no known region has enough units" in source and "None" not in source
    assert "-" in terminal.terminal_table(evaluation)


def test_padding_bins_of_a_short_trial_are_cut():
    whole = example()
    trial = {name: whole[name] for name in ("bin_size_s", "counts")} | {"predicted": whole["predicted"].copy()}
    trial["predicted"][6:] = np.nan
    figures = draw_figures(record(1), trial, [])
    assert figures["raster"].axes[0].get_xlim() == (0.0, pytest.approx(6 * 0.02))


def test_figures_may_come_as_paths(tmp_path):
    figure, _ = style.new_figure(1, 1)
    (tmp_path / "a.png").write_bytes(style.png_bytes(figure))
    report.write_report(tmp_path, record(1), {"a": tmp_path / "a.png", "b": str(tmp_path / "a.png")})
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"a.png", "b.png"}


def test_the_paired_difference_is_shown(tmp_path):
    paired = {
        **{"baseline": "stack", "chosen_on": "validation", "bps_pooled": 0.2, "ci95": [0.14, 0.26]},
        **{"trials_ci95": [0.19, 0.21], "p_value": 0.01, "p_holm": 0.02, "num_sessions": 4, "num_above": 3},
        **{"signs": {"animal0": 1, "animal1": -1}, "num_animals": 2, "animals": 0.2, "animals_ci95": [0.01, 0.39]},
    }
    open_one = {**paired, "ci95": [-0.04, 0.44], "p_value": 0.08, "p_holm": 0.08}
    blocks = dict.fromkeys(tables.TASK_LABELS, paired) | {"forward": open_one}
    evaluation = record(mean={task: {"paired_mean": block} for task, block in blocks.items()})
    source = report.write_report(tmp_path, evaluation, {}).read_text()
    assert "model − stack" in source and "+0.200 ±\u00a00.060" in source and "best on validation trials" in source
    assert "[+0.140,\u00a0+0.260]" in source and "3 of 4" in source and "[+0.190,\u00a0+0.210]" in source
    assert "[+0.010,\u00a0+0.390] around +0.200 (n=2)" in source and "sign test" in source
    assert source.count("<td>above stack</td>") == 3 and source.count("<td>not resolved</td>") == 1
    assert "model − " not in report.write_report(tmp_path, record(), {}).read_text()


def test_a_split_that_lets_drift_leak_is_said_on_the_page(tmp_path):
    evaluation = record()
    found = {"gain": 0.3, "z_score": 36.0, "interleaved": 0.9}
    evaluation["sessions"]["animal0"] |= {"drift": found, "drift_warning": "drift leaks"}
    source = report.write_report(tmp_path, evaluation, {}).read_text()
    assert "Warning: drift leaks in 1 of 2 sessions" in source and "--split=blocks:" in source
    assert "Warning" not in report.write_report(tmp_path, record(), {}).read_text()


def test_the_reliability_of_psths_has_a_line(tmp_path):
    evaluation = record(num_sessions=3)
    for session, value in zip(evaluation["sessions"].values(), (0.2, 0.6, None), strict=True):
        session["psth_reliability"] = value
        session["psth_reliability_reason"] = None if value else "no condition <column>"
    source = report.write_report(tmp_path, evaluation, {}).read_text()
    assert "PSTHs: 0.400 (mean of 2 sessions, 0.200 to 0.600)" in source
    assert "Not known for 1 of 3 sessions: no condition &lt;column&gt;." in source
    assert "Split-half" not in report.write_report(tmp_path, record(), {}).read_text()


def test_another_protocol_shows_each_of_its_metrics():
    """Few shots as a curve, D2 and R2 in tables and figures of their own, what has no interval without one."""
    evaluation = record(protocol="few_shot")
    for session in evaluation["sessions"].values():
        for blocks in (session["tasks"], *session["baselines"].values(), session["oracle"]):
            value = blocks["forward"]["bps_pooled"]
            held = {"headline": "d2_unit_mean", "d2_unit_mean": value / 2, "d2_unit_mean_se": 0.003, **block(value)}
            velocity = {"headline": "behaviour_r2", "behaviour_r2": value + 0.4, "behaviour_r2_se": 0.02}
            shots = {f"few_shot_{k}": block(value + 0.01 * k) for k in (16, 1, 4)}
            blocks.clear()
            blocks.update(held=held | {"psth_r2_unit_mean": value + 0.2}, velocity=velocity, **shots)
        session["notes"] = ["the split is odd"]
    assert score_groups(evaluation) == {
        "d2_unit_mean": ["held"],
        "behaviour_r2": ["velocity"],
        "bps_pooled": ["few_shot_16", "few_shot_1", "few_shot_4", "held"],
        "psth_r2_unit_mean": ["held"],
    }
    figures = draw_figures(evaluation, None, ())
    assert set(figures) == {"few_shots", "tasks", "tasks_behaviour_r2", "tasks_bps_pooled"}
    (curve,) = figures["few_shots"].axes
    assert [tick.get_text() for tick in curve.get_xticklabels()] == ["1", "4", "16"]
    np.testing.assert_allclose(curve.containers[0].lines[0].get_ydata(), [0.315, 0.345, 0.465])
    assert figures["tasks"].axes[0].get_ylabel() == "Poisson D2, mean of units"
    words = " ".join(Page(report._report(Path("run"), evaluation, {}, [])).words)
    for text in (
        "Poisson D2, mean of units; mean over 2 sessions",
        "R2 of the behaviour, mean of its dimensions; mean",
    ):
        assert text in words
    for cell in ("0.152 ±\xa00.032", "0.705 ±\xa00.064", "few shot 4", "61 %"):
        assert cell in words
    assert "Note, 2 of 2 sessions: the split is odd." in words and "None" not in words
