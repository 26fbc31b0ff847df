"""Tables for every engine: which files and columns are read (plan), and their rows with their places (table, read)."""
