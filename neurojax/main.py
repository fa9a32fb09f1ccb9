"""The command line: verbs to functions, errors to exit codes; no logic.

Exit codes: 0 done, 1 a defect, 2 bad input (one line), 3 stopped by a signal after saving.
"""

import argparse
import difflib
import importlib
import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from neurojax import __version__
from neurojax.errors import InputError, report

PROTOCOL_HELP = "mtm, nlb, brainwide, few_shot, or the path of a protocol file (docs/protocols.md)"
CONFIG_HELP = """
config options:
  --config=FILE:ARG        a declaration, e.g. configs/mtm.py:size=tiny,preset=improved
  --config.BLOCK.KEY=VALUE overrides one entry, e.g. --config.optimizer.learning_rate=3e-4
"""

# verbs that run compiled programs, and those that ask JAX for devices
COMPUTES = ("train", "evaluate", "baselines", "decode", "predict")
ON_DEVICES = (*COMPUTES, "export")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        raise InputError(f"{message}; {self._meant(message)}see `{self.prog} --help`")

    def _meant(self, message: str) -> str:
        """The verb that a mistyped one comes close to."""
        mistyped = re.match(r"argument VERB: invalid choice: '(\w+)", message)
        return _close_to(mistyped[1], VERBS) if mistyped else ""


def _close_to(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), 1)
    return f"did you mean {close[0]}? " if close else ""


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r}; expected numbers with commas between, such as -0.5,1.5"
        ) from None


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    pairs = [part.partition("=") for part in text.split(",") if part]
    if wrong := [name for name, equals, _ in pairs if not equals or not name.strip()]:
        raise argparse.ArgumentTypeError(
            f"{wrong[0]!r}; expected NAME=VALUE, several with commas between"
        )
    return tuple((name.strip(), value) for name, _, value in pairs)


def _option(*names: str, **facts: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    """One option of a verb, as `add_argument` takes it."""
    return names, facts


def _file(name: str, metavar: str, **facts: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    return _option(name, type=Path, metavar=metavar, **facts)


WORKDIR = _file("--workdir", "DIR", dest="folder", required=True)
DATA_OF_RUN = _file("--data", "ROOT", help="default: the data of the run")

# Verb -> what it does, and its options: parameters of the function of that name.
VERBS = {
    "convert": (
        "Convert recordings to session folders.",
        _option("kind", metavar="KIND", help="arrays | synthetic | ..., see README"),
        _option("paths", nargs="*", metavar="PATH"),
        _file("--out", "ROOT", required=True),
        _option("--bin_ms", type=float, help="bin width in ms; whole multiples of the file's bins"),
        _option("--align", metavar="COLUMN", help="trial column with the event to align to, in s"),
        _option(
            "--window",
            type=_numbers,
            metavar="FROM,TO",
            help="seconds around the event, e.g. -0.5,1.5",
        ),
        _option("--window_s", type=float, help="cut a recording without trials into windows"),
        _option("--behavior", "--behaviour", type=_names, default=(), metavar="NAME,..."),
        _option("--trial_columns", type=_names, default=(), metavar="NAME,..."),
        _option("--split", default="file", metavar="file|random|blocks:300s"),
        _option(
            "--options",
            type=_pairs,
            default=(),
            metavar="NAME=VALUE,...",
            help="of this kind alone",
        ),
        _option(
            "--num_workers",
            type=int,
            metavar="N",
            help="processes, 0 none; default: the cores, when it pays",
        ),
        _option("--shard", metavar="i/n", help="convert the i-th of n shares of the paths"),
        _option("--overwrite", action="store_true"),
    ),
    "check": (
        "Report on converted sessions; exit 2 when they cannot be used.",
        _file("roots", "ROOT", nargs="+"),
        _option("--json", dest="json_output", action="store_true"),
    ),
    "train": (
        "Train, evaluate and draw a run; the same command resumes it.",
        WORKDIR,
        _option("--dry_run", action="store_true", help="print shapes and estimates, train nothing"),
        _option("--allow_dataset_change", action="store_true"),
        _option(
            "--seeds",
            dest="num_seeds",
            type=int,
            metavar="N",
            help="N runs from config.seed on, in DIR/seed_0, ..., and their mean",
        ),
        _option(
            "--ensemble",
            type=int,
            metavar="K",
            help="K models side by side, of seeds config.seed on, predicting as one",
        ),
        _option(
            "--coordinator",
            metavar="HOST:PORT",
            help="several processes: where process 0 listens, or auto",
        ),
        _option("--num_processes", type=int, metavar="N"),
        _option("--process_id", type=int, metavar="I", help="0 to N-1"),
    ),
    "evaluate": (
        "Score a run under a protocol.",
        WORKDIR,
        DATA_OF_RUN,
        _option("--protocol", metavar="NAME", help=f"{PROTOCOL_HELP}; default: that of the config"),
        _file(
            "--out",
            "FILE",
            help="default: evaluation.json and a report in DIR, or evaluation_NAME.json",
        ),
    ),
    "baselines": (
        "Score simple methods on converted sessions, without a model.",
        _file("--data", "ROOT", dest="root", required=True),
        _option("--protocol", default="mtm", metavar="NAME", help=f"{PROTOCOL_HELP}; default: mtm"),
        _option("--names", type=_names, metavar="NAME,...", help="default: all"),
        _file("--out", "FILE"),
    ),
    "compare": (
        "Compare the evaluations of runs.",
        _file("runs", "RUN", nargs="+"),
        _file("--out", "FILE"),
    ),
    "decode": (
        "Decode behaviour from a frozen model, beside read-outs of spikes tuned alike.",
        WORKDIR,
        DATA_OF_RUN,
        _option(
            "--target",
            required=True,
            metavar="NAME",
            help="a condition, a behaviour, or contrast_side",
        ),
        _option("--method", default="probe", metavar="probe|finetune"),
        _option(
            "--protocol", default="cv", metavar="cv|split|mtm", help="cv: nested folds of trials"
        ),
        _option(
            "--features",
            metavar="latents|rates|latents+spikes",
            help="default: latents (rates for mtm)",
        ),
        _option("--kind", metavar="categorical|per_trial|per_bin", help="default: from the values"),
        _option(
            "--lags",
            metavar="FROM:TO",
            help="bins that latents are read from; default: chosen in the folds",
        ),
        _option("--num_folds", type=int, default=5, metavar="N"),
        _option(
            "--fold_by", default="trial", metavar="trial|block", help="block: stretches of time"
        ),
        _option(
            "--baselines",
            type=_names,
            metavar="NAME,...",
            help="of raw, lagged_ridge, whole_trial, gru; default: by target",
        ),
        _option("--regions", action="store_true", help="also from each region alone"),
        _option(
            "--num_permutations",
            type=int,
            default=20,
            metavar="N",
            help="shuffled labels for chance",
        ),
        _option("--seed", type=int, default=0, metavar="N"),
        _file("--out", "DIR", help="default: the workdir"),
    ),
    "predict": (
        "Write predicted rates of the test trials.",
        WORKDIR,
        DATA_OF_RUN,
        _file("--out", "DIR", required=True),
        _option("--task", type=_names, metavar="NAME,...", help="default: all four"),
        _option(
            "--format", dest="file_format", default="npz", metavar="npz|nwb", help="default: npz"
        ),
    ),
    "export": (
        "Write a run's weights and model card as a folder to share.",
        WORKDIR,
        _file("--out", "DIR", required=True),
        _option("--licence", metavar="TEXT", help="of the weights, e.g. CC-BY-4.0"),
    ),
    "doctor": ("Verify a run's checkpoints, files and versions.", WORKDIR),
}


def _parser() -> argparse.ArgumentParser:
    about = "Foundation models of neural population activity."
    parser = _Parser(prog="neurojax", description=about)
    version = f"neurojax {__version__}"
    parser.add_argument("--version", action="version", version=version, help="print the version")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=_Parser)
    for verb, (text, *options) in VERBS.items():
        added = verbs.add_parser(verb, help=text, description=text, allow_abbrev=False)
        for names, facts in options:
            added.add_argument(*names, **facts)
        if verb == "train":
            added.epilog, added.formatter_class = CONFIG_HELP, argparse.RawDescriptionHelpFormatter
    return parser


def _split_config(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """(other arguments, those that start with --config), with `--config X` joined to
    `--config=X`."""
    others, config, rest = [], [], list(argv)
    while rest:
        argument = rest.pop(0)
        if argument.split("=")[0].split(".")[0] != "--config":
            others.append(argument)
        elif "=" in argument or not rest:
            config.append(argument)
        else:
            config.append(f"{argument}={rest.pop(0)}")
    return others, config


def _refuse(unknown: Sequence[str], verb: str, config_arguments: Sequence[str]) -> None:
    """Raises InputError for arguments that a verb does not have, with what was perhaps meant."""
    name, _, value = unknown[0].partition("=")
    if len(unknown) > 1 and not (value or unknown[1].startswith("--")):
        value = unknown[1]
    meant = ""
    if verb == "train" and name.startswith("--"):
        from neurojax.commands import config

        if path := config.path_of(name.removeprefix("--"), config_arguments):
            meant = f"did you mean --config.{path}={value or 'VALUE'}? "
    if not meant and name.startswith("--"):
        options = [option for names, _ in VERBS[verb][1:] for option in names]
        meant = _close_to(name, [option for option in options if option.startswith("--")])
    told = " ".join(unknown)
    raise InputError(f"unrecognized arguments: {told}; {meant}see `neurojax {verb} --help`")


def _run(argv: Sequence[str]) -> None:
    others, config_arguments = _split_config(argv)
    known, unknown = _parser().parse_known_args(others)
    arguments = vars(known)
    verb = arguments.pop("verb")
    if unknown:
        _refuse(unknown, verb, config_arguments)
    if config_arguments and verb != "train":
        raise InputError(f"{config_arguments[0]} goes with `neurojax train`, not with {verb}")
    # A verb is the function of that name in the module of that name; its parameters are the
    # options. Each imports what it needs, so that --help and converters start fast.
    if verb in COMPUTES:
        from neurojax.commands import compilations

        compilations.keep_compiled()
    run = getattr(importlib.import_module(f"neurojax.commands.{verb}"), verb)
    if verb != "train":
        if verb in ON_DEVICES:
            from neurojax.commands import environment

            environment.require_usable()
        run(*arguments.pop("roots", ()), **arguments)
        return
    from neurojax.commands import config, environment
    from neurojax.runs import processes

    loaded = config.load(config_arguments)
    with processes.joined(
        *(arguments.pop(name) for name in ("coordinator", "num_processes", "process_id"))
    ):
        environment.require_usable()  # where several processes are joined, not before
        run(loaded, **arguments)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    # Linear algebra on the host beside XLA's own threads: more than one thread each and they fight.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        _run(sys.argv[1:] if argv is None else argv)
        return 0
    except BaseException as error:
        code = report(error)
        if code is None:
            raise
        return code
