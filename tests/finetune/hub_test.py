"""Models of the hub: only the files of an export are asked for, and what comes is read as any other folder."""

import inspect
import shutil
import sys
import types

import pytest

import neurojax as nj
from neurojax import main
from neurojax.finetune import release

pytest.importorskip("safetensors")


@pytest.fixture(scope="module")
def shared(area, tmp_path_factory):
    out = tmp_path_factory.mktemp("hub") / "snapshot"
    assert main.main(["export", f"--workdir={area / 'run'}", f"--out={out}", "--licence=MIT"]) == 0
    return out


@pytest.fixture
def hub_gives(monkeypatch):
    """hub_gives(function): what stands in for `huggingface_hub.snapshot_download`."""

    def replace(function):
        stand_in = types.SimpleNamespace(snapshot_download=function)
        monkeypatch.setitem(sys.modules, "huggingface_hub", stand_in)

    return replace


def test_the_stand_in_is_called_as_the_library_is():
    library = pytest.importorskip("huggingface_hub")
    inspect.signature(library.snapshot_download).bind("lab/model", revision=None, allow_patterns=[])


def test_a_hub_id_gives_the_exported_model(shared, hub_gives):
    asked = []
    hub_gives(lambda name, **options: asked.append((name, options)) or str(shared))
    found, local = nj.load("lab/mouse-model", revision="v1"), nj.load(shared)
    assert asked == [("lab/mouse-model", {"revision": "v1", "allow_patterns": list(release.FILES)})]
    assert {n: a.tobytes() for n, a in found.weights.arrays.items()} == {
        n: a.tobytes() for n, a in local.weights.arrays.items()
    }


def test_what_comes_is_not_trusted(shared, tmp_path, hub_gives):
    forged = shutil.copytree(shared, tmp_path / "forged")
    hub_gives(lambda name, **options: str(forged))
    raw = (forged / release.WEIGHTS_NAME).read_bytes()
    (forged / release.WEIGHTS_NAME).write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    with pytest.raises(nj.InputError, match="sha256"):
        nj.load("lab/model")
    (forged / release.WEIGHTS_NAME).rename(forged / "pytorch_model.bin")  # a pickle elsewhere: never opened
    with pytest.raises(nj.InputError, match="does not exist"):
        nj.load("lab/model")


def test_a_missing_package_and_a_failed_download_are_one_line(hub_gives, monkeypatch):
    def fail(name, **options):
        raise OSError("404 Client Error\n\nRepository Not Found")

    hub_gives(fail)
    with pytest.raises(nj.InputError, match="404 Client Error Repository Not Found") as caught:
        nj.load("lab/model")
    assert "\n" not in str(caught.value)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(nj.InputError, match=r"neurojax\[hub\]"):
        nj.load("lab/model")


@pytest.mark.parametrize("name", ["model", "a/b/c", "../b", "a/..", "a/b c", "/a", "a/", "a/-b", "a/b--c", "a\n/b"])
def test_what_is_no_id_is_a_folder_that_is_not_there(name, hub_gives):
    hub_gives(lambda *a, **k: pytest.fail("the hub was asked"))
    with pytest.raises(nj.InputError, match="is no folder"):
        nj.load(name)


def test_a_revision_goes_with_the_hub(shared):
    with pytest.raises(nj.InputError, match="leave it out"):
        nj.load(shared, revision="v1")
