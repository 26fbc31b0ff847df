"""Work on tables that do not fit into memory: columns, ids and edges that go to disk when a budget is used up."""
