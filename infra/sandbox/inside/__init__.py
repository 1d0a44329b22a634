"""What runs inside the sandbox: the standard library and the engines, nothing of LinkFlow."""
