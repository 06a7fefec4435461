"""`overdrive cache`: looking into the tiers from the command line."""
