"""Schedules: when a workflow starts by itself, and why it did not."""
