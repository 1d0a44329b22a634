"""Logs, metrics and traces of all roles. Each is off or cheap unless asked for."""
