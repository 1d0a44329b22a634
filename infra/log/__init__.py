"""The log: port, three implementations, and how to open the one that the settings name."""
