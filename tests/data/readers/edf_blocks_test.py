"""EDF in blocks: the samples that mne reads at once, and faults of the disk told as such."""

import numpy as np
import pytest

from neurojax.data import row_blocks
from neurojax.data.readers import eeg_files, kept_rows
from neurojax.main import main
from tests.data.readers.edf_for_tests import edf_of


@pytest.fixture
def block_lengths(monkeypatch):
    """Rows of each block that a file of EEG is read in, as they come."""
    lengths, own = [], eeg_files.kept

    def noted(blocks, *more):
        return own((lengths.append(len(block)) or block for block in blocks), *more)

    monkeypatch.setattr(eeg_files, "kept", noted)
    return lengths


@pytest.mark.parametrize("records, per_record, most", [
    (40, {"Fz": 50, "Cz": 25, "O1": 50}, 2000),  # mne makes one rate of both, otherwise at the ends of a part: whole
    (3, {"Fz": 900, "Cz": 900}, 37),  # a record is longer than a block, and no multiple of it
    (9, {"Fz": 16, "Cz": 16}, 32),  # two whole records
])  # fmt: skip
def test_edf_in_blocks_is_what_mne_reads_at_once(tmp_path, monkeypatch, block_lengths, records, per_record, most):
    mne = pytest.importorskip("mne")
    monkeypatch.setattr(row_blocks, "BLOCK_BYTES", 37 * 16)
    path = edf_of(tmp_path, annotated=False, records=records, **per_record)
    found = eeg_files.read_edf(path, folder=tmp_path).values
    at_once = 1e6 * mne.io.read_raw_edf(path, verbose="ERROR").get_data().T
    np.testing.assert_array_equal(found, at_once.astype(np.float32))
    assert max(block_lengths) == most


def test_a_slow_channel_that_is_left_out_does_not_have_a_file_read_whole(tmp_path, monkeypatch, block_lengths):
    pytest.importorskip("mne")
    path, kinds = edf_of(tmp_path, records=20, Fz=50, warm=1, O1=50), {"warm": "misc"}
    whole = eeg_files.read_edf(path, kinds)
    monkeypatch.setattr(row_blocks, "BLOCK_BYTES", 16 * 60)
    found = eeg_files.read_edf(path, kinds)
    assert found.channel == ("Fz", "O1") and block_lengths == [1000] + 20 * [50]
    np.testing.assert_array_equal(found.values, whole.values)


def test_a_full_disk_is_not_blamed_on_the_recording(tmp_path, capsys, monkeypatch):
    pytest.importorskip("mne")
    source = edf_of(tmp_path)

    def full(*arguments):
        raise OSError(27, "File too large")

    monkeypatch.setattr(kept_rows.Rows, "put", full)
    assert main(["convert", "eeg", str(source), f"--out={tmp_path / 'out'}", "--options=window_ms=0:300"]) == 2
    told = capsys.readouterr().err.strip()
    assert "cannot be read" not in told and "File too large" in told and str(tmp_path / "out") in told
    assert "\n" not in told
