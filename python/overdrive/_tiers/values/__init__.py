"""How values are written outside of memory: serializers, and the envelope that they travel in."""
