"""The Arrow engine: one process, tables in memory, every step a pass over whole columns."""
