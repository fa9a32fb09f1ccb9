"""`neurojax decode` of a digital twin: which image was shown, by Bayes' rule over test images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neurojax.commands.decode_asked import Settings
from neurojax.data.store import stimuli as store
from neurojax.data.store import trained_trials
from neurojax.errors import require
from neurojax.evals import leaks, responses, stimulus_decoding
from neurojax.evals.tables import align
from neurojax.files import require_writable, write_json
from neurojax.train import run_folder

HEAD = ["session", "images", "responses", "candidates", "identified", "twin expects", "chance"]
OWN = ("target", "seed")  # options of `neurojax decode` that say something here


def is_twin(config: Mapping[str, Any]) -> bool:
    """Whether a run answers to images."""
    return config.get("model", {}).get("name") == "twin"


def decode(
    folder: Path,
    config: Mapping[str, Any],
    targets: tuple[str, ...],
    data: Path | None,
    out: Path,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """Writes decoding.json: `evals.stimulus_decoding` of every session.

    Args:
        folder, config: of the run.
        targets: must be ("stimulus",).
        data: sessions, default those of the config.
        out: folder to write to.
        options: of the command; anything but a seed is refused where it differs from its default.

    Raises:
        InputError: another target or option, no test trial, or one that was trained on.
    """
    told = ",".join(targets)
    require(
        targets == (store.STIMULUS,),
        f"--target={told}: a digital twin is decoded into the image that was shown; take "
        f"--target={store.STIMULUS}",
    )
    given, plain = Settings(target=told, **options), Settings(target=told)
    changed = [n for n in vars(plain) if n not in OWN and getattr(given, n) != getattr(plain, n)]
    require(
        not changed,
        f"--{changed[0] if changed else ''} is of read-outs that are fitted; a digital twin is "
        "turned round by Bayes' rule: leave it out",
    )
    require_writable(out, folder=True)
    require_writable(out / "decoding.json")
    dataset = responses.prepare(run_folder.data_of(config, data), config["eval"])
    leaks.require_unseen(dataset.sessions, trained_trials.read(folder), dataset.digests)
    model, manifest = run_folder.load_predictor(folder, config, dataset)
    sessions = {}
    for number, session in enumerate(dataset.sessions):
        predicted = stimulus_decoding.predicted(model, dataset, number, config["eval"])
        found = stimulus_decoding.of_session(session, dataset.stimuli, predicted, given.seed)
        sessions[session.session_id] = {"num_neurons": session.num_units, "kinds": found}
    record = {
        "schema": 1,
        "target": store.STIMULUS,
        "kind": "candidates",
        "seed": given.seed,
        "step": manifest["step"],
        "config_hash": manifest["config_hash"],
        "dataset_fingerprint": dataset.fingerprint,
        "sessions": sessions,
    }
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "decoding.json", record)
    print("\n".join(align([HEAD, *_rows(record)])))
    print(f"single responses, brackets 95 % over images; written: {out / 'decoding.json'}")
    return record


def _rows(record: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for name, session in record["sessions"].items():
        for kind, one in session["kinds"].items():
            low, high = one["accuracy_ci95"]
            rows.append(
                [
                    name,
                    kind,
                    f"{one['num_responses']:,}",
                    f"{one['num_candidates']:,}",
                    f"{one['accuracy']:.1%} ({low:.1%} to {high:.1%})",
                    f"{one['expected']:.1%}",
                    f"{one['chance']:.1%}",
                ]
            )
    return rows
