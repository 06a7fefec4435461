"""What each cache class does beyond the shared contract."""
