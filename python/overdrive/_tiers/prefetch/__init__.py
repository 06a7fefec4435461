"""Prefetching: what will be asked for next, within a budget, and only while it is of use."""
