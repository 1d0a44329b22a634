"""Planted bugs: each patch in this folder breaks one rule, and the test that its line in `catalog.py` names must fail.

    python -m tests.torture.teeth                 all of them, and a table
    python -m tests.torture.teeth --seconds 120   as many as fit, another part of them each day

The patches are applied to a copy of the tree; the product has no switches for them.
"""
