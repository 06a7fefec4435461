"""User code that does its worst while the cache calls it: each test runs in a child process."""
