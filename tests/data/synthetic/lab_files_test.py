"""Files of made-up animals give back the session that they were made of, by NWB and by arrays."""

import numpy as np
import pytest

from neurojax.data.conversion import convert_session
from neurojax.data.store.session_format import open_session
from neurojax.data.synthetic import lab_files
from neurojax.data.synthetic.animals import make_sessions
from neurojax.data.synthetic.spec import SyntheticSpec
from neurojax.errors import InputError

SPEC = SyntheticSpec(num_sessions=2, min_units=9, max_units=9, min_region_units=3, num_trials=12, num_bins=20)


def test_converted_files_are_the_animals_to_the_last_spike(tmp_path):
    pytest.importorskip("pynwb")
    files = lab_files.write(tmp_path / "lab", SPEC)
    assert [path.name for path in files] == ["mouse0.nwb", "mouse1.npz"]
    for path, made in zip(files, make_sessions(SPEC), strict=True):
        kind = {".nwb": "nwb", ".npz": "arrays"}[path.suffix]
        found = open_session(convert_session(path, kind=kind, out=tmp_path / "mine"))
        np.testing.assert_array_equal(found.counts, made.counts)
        np.testing.assert_array_equal(found.region, made.region)
        np.testing.assert_array_equal(found.split, made.split)
        np.testing.assert_allclose(found.trial_start_s, made.trial_start_s)
        for name in ("stimulus", "choice"):
            np.testing.assert_array_equal(found.conditions[name], made.conditions[name])


def test_spike_times_lie_in_the_bins_that_count_them():
    (session, _) = make_sessions(SPEC)
    times_s, units = lab_files.spike_times(session)
    assert (np.diff(times_s) >= 0).all() and len(times_s) == session.counts.sum()
    inside = times_s[units == 4] - session.trial_start_s[3]
    counted, _ = session.gather_trials(np.array([3]))
    np.testing.assert_array_equal(np.histogram(inside, np.arange(21) * 0.02)[0], counted[0, :, 4])
    session.trial_start_s[1] = session.trial_start_s[0]
    with pytest.raises(InputError, match="share time"):
        lab_files.spike_times(session)


def test_without_pynwb_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pynwb", None)
    with pytest.raises(InputError, match=r"neurojax\[nwb\]"):
        lab_files.write(tmp_path, SPEC)
