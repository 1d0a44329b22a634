"""Deterministic simulation: the product's own code in virtual time, in a seeded order, with faults at every await."""
