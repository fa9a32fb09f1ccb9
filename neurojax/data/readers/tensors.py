"""HDF5 files of named arrays; the tensors of the NLB tools, NDT and LFADS become such arrays.

Tensors are [trials, bins, units], one set for each split; split names are train, valid (val) and
eval (test):
    NLB, NDT        train_spikes_heldin, train_spikes_heldout, eval_spikes_heldin, ... (or _data_),
                    each also with _forward, the bins that follow
    LFADS           train_data, valid_data, dt; train_inds, valid_inds say where each trial lay
    lfads-torch     train_encod_data, train_recon_data, valid_encod_data, ...
Splits may also be groups: train/data. Held-out units are marked by `unit_heldout`; held-out counts
and forward bins that a split lacks were not observed. eval tests; without it valid does, and one
trial in eight of train validates.
"""

import re
from pathlib import Path

import numpy as np

from neurojax.data.readers import hdf5
from neurojax.data.store.array_files import check_array_name, check_unpacked
from neurojax.errors import require

_SPLITS = {"train": "train", "valid": "valid", "val": "valid", "eval": "eval", "test": "eval"}
_NAME = re.compile(r"(train|valid|val|eval|test)_(.+)")
_HELD_IN = ("spikes_heldin", "data_heldin", "spikes", "data")
_HELD_OUT = ("spikes_heldout", "data_heldout")
# Rates of units are no behaviour, and places are read otherwise.
_LEFT_ASIDE = frozenset(("inds", "truth", "psth", "rates", "spikes_all_fp", "data_all_fp"))
_ENCODED, _WHOLE = "encod_data", "recon_data"
_BIN_SIZES = ("bin_size_s", "dt", "bin_width_s", "bin_size", "bin_width")
_LONGEST_BIN_S = 0.5  # from here on a width that does not name its unit may be milliseconds
_EVERY = 8  # one training trial of so many validates, where no split does

Arrays = dict[str, np.ndarray]


def read_h5(path: Path) -> Arrays:
    """All arrays of a file, tensors as `convert arrays` knows them.

    Raises:
        InputError: missing, damaged, too large, or tensors that do not fit together.
    """
    with hdf5.open_hdf5(path) as file:
        places = [(file, name, name) for name in hdf5.columns(file)]
        for name in file:
            if (inner := hdf5.group(file, name)) is not None:
                places += [(inner, own, f"{name}_{own}") for own in hdf5.columns(inner)]
        total = sum(parent[name].size * parent[name].dtype.itemsize for parent, name, _ in places)
        check_unpacked(total, path.stat().st_size, str(path))
        arrays = {shown: hdf5.array(parent, name) for parent, name, shown in places}
    for name in arrays:
        check_array_name(name, str(path))
    sets = _sets(arrays)
    return _named(arrays, sets, str(path)) if sets else arrays


def _sets(arrays: Arrays) -> dict[str, Arrays]:
    """Split -> its tensors by the rest of their name; empty where the file has none."""
    found: dict[str, Arrays] = {}
    for name, values in arrays.items():
        if match := _NAME.fullmatch(name):
            found.setdefault(_SPLITS[match[1]], {})[match[2]] = values
    has_spikes = [_spikes_of(own) is not None for own in found.values()]
    return found if "train" in found and any(has_spikes) and "counts" not in arrays else {}


def _spikes_of(own: Arrays) -> str | None:
    """The name of a set's spikes."""
    names = [name for name in (_WHOLE, *_HELD_IN, _ENCODED) if name in own and own[name].ndim == 3]
    return names[0] if names else None


def _named(arrays: Arrays, sets: dict[str, Arrays], where: str) -> Arrays:
    made: Arrays = {}
    others = {name: v for name, v in arrays.items() if not _NAME.fullmatch(name)}
    if sizes := [name for name in _BIN_SIZES if name in others]:
        made["bin_size_s"] = _bin_size_s(others[sizes[0]], sizes[0], where)
    made["tensors"] = np.array(", ".join(name for name in arrays if _NAME.fullmatch(name))[:200])
    order = [split for split in ("train", "valid", "eval") if split in sets]
    used: set[str] = set()
    cubes, inner = zip(*[_cube(sets[split], split, used, where) for split in order], strict=True)
    width = max(cube.shape[2] for cube in cubes)
    told = ", ".join(
        f"{name} {n} of {cube.shape[2]}" for name, n, cube in zip(order, inner, cubes, strict=True)
    )
    fits = len(set(inner)) == 1 and {cube.shape[2] for cube in cubes} <= {width, inner[0]}
    require(
        fits, f"{where}: held-in units of all units are {told}; expected the same in each split"
    )
    bins = max(cube.shape[1] for cube in cubes)
    counts = np.concatenate([_grown(cube, bins, width) for cube in cubes])
    number = [len(cube) for cube in cubes]
    place = _places([sets[name].get("inds") for name in order], number)
    made |= {"counts": counts[place], "split": _split_codes(order, number)[place]}
    if inner[0] < width:
        made["unit_heldout"] = (np.arange(width) >= inner[0]).astype(np.uint8)
    names = set().union(*sets.values()) - used - _LEFT_ASIDE
    columns = {
        name: _column([sets[split].get(name) for split in order], number, counts.shape[1])
        for name in sorted(names)
    }
    made |= {name: values[place] for name, values in columns.items() if values is not None}
    return made | {name: v for name, v in others.items() if name not in _BIN_SIZES and v.size == 1}


def _bin_size_s(value: np.ndarray, name: str, where: str) -> np.ndarray:
    seconds = float(value.ravel()[0]) if value.size == 1 and value.dtype.kind in "iuf" else -1.0
    require(
        0 < seconds and (name.endswith("_s") or seconds < _LONGEST_BIN_S),
        f"{where}: {name} is {value.ravel()[:3].tolist()}, which may be milliseconds; rename it "
        "bin_size_s with the seconds of a bin",
    )
    return np.asarray(seconds)


def _cube(own: Arrays, split: str, used: set[str], where: str) -> tuple[np.ndarray, int]:
    """Spikes of a split, float32 [trials, bins, units], NaN where it has none, held-out units last;
    the number of held-in units."""
    name = _spikes_of(own)
    require(
        name is not None,
        f"{where}: {split} has {sorted(own)}, expected spikes [trials, bins, units] such as "
        f"{split}_spikes_heldin or {split}_data",
    )
    used |= {name, f"{name}_forward"}
    if name == _WHOLE:
        used.add(_ENCODED)
        return own[name].astype(np.float32), _encoded(own, where)
    inner = _with_forward(own, name, where)
    out_name = next((known for known in _HELD_OUT if known in own), None)
    if out_name is None:
        return inner, inner.shape[2]
    used |= {out_name, f"{out_name}_forward"}
    outer = _with_forward(own, out_name, where)
    require(
        len(inner) == len(outer),
        f"{where}: {split} has {len(inner)} trials of held-in and {len(outer)} of held-out units",
    )
    bins = max(inner.shape[1], outer.shape[1])
    laid = [_grown(part, bins, part.shape[2]) for part in (inner, outer)]
    return np.concatenate(laid, axis=2), inner.shape[2]


def _encoded(own: Arrays, where: str) -> int:
    """How many units of lfads-torch's recon_data are in its encod_data."""
    whole, part = own[_WHOLE], own.get(_ENCODED)
    if part is None or part.ndim != 3:
        return whole.shape[2]
    fits = all(mine >= yours for mine, yours in zip(whole.shape, part.shape, strict=True))
    same = fits and np.array_equal(whole[:, : part.shape[1], : part.shape[2]], part, equal_nan=True)
    require(
        same,
        f"{where}: {_ENCODED} {list(part.shape)} is no part of {_WHOLE} {list(whole.shape)}; leave "
        "one of them out",
    )
    return part.shape[2]


def _with_forward(own: Arrays, name: str, where: str) -> np.ndarray:
    first, ahead = own[name].astype(np.float32), own.get(f"{name}_forward")
    if ahead is None:
        return first
    require(
        ahead.ndim == 3 and ahead.shape[::2] == first.shape[::2],
        f"{where}: {name} is {list(first.shape)}, its forward bins {list(ahead.shape)}; expected "
        "the same trials and units",
    )
    return np.concatenate([first, ahead.astype(np.float32)], axis=1)


def _grown(cube: np.ndarray, bins: int, units: int) -> np.ndarray:
    """With as many bins and units, NaN where there were none."""
    more = (0, 0), (0, bins - cube.shape[1]), (0, units - cube.shape[2])
    return np.pad(cube, more, constant_values=np.nan)


def _split_codes(order: list[str], number: list[int]) -> np.ndarray:
    test = "eval" if "eval" in order else "valid"
    code = {"train": 0, "valid": 1, test: 2}
    split = np.repeat([code[name] for name in order], number).astype(np.int8)
    if 1 not in split:
        split[np.flatnonzero(split == 0)[_EVERY // 2 :: _EVERY]] = 1
    return split


def _places(given: list[np.ndarray | None], number: list[int]) -> np.ndarray:
    """Order of the trials in the session, where the file says it (LFADS's train_inds, from 0 or
    1); else as they come."""
    total = sum(number)
    as_they_come = np.arange(total)
    if any(inds is None or inds.size != n for inds, n in zip(given, number, strict=True)):
        return as_they_come
    inds = np.concatenate([np.ravel(part) for part in given])
    if inds.dtype.kind not in "iuf" or len(np.unique(inds)) != total:
        return as_they_come
    return np.argsort(inds, kind="stable")


def _column(parts: list[np.ndarray | None], trials: list[int], bins: int) -> np.ndarray | None:
    """Values of every trial, [trials] or [trials, bins, dims]; NaN where a split has none. None for
    what is neither."""
    shape = next(part.shape for part in parts if part is not None)
    rank, made = len(shape), []
    for part, number in zip(parts, trials, strict=True):
        part = np.full((number, *shape[1:]), np.nan) if part is None else part
        fits = part.ndim == rank and part.shape[2:] == shape[2:] and part.dtype.kind in "biuf"
        if not fits or rank not in (1, 3) or len(part) != number:
            return None
        if rank == 3 and part.shape[1] > bins:
            return None
        made.append(part if rank == 1 else _grown(part.astype(np.float32), bins, shape[2]))
    return np.concatenate(made)
