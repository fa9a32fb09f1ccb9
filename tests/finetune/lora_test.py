"""Fine-tuning by adapters, of texts and of spikes: what stays, what resumes, what is merged and what is refused."""

import shutil

import numpy as np
import pytest

from neurojax import main
from neurojax.api import adaptation
from neurojax.api.pretrained import Pretrained
from neurojax.data.store import corpus
from neurojax.data.store.dataset import open_dataset
from neurojax.data.text_tokens import of_words
from neurojax.errors import InputError
from neurojax.finetune import adapters, release, weights
from neurojax.runs import restore
from neurojax.train import run as train_run
from tests.finetune.conftest import CHECKOUT, fine_tune

SMALL = {
    "data.synthetic.num_documents": 200, "data.synthetic.num_pairs": 20, "data.trials_per_batch": 4,
    "data.context_tokens": 32, "train.log_every_steps": 9, "train.validate_every_steps": 0, "sharding.data": 1,
}  # fmt: skip
MODEL = {
    "model.num_positions": 32, "model.width": 16, "model.num_layers": 1, "model.num_heads": 2,
    "model.num_kv_heads": 2, "model.mlp_width": 16, "train.num_steps": 3,
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def without_scores():
    """What is scored is tested elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_run, "evaluate_run", lambda *run, log: None)
        yield


def command(config, folder, entries):
    words = [f"--config.{name}={value}" for name, value in entries.items()]
    return ["train", f"--config={CHECKOUT / 'configs' / config}", f"--workdir={folder}", *words]


def tuned(start, folder, **more):
    entries = SMALL | {"init_from": start, "train.num_steps": 4, "train.save_every_steps": 2} | more
    return command("finetune_text.py", folder, entries)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """A run of texts, and one with adapters from there."""
    area = tmp_path_factory.mktemp("texts")
    assert main.main(command("causal_lm.py", area / "run", SMALL | MODEL)) == 0
    assert main.main(tuned(area / "run", area / "lora")) == 0
    return area


def arrays_of(folder, step=None):
    return restore.load_arrays(folder / "checkpoints", step)[0]


def params_of(arrays, prefix="params/"):
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def require_equal(some, others):
    assert some.keys() == others.keys() and some
    for name in some:
        np.testing.assert_array_equal(some[name], others[name], err_msg=name)


def test_what_was_trained_stays_bit_for_bit(texts):
    before, after = params_of(arrays_of(texts / "run")), arrays_of(texts / "lora")
    require_equal(params_of(after, "buffers/frozen/"), before)
    trained = params_of(after)
    assert {name.split("/")[-1] for name in trained} == {"down", "up"} and len(trained) == 8
    assert all(array.any() for array in trained.values())
    assert {name.split("/")[-1] for name in after if name.startswith("dense_moments/0/mu")} == {"down", "up"}


def test_a_stopped_run_goes_on_to_the_same_bits_without_the_run_it_started_from(texts, tmp_path):
    folder = tmp_path / "lora"
    shutil.copytree(texts / "lora", folder)
    shutil.rmtree(folder / "checkpoints" / "4")
    # of a run that is gone nothing is read once it has begun
    assert main.main(tuned(texts / "run", folder)) == 0
    require_equal(arrays_of(folder), arrays_of(texts / "lora"))
    moved = tmp_path / "moved"
    shutil.copytree(folder, moved)
    shutil.rmtree(moved / "checkpoints" / "4")
    gone = texts / "run_is_away"
    (texts / "run").rename(gone)
    try:
        assert main.main(tuned(texts / "run", moved)) == 0
    finally:
        gone.rename(texts / "run")
    require_equal(arrays_of(moved), arrays_of(texts / "lora"))


def test_a_run_with_adapters_is_the_start_of_another_as_it_predicts(texts, tmp_path):
    entries = {"finetune.strategy": "full", "train.num_steps": 1}
    assert main.main(tuned(texts / "lora", tmp_path, **entries)) == 0
    found, expected = arrays_of(tmp_path, 0), adapters.merged(weights.read_run(texts / "lora"))
    require_equal(params_of(found), params_of(expected.arrays))
    before, own, name = params_of(arrays_of(texts / "run")), arrays_of(texts / "lora"), "layers/expand/kernel"
    added = own["params/layers/expand/down"] @ own["params/layers/expand/up"]  # scale 2.0, rank 2
    np.testing.assert_allclose(params_of(found)[name], before[name] + added, atol=1e-6)
    assert np.any(params_of(found)[name] != before[name])


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"finetune.strategy": "stitcher_only"}, "does not have; choose from full, lora"),
        ({"finetune.lora.layers": "query"}, "names 'query'; choose from contract, expand, output, query_key_value"),
        ({"finetune.lora.rank": 0}, "finetune.lora.rank=0; expected at least 1"),
        ({"model.width": 32}, "model.width=32, but the run it starts from has 16"),
    ],
)
def test_what_cannot_be_adapted_is_refused_in_a_line(entries, words, texts, tmp_path, capsys):
    assert main.main(tuned(texts / "run", tmp_path / "new", **entries)) == 2
    assert words in (told := capsys.readouterr().err) and len(told.splitlines()) == 1
    assert not (tmp_path / "new" / "checkpoints").exists()


def test_texts_of_another_tokenizer_are_refused(texts, tmp_path, capsys):
    """As many words, but others: every array would fit."""
    own = weights.read_run(texts / "run").facts["num_classes"] - 257
    found = corpus.of_texts(["w1 w2 w3"] * 40, np.arange(40) % 3, of_words([f"w{n}" for n in range(own)]))
    corpus.write(found, tmp_path / "corpus")
    assert main.main(tuned(texts / "run", tmp_path / "new", **{"data.root": tmp_path / "corpus"})) == 2
    assert "differs from the tokenizer.json of the data" in capsys.readouterr().err


def test_spikes_the_shared_part_stays_new_rows_train_and_an_export_is_merged(area, tmp_path):
    options = ("finetune.strategy=lora", "finetune.lora.layers=query,expand", "finetune.lora.rank=1")
    options += ("train.keep_checkpoints=9",)
    assert main.main(fine_tune(area, tmp_path / "run", *options)) == 0
    first, last = arrays_of(tmp_path / "run", 0), arrays_of(tmp_path / "run")
    require_equal(params_of(last, "buffers/frozen/"), params_of(arrays_of(area / "run")))
    known = len(arrays_of(area / "run")["tables/read_out"])
    assert (last["tables/read_out"][known:] != first["tables/read_out"][known:]).any()
    assert all(array.any() for array in params_of(last).values()) and len(params_of(last)) == 4
    session = open_dataset(area / "new").sessions[0]
    states = Pretrained(weights.read_run(tmp_path / "run")).embed(session)
    assert main.main(["export", f"--workdir={tmp_path / 'run'}", f"--out={tmp_path / 'shared'}"]) == 0
    exported = release.read(tmp_path / "shared")
    assert "lora" not in exported.config["model"] and not any("frozen" in name for name in exported.arrays)
    np.testing.assert_allclose(Pretrained(exported).embed(session), states, atol=1e-6)
    plain = {name: array for name, array in exported.arrays.items() if name.startswith("tables")}
    plain |= {f"params/{name}": array for name, array in params_of(arrays_of(area / "run")).items()}
    assert np.abs(Pretrained(exported._replace(arrays=plain)).embed(session) - states).max() > 1e-5


def test_adapters_are_no_choice_of_adapt_which_takes_no_settings_for_them():
    with pytest.raises(InputError, match="--config.finetune.strategy=lora"):
        adaptation.Options(steps=3, strategy="lora", new_rows=None, learning_rate=None, most_passes=100.0, seed=0)
