"""What must hold, checked on the log, the read models and the outside world; no code shared with the product's engine."""
