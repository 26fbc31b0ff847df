from __future__ import annotations

from graphstorm_like.ranks.names import TableNames


def test_names_are_new_and_the_same_on_every_rank() -> None:
    """Each rank counts for itself: equal orders give equal names."""
    ranks = [TableNames(), TableNames()]
    names = [[rank.new(kind) for kind in ("rows", "tokens:title", "rows")] for rank in ranks]
    assert names == [["rows:0", "tokens:title:0", "rows:1"]] * 2
