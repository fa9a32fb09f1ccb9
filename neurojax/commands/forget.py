"""`neurojax forget`: weights without the rows of a subject, as an export, with the proof of what
remains."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from neurojax.commands import export
from neurojax.data.session import Session
from neurojax.errors import InputError
from neurojax.files import read_json
from neurojax.finetune import adapters, release
from neurojax.finetune import forget as forgetting
from neurojax.train import run_folder


def forget(folder: Path, *, subject: str, out: Path, licence: str | None = None) -> None:
    """Writes an export without a subject's rows, reads it back and compares it bit by bit.

    Args:
        folder: workdir of a run, or an export.
        subject: `subject_id` of the recordings.
        out: a new folder, or an earlier export, which is replaced.
        licence: of the weights; default: that of the export.

    Raises:
        InputError: no such subject, or nobody else; see `commands.export.export` for the rest.
    """
    folder = Path(folder)
    source = adapters.merged(release.read_any(folder))
    recordings = _recordings(folder, source.config)
    found = forgetting.without(source, subject, recordings)
    is_run = not release.is_release(folder)
    path = folder / "evaluation.json"
    evaluation = read_json(path) if is_run and path.is_file() else None
    if licence is None and not is_run:
        licence = read_json(folder / release.CONFIG_NAME).get("weights_licence")
    export.write(
        found.weights,
        out,
        licence=licence,
        evaluation=_without_sessions(evaluation, found.sessions),
        recordings=[s for s in recordings if s.session_id not in found.sessions],
        forgotten=found.proof,
    )
    forgetting.require_proven(source, release.read(Path(out)))
    proof = found.proof
    print(
        f"removed {proof['recordings']} recordings of {subject!r} ({', '.join(found.sessions)}), "
        f"{proof['unit_rows']:,} rows of units in {proof['arrays_with_rows']} tables"
    )
    print(
        f"what remains is equal to the bit, read back from {out}: "
        f"{proof['shared_arrays_unchanged']} shared arrays, sha256 {proof['sha256_of_rest']}"
    )
    if proof["trial_digests_removed"] is None:
        print(
            "digests of trials remain in trained_trials.json: the recordings are not at hand to "
            "tell whose they are"
        )
    print(
        "the shared weights were trained on the subject and are as they were: only training again "
        f"without it changes that; {folder} still holds everything, delete it yourself"
    )


def _recordings(folder: Path, config: Mapping[str, Any]) -> Sequence[Session]:
    """Those of a run that can be read; of an export none, it says no place."""
    if release.is_release(folder):
        return ()
    try:
        return run_folder.load_data(config).sessions
    except InputError:
        return ()


def _without_sessions(
    evaluation: Mapping[str, Any] | None, names: Sequence[str]
) -> dict[str, Any] | None:
    """A record of scores without those of some recordings; the card shows no mean over all."""
    if evaluation is None or not isinstance(evaluation.get("sessions"), Mapping):
        return None
    rest = {name: block for name, block in evaluation["sessions"].items() if name not in names}
    return {**evaluation, "sessions": rest}
