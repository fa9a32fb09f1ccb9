"""Trials and behaviour in tables beside a sorting: any separator, any clock, one bad row or column loses itself."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neurojax.data.checks.check import session_findings
from neurojax.data.checks.findings import recorded_findings
from neurojax.data.readers import phy
from neurojax.data.readers.side_tables import ODD_TRIALS, RENAMED
from neurojax.errors import InputError
from tests.data.readers.sortings_for_tests import RATE_HZ, phy_folder, read

STARTS = np.arange(20) * 2.5 + 1


@pytest.fixture
def folder(tmp_path):
    return phy_folder(tmp_path / "day1" / "ks")


def table(path, columns, mark=","):
    lines = [mark.join(columns)] + [mark.join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join(lines) + "\n")


def starts_of(folder, *options, **fields):
    return read(folder, *options, window_s=None, **fields).trial_start_s


# --- trials


@pytest.mark.parametrize(
    ("names", "factor"),
    [
        (("start_s", "stop_s"), 1),
        (("start", "stop"), 1),
        (("Start_Time", "Stop_Time"), 1),
        (("trial_start_s", "trial_end_s"), 1),
        (("start_ms", "end_ms"), 1e3),
        (("start_samples", "stop_samples"), RATE_HZ),
        (("begin_sec", "end_sec"), 1),
    ],
)
@pytest.mark.parametrize("ending", ["csv", "tsv", "npz"])
def test_starts_and_stops_by_their_names_and_units(folder, names, factor, ending):
    columns = {names[0]: STARTS * factor, names[1]: (STARTS + 1) * factor, "side": ["L", "R"] * 10}
    if ending == "npz":
        np.savez(folder / "trials.npz", **columns)
    else:
        table(folder / f"trials.{ending}", columns, "\t" if ending == "tsv" else ";")
    made = read(folder, window_s=None)
    np.testing.assert_allclose(made.trial_start_s, STARTS)
    assert set(made.trial_num_bins) == {50} and made.conditions["side"].tolist() == ["L", "R"] * 10
    assert sorted(made.conditions) == ["side"]


def test_the_unit_of_trials_can_be_said(folder):
    table(folder / "trials.csv", {"start": STARTS * 1e3, "stop": (STARTS + 1) * 1e3, "go": STARTS * 1e3 + 200})
    with pytest.raises(InputError, match="trials=ms"):
        starts_of(folder)
    np.testing.assert_allclose(starts_of(folder, time_unit="trials=ms"), STARTS)
    cut = starts_of(folder, time_unit="trials=ms", align="go", window=(-0.1, 0.4))
    np.testing.assert_allclose(cut, STARTS + 0.1)
    table(folder / "trials.csv", {"start_s": STARTS * 1e3, "stop_s": (STARTS + 1) * 1e3})  # the name is wrong
    np.testing.assert_allclose(starts_of(folder, time_unit="trials=ms"), STARTS)
    (folder / "params.py").unlink()
    table(folder / "trials.csv", {"start_samples": STARTS * 1e3, "stop_samples": (STARTS + 1) * 1e3})
    with pytest.raises(InputError, match="the sample rate is not known"):
        starts_of(folder, time_unit="spikes=us")
    unit = f"spikes=samples:{RATE_HZ:g}"
    np.testing.assert_allclose(starts_of(folder, time_unit=f"{unit},trials=ms"), STARTS)
    samples = STARTS * RATE_HZ
    table(folder / "trials.csv", {"start_samples": samples, "stop_samples": samples + RATE_HZ})
    np.testing.assert_allclose(starts_of(folder, time_unit=unit), STARTS)


def test_one_bad_row_of_trials_loses_itself_alone(folder):
    rows = [f"{start},{start + 1},x" for start in STARTS]
    rows[3], rows[5], rows[7], rows[9] = "8.5,9.5", ",,x", "18.5,18.505,x", "23.5,22.5,x"
    (folder / "trials.csv").write_text("start_s,stop_s,what\n" + "\n".join(rows) + "\n\n")
    made = read(folder, window_s=None)
    np.testing.assert_allclose(made.trial_start_s, np.delete(STARTS, [3, 5, 7, 9]))
    assert made.info["trials_dropped"] == {"no event": 1, "shorter than one bin": 2}
    assert made.info["findings"][ODD_TRIALS] == 1
    with pytest.raises(InputError, match="cut short"):
        read(folder, window_s=None, strict=True)


def test_odd_columns_lose_themselves_alone(folder):
    columns = {"start_s": STARTS, "stop_s": STARTS + 1, "reaction time (s)": STARTS, "note": ["a" * 300] * 20}
    table(folder / "trials.csv", columns | {"split": [0] * 20, "num_bins": [1] * 20})
    made = read(folder, window_s=None)
    assert sorted(made.conditions) == ["reaction time _s_", "trial_num_bins", "trial_split"]
    assert made.info["findings"][RENAMED] == 2
    assert made.info["trial_columns_skipped"] == ["note"]
    with pytest.raises(InputError, match="'note'"):
        read(folder, window_s=None, strict=True)
    (folder / "trials.csv").unlink()
    np.savez(folder / "trials.npz", start_s=STARTS, stop_s=STARTS + 1, image=np.zeros((20, 3)), hits=np.ones(20, bool))
    made = read(folder, window_s=None)
    assert sorted(made.conditions) == ["hits"] and made.info["trial_columns_skipped"] == ["image"]


def test_a_table_by_its_name_here_or_above(folder):
    table(folder / "mine.csv", {"start_s": STARTS, "stop_s": STARTS + 1})
    assert len(starts_of(folder, {"trials": "mine.csv"})) == 20
    table(folder.parent / "trials_day1.csv", {"start_s": STARTS[:5], "stop_s": STARTS[:5] + 1})
    assert len(starts_of(folder, {"trials": "trials_day1.csv"})) == 5
    before = phy.source_sha256(str(folder))
    table(folder.parent / "trials_day1.csv", {"start_s": STARTS[:6], "stop_s": STARTS[:6] + 1})
    assert phy.source_sha256(str(folder)) != before
    with pytest.raises(InputError, match="--options=trials=FILE.csv"):
        starts_of(folder)  # one above is never taken by itself
    (folder.parent / "other.csv").write_text("start_s,stop_s\n0,1\n")
    for name in ("other.csv", "../other.csv", "params.py", "gone.csv", str(folder / "mine.csv")):
        with pytest.raises(InputError, match=r"trials\*"):
            starts_of(folder, {"trials": name})


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "is empty"),
        ("start_s,stop_s\n", "has no trial"),
        ("start_s\n1\n", "no column stop_s"),
        ("start_s,stop_s,stop_s\n1,2,3\n", "names a column twice"),
        ("start_s,stop_s\none,two\n", "is text, expected seconds"),
        ("onset,what\n1,2\n", "no column start_s"),
        (b"\xff\xfe\x00\x01", "is not text"),
    ],
)
def test_a_table_without_trials_is_refused(folder, text, match):
    (folder / "trials.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=match) as caught:
        read(folder, window_s=None)
    assert "\n" not in str(caught.value)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(["good", "short", "blank", "long", "backward", "tiny"]), min_size=8, max_size=20),
    st.sampled_from([",", "\t", ";"]),
    st.sampled_from(["\n", "\r\n"]),
    st.randoms(),
)
def test_every_whole_row_is_a_trial_and_every_other_is_counted(tmp_path, kinds, mark, end, random):
    folder = phy_folder(tmp_path / "day1" / "ks")
    rows, expected = [], []
    for number, kind in enumerate(kinds):
        start = 1 + 2.5 * number
        cells = {
            "good": [start, start + 1, "a"], "short": [start, start + 1], "blank": ["", "", "a"],
            "long": [start, start + 1, "a", "b"], "backward": [start, start - 1, "a"],
            "tiny": [start, start + 0.01, "a"],
        }[kind]  # fmt: skip
        rows.append(mark.join(map(str, cells)))
        expected += [start] if kind == "good" else []
    random.shuffle(rows)
    (folder / "trials.csv").write_bytes(end.join([mark.join(["start_s", "stop_s", "what"]), *rows]).encode())
    if len(expected) < 3:
        with pytest.raises(InputError):
            read(folder, window_s=None)
        return
    made = read(folder, window_s=None)
    np.testing.assert_allclose(np.sort(made.trial_start_s), expected)
    counted = sum(made.info["trials_dropped"].values()) + made.info["findings"].get(ODD_TRIALS, 0)
    assert counted + made.num_trials == len(kinds)


# --- behaviour


def walk(folder, name="wheel.csv", times="time_s", factor=1.0, step=0.01, mark=",", **columns):
    """Speed equals the time in seconds."""
    t = np.arange(0, 55, step)
    columns = {times: np.round(t * factor, 6), "speed": t, **columns}
    table(folder / name, columns, mark)
    return t


def check_speed(made, tolerance=0.011):
    """The mean of the time over each bin is its centre."""
    begins = np.repeat(made.trial_start_s, made.trial_num_bins) + np.tile(np.arange(50) * 0.02, made.num_trials)
    known = made.behaviour_known("speed")[:, 0]
    np.testing.assert_allclose(made.behaviour["speed"][known, 0], begins[known] + 0.01, atol=tolerance)
    return known.mean()


@pytest.fixture
def trials(folder):
    table(folder / "trials.csv", {"start_s": STARTS, "stop_s": STARTS + 1})
    return folder


@pytest.mark.parametrize(
    ("times", "factor", "fields"),
    [
        ("time_s", 1, {}),
        ("t", 1, {}),
        ("timestamps", 1, {}),
        ("time_ms", 1e3, {}),
        ("time_samples", RATE_HZ, {}),
        ("time", 1e3, {"time_unit": "behavior=ms"}),
        ("time", RATE_HZ, {"time_unit": "behavior=samples:30000"}),
    ],
)
def test_behaviour_on_its_own_clock(trials, times, factor, fields):
    walk(trials, times=times, factor=factor)
    made = read(trials, {"behavior": "wheel.csv"}, window_s=None, **fields)
    assert check_speed(made) == 1.0 and made.behaviour["speed"].dtype == np.float32


@pytest.mark.parametrize("hz", [5, 8, 25, 60])
def test_slow_behaviour_is_known_between_its_samples(trials, hz):
    walk(trials, step=1 / hz)
    assert check_speed(read(trials, {"behavior": "wheel.csv"}, window_s=None)) == 1.0
    few = check_speed(read(trials, {"behavior": "wheel.csv"}, window_s=None, max_gap_s=1e-3))
    assert few < 0.6 or hz == 60


def test_several_tables_npz_and_those_above(trials):
    t = walk(trials, pupil=np.ones(5500))
    np.savez(
        trials.parent / "behaviour.npz", time_s=t[::2], hand=np.stack([t, -t], 1)[::2], late=np.arange(60.0),
        late_times_s=np.arange(60.0),
    )  # fmt: skip
    before = phy.source_sha256(str(trials))
    made = read(trials, {"behavior": "wheel.csv+behaviour.npz"}, window_s=None)
    assert sorted(made.behaviour) == ["hand", "late", "pupil", "speed"] and made.behaviour["hand"].shape[1] == 2
    np.testing.assert_allclose(made.behaviour["hand"][:, 1], -made.behaviour["speed"][:, 0], atol=0.02)
    np.testing.assert_allclose(made.behaviour["late"], made.behaviour["speed"], atol=0.02)
    np.savez(trials.parent / "behaviour.npz", time_s=t, hand=t)
    assert phy.source_sha256(str(trials)) != before


def test_odd_samples_and_columns_lose_themselves_alone(trials):
    t = walk(trials, state=["run"] * 5500, pupil=[""] * 5500)
    lines = (trials / "wheel.csv").read_text().splitlines()
    lines[500] = "4.99"  # cut short
    lines[700] = lines[700].replace(",", ",x", 1)  # a stray word
    lines[900] = f"{t[899]},9.97e36,run,"  # a fill value
    (trials / "wheel.csv").write_text("\n".join(lines))
    made = read(trials, {"behavior": "wheel.csv"}, window_s=None)
    assert check_speed(made) == 1.0 and sorted(made.behaviour) == ["pupil", "speed"]
    told = " ".join(finding.sentence for finding in recorded_findings(made.info))
    assert "behaviour left out (state" in told and "stand for none" in told
    assert made.info["findings"]["samples of behaviour without a time or a value"] >= 2
    with pytest.raises(InputError, match="'state'"):
        read(trials, {"behavior": "wheel.csv"}, window_s=None, strict=True)


def test_behaviour_of_another_clock_is_told(trials):
    t = np.arange(0, 55, 0.01)
    table(trials / "wheel.csv", {"time_s": t + 1e6, "speed": t})
    made = read(trials, {"behavior": "wheel.csv"}, window_s=None)
    assert not made.behaviour_valid["speed"].any()
    assert "behaviour_never_known" in {finding.code for finding in session_findings(made)}


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("speed\n1\n", "no column time_s"),
        ("time_s\n1\n", "no column of numbers"),
        ("time_s,state\n1,run\n", "no column of numbers"),
        ("time_s,x,x\n1,2,3\n", "twice"),
        ("", "twice or none"),
    ],
)
def test_a_table_without_samples_is_refused(trials, text, match):
    (trials / "wheel.csv").write_text(text)
    with pytest.raises(InputError, match=match):
        read(trials, {"behavior": "wheel.csv"}, window_s=None)
    with pytest.raises(InputError, match=r"behav\*"):
        read(trials, {"behavior": "gone.csv"}, window_s=None)


def test_windows_have_behaviour_too(folder):
    walk(folder)
    made = read(folder, {"behavior": "wheel.csv"})
    valid = made.behaviour_valid["speed"].reshape(made.num_trials, 100)
    assert valid[:27].all() and not valid[28:].any()  # known to 55 s of 58


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([10.0, 40.0, 200.0]), st.floats(0, 0.5), st.integers(0, 99), st.booleans())
def test_jitter_losses_and_order_never_move_a_value(tmp_path, hz, lost, seed, shuffled):
    """Samples at odd times, some without a value, in any order: every known bin holds what the line says there."""
    folder = phy_folder(tmp_path / "day1" / "ks")
    table(folder / "trials.csv", {"start_s": STARTS, "stop_s": STARTS + 1})
    rng = np.random.default_rng(seed)
    t = np.sort(rng.uniform(0, 55, int(55 * hz)))
    values = [f"{x:.6f}" if rng.uniform() > lost else "" for x in t]
    order = rng.permutation(len(t)) if shuffled else np.arange(len(t))
    table(folder / "behavior.csv", {"time_s": t[order], "speed": np.array(values)[order]})
    made = read(folder, {"behavior": "behavior.csv"}, window_s=None)
    known = check_speed(made, tolerance=0.0101)
    assert known > (0.95 if hz == 200 and lost < 0.3 else 0.05)
