"""What must hold, checked on the log, the read models and the world outside; no code shared with the engine."""
