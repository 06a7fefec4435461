"""The decorator `memoize` and its parts."""
