"""What a run was made with: packages, commit, hardware, date."""

import contextlib
import datetime
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

PACKAGES = (
    "neurojax",
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "orbax-checkpoint",
    "grain",
    "numpy",
    "scipy",
)


def package_versions() -> dict[str, str]:
    """Versions that matter to a run, of what is installed; needs no import of the packages."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def provenance(folder: Path) -> dict[str, Any]:
    """Where a number comes from: the commit of `folder`'s checkout, date, hardware, versions."""
    words = ["git", "describe", "--always", "--dirty", "--exclude=*", "--abbrev=10"]
    described = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    return {
        "commit": described.stdout.strip(),
        "date": datetime.date.today().isoformat(),
        "hardware": f"{os.cpu_count()} {platform.machine()} CPU cores",
        "versions": package_versions(),
    }
