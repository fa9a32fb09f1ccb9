"""What setup.cfg cannot say: configs/ and the experiments' declarations travel inside the package.

They lie at the top of the checkout, where people read and change them; a wheel gets copies in
neurojax/packaged/. An editable installation gets none: it finds the folders themselves.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
OF_AN_EXPERIMENT = ("*.py", "*.md", "*.json", "*.jsonl")  # expected.json names files beside results


def travelling() -> list[Path]:
    """Files that a wheel needs: all configs, and each experiment that says what to expect."""
    experiments = HERE / "experiments"
    checked = sorted(path.parent for path in experiments.glob("*/expected.json"))
    checked.append(experiments / "mtm_parts")  # what several of them share
    found = [*sorted((HERE / "configs").glob("*.py")), experiments / "README.md"]
    return found + [
        path for one in checked for name in OF_AN_EXPERIMENT for path in sorted(one.glob(name))
    ]


class WithDeclarations(build_py):
    """Builds the package, then copies the declarations into it."""

    def run(self) -> None:
        super().run()
        if not getattr(self, "editable_mode", False):
            for path in travelling():
                target = Path(self.build_lib, "neurojax", "packaged", path.relative_to(HERE))
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)


setup(cmdclass={"build_py": WithDeclarations})
