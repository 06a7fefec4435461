"""The second tier: Redis or Valkey, shared by all instances."""
