"""Which kind of recording a file or folder seems to be: a look at names and headers, never at the
data. What is damaged is recognised as nothing."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from neurojax.data.readers import hdf5, ibl_one, nwb_file
from neurojax.data.readers.mat_layouts import found_options
from neurojax.data.readers.matlab_values import described, load_matlab
from neurojax.data.readers.registry import MODULES, reader_of
from neurojax.data.readers.seen import below, npz_names
from neurojax.data.readers.sorting_folders import is_sorting
from neurojax.data.store.array_files import open_input
from neurojax.errors import InputError

_WINDOWS = "--window_s=2"
_MAT_BYTES = 2**26  # of a MATLAB file that is looked into
_MOST_LOOKED_AT = 20  # folders below one
_Look = Callable[[str], str | None]  # path -> what was seen of a kind


class Guess(NamedTuple):
    """What a path seems to be.

    Attributes:
        kind: of `readers.registry`.
        why: what was seen.
        options: words of the command line that it would need.
        paths: to convert: the path itself, or the folders below it that hold recordings.
    """

    kind: str
    why: str
    options: tuple[str, ...]
    paths: tuple[str, ...]


def guesses(path: str) -> list[Guess]:
    """Kinds that a path may be, likeliest first; none raises on damage.

    A reader's `recognises(path)` says what it saw, or None; words in it that begin with `--` are
    options that the command needs.
    """
    found = _guesses(path, (path,))
    if found or not Path(path).is_dir():
        return found
    # Kinds of one file each do not look below a folder: its folders are the paths then.
    folders = sorted({str(entry.parent) for entry in below(Path(path))} - {path})
    for folder in folders[:_MOST_LOOKED_AT]:
        if found := _guesses(folder, ()):
            told = [[own.kind for own in _guesses(one, ())] for one in folders[:_MOST_LOOKED_AT]]
            fitting = [one for one, own in zip(folders, told, strict=False) if found[0].kind in own]
            why = f"{len(fitting)} folders below it, such as {folder}: {found[0].why}"
            return [found[0]._replace(why=why, paths=tuple(fitting))]
    return []


def _guesses(path: str, paths: tuple[str, ...]) -> list[Guess]:
    found = []
    for kind in dict.fromkeys((*_LOOKS, *MODULES)):
        look = getattr(reader_of(kind), "recognises", _LOOKS.get(kind, lambda path: None))
        try:
            why = look(path) or ""
        except Exception:  # a damaged file may raise anything; it is of no kind then
            continue
        options = (word.strip("(),;") for word in why.split() if word.startswith(("--", "(--")))
        if why:
            found.append(Guess(kind, why, tuple(options), paths))
    return found


def _of_folder(path: str, suffixes: tuple[str, ...], look: _Look) -> str | None:
    """What a look sees in a file, or in the first files of a folder."""
    place = Path(path)
    if not place.is_dir():
        return look(path) if place.suffix.lower() in suffixes else None
    entries = [entry for entry in place.iterdir() if entry.suffix.lower() in suffixes]
    for entry in sorted(entries)[:3]:
        if entry.is_file() and (why := look(str(entry))):
            number = f"{len(entries)} {entry.suffix} file{'s' * (len(entries) != 1)}"
            return f"{number}, such as {entry.name}: {why}"
    return None


def _emg(file: str) -> str | None:
    held = {"emg", "segment_offsets", "gesture"} <= npz_names(Path(file))
    return "an archive with emg and segment_offsets" if held else None


def _arrays(path: str) -> str | None:
    return (
        _of_folder(path, (".npz",), lambda file: _told_arrays(npz_names(Path(file))))
        or _of_folder(path, (".mat",), lambda file: _told_arrays(set(_mat_root(file))))
        or _of_folder(path, (".h5", ".hdf5"), _tensors)
    )


def _told_arrays(names: set[str]) -> str | None:
    if "counts" in names:
        bins = "" if "bin_size_s" in names else ", no bin_size_s (--options=bin_size_s=0.02)"
        return f"arrays with counts{bins}"
    if {"spike_times_s", "spike_units"} <= names:
        trials = "" if names & {"trial_start_s"} else f", no trials ({_WINDOWS})"
        return f"arrays with spike_times_s and spike_units{trials}"
    return None


def _tensors(file: str) -> str | None:
    with hdf5.open_hdf5(file) as content:
        names = set(content)
        if told := _told_arrays(names):
            return told
        splits = [name for name in names if name.partition("_")[0] in ("train", "eval", "valid")]
        rest = {name.partition("_")[2] for name in splits}
        if rest & {"spikes_heldin", "data", "data_heldin", "spikes", "encod_data", "recon_data"}:
            dt = names & {"bin_size_s", "dt", "bin_width_s", "bin_size", "bin_width"}
            bins = "" if dt else " and no bin size (--options=bin_size_s=0.005)"
            return f"tensors {', '.join(sorted(splits)[:4])}{bins}"
    return None


def _mat_root(file: str) -> dict[str, Any]:
    return load_matlab(Path(file)) if Path(file).stat().st_size <= _MAT_BYTES else {}


def _mat(file: str) -> str | None:
    root = _mat_root(file)
    if _told_arrays(set(root)):
        return None  # which `arrays` reads too
    entries = sorted(described(root), key=_likely, reverse=True)
    held = f"MATLAB values {', '.join(entries[:8])}"
    try:
        found = found_options(root, file)
    except InputError:
        return f"{held}; {_likeliest(entries)}"
    read_as = " ".join(f"{name}={value}" for name, value in found.items())
    return f"{held}; read as {read_as} ({_WINDOWS})"


def _likeliest(entries: Sequence[str]) -> str:
    """What may hold the spikes, and the options that say so."""
    for entry in entries:
        name, _, what = entry.partition(" ")
        if " x " in what and what.startswith("cell of"):
            return (
                f"spike times of trials and units may be in {name}, check axes and window "
                f"(--options=spikes={name},axes=trials:units,window=0:1)"
            )
        if " in each of " in entry or what.startswith("cell of"):
            return f"spike times may be in {name} (--options=spikes={name} {_WINDOWS})"
        num_axes = what.count(",") + 1
        if num_axes in (2, 3) and min(map(int, what.strip("[]").split(","))) > 1:
            axes, cut = ("trials:bins:units", "") if num_axes == 3 else ("units:bins", _WINDOWS)
            options = f"--options=counts={name},axes={axes},bin_size_s=0.02 {cut}".rstrip()
            return f"spikes per bin may be in {name}, check axes and bin size ({options})"
    return "say what holds the spikes (--options=spikes=PATH)"


def _likely(entry: str) -> int:
    name = entry.partition(" ")[0].lower()
    words = ("spike", "spk", "count", "raster", "binned", "times")
    return sum(word in name for word in words)


def _phy(path: str) -> str | None:
    folders = [Path(path), *sorted({entry.parent for entry in below(Path(path))})]
    sortings = [folder for folder in folders if is_sorting(folder)]
    if not sortings:
        return None
    first = sortings[0]
    names = sorted(entry.name for entry in first.iterdir())
    told = "a sorting" if first == Path(path) else f"{len(sortings)} sortings, such as {first.name}"
    if not any(name.startswith("trials.") for name in names):
        told += f", no table of trials ({_WINDOWS})"
    if "spike_times.npy" in names and "params.py" not in names:
        told += ", no params.py (--options=sample_rate_hz=30000)"
    return f"{told}; with {', '.join(names[:4])}"


def _ibl(path: str) -> str | None:
    if ibl_one.is_eid(path):
        return "a session id of the International Brain Laboratory, fetched through ONE"
    files = list(below(Path(path)))
    spikes = [f for f in files if f.name.startswith("spikes.times") and f.suffix == ".npy"]
    trials = any("trials." in file.name for file in files)
    windows = "" if trials else f", no trials ({_WINDOWS})"
    return f"ALF files, such as {spikes[0].relative_to(path)}{windows}" if spikes else None


def _brainwide(file: str) -> str | None:
    with hdf5.open_hdf5(file) as content:
        fits = {"spikes", "units"} <= set(content) and "nwb_version" not in content.attrs
        if not fits or "timestamps" not in content["spikes"]:
            return None
        domains = any(name.endswith("_domain") for name in content)
        split = "" if domains else ", no split domains (--split=random)"
        return f"HDF5 with the groups spikes and units{split}"


def _nwb(path: str) -> str | None:
    return None if _nlb(path) else _nwb_look(path)


def _nlb(path: str) -> str | None:
    why = _nwb_look(path)
    return why if why and "held out" in why else None


def _nwb_look(path: str) -> str | None:
    if urlsplit(path).scheme in ("http", "https", "s3"):
        is_nwb = (
            urlsplit(path).path.rstrip("/").endswith((".nwb", ".nwb.zarr", "/download", "/content"))
        )
        return "an address of an NWB file" if is_nwb else None
    root = Path(path)
    if root.is_dir() and not nwb_file.is_zarr(root):
        found = [entry for entry in below(root) if entry.suffix == ".nwb"]
        told = next(filter(None, (_nwb_look(str(entry)) for entry in found[:2])), None)
        return None if told is None else f"{len(found)} files .nwb, such as {found[0].name}: {told}"
    if root.suffix != ".nwb" and not nwb_file.is_zarr(root):
        with open_input(root) as file:
            if not file.read(8).startswith(b"\x89HDF"):
                return None
    with nwb_file.open_nwb(path) as file:
        units, trials = nwb_file.entry(file, "units"), nwb_file.entry(file, "intervals/trials")
        windows = "" if trials is not None else f" and no table of trials ({_WINDOWS})"
        if units is not None and "spike_times" in units:
            heldout = " (some held out)" if "heldout" in units else ""
            return f"NWB with a table of {len(units['id'])} units{heldout}{windows}"
        traces = [name for name, _ in nwb_file.walk(file) if _is_traces(name)]
        if traces:
            named = "/".join(traces[0].split("/")[-3:-1])
            return f"NWB with traces of cells{windows} (--options=traces={named})"
        return f"NWB without sorted units{windows}; nothing in it can be binned"


def _is_traces(name: str) -> bool:
    return name.endswith("/data") and any(word in name for word in ("DfOverF", "Fluorescence"))


def _in_files(look: _Look, *suffixes: str) -> _Look:
    return lambda path: _of_folder(path, suffixes, look)


_LOOKS: dict[str, _Look] = {  # a reader's own goes before
    "nlb": _nlb,
    "nwb": _nwb,
    "phy": _phy,
    "ibl": _ibl,
    "emg": _in_files(_emg, ".npz"),
    "brainwide": _in_files(_brainwide, ".h5", ".hdf5"),
    "arrays": _arrays,
    "mat": _in_files(_mat, ".mat"),
}
