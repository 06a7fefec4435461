"""How values are written outside of memory.

- `codec`: a namespace's values as envelopes, and back.
- `serializers`: what writes a value, by number; `automatic` chooses by the value, `typed` by a declared type.
- `messages` (msgspec), `arrays` (numpy and other buffers), `pickles`: the formats of others.
- `negative`: that there is no value; `schema`: which code wrote it; `blame`: where a value is at fault.
- `secrets`: keys from what users configure; `alarm`: telling of envelopes that somebody forged.
"""
