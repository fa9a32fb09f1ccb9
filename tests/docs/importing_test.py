"""docs/importing.md: its lines of torch make what `neurojax import mtm` reads; its config.json is one."""

import json
from pathlib import Path

import numpy as np
import pytest

from neurojax.finetune import named_arrays, public_mtm, public_mtm_config
from tests.docs.blocks_test import CHECKOUT, blocks

PAGE = CHECKOUT / "docs" / "importing.md"
MTM = CHECKOUT / "tests" / "finetune" / "public_checkpoints" / "mtm" / "weights.npz"


def test_the_config_of_the_page_fits_the_weights_it_speaks_of(tmp_path):
    (content,) = map(json.loads, blocks(PAGE, "json"))
    for name in ("unit_ids", "regions"):  # two stand for all on the page
        content["sessions"][0][name] *= 338
    (tmp_path / "config.json").write_text(json.dumps(content))
    told = public_mtm_config.described(tmp_path, (300, 676), 40)
    assert [entry["session_id"] for entry in told.entries] == ["units_300", "mouse1"]
    assert [entry["embed_session_row"] for entry in told.entries] == [None, 0]


def test_its_lines_of_torch_make_a_file_of_every_name(tmp_path, monkeypatch):
    (code,) = blocks(PAGE, "python")
    compiled = compile(code, PAGE.name, "exec")
    torch = pytest.importorskip("torch", reason="needs torch: python -m pip install torch")
    pytest.importorskip("safetensors")
    monkeypatch.chdir(tmp_path)
    public = dict(np.load(MTM, allow_pickle=False))

    class Model:
        """What the page takes of the pickled module."""

        class encoder:
            class embedder:
                eid_lookup = ("mouse1", "mouse2")

        @staticmethod
        def state_dict():
            return {name: torch.from_numpy(array) for name, array in public.items()}

    monkeypatch.setattr(torch, "load", lambda path, **how: {"model": Model})
    exec(compiled, {})
    assert json.loads(Path("rows.json").read_text()) == ["mouse1", "mouse2"]
    with named_arrays.opened(Path("model.safetensors")) as file:
        assert len(public_mtm.looked_at(file).places) == len(public) - 2
