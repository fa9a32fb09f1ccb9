"""The command line: verbs to functions, errors to exit codes; no logic.

Exit codes: 0 done, 1 a defect, 2 bad input (one line), 3 stopped by a signal after saving.
"""

import argparse
import difflib
import importlib
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from neurojax.errors import InputError, report

PROTOCOL_HELP = "mtm, nlb, brainwide, few_shot, or the path of a protocol file (docs/protocols.md)"
CONFIG_HELP = """
config options:
  --config=FILE:ARG        a declaration, e.g. configs/mtm.py:size=tiny,preset=improved
  --config.BLOCK.KEY=VALUE overrides one entry, e.g. --config.optimizer.learning_rate=3e-4
"""

# verbs that run compiled programs
COMPUTES = ("train", "evaluate", "baselines", "decode", "predict")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        raise InputError(f"{message}; {self._meant(message)}see `{self.prog} --help`")

    def _meant(self, message: str) -> str:
        """The option, of any verb, or the verb that a mistyped one comes close to."""
        mistyped = re.match(
            r"(?:unrecognized arguments: |argument VERB: invalid choice: ')((?:--)?\w+)", message
        )
        verbs = {}
        for action in self._actions:
            verbs |= action.choices if isinstance(action.choices, dict) else {}
        options = {
            option for parser in [self, *verbs.values()] for option in parser._option_string_actions
        }
        known = sorted(options if mistyped and mistyped[1].startswith("--") else verbs)
        close = difflib.get_close_matches(mistyped[1], known, 1) if mistyped else []
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


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="neurojax", description="Foundation models of neural population activity."
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=_Parser)

    def verb(name: str, text: str, workdir: bool = False, **options) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text, **options)
        added.allow_abbrev = False
        if workdir:
            added.add_argument("--workdir", dest="folder", type=Path, required=True, metavar="DIR")
        return added

    convert = verb("convert", "Convert recordings to session folders.")
    convert.add_argument("kind", metavar="KIND", help="arrays | synthetic | ..., see README")
    convert.add_argument("paths", nargs="*", metavar="PATH")
    convert.add_argument("--out", type=Path, required=True, metavar="ROOT")
    convert.add_argument(
        "--bin_ms", type=float, help="bin width in ms; whole multiples of the file's bins"
    )
    convert.add_argument(
        "--align", metavar="COLUMN", help="trial column with the event to align to, in s"
    )
    convert.add_argument(
        "--window", type=_numbers, metavar="FROM,TO", help="seconds around the event, e.g. -0.5,1.5"
    )
    convert.add_argument(
        "--window_s", type=float, help="cut a recording without trials into windows"
    )
    convert.add_argument("--behavior", "--behaviour", type=_names, default=(), metavar="NAME,...")
    convert.add_argument("--trial_columns", type=_names, default=(), metavar="NAME,...")
    convert.add_argument("--split", default="file", metavar="file|random|blocks:300s")
    convert.add_argument(
        "--options", type=_pairs, default=(), metavar="NAME=VALUE,...", help="of this kind alone"
    )
    convert.add_argument(
        "--num_workers",
        type=int,
        metavar="N",
        help="processes, 0 none; default: the cores, when it pays",
    )
    convert.add_argument("--shard", metavar="i/n", help="convert the i-th of n shares of the paths")
    convert.add_argument("--overwrite", action="store_true")

    check = verb("check", "Report on converted sessions; exit 2 when they cannot be used.")
    check.add_argument("roots", nargs="+", type=Path, metavar="ROOT")
    check.add_argument("--json", dest="json_output", action="store_true")

    train = verb(
        "train", "Train, evaluate and draw a run; the same command resumes it.", workdir=True, epilog=CONFIG_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    train.add_argument(
        "--dry_run", action="store_true", help="print shapes and estimates, train nothing"
    )
    train.add_argument("--allow_dataset_change", action="store_true")
    train.add_argument(
        "--seeds",
        dest="num_seeds",
        type=int,
        metavar="N",
        help="N runs from config.seed on, in DIR/seed_0, ..., and their mean",
    )
    train.add_argument(
        "--ensemble",
        type=int,
        metavar="K",
        help="K models side by side, of seeds config.seed on, predicting as one",
    )
    train.add_argument(
        "--coordinator",
        metavar="HOST:PORT",
        help="several processes: where process 0 listens, or auto",
    )
    train.add_argument("--num_processes", type=int, metavar="N")
    train.add_argument("--process_id", type=int, metavar="I", help="0 to N-1")

    evaluate = verb("evaluate", "Score a run under a protocol.", workdir=True)
    evaluate.add_argument("--data", type=Path, metavar="ROOT", help="default: the data of the run")
    evaluate.add_argument(
        "--protocol", metavar="NAME", help=f"{PROTOCOL_HELP}; default: that of the config"
    )
    evaluate.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="default: evaluation.json and a report in DIR, or evaluation_NAME.json",
    )

    baselines = verb("baselines", "Score simple methods on converted sessions, without a model.")
    baselines.add_argument("--data", dest="root", type=Path, required=True, metavar="ROOT")
    baselines.add_argument(
        "--protocol", default="mtm", metavar="NAME", help=f"{PROTOCOL_HELP}; default: mtm"
    )
    baselines.add_argument("--names", type=_names, metavar="NAME,...", help="default: all")
    baselines.add_argument("--out", type=Path, metavar="FILE")

    compare = verb("compare", "Compare the evaluations of runs.")
    compare.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    compare.add_argument("--out", type=Path, metavar="FILE")

    _add_decode(
        verb(
            "decode",
            "Decode behaviour from a frozen model, beside read-outs of spikes tuned alike.",
            True,
        )
    )

    predict = verb("predict", "Write predicted rates of the test trials.", workdir=True)
    predict.add_argument("--data", type=Path, metavar="ROOT", help="default: the data of the run")
    predict.add_argument("--out", type=Path, required=True, metavar="DIR")
    predict.add_argument("--task", type=_names, metavar="NAME,...", help="default: all four")
    predict.add_argument(
        "--format", dest="file_format", default="npz", metavar="npz|nwb", help="default: npz"
    )

    export = verb(
        "export", "Write a run's weights and model card as a folder to share.", workdir=True
    )
    export.add_argument("--out", type=Path, required=True, metavar="DIR")
    export.add_argument("--licence", metavar="TEXT", help="of the weights, e.g. CC-BY-4.0")

    verb("doctor", "Verify a run's checkpoints, files and versions.", workdir=True)
    return parser


def _add_decode(decode: argparse.ArgumentParser) -> None:
    decode.add_argument("--data", type=Path, metavar="ROOT", help="default: the data of the run")
    decode.add_argument(
        "--target", required=True, metavar="NAME", help="a condition, a behaviour, or contrast_side"
    )
    decode.add_argument("--method", default="probe", metavar="probe|finetune")
    decode.add_argument(
        "--protocol", default="cv", metavar="cv|split|mtm", help="cv: nested folds of trials"
    )
    decode.add_argument(
        "--features",
        metavar="latents|rates|latents+spikes",
        help="default: latents (rates for mtm)",
    )
    decode.add_argument(
        "--kind", metavar="categorical|per_trial|per_bin", help="default: from the values"
    )
    decode.add_argument(
        "--lags",
        metavar="FROM:TO",
        help="bins that latents are read from; default: chosen in the folds",
    )
    decode.add_argument("--num_folds", type=int, default=5, metavar="N")
    decode.add_argument(
        "--fold_by", default="trial", metavar="trial|block", help="block: stretches of time"
    )
    decode.add_argument(
        "--baselines",
        type=_names,
        metavar="NAME,...",
        help="of raw, lagged_ridge, whole_trial, gru; default: by target",
    )
    decode.add_argument("--regions", action="store_true", help="also from each region alone")
    decode.add_argument(
        "--num_permutations", type=int, default=20, metavar="N", help="shuffled labels for chance"
    )
    decode.add_argument("--seed", type=int, default=0, metavar="N")
    decode.add_argument("--out", type=Path, metavar="DIR", help="default: the workdir")


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


def _run(argv: Sequence[str]) -> None:
    others, config_arguments = _split_config(argv)
    arguments = vars(_parser().parse_args(others))
    verb = arguments.pop("verb")
    if config_arguments and verb != "train":
        raise InputError(f"{config_arguments[0]} goes with `neurojax train`, not with {verb}")
    # A verb is the function of that name in the module of that name; its parameters are the
    # options. Each imports what it needs, so that --help and converters start fast.
    if verb in COMPUTES:
        from neurojax.commands import compilations

        compilations.keep_compiled()
    run = getattr(importlib.import_module(f"neurojax.commands.{verb}"), verb)
    if verb != "train":
        run(*arguments.pop("roots", ()), **arguments)
        return
    from neurojax.commands import config
    from neurojax.runs import processes

    loaded = config.load(config_arguments)
    with processes.joined(
        *(arguments.pop(name) for name in ("coordinator", "num_processes", "process_id"))
    ):
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
