"""Files of public weights, fuzzed: a parser accepts one or names it in one line, see tests/fuzz_test.py."""

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from neurojax.finetune import public_mtm_config, safetensors_file
from tests.fuzz_test import accepted_or_named, as_json, changed, damaged, fuzzed

UNITS = (2, 5)
OF_WEIGHTS = {
    "num_heads": 2,
    "bin_size_s": 0.02,
    "sessions": [
        {"session_id": "a", "num_units": 2, "embed_session_row": 1, "unit_ids": ["x", "y"], "regions": ["CA1", "LP"]},
        {"session_id": "b", "num_units": 5},
    ],
}


@fuzzed
@given(data=st.data())
def test_config_of_public_weights(tmp_path, data):
    honest = as_json(OF_WEIGHTS)
    content = data.draw(st.one_of(damaged(honest), changed(OF_WEIGHTS).map(as_json)))
    (tmp_path / public_mtm_config.NAME).write_bytes(content)

    def read():
        told = public_mtm_config.described(tmp_path, UNITS, 3)
        assert 0 < told.bin_size_s <= 5 and tuple(entry["num_units"] for entry in told.entries) == UNITS
        assert all(len(entry["region"]) == entry["num_units"] for entry in told.entries)
        assert not any("/" in entry["session_id"] for entry in told.entries)
        json.dumps(told.entries).encode()  # a roster is made of them

    accepted_or_named(read)


@fuzzed
@given(data=st.data())
def test_header_of_safetensors(tmp_path, data):
    header = {"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
    header |= {"b": {"dtype": "F16", "shape": [4], "data_offsets": [24, 32]}, "__metadata__": {"format": "pt"}}
    text = data.draw(st.one_of(damaged(as_json(header)), changed(header).map(as_json)))
    path = tmp_path / "weights.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(32))

    def read():
        found = safetensors_file.entries(path, safetensors_file.ALL_KINDS, "numbers")
        sizes = [np.prod(entry.shape, dtype=int) * safetensors_file.ALL_KINDS[entry.kind] for entry in found.values()]
        assert sum(sizes) == 32

    accepted_or_named(read)
