"""Values come back from a snapshot as they were."""

from __future__ import annotations

import subprocess
import sys
from decimal import Context, localcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from overdrive._snapshots import load_records, save_records
from tests.snapshots.values import HASHABLE, SAMPLES, VALUES, same


def through(value: Any, folder: Path) -> Any:
    """Save a value and load it again."""
    path = folder / "value.snapshot"
    save_records(path, [("key", value, None, None, False, None)], meta={})
    [record] = load_records(path).records
    assert record[0] == "key"
    return record[1]


@pytest.mark.parametrize("value", SAMPLES, ids=lambda value: type(value).__name__)
def test_every_supported_type(value: Any, tmp_path: Path) -> None:
    assert same(value, through(value, tmp_path))
    assert same([{"in": (value,)}], through([{"in": (value,)}], tmp_path))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=200)
@given(value=VALUES)
def test_any_value(value: Any, tmp_path: Path) -> None:
    assert same(value, through(value, tmp_path))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(key=HASHABLE)
def test_any_key(key: Any, tmp_path: Path) -> None:
    path = tmp_path / "keys.snapshot"
    save_records(path, [(key, None, None, None, False, None)], meta={})
    assert same(key, load_records(path).records[0][0])


def test_the_decimal_context_of_the_reader_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "decimal.snapshot"
    value = SAMPLES[[str(sample) for sample in SAMPLES].index("1E+999999")]
    with localcontext(Context(prec=1, capitals=0, Emax=9, Emin=-9)):
        save_records(path, [("key", value, None, None, False, None)], meta={})
        [record] = load_records(path).records
    assert str(record[1]) == "1E+999999"


ARRAYS = [
    np.arange(12, dtype=np.int16).reshape(3, 4),
    np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    np.arange(24)[::3],
    np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2),
    np.zeros((0, 3), dtype=np.float32),
    np.array(5, dtype=np.uint8),
    np.array([True, False]),
    np.array([1 + 2j, np.nan]),
    np.array([1, 2], dtype=">i4"),
    np.array([1.5, -0.0], dtype=np.float16),
    np.array(["2026-11-25", "NaT"], dtype="M8[ns]"),
    np.array([3, 4], dtype="m8[25s]"),
    np.array(["snow ☃", ""], dtype=np.str_),
    np.array([b"ab", b""], dtype=np.bytes_),
    np.broadcast_to(np.arange(3), (4, 3)),
]


@pytest.mark.parametrize("value", ARRAYS, ids=lambda value: f"{value.dtype}-{value.shape}")
def test_arrays(value: Any, tmp_path: Path) -> None:
    twin = through(value, tmp_path)
    assert type(twin) is np.ndarray
    assert (twin.dtype, twin.shape) == (value.dtype, value.shape)
    assert twin.tobytes() == value.tobytes()
    assert twin.flags.writeable
    if value.flags.f_contiguous:
        assert twin.flags.f_contiguous


SCALARS = [
    np.float64(-0.0),
    np.float32(1.5),
    np.int8(-3),
    np.uint64(2**64 - 1),
    np.bool_(True),
    np.complex64(1 - 1j),
    np.datetime64("2026-11-25T05:05", "m"),
    np.timedelta64(7, "D"),
    np.str_("text with NULs\0\0"),
    np.str_(""),
    np.bytes_(b"bytes\0"),
]


@pytest.mark.parametrize("value", SCALARS, ids=repr)
def test_scalars(value: Any, tmp_path: Path) -> None:
    twin = through(value, tmp_path)
    assert type(twin) is type(value)
    assert (twin.dtype, twin.tobytes()) == (value.dtype, value.tobytes())
    assert repr(twin) == repr(value)


def test_numpy_is_imported_only_for_its_values(tmp_path: Path) -> None:
    save_records(tmp_path / "plain", [("key", [1, "a"], None, None, False, None)], meta={})
    save_records(tmp_path / "array", [("key", np.arange(3), None, None, False, None)], meta={})
    script = """
import sys
from overdrive._snapshots import load_records, save_records
folder = sys.argv[1]
save_records(folder + "/again", load_records(folder + "/plain").records, meta={})
heavy = {"numpy", "decimal", "datetime", "uuid", "zoneinfo", "pickle"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
load_records(folder + "/array")
assert "numpy" in sys.modules
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
