"""The report of a graph: what construction met on its way (`trace`), and what the folder holds."""
