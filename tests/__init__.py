"""The Python test suite of overdrive."""
