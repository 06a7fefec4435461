"""Going through the values of a namespace in Redis, bounded.

The cache itself never does this: `SCAN` looks at every key of the server, whosever it is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from overdrive._tiers.l2.step import Step

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from overdrive._tiers.command.places import Redis

__all__ = ("MOST_LOOKED_AT", "Scan")

# Keys of the server, of any namespace, that one command looks at.
MOST_LOOKED_AT = 10_000_000
_PAGE = 1000
# https://redis.io/docs/latest/commands/keys/: what has a meaning in a pattern.
_SPECIAL = re.compile(rb"([*?\[\]\\^-])")


class Scan:
    """The keys of a namespace that have a value.

    Args:
        redis: where.
        prefix: what they begin with.

    Attributes:
        is_complete: whether all of them have been seen.
    """

    def __init__(self, redis: Redis, prefix: bytes = b"") -> None:
        self._redis = redis
        self._pattern = _SPECIAL.sub(rb"\\\1", redis.steps.values + prefix) + b"*"
        self.is_complete = False

    def __iter__(self) -> Iterator[bytes]:
        """Yield each key once, in no order.

        Raises:
            TierUnavailable: Redis does not answer.
        """
        skipped = len(self._redis.steps.values)
        seen: set[bytes] = set()
        cursor, pages = b"0", 0
        while pages * _PAGE < MOST_LOOKED_AT:
            cursor, names = self._redis.tier.call(self._page(cursor))
            pages += 1
            for name in names:
                # A table that is being resized shows some keys twice.
                if name not in seen:
                    seen.add(name)
                    yield name[skipped:]
            if cursor == b"0":
                self.is_complete = True
                return

    def _page(self, cursor: bytes) -> Step[Any]:
        return Step("scan", _same, ("SCAN", cursor, "MATCH", self._pattern, "COUNT", _PAGE))


def _same(reply: Any) -> Any:
    return reply
