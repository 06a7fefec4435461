"""The testing kit: `overdrive.testing` and the plugin for pytest."""
