"""Replaying traces: what would a policy and a size have made of these requests?

`run` is `overdrive.simulate`; `command` is the command line. Traces are read by `reading`, which knows the
kinds of files, from the pieces that `pieces` decompresses; `arrays` are those of NumPy, `objects` are Python's
own. `results` holds what came out, `advice` what to choose, `table` and `plot` show it.
"""
