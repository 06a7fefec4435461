"""What the logic asks of Redis: one command or one script, and what its reply means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from overdrive._tiers.l2.script import Script

    Argument: TypeAlias = bytes | str | int

__all__ = ("Step",)

T = TypeVar("T")


class Step(NamedTuple, Generic[T]):
    """One request of L2, that is sent and answered as a whole.

    Attributes:
        name: what it is called in statistics.
        command: a command and its arguments; empty for a script.
        script: the script to run, if it is one.
        keys: the keys that the script touches, all of one slot of a cluster.
        args: its arguments.
        parse: makes the result of the reply.
        idempotent: whether it may be sent again if a connection breaks before the reply.
    """

    name: str
    parse: Callable[[Any], T]
    command: tuple[Argument, ...] = ()
    script: Script | None = None
    keys: tuple[bytes, ...] = ()
    args: tuple[Argument, ...] = ()
    idempotent: bool = True
