"""The classes that there is something to compare with."""

from __future__ import annotations

import cachetools
import pytest

from tests.contracts.kinds import KINDS, Kind


@pytest.fixture(params=[kind for kind in KINDS if hasattr(cachetools, kind.name)], ids=repr)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each cache class that cachetools has, in turn."""
    return request.param  # type: ignore[no-any-return]
