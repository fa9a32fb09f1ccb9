"""Imports point one way: the table below says which part of neurojax may import which."""

import ast
import functools
import graphlib
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent

# The longest matching name decides, on both sides; a leading minus takes a part out again. A new
# part needs a line here. The tools of train see paths and arrays, never models.
BASE = ("errors", "files", "ranges")
RECORD = (*BASE, "data.session", "data.observed", "data.binning")
WORDS = ("batch", "facts", "schemes", "by_name")  # what data, models, objectives and training say to each other
LEARNED = (*WORDS, "count_likelihoods", "heads", "models", "objectives")
STEP = (*RECORD, *LEARNED, "scores", "data", "runs", "train", "-train.loop", "-train.plan", "-train.run")
SCORED = (*RECORD, "data", "scores")
ASKED = ("batch", "schemes", "objectives.interface")  # how a predictor is asked
MAY_IMPORT = {
    "errors": (),
    "files": ("errors",),
    "ranges": ("errors",),
    "data.binning": BASE,
    "data.observed": (),
    "data.session": (*BASE, "data.observed", "data.binning"),
    "batch": (),
    "facts": (),
    "schemes": ("errors",),
    "by_name": ("errors",),
    "scores": (*RECORD, "scores"),
    "count_likelihoods": (),
    "heads": ("errors", "scores", "count_likelihoods"),
    "analysis": ("errors", "scores", "analysis"),  # numbers to numbers
    "models": ("errors", "ranges", *WORDS, "models"),  # no loss, no file
    "models.first_rows": ("data.session", "facts", "models.roots"),  # reads training trials, on the host
    "models.mindeye": ("errors", "ranges", *WORDS, "models", "data.session", "analysis.in_context"),
    "models.lfads": ("errors", "ranges", *WORDS, "models", "data.session"),  # the same, for its own rows
    "objectives": (
        "errors",
        "ranges",
        *WORDS,
        "models.interface",
        "objectives",
    ),  # no file, no model
    "data": (*RECORD, "data", "-data.sources"),
    "data.batching": (*RECORD, "data", "-data.sources", "batch"),
    "data.sources": (*RECORD, "data", "batch", "facts", "schemes"),
    "runs": (*BASE, "runs"),  # paths and arrays, no model and no recording
    "train": STEP,
    "train.sharding": ("errors", "batch"),
    "train.optimizer": ("errors", "ranges"),
    "train.run_folder": (*STEP, "train.loop"),
    "train.description": (*STEP, "train.loop"),
    "train.roofline": ("train.step_memory",),
    # From config to record: above everything but what a user calls.
    "train.plan": (*STEP, "train.loop", "finetune"),
    "train.run_files": (*STEP, "train.plan", "evals", "finetune"),
    "train.run": (*STEP, "train.loop", "train.plan", "evals", "finetune"),
    "evals": (*SCORED, *ASKED, "evals"),
    "evals.evaluators": ("errors", "by_name"),
    "evals.oracle": (*SCORED, "evals", "runs.threads"),
    "evals.pair_scores": (*SCORED, "analysis", "evals"),
    "evals.response_floors": (*SCORED, "analysis", "evals"),
    "evals.expectations": (*SCORED, "analysis", "evals"),
    "evals.inside": (*SCORED, *ASKED, "analysis", "evals"),
    "evals.falsehoods": (*SCORED, "analysis", "evals"),
    "evals.brainbench": (*SCORED, "evals", "report"),
    "evals.baseline_scores": (*SCORED, "evals", "runs.progress", "runs.threads"),
    "evals.spikes": (*SCORED, "evals", "runs.progress", "report"),  # an evaluator also shows its record
    "evals.gestures": (*SCORED, "evals", "report"),
    "evals.frames": (*SCORED, "evals", "report"),
    "evals.speech_retrieval": (*SCORED, "evals", "report"),
    "evals.image_retrieval": (*SCORED, "analysis.in_context", "evals", "report"),
    "evals.joint": (*SCORED, "evals", "report"),
    "evals.traces": (*SCORED, "evals", "runs.progress", "report"),
    "evals.responses": (*SCORED, "evals", "report"),
    "report": (*SCORED, "evals", "report"),
    "finetune": (*STEP, "train.loop", "evals", "finetune"),
    "insilico": (*RECORD, *LEARNED, "scores", "insilico"),  # a twin asked in place of the animal
    "api": (*STEP, "train.run", "evals", "report", "finetune", "insilico", "api"),
    "commands": ("*", "-main", "-__main__"),
    "verb_options": BASE,
    "verbs": (*BASE, "verb_options"),
    "main": ("*", "-start", "-__main__"),
    "start": ("main", "errors"),
    "__main__": ("start",),
    "": (
        "batch",
        "errors",
        "data",
        "api.pretrained",
        "api.embedder",
        "api.examples",
        "api.behavior_decoder",
    ),  # the package root: lazy names, spelled out for type checkers
}

# Imports inside a function that the table forbids, each with its reason.
FUNCTION_LOCAL = {
    ("data.session", "data.store.sessions"): "Session.from_counts and its like call the constructors",
    ("data.session", "data.spike_trains"): "Session.from_spike_times",
    ("data.session", "data.real_values"): "Session.from_values",
    ("data.session", "data.session_export"): "Session.to_arrays and to_xarray",
    ("data.session", "data.session_pynapple"): "Session.from_pynapple and to_pynapple",
    ("data.session", "data.session_objects"): "Session.from_sorting and from_neo",
}

ARRAY_STACK = {"jax", "jaxlib", "flax", "optax", "orbax", "chex"}  # not for data: it runs in worker processes
DATA_PACKAGES = {"numpy", "scipy", "grain"}
OPTIONAL = {"matplotlib", "sklearn", "h5py", "pynwb", "remfile", "one", "iblatlas", "pandas", "xarray", "pynapple"}
OPTIONAL |= {"safetensors", "huggingface_hub", "tokenizers"}


class Import(NamedTuple):
    importer: str  # module below neurojax, "" for the package root
    target: str  # full dotted name; a submodule where the imported name is one
    line: int
    deferred: bool  # inside a function, or for type checkers only


def modules_below(folder: Path) -> dict[str, str]:
    """Dotted module name -> source of every Python file of a package; "" is the package root."""
    sources = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        sources[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text()
    return sources


def imports_of(module: str, sources: dict[str, str], package: bool) -> Iterator[Import]:
    """All imports of a module, the ones inside functions included."""

    def visit(node: ast.AST, deferred: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, alias.name, node.lineno, deferred)
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                here = ["neurojax", *filter(None, module.split("."))]
                parent = here[: len(here) - node.level + package]
                origin = ".".join([*parent, *filter(None, [origin])])
            for alias in node.names:
                name = f"{origin}.{alias.name}"
                if name == "neurojax.__version__":  # a constant of the lazy root, open to everyone
                    continue
                submodule = name.startswith("neurojax.") and name.removeprefix("neurojax.") in sources
                yield Import(module, name if submodule else origin, node.lineno, deferred)
        later = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        later |= isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for child in ast.iter_child_nodes(node):
            yield from visit(child, deferred or later)

    yield from visit(ast.parse(sources[module]), False)


def all_imports(sources: dict[str, str]) -> list[Import]:
    return imports_within(tuple(sources.items()))


@functools.cache  # to read the whole package takes a second, and five tests ask for it
def imports_within(modules: tuple[tuple[str, str], ...]) -> list[Import]:
    sources = dict(modules)
    packages = {""} | {name.rpartition(".")[0] for name in sources}
    return [found for module in sources for found in imports_of(module, sources, module in packages)]


def longest_match(name: str, prefixes: Iterable[str]) -> str | None:
    """The most specific of `prefixes` that is `name` or a package around it; "*" is around everything."""
    matches = [p for p in prefixes if p == "*" or name == p or (p and name.startswith(p + "."))]
    return max(matches, key=lambda prefix: 0 if prefix == "*" else len(prefix), default=None)


def allowed(importer: str, target: str) -> bool:
    """Whether the table lets one part of neurojax import another."""
    rule = longest_match(importer, MAY_IMPORT)
    if rule is None:
        return False
    signs = {entry.removeprefix("-"): not entry.startswith("-") for entry in MAY_IMPORT[rule]}
    return signs.get(longest_match(target, signs), False)


def wrong_directions(sources: dict[str, str]) -> list[str]:
    """Imports within neurojax that the table forbids, and modules it does not know."""
    found = [f"{name}: no line in MAY_IMPORT" for name in sources if longest_match(name, MAY_IMPORT) is None]
    for importer, target, line, deferred in all_imports(sources):
        root, _, part = target.partition(".")
        local = deferred and (importer, part) in FUNCTION_LOCAL
        if root == "neurojax" and not local and not allowed(importer, part):
            found.append(f"{importer or '__init__'}:{line} imports {target}")
    return found


def reachable(start: str, sources: dict[str, str]) -> set[str]:
    """Modules of neurojax loaded by importing those below `start`, packages around them included."""
    edges = {}
    for importer, target, _, deferred in all_imports(sources):
        if target.startswith("neurojax.") and not deferred:
            edges.setdefault(importer, set()).add(target.removeprefix("neurojax."))
    seen, waiting = set(), [name for name in sources if longest_match(name, [start])]
    while waiting:
        name = waiting.pop()
        if name and name not in seen:
            seen.add(name)
            waiting += [*edges.get(name, ()), name.rpartition(".")[0]]
    return seen


def heavy_in_data(sources: dict[str, str]) -> list[str]:
    """Imports of the array stack by data or by what data loads, and packages outside its short list."""
    loaded = reachable("data", sources)
    found = []
    for importer, target, line, deferred in all_imports(sources):
        root = target.partition(".")[0]
        within_data = longest_match(importer, ["data"]) is not None
        if root in ARRAY_STACK and importer in loaded:
            found.append(f"{importer}:{line} imports {target}, and data loads it")
        elif within_data and not deferred and root not in {*DATA_PACKAGES, *sys.stdlib_module_names, "neurojax"}:
            found.append(f"{importer}:{line} imports {target} at the top")
    return found


def cycle(sources: dict[str, str]) -> list[str]:
    """Modules that import each other in a circle, empty when none do; the exceptions above are left out."""
    edges = {module: set() for module in sources}
    for importer, target, _, _ in all_imports(sources):
        part = target.removeprefix("neurojax.")
        if part in sources and part != importer and (importer, part) not in FUNCTION_LOCAL:
            edges[importer].add(part)
    try:
        graphlib.TopologicalSorter(edges).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    return modules_below(CHECKOUT / "neurojax")


def test_imports_point_one_way(sources):
    assert wrong_directions(sources) == []


def test_nothing_imports_in_a_circle(sources):
    assert cycle(sources) == []
    assert cycle({"a": "from neurojax import b", "b": "def f():\n    from neurojax.a import x"}) != []


@pytest.mark.parametrize(
    "importer, source",
    [
        ("evals.scoring", "from neurojax.models import ndt"),
        ("evals.scoring", "from neurojax.train.step import train_step"),
        ("evals.scoring", "from neurojax.report import run_report"),
        ("evals.scoring", "from ..report import run_report"),
        ("evals.scoring", "def f():\n    import neurojax.models.ndt"),
        ("runs.checkpoint", "import neurojax.models.ndt as ndt"),
        ("runs.checkpoint", "from neurojax.train import step"),
        ("train.step", "from neurojax.train.loop import run"),
        ("data.session", "from neurojax.data.store import sessions"),
        ("data.binning", "from neurojax.data.session import Session"),
        ("data.store.sessions", "from neurojax import schemes"),
        ("data.store.sessions", "from neurojax.data.sources import spikes"),
        ("data.sources.spikes", "from neurojax.objectives import mtm"),
        ("models.ndt", "from neurojax.objectives import mtm"),
        ("models.ndt", "from neurojax import heads"),
        ("models.ndt", "from neurojax.data.store import sessions"),
        ("models.ndt", "from neurojax.data.session import Session"),
        ("objectives.mtm", "from neurojax.models import ndt"),
        ("objectives.mtm", "from neurojax.data.store import sessions"),
        ("objectives.mtm", "from neurojax.data.session import Session"),
        ("heads", "from neurojax.objectives import mtm"),
        ("evals.scoring", "from neurojax.train import run"),
        ("train.loop", "from neurojax.train import run"),
        ("evals.scoring", "from neurojax.report.run_report import write_report"),
        ("commands.train", "from neurojax import main"),
        ("models.ndt", "import neurojax"),
        ("surprise", ""),
    ],
)
def test_a_wrong_import_is_found(importer, source):
    known = dict.fromkeys(
        [
            "",
            "data.session",
            "data.store",
            "schemes",
            "heads",
            "data.store.sessions",
            "data.sources",
            "data.sources.spikes",
            "models.ndt",
            "objectives",
            "objectives.mtm",
            "train.step",
            "train.loop",
            "train.run",
            "evals",
            "report.run_report",
        ],
        "",
    )
    known |= {"main": "", "models": "", "train": "", "data": ""}
    assert len(wrong_directions({**known, importer: source})) == 1


@pytest.mark.parametrize(
    "importer, source",
    [
        ("data.session", "def from_counts():\n    from neurojax.data.store import sessions"),
        ("report.run_report", "from neurojax.report.figures import style\nfrom neurojax.evals import scoring"),
        ("runs.checkpoint", "from neurojax import __version__\nfrom neurojax.runs.manifest import write"),
        ("train.loop", "from neurojax.train import step"),
        ("train.run", "from neurojax.evals import scoring\nfrom neurojax.train import step"),
        ("models.ndt", "from neurojax import schemes\nfrom neurojax.models import interface"),
        ("objectives.mtm", "from neurojax.batch import Batch\nfrom neurojax.models import interface"),
        ("data.sources.spikes", "from neurojax.batch import Batch\nfrom neurojax.data.store import sessions"),
        ("commands.train", "from neurojax.models import ndt"),
        ("main", "from neurojax.commands import train"),
    ],
)
def test_a_right_import_passes(importer, source):
    known = {
        "": "",
        "report.figures.style": "",
        "data.store": "",
        "data.session": "",
        "data.store.sessions": "",
        "evals.scoring": "",
        "train.step": "",
        "batch": "",
        "schemes": "",
        "models.interface": "",
        "models.ndt": "",
        "commands": "",
    }
    assert wrong_directions({**known, importer: source}) == []


def test_data_stays_out_of_the_array_stack(sources):
    assert heavy_in_data(sources) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"data.store.sessions": "import jax.numpy as jnp"},
        {"data.store.sessions": "def f():\n    from flax import linen"},
        {"data.store.sessions": "from neurojax.data.session import Session", "data.session": "import jax"},
        {"data.store.sessions": "import h5py"},
    ],
)
def test_a_heavy_import_in_data_is_found(changes):
    assert len(heavy_in_data({"": "", "data": "", **changes})) == 1


def test_the_package_imports_no_configs_experiments_or_tests(sources):
    outside = {"configs", "experiments", "tests"}
    assert [found for found in all_imports(sources) if found.target.partition(".")[0] in outside] == []


def test_optional_packages_are_imported_inside_functions(sources):
    subclassed = {"api.embedder", "api.behavior_decoder"}  # what they import; the lazy root alone loads them
    checked = [i for i in all_imports(sources) if not i.deferred and i.importer not in subclassed]
    assert [i for i in checked if i.target.partition(".")[0] in OPTIONAL] == []
    loads_them = {i.importer for i in checked if i.target.removeprefix("neurojax.") in subclassed}
    assert loads_them == set()


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, neurojax; neurojax.InputError; "
        "print(*{'numpy', 'jax', 'flax', 'grain', 'matplotlib', 'scipy', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=CHECKOUT, check=True)
    assert done.stdout.split() == []


def test_public_names_resolve():
    import neurojax

    assert [name for name in neurojax.__all__ if not hasattr(neurojax, name)] == []
    assert set(neurojax.__all__) <= set(dir(neurojax))
    with pytest.raises(AttributeError, match="no attribute 'Sesion'"):
        neurojax.Sesion  # noqa: B018
