"""How much memory a forward pass of evaluation takes, and so how many trials fit into a bound."""

from typing import Any, NamedTuple

from neurojax.errors import require
from neurojax.models import ndt, ndt_linear, possm, poyo, smoothing, ssm, stndt


class PassSize(NamedTuple):
    """Attributes:
    trials: in a forward pass, over all devices.
    memory_mb: about what they take on each device, without weights.
    """

    trials: int
    memory_mb: float


def bytes_per_trial(
    model: Any,
    num_bins: int,
    num_units: int,
    all_observed: bool = True,
    num_patterns: int | None = None,
) -> int:
    """An upper estimate for one trial of `num_bins` bins and `num_units` padded units, in bytes.

    Counts and results of two passes, since the next is under way while one is fetched; arrays over
    units that the compiler keeps at once (more with smoothing and own history); one layer's tokens;
    attention scores.

    Args:
        model: config of a model.
        num_bins, num_units: T, N.
        all_observed: False where a mask of the entries comes along, see `batch.entry_valid`.
        num_patterns: see `data.batching.Layout`.
    """
    whole_arrays = 4 if type(model) is ndt.Config else 10
    # Counts (1 byte) and results (4) of two passes, and float32 arrays of the same shape.
    per_entry = 2 * (1 + 4) + 4 * whole_arrays
    size = num_bins * num_units * (per_entry if all_observed else per_entry + 2)
    if isinstance(model, ndt.Config):
        per_token = 4 * (
            model.read_in_width + model.embed_width + 4 * model.width + 2 * model.mlp_width
        )
        tokens = model.tokens_per_bin(num_units)
        size += num_bins * tokens * per_token + 3 * 4 * model.num_heads * (num_bins * tokens) ** 2
        if tokens > 1:  # what each unit reads from every patch
            size += 4 * num_bins * num_units * tokens
    if isinstance(model, stndt.Config):
        size += _of_units(model, num_bins, num_units)
    if isinstance(model, poyo.Config):
        size += _of_events(model, num_bins, num_units)
    if isinstance(model, possm.Config):
        size += _of_chunks(model, num_bins, num_units)
    if isinstance(model, ssm.Config):
        size += _of_states(model, num_bins, model.embed_width)
    if isinstance(model, ndt_linear.Config | poyo.Config | possm.Config | ssm.Config):
        if num_bins <= smoothing.DENSE_BINS:  # weights of bins by bins, and on the way to them
            size += 3 * 4 * smoothing.NUM_SMOOTHED * num_bins**2
        else:  # sums for each memory, of the units' counts and rates and of the latents
            sums = smoothing.NUM_SMOOTHED * model.read_in_width
            size += num_bins * 4 * (16 * num_units + 20 * sums)
        # of the posterior: a matrix a trial, or as many as it has patterns of watched units, under
        # each of which every bin is read, or one a bin
        matrices = 1 if all_observed else num_patterns or num_bins
        size += 3 * 4 * model.read_in_width**2 * matrices
        if 1 < matrices < num_bins:
            size += 2 * 4 * model.read_in_width * num_bins * matrices
    return size


def _of_events(model: poyo.Config, num_bins: int, num_units: int) -> int:
    """Bytes of a trial's events, latents and queries, and of who reads whom."""
    steps = model.num_steps(num_bins)
    events, latents = steps * model.most_events(num_units), steps * model.latents_per_step
    entries = steps * model.latent_bins * num_units
    places = 4 * 3 * entries + 4 * 6 * events * model.width
    per_token = 4 * (6 * model.width + 2 * model.mlp_width)
    pairs = latents * (events + latents + num_bins)
    return places + (latents + num_bins) * per_token + 3 * 4 * model.num_heads * pairs


def _of_units(model: stndt.Config, num_bins: int, num_units: int) -> int:
    """Bytes of a trial's tokens of units, of who listens to whom, and of what is mixed by it."""
    per_token = 4 * (2 * model.read_in_width + stndt.NUM_WAVES + 4 * model.width)
    tokens = num_units * (per_token + 4 * 2 * model.mlp_width)
    return tokens + 3 * 4 * (model.num_heads + 1) * num_units**2 + 4 * 3 * num_bins * num_units


def _of_chunks(model: possm.Config, num_bins: int, num_units: int) -> int:
    """Bytes of a trial's events, of its chunks and bins, and of who reads whom."""
    steps = model.num_steps(num_bins)
    events, queries = model.most_events(num_units), model.latents_per_step
    entries = steps * model.latent_bins * num_units
    places = 4 * 3 * entries + 4 * 6 * steps * events * model.width
    per_token = 4 * (6 * model.width + 2 * model.mlp_width)
    pairs = steps * (queries * events + num_bins)
    tokens = (steps * queries + num_bins) * per_token + 3 * 4 * model.num_heads * pairs
    return places + tokens + _of_states(model, steps, 0)


def _of_states(model: ssm.Config | possm.Config, num_bins: int, embed_width: int) -> int:
    """Bytes of a trial's tokens and of one layer's states, which no other layer keeps."""
    both_ways = len(ssm.DIRECTIONS)
    # Complex numbers in each direction: what drives the states, they, and what is read of them,
    # as bins of trials and as trials of a bin.
    states = 8 * 2 * 3 * both_ways * model.state_width
    per_token = 4 * (model.read_in_width + embed_width + 6 * model.width)
    return num_bins * (states + per_token + 4 * 2 * model.mlp_width)


def require_one_trial(recipe, source, memory_mb: int) -> None:
    """Raises InputError where an evaluation of what is about to be trained could not hold a trial.

    Args:
        recipe: see `train.step.Recipe`.
        source: of data.sources.
        memory_mb: `eval.memory_mb`.
    """
    num_bins, num_units = (max(shape[axis] for shape in source.shapes()) for axis in (2, 3))
    layout = getattr(source, "layout", None)
    trials_that_fit(
        recipe.model.config,
        num_bins,
        num_units,
        memory_mb=memory_mb,
        at_most=1,
        members=recipe.members,
        all_observed=layout is None or layout.all_observed,
        num_patterns=None if layout is None else layout.num_patterns,
    )


def trials_that_fit(
    model: Any,
    num_bins: int,
    num_units: int,
    *,
    memory_mb: int,
    at_most: int,
    num_devices: int = 1,
    members: int = 1,
    all_observed: bool = True,
    num_patterns: int | None = None,
) -> PassSize:
    """Trials of a forward pass: `at_most` or what memory holds, as many on every device.

    Args:
        model: whose activations are held.
        num_bins: of the longest trial.
        num_units: of the largest session, padded.
        memory_mb: for each device.
        at_most: `eval.trials_per_pass`.
        num_devices: that share the trials.
        members: of an ensemble, which predict at the same time.
        all_observed, num_patterns: see `bytes_per_trial`.

    Raises:
        InputError: not one trial fits.
    """
    size = members * bytes_per_trial(model, num_bins, num_units, all_observed, num_patterns)
    what = f"one trial of {num_bins} bins and {num_units} units"
    on_each = number_that_fits(size, memory_mb, what)
    trials = min(at_most, on_each * num_devices)
    # A whole number on every device, or sharding would fall back to all trials on each.
    trials = max(trials // num_devices, 1) * num_devices
    return PassSize(trials, trials // num_devices * size / 2**20)


def number_that_fits(size: int, memory_mb: int, what: str) -> int:
    """How many of `size` bytes each `eval.memory_mb` holds; raises InputError where not `what`."""
    number = int(memory_mb * 2**20 // size)
    require(
        number >= 1,
        f"eval.memory_mb={memory_mb} does not hold {what}, which takes about "
        f"{size / 2**20:,.0f} MB; raise it",
    )
    return number
