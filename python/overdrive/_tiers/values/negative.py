"""That there is no value: None, and errors that are remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from overdrive._core import _decode_value, _encode_value
from overdrive._tiers.values.blame import name_of
from overdrive._tiers.values.serializers import BYTES, EXACT, Payload
from overdrive.exceptions import SerializationError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ("Errors", "Negative")

NULL: Final = 2  # the flag of envelopes


class Negative:
    """An error that a load ended with, as the result that is stored.

    Attributes:
        error: an exception of one of the types that the codec allows.
    """

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error: Final = error

    def __repr__(self) -> str:
        return f"Negative({self.error!r})"


class Errors:
    """Writes what is no value.

    Of an error, its type's name and its arguments are written. It is made again only if it is of one of the allowed
    types: nothing is imported, and nothing else is called.
    """

    def __init__(self, allowed: Iterable[type[BaseException]]) -> None:
        self._allowed: Final = {name_of(kind): kind for kind in allowed}

    def write(self, value: Negative | None, limit: int) -> Payload:
        """None, or an error, as a payload.

        Raises:
            SerializationError: if the error is of another type, or its arguments cannot be written.
        """
        if value is None:
            return Payload(BYTES, b"", NULL)
        error = value.error
        name = name_of(type(error))
        if self._allowed.get(name) is not type(error):
            raise SerializationError(f"an error of type {name} is not one of those that are stored")
        try:
            return Payload(EXACT, _encode_value((name, error.args), limit), NULL)
        except (TypeError, ValueError) as reason:
            raise SerializationError(f"the arguments of a {name} cannot be stored: {reason}") from reason

    def read(self, serializer: int, payload: bytes | memoryview) -> Any:
        """What `write` made a payload of.

        Raises:
            ValueError: if it is none, or an error of a type that is not allowed.
        """
        if serializer == BYTES and not len(payload):
            return None
        name, args = _decode_value(payload)
        kind = self._allowed.get(name)
        if serializer != EXACT or kind is None:
            raise ValueError(f"{name!r} is no error that is stored")
        return Negative(kind(*args))
