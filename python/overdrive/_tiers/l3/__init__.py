"""The third tier: the disk, which outlives the process.

- `tier`: `DiskTier`, what the rest of the cache calls; `entries`: what it does inside; `row`, `report`: its answers.
- `store`: the shards together, and the reactions to a failing disk; `condition`, `doomed`: its memory of failures.
- `shard`, `sessions`, `schema`: one SQLite file, the connections of a thread, the tables; `engine`: the bindings.
- `blobs`: large values; `writer`: write-behind; `upkeep`, `space`: limits; `directory`: who uses the place.
"""
