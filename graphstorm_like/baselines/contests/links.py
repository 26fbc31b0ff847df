"""Links of one relation or of several."""

from __future__ import annotations

from collections.abc import Iterator

from graphstorm_like.baselines.base import CONTESTS, Around, Contest
from graphstorm_like.baselines.links.base import LINKS, LinkData
from graphstorm_like.baselines.links.relation import MOST_NODES
from graphstorm_like.tasks.link_training import LinkTask


@CONTESTS.register(LinkTask)
def of_links(task: LinkTask, around: Around) -> Iterator[Contest]:
    """One. None for node types whose nodes the ranking cannot number."""
    data = LinkData(task, around.seed, around.union)
    most = max(max(relation.shape) for relation in data.relations)
    if most > MOST_NODES:
        yield Contest(task, why_not=f"there must be at most {MOST_NODES:,} nodes a type (got {most:,})")
    else:
        yield Contest(task, LINKS, data)
