"""Where a user's caches are kept unless something else is said."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from overdrive.exceptions import ConfigError

__all__ = ("user_directory",)


def user_directory() -> Path:
    """Return the directory for the caches of the current user; nothing is made.

    It is below `$XDG_CACHE_HOME`, which is `~/.cache` unless set, below `~/Library/Caches` on macOS, and below
    `%LOCALAPPDATA%` on Windows. Never in a directory that other users can write to: whoever could put entries there
    would decide what the cache returns.

    Raises:
        ConfigError: the user has no home.
    """
    return _caches() / "overdrive"


def _caches() -> Path:
    platform = sys.platform  # by another name, as type checkers would leave out the other branches
    named = os.environ.get("LOCALAPPDATA" if platform == "win32" else "XDG_CACHE_HOME", "")
    # The specification says to ignore relative ones.
    if named and Path(named).is_absolute():
        return Path(named)
    try:
        home = Path.home()
    except RuntimeError:
        raise ConfigError(
            "cache_dir must be given, or disk=False, since the current user has no home directory "
            "(or set OVERDRIVE_CACHE_DIR or OVERDRIVE_DISK=false)"
        ) from None
    if platform == "win32":
        return home / "AppData" / "Local"
    return home / "Library" / "Caches" if platform == "darwin" else home / ".cache"
