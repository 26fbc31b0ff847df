"""One hash for everything that a result depends on: configurations, versions, hashes of files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any


def hash_facts(facts: Mapping[str, Any]) -> str:
    """Hex digits (128 bits) that are equal for equal facts; the order of keys, at any depth, does not matter.

    Facts must be plain JSON, else TypeError. Lists keep their order, and 1 and 1.0 differ.
    """
    return blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16).hexdigest()
