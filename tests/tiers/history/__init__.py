"""Histories of reads and writes by several processes, through faults, and how stale they were."""
