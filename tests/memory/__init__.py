"""Tests of `MemoryCache`, one idea per file; most of them run under every policy."""
