"""Which module evaluates a run: the one of this folder that `eval.evaluator` names, spikes where
none is named."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from neurojax import by_name

SPIKES = "spikes"
# see evals.spikes, which says what each is for; one may also have beside(dataset, root, folder,
# settings, seed), the context of what needs no model and can be done while a run is trained, and
# require_unseen(sessions, trained), what its task asks of what is tested, see evals.unseen
NEEDS = ("about", "prepare", "evaluate", "show", "draw")


def named(settings: Mapping[str, Any]) -> ModuleType:
    """The evaluator of an `eval` block; raises InputError that lists them for a name that is
    none."""
    return by_name.module_named("evals", settings.get("evaluator", SPIKES), NEEDS)


def name_in(record: Mapping[str, Any]) -> str:
    """Which evaluator made a record, whatever state the record is in."""
    settings = record.get("eval")
    return str(settings.get("evaluator", SPIKES)) if isinstance(settings, Mapping) else SPIKES
