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

from neurojax import __version__
from neurojax.errors import InputError, report
from neurojax.verbs import VERBS

CONFIG_HELP = """
config options:
  --config=FILE:ARG        a declaration, e.g. configs/mtm.py:size=tiny,preset=improved, or the name
                           of one that comes with neurojax: mtm:size=tiny; a path wins
  --config.BLOCK.KEY=VALUE overrides one entry, e.g. --config.optimizer.learning_rate=3e-4
"""

# verbs that run compiled programs, and those that ask JAX for devices
COMPUTES = (
    *("train", "evaluate", "baselines", "decode", "predict"),
    *("adapt", "audit", "lineage", "inspect"),
)
ON_DEVICES = (*COMPUTES, "export", "forget")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        raise InputError(f"{message}; {self._meant(message)}see `{self.prog} --help`")

    def _meant(self, message: str) -> str:
        """The verb that a mistyped one comes close to."""
        mistyped = re.match(r"argument VERB: invalid choice: '([\w-]+)", message)
        return _close_to(mistyped[1], VERBS) if mistyped else ""


def _close_to(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), 1)
    return f"did you mean {close[0]}? " if close else ""


def _parser(argv: Sequence[str] = ()) -> argparse.ArgumentParser:
    about = "Foundation models of neural population activity."
    parser = _Parser(prog="neurojax", description=about)
    version = f"neurojax {__version__}"
    parser.add_argument("--version", action="version", version=version, help="print the version")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=_Parser)
    for verb, (text, *options) in VERBS.items():
        added = verbs.add_parser(verb, help=text, description=text, allow_abbrev=False)
        for names, facts in options:
            added.add_argument(*names, **facts)
        if verb == "convert" and "convert" in argv and {"-h", "--help"} & set(argv):
            from neurojax.commands import kinds  # its readers: only for who asks

            added.epilog = kinds.help_of(argv[list(argv).index("convert") + 1 :])
            added.formatter_class = argparse.RawDescriptionHelpFormatter
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


def _with_join(words: Sequence[str]) -> list[str]:
    """The words with a value for `--join`: alone it would take the PATH after it for one."""
    after = [*words[1:], ""]
    return [
        "--join=auto" if word == "--join" and value not in ("units", "time") else word
        for word, value in zip(words, after, strict=False)  # no words: nothing after them
    ]


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
    others = _with_join(others)
    known, unknown = _parser(others).parse_known_args(others)
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
    name = "import_weights" if verb == "import" else verb.replace("-", "_")  # a word of Python
    run = getattr(importlib.import_module(f"neurojax.commands.{name}"), name)
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
