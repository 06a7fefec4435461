"""Names of parametrized tests."""

from __future__ import annotations

import re


def shown(value: object) -> str:
    """Return the repr of a value without addresses: workers that run tests in parallel must agree on their names."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
