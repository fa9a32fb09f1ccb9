"""A student: one model that learns from the counts and from the stored rates of a teacher.

    neurojax train --config=configs/mtm.py:size=small --ensemble=4 --workdir=runs/teacher \
        --config.data.root=ROOT
    neurojax predict --workdir=runs/teacher --format=answers --out=runs/answers
    neurojax train --config=configs/student.py:size=small --config.data.root=ROOT \
        --config.data.answers=runs/answers --workdir=runs/student

source    Hinton, Vinyals and Dean 2015, on Zhang et al. 2024
hardware  two x86-64 CPU cores that other work shared; Python 3.11, jax 0.10.2
time      that of the teacher and of one more model, and the answers; not timed on an idle machine
scores    validation trials of the synthetic animals, size=tiny at commit 7a5c158, one seed, pooled
          bits/spike over the train mean (co-smoothing, forward, inter-region, intra-region): 1.006,
          0.533, 0.993, 0.945; single models, mean of four seeds, 1.009, 0.500, 0.996, 0.951; the
          teacher, four members, 1.023, 0.542, 1.011, 0.975; without its rates 0.996, 0.444, 0.978,
          0.919: no gain over single models that is resolved (docs/recipe.md; 2026-11-30). Mice and
          test trials: not measured
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
