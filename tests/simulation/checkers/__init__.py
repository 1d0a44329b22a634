"""What must hold, checked on the log, the read models and the outside world; the product's engine is not asked."""
