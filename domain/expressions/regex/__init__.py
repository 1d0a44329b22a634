"""JavaScript's regular expressions without catastrophic backtracking: parsed, compiled to a small program, matched
in a bounded number of steps. What has no backreference takes time linear in the text.
"""
