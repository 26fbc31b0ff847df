"""Two graph folders -> one: an application's graph with its neighbourhood in a corpus."""

from gconstruct.stitching.run import fingerprint, read_report, stitch

__all__ = ["fingerprint", "read_report", "stitch"]
