"""`neurojax export`: a run's weights as a folder to share, with its model card."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from neurojax.api import foundation, membership, model_card, reidentification
from neurojax.api.pretrained import Pretrained
from neurojax.commands import audit
from neurojax.data.session import TEST, TRAIN, Session
from neurojax.data.store import card_schema, licences
from neurojax.data.store.corpus import Corpus
from neurojax.data.store.meta import read_meta
from neurojax.errors import InputError, require
from neurojax.files import (
    held,
    publish_folder,
    read_json,
    remove_leftovers,
    require_writable,
    temporary_folder,
    write_bytes,
    write_json,
)
from neurojax.finetune import (
    adapters,
    public_mtm,
    public_mtm_config,
    release,
    safetensors_file,
    weights,
)
from neurojax.runs.progress import Progress
from neurojax.train import run_folder

FORMATS = ("neurojax", "mtm")
POPULATIONS = ("spikes", "answered")  # sources of which single units can be hidden
_FORMAT_WORDS = """
## Format

Weights have the public names of NDT1-stitch. `neurojax import mtm FOLDER --out=DIR` makes a run of
them; FOLDER in the lines above is then DIR.
"""


def export(
    folder: Path, *, out: Path, licence: str | None = None, file_format: str = "neurojax"
) -> None:
    """Writes the files of `finetune.release` into `out`, all at once.

    Args:
        folder: workdir of a run.
        out: a new folder, or an earlier export, which is replaced; or a link to such a folder.
        licence: of the weights.
        file_format: "neurojax", or "mtm": weights under the public names of NDT1-stitch, what
            `neurojax import mtm` needs beside them, and the card; `out` is a new folder.

    Raises:
        InputError: no run, no sound checkpoint, human data without a stated licence, a licence that
            contradicts that of the data, `out` holds other files, or a model that the public names
            are not of.
    """
    require(file_format in FORMATS, f"--format={file_format}; choose from {', '.join(FORMATS)}")
    folder = Path(folder)
    _replaceable(Path(out).absolute(), file_format)
    safetensors_file.library()  # told before anything is computed
    found = adapters.merged(weights.read_run(folder))
    if file_format == "mtm":
        _require_ndt1_stitch(found)
    path = folder / "evaluation.json"
    evaluation = read_json(path) if path.is_file() else None
    write(
        found,
        out,
        licence=licence,
        file_format=file_format,
        evaluation=evaluation,
        audited=audit.read(folder),
        recordings=None,
        stated=card_schema.read_stated_points(folder),
        run=folder,
    )


def write(
    found: weights.Weights,
    out: Path,
    *,
    licence: str | None = None,
    file_format: str = "neurojax",
    evaluation: Mapping[str, Any] | None = None,
    audited: Mapping[str, Any] | None = None,
    recordings: Sequence[Session] | None = None,
    forgotten: Mapping[str, Any] | None = None,
    stated: Mapping[str, str] | None = None,
    run: Path | None = None,
) -> None:
    """Measures what weights give away, and writes them with their card.

    Args:
        found: without adapters.
        out, licence, file_format: as of `export`.
        evaluation, audited: content of evaluation.json and audit.json, None without.
        recordings: that the model was trained on; None: those that its config names.
        forgotten: see `finetune.forget.Forgotten`; of a subject whose rows were removed.
        stated: see `card_schema.read_stated_points`.
        run: the workdir, whose data and checkpoint are asked again where it reads no spikes.

    Raises:
        InputError: as `export`.
    """
    out = _replaceable(Path(out).absolute(), file_format)
    require_writable(out.parent, folder=True)
    safetensors_file.library()
    model_card.require_licences(found.entries)
    licences.require_agreement(licence, found.entries)
    data_card = _card_of_data(found, licence)
    told = {"audit": audited, "forgotten": forgotten, "data_card": data_card, "stated": stated}
    # a damaged evaluation is told before anything is computed
    model_card.write(found, evaluation, licence, **told)
    member, named = _measured(found, recordings, run)
    card = model_card.write(found, evaluation, licence, member, named, **told)
    attacks = {
        "membership": member,
        "reidentification": named,
        "foundation_model": foundation.points(found, evaluation, stated),
        "openness": foundation.openness(found, licence, stated),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(out.parent, out.name)
    temporary = temporary_folder(out)
    try:
        with held(temporary):
            if file_format == "mtm":
                _write_ndt1_stitch(temporary, found, card)
            else:
                more = {"forgotten": forgotten} if forgotten else {}
                release.write(temporary, found, card, licence, attacks | more)
            publish_folder(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    total = sum(path.stat().st_size for path in out.iterdir())
    print(
        f"wrote {len(found.entries)} sessions' model of step {found.step:,} ({total / 1e6:.1f} "
        f"MB) to {out}"
    )


def _require_ndt1_stitch(found: weights.Weights) -> None:
    """Raises InputError for a model that is not the released one, in whatever sizes."""
    model, members = found.config["model"], found.config.get("members", 1)
    needed = {"name": "ndt", "positions": "learned", "bin_mask_token": False}
    other = [
        f"model.{name}={model.get(name)}" for name in needed if model.get(name) != needed[name]
    ]
    other += ["model.embed_width=0"] if not model.get("embed_width") else []
    other += [f"members={members}"] if members != 1 else []
    other += [] if found.config["head"]["name"] == "poisson" else ["another head than poisson"]
    require(
        not other,
        f"--format=mtm writes NDT1-stitch, but the run has {', '.join(other)}; train with "
        "--config=configs/mtm.py:size=paper,preset=faithful, or export without --format",
    )


def _write_ndt1_stitch(folder: Path, found: weights.Weights, card: str) -> None:
    """Weights under their public names, what they do not say of themselves, and the card."""
    arrays, rows = public_mtm.published(found.arrays, found.entries)
    described = public_mtm_config.content_of(
        found.config["model"]["num_heads"], found.bin_size_s, found.entries, rows
    )
    write_bytes(folder / release.WEIGHTS_NAME, safetensors_file.library().save(arrays))
    write_json(folder / public_mtm_config.NAME, described)
    write_bytes(folder / release.CARD_NAME, (card + _FORMAT_WORDS).encode())


def _replaceable(out: Path, file_format: str) -> Path:
    """`out`, or what it links to; raises InputError unless that is new, empty, or an earlier export
    and no more."""
    if out.is_symlink():
        require(out.exists(), f"{out} is a link to nothing; name the folder itself with --out")
        out = out.resolve()
    require(
        not out.exists()
        or (out.is_dir() and {path.name for path in out.iterdir()} <= set(release.FILES)),
        f"{out} holds other files than an export; choose a new folder for --out",
    )
    require(
        not out.is_dir()
        or not any(out.iterdir())
        or (file_format == "neurojax" and release.was_exported(out)),
        f"{out} is not empty and no export of neurojax; choose a new folder for --out",
    )
    return out


def _card_of_data(found: weights.Weights, licence: str | None) -> dict[str, Any]:
    """Fields of the card of the data trained on, with what people wrote beside them (card.json)."""
    root = found.config["data"].get("root")
    stated = card_schema.read_stated(Path(root)) if root else {}
    if "licence" in stated:
        name = f"{Path(root) / card_schema.NAME}"
        licences.require_agreement(licence, [{"session_id": name, "licence": stated["licence"]}])
        licences.require_agreement(stated["licence"], found.entries)
    folders = [Path(root) / entry["session_id"] for entry in found.entries] if root else []
    if folders and all((folder / "meta.json").is_file() for folder in folders):
        return card_schema.fields_of([read_meta(folder) for folder in folders], stated)
    return card_schema.fields_of(found.entries, stated)


def _measured(
    found: weights.Weights, recordings: Sequence[Session] | None, run: Path | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The attacks on membership and identity, on the recordings the run was trained on where they
    can still be read."""
    if found.config["data"].get("source") not in POPULATIONS:
        member = _of_items(run)
        print(" ".join(membership.lines(member)[:1]))
        return member, reidentification.not_measured("it is measured for models of spikes alone")
    try:
        if recordings is None:
            recordings = run_folder.load_data(found.config).sessions
    except InputError as error:
        print(f"whether training trials can be told from test trials is not measured: {error}")
        reason = "the recordings of the run could not be read"
        return membership.not_measured(reason), reidentification.not_measured(reason)
    model = Pretrained(found)
    with Progress(len(found.entries), "membership", unit="sessions") as progress:
        member = membership.measure(model, recordings, progress.update)
    print(" ".join(membership.lines(member)[:1]))
    with Progress(len(recordings), "re-identification", unit="sessions") as progress:
        named = reidentification.measure(model, recordings, progress.update)
    print("\n".join(reidentification.lines(named)[2:]))
    return member, named


def _of_items(run: Path | None) -> dict[str, Any]:
    """The attack on membership by the scores of single items: of an audit, or of documents."""
    if run is None:
        return membership.not_measured("of systems without spikes it is measured from a run alone")
    config = run_folder.read_run(run)
    try:
        model, dataset = audit.asked_again(run, config)
    except InputError as error:
        print(f"whether training trials can be told from test trials is not measured: {error}")
        return membership.not_measured("the recordings of the run could not be asked again")
    if isinstance(dataset, Corpus):
        return membership.of_documents(model, dataset, config["eval"]["tokens_per_pass"])
    parts = audit.parts_of_splits(model, dataset, config, (TRAIN, TEST))
    if parts is None:
        return membership.not_measured("scores of single items are not known of such a system")
    return membership.of_parts(*parts)
