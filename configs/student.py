"""A student: one model that learns from the counts and from the stored rates of a teacher.

    neurojax train --config=configs/mtm.py:size=small --ensemble=4 --workdir=runs/teacher \
        --config.data.root=ROOT
    neurojax predict --workdir=runs/teacher --format=answers --out=runs/answers
    neurojax train --config=configs/student.py:size=small --config.data.root=ROOT \
        --config.data.answers=runs/answers --workdir=runs/student

source    Hinton, Vinyals and Dean 2015, on Zhang et al. 2024
hardware  two x86-64 CPU cores that other work shared; Python 3.11, jax 0.10.2
time      of nine mouse sessions on one busy core: teacher 29 min, answers 25, student 9
scores    nine mouse sessions, size=small, test trials, a quarter of the pairs of trial and unit,
          pooled bits/spike (co-smoothing, forward, inter-region, intra-region): 0.323, 0.171,
          0.305, 0.263; single models, mean of four seeds, 0.322, 0.167, 0.294, 0.255; the teacher,
          four members, 0.344, 0.182, 0.319, 0.284 (experiments/mixture). Synthetic animals, with
          half of the target from answers: no gain over single models that is resolved
          (docs/recipe.md; 2026-11-30)
"""

import importlib.util
from pathlib import Path

from ml_collections import ConfigDict


def get_config(arg: str | None = None) -> ConfigDict:
    """configs/mtm.py, `size` and `preset` as there, with answers beside the counts."""
    spec = importlib.util.spec_from_file_location("mtm_config", Path(__file__).with_name("mtm.py"))
    mtm = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(mtm)
    config = mtm.get_config(arg)
    config.data.source = "answered"
    config.data.answers = ""  # folder that `neurojax predict --format=answers` wrote
    config.objective.update(name="distil", teacher_share=1.0, free_share=0.5)
    return config
