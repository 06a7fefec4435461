"""One contract, run on every cache class."""
