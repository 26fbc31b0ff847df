"""The processes that train together, and the tables that they share."""
