"""Integrations: other services, each described in a few dozen lines and compiled to an ordinary node type.

shape.py says what a description consists of, compiling.py turns it into a NodeType, registry.py lists them.
How to write one: docs/nodes/writing-a-node.md.
"""
