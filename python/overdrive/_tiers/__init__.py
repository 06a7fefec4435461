"""Memory, Redis and disk as one cache.

- `cache`: `TieredCache`, what users call; `operations`: what it does, once for sync and async code.
- `l2`: Redis; `l3`: the disk; `values`: how values are written in both.
- `keys`: keys as bytes; `prefetch`: what will be asked for next; `command`: `overdrive cache`.
"""
