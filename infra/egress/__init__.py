"""The egress guard: the one way out. Who connects to what a user named connects through it, to a judged address."""

from infra.egress.guard import Address, EgressGuard, EgressRefused
from infra.egress.targets import Target, parse_target

__all__ = ["Address", "EgressGuard", "EgressRefused", "Target", "parse_target"]
