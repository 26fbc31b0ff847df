"""Features of nodes that come from the graph's edges, not from columns: degrees and the like. One file each."""
