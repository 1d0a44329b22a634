"""What LinkFlow's expressions offer beyond JavaScript: functions of strings, numbers, arrays, objects and dates.

Each is in the registry with its signature, documentation and worked examples: those are tests and make
docs/expressions.md.
"""
