"""The decorator `memoize`, and what it consists of.

- `decorator`: its arguments; `options`: their meaning, checked.
- `function`, `method`: what decorated functions offer.
- `threads`, `tasks`: calls that are not answered natively, of functions and of coroutine functions.
- `lifetimes`: how long results live; the same for both.
- `flight`: how one call waits for another one's result.
- `signatures`, `freezing`: keys from signatures and of unhashable arguments.
- `registry`: all memoized functions.
"""

from __future__ import annotations

from overdrive._memoize.decorator import memoize

__all__ = ("memoize",)
