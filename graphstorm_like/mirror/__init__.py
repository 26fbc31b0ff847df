"""Folders that are kept equal with a store behind a URL: publish, pull, watch, lock. Pipelines are not known here.

A folder in a store is what its manifest, published.json, names; other objects are leftovers of a transfer. The manifest
is written last, by one request, so that a reader sees the old folder or the new one.
"""
