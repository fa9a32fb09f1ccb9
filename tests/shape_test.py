"""The package stays small, reads like one hand and unpickles nothing."""

import ast
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
PACKAGE = CHECKOUT / "neurojax"
MAX_FILE_LINES = 350
MAX_FUNCTION_LINES = 80
PICKLES = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}


def unpickling_lines(source: str) -> list[int]:
    """Lines that import a pickle module or let NumPy unpickle."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        roots = set()
        if isinstance(node, ast.Import):
            roots = {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            roots = {(node.module or "").partition(".")[0]}
        elif isinstance(node, ast.Call):
            values = [keyword.value for keyword in node.keywords if keyword.arg == "allow_pickle"]
            if any(not (isinstance(value, ast.Constant) and value.value is False) for value in values):
                lines.append(node.lineno)
        if roots & PICKLES:
            lines.append(node.lineno)
    return lines


def oversized(name: str, source: str) -> list[str]:
    """The file if it is too long, and each of its functions that is."""
    num_lines = len(source.splitlines())
    found = [f"{name}: {num_lines} lines, at most {MAX_FILE_LINES}"] if num_lines > MAX_FILE_LINES else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = node.end_lineno - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                found.append(f"{name}:{node.lineno} {node.name}: {length} lines, at most {MAX_FUNCTION_LINES}")
    return found


def python_files(*folders: str) -> dict[str, str]:
    """Path from the checkout -> source."""
    paths = [path for folder in folders for path in sorted((CHECKOUT / folder).rglob("*.py"))]
    return {str(path.relative_to(CHECKOUT)): path.read_text() for path in paths}


def test_nothing_unpickles():
    files = python_files("neurojax", "configs", "experiments")
    assert [f"{name}:{line}" for name, source in files.items() for line in unpickling_lines(source)] == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "np.load(file, allow_pickle=True)",
        "np.load(file, allow_pickle=choice)",
    ],
)
def test_an_unpickling_line_is_found(source):
    assert unpickling_lines(source) == [1]


def test_refusing_pickles_is_fine():
    assert unpickling_lines("np.load(file, allow_pickle=False)") == []


def test_files_and_functions_stay_small():
    assert [found for name, source in python_files("neurojax").items() for found in oversized(name, source)] == []


def test_an_oversized_file_and_function_are_found():
    body = "    x = 1\n"
    assert oversized("a", "def f():\n" + body * (MAX_FUNCTION_LINES - 1)) == []
    assert oversized("a", "def f():\n" + body * MAX_FUNCTION_LINES) == ["a:1 f: 81 lines, at most 80"]
    assert len(oversized("a", "x = 1\n" * (MAX_FILE_LINES + 1))) == 1


def test_helpers_live_beside_their_user():
    names = {path.stem for path in PACKAGE.rglob("*.py")}
    assert names & {"utils", "util", "helpers", "common", "misc"} == set()


def test_every_folder_is_a_package():
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []
