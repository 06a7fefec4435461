"""The same operations on overdrive and on cachetools, every answer compared."""
