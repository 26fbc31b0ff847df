"""Tables -> a first pipeline: what looks like ids, links, texts, labels, with the reason for each."""
