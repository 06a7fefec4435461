"""What prefetching gains on recorded requests, and that it leaves alone what it cannot improve."""

from __future__ import annotations

import json
import os
from array import array
from pathlib import Path

import numpy as np
import pytest

from overdrive._core import RequestTrace
from overdrive._simulate.objects import from_buffer

pytestmark = pytest.mark.traces

FOLDER = Path(os.environ.get("OVERDRIVE_TRACES", Path(__file__).parents[4] / "shared" / "traces"))
# By trace, size and the requests that a load takes: the least hit ratio in percent.
GAINS = {("w106", 850, 1): 88, ("w106", 850, 8): 84, ("orm_busy", 1071, 1): 86, ("orm_busy", 1071, 8): 82}


def trace(name: str) -> RequestTrace:
    path = FOLDER / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"no {path.name} in {FOLDER}")
    return from_buffer(memoryview(array("Q", np.load(path)["keys"].tolist())))


@pytest.mark.parametrize(("name", "size", "delay"), GAINS)
def test_hits_are_gained_where_requests_repeat_in_order(name: str, size: int, delay: int) -> None:
    requests = trace(name)

    hits, issued, used, _, _ = requests.prefetch(size, delay)

    assert hits / len(requests) * 100 >= GAINS[name, size, delay]
    if delay == 1:
        assert used / issued >= 0.5


@pytest.mark.parametrize("name", ["corda", "web12", "zipf_scan"])
def test_nothing_is_lost_where_they_do_not(name: str) -> None:
    requests = trace(name)
    sizes = json.loads((FOLDER / "reference.json").read_text())["traces"][name]["sizes"]
    for size in map(int, sizes):
        plain, *_ = requests.prefetch(size, 1, ahead=False)
        hits, issued, *_ = requests.prefetch(size, 1)

        assert (plain - hits) / len(requests) * 100 <= 0.5, size
        assert issued / len(requests) <= 0.05, size
