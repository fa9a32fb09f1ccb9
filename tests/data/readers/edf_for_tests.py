"""Files in the European Data Format, written by hand for tests."""

import numpy as np


def edf(path, values, per_record, annotated=False, records=None):
    """A file of 1-s records in the European Data Format (.bdf: three bytes a sample), by hand.

    Args:
        values: whole numbers, channel -> [records, samples of a record].
        records: what the header says; default: as many as there are.
    """
    wide = path.suffix == ".bdf"
    names = list(values)
    count = len(values[names[0]])
    low, high = (-8388608, 8388607) if wide else (-32768, 32767)
    columns = [
        (names + ["EDF Annotations"] * annotated, 16), ([""], 80), (["uV"], 8), ([-400], 8), ([413], 8), ([low], 8),
        ([high], 8), ([""], 80), ([*(per_record[name] for name in names), *[20] * annotated], 8), ([""], 32),
    ]  # fmt: skip
    number = len(names) + annotated
    said = count if records is None else records
    head = f"{'0':<8}{'x':<80}{'x':<80}01.01.0101.01.01{256 * (number + 1):<8}{'EDF+C' if annotated else '':<44}"
    head += f"{said:<8}{1:<8}{number:<4}"
    for column, width in columns:
        column = column if len(column) == number else column * number
        head += "".join(f"{one!s:<{width}}" for one in column)
    content = bytearray(head.encode())
    for record in range(count):
        for name in names:
            whole = values[name][record].astype("<i4")
            content += whole.view(np.uint8).reshape(-1, 4)[:, :3].tobytes() if wide else whole.astype("<i2").tobytes()
        if annotated:
            text = b"+%d\x14\x14\x00" % record + (b"+%d.25\x14beep\x14\x00" % record if record % 2 else b"")
            content += text.ljust(40, b"\0")
    path.write_bytes(content)
    return path


def whole(records, **per_record):
    rng = np.random.default_rng(7)
    return {name: rng.integers(-30000, 30000, (records, number)) for name, number in per_record.items()}


def edf_of(folder, name="p.edf", annotated=True, records=9, **per_record):
    per_record = per_record or {"Fz": 50, "Cz": 50, "O1": 50}
    return edf(folder / name, whole(records, **per_record), per_record, annotated)
