"""Several threads on one cache."""
