"""Read models: pure functions from commits to row operations, one folder each, with their tables and queries.

`catalog` lists them, `facts` is what they see of the log, `operations` what they answer, `merge` makes few writes of
many operations, `memory` carries operations out for tests; PostgreSQL's side is services/projector. To change a rule
or a table: change it and raise the projection's VERSION; the projector rebuilds it beside the live one and switches.
"""
