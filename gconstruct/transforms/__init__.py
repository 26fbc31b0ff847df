"""Feature transforms: how a column becomes numbers. One file each, found by the class of its configuration."""
