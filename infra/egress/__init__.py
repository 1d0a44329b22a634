"""The egress guard: the one way out. Who connects to what a user named connects through it, to a judged address."""
