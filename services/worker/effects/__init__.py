"""The effect interpreters: the only place where LinkFlow touches the outside world on behalf of a node."""
