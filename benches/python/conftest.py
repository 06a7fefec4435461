"""Lets pytest find the benchmarks, which are named `bench_*.py`, and hands it nothing else."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("python_files", "bench_*.py")
