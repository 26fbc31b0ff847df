"""What a run has done, for people: its report, and tables that compare runs. Reads run folders, and changes none of
their results."""
