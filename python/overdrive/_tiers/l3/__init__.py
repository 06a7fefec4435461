"""The third tier: the disk, which outlives the process."""
