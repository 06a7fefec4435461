"""Which code wrote a value: the user's `version=`, and what its `type=` looks like."""

from __future__ import annotations

import enum
from typing import Any, get_args, get_origin, get_type_hints

from overdrive._core import xxh3_64

__all__ = ("schema_id",)


def schema_id(version: int | str, of: Any = None) -> int:
    """The number in the header of envelopes. Envelopes that have another one are not read.

    It changes with `version`, and with the names and types of the fields of the type, at any depth; not with the
    module that the type is in. It is 0 without a version and a type.
    """
    if not version and of is None:
        return 0
    text = f"{type(version).__name__} {version}\n{_describe(of, set())}"
    return xxh3_64(text.encode()) & 0xFFFFFFFF or 1


def _describe(of: Any, seen: set[int]) -> str:
    origin = get_origin(of)
    if origin is not None:
        return f"{_describe(origin, seen)}[{', '.join(_describe(argument, seen) for argument in get_args(of))}]"
    if not isinstance(of, type):
        return repr(of)
    if issubclass(of, enum.Enum):
        return f"{of.__qualname__}({', '.join(f'{member.name}={member.value!r}' for member in of)})"
    has_fields = any(hasattr(of, name) for name in ("__dataclass_fields__", "__struct_fields__", "model_fields"))
    if not (has_fields or hasattr(of, "__annotations__")) or id(of) in seen:
        return of.__qualname__
    seen.add(id(of))
    try:
        hints = get_type_hints(of, include_extras=True)
    except NameError:  # a name that is known to type checkers alone
        hints = {name: str(hint) for kind in of.__mro__ for name, hint in vars(kind).get("__annotations__", {}).items()}
    described = ", ".join(f"{name}: {_describe(hint, seen)}" for name, hint in sorted(hints.items()))
    return f"{of.__qualname__}({described})"
