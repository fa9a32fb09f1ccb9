"""What goes to the devices: a batch of trials, as arrays of trials and arrays of their groups.

Axis letters, the same everywhere:
    G groups in a batch (sessions)   b trials per group   B = G * b trials
    T bins   N units (padded)   C channels of a signal   K read-in channels
    D model width   P tokens   H heads
    U rows of the unit tables (units of all sessions)   S sessions   R regions
"""

from typing import Any, NamedTuple


class Batch(NamedTuple):
    """A pytree of two dicts; which arrays they hold is the source's to say.

    Attributes:
        trials: name -> [G, b, ...]. Devices share the trials, microbatches split them.
        groups: name -> [G, ...]. Every device holds them whole.

    Spikes (data.sources.spikes) have
        trials: counts uint8 or uint16 [G, b, T, N], bin_valid bool [G, b, T],
            trial_id int32 [G, b], the trial's index in its session; and, only where a session of
            the run was not observed throughout, entry_valid bool [G, b, T, N], see `entry_valid`,
            and pattern_bin int32 [G, b, S], where the bins of no trial have more than S patterns
            of watched units: a bin of each.
        groups: unit_valid bool [G, N], region_id int32 [G, N] (-1 unknown), unit_row int32 [G, N],
            session_row int32 [G], rows of the unit and session tables. A padded unit's `unit_row`
            lies past the end of the tables (read with fill, written with drop; -1 would wrap).
    """

    trials: dict[str, Any]
    groups: dict[str, Any]

    def with_trials(self, **arrays: Any) -> "Batch":
        """The batch with these arrays of trials, new or in place of those it has."""
        return self._replace(trials={**self.trials, **arrays})


def entry_valid(batch: Batch) -> Any:
    """Entries that were observed, bool [G, b, T, N], or [G, b, T, 1] where every unit was watched.

    Past a trial's end and, in the first form, in padded units it is False. Which form a run has
    never changes, so that a fully observed recording compiles to a program without masks.
    """
    observed = batch.trials.get("entry_valid")
    return batch.trials["bin_valid"][..., None] if observed is None else observed
