"""What simple models reach on the application.

Sections: TF-IDF of name and short line, LinearSVC; C chosen on validation. Recommendations: what is recommended most
often in training, and the nearest TF-IDF; filtered rank among all programs.

pip install scikit-learn
python training_scripts/graph_pretraining/baseline.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import accuracy_score, f1_score
from sklearn.preprocessing import normalize
from sklearn.svm import LinearSVC

TABLES = Path(__file__).parent / "tables"


def main() -> None:
    program = pq.read_table(TABLES / "program.parquet")
    recommends(program)
    program = program.filter(pc.is_valid(program["section"]))
    parts = {split: program.filter(pc.equal(program["split"], split)) for split in ("train", "valid", "test")}
    texts = {split: texts_of(part) for split, part in parts.items()}
    labels = {split: part["section"].to_pylist() for split, part in parts.items()}
    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2))
    train = words.fit_transform(texts["train"])
    models = [LinearSVC(C=c).fit(train, labels["train"]) for c in (0.1, 0.3, 1.0, 3.0)]
    valid = words.transform(texts["valid"])
    best = max(models, key=lambda model: accuracy_score(labels["valid"], model.predict(valid)))
    for split in ("valid", "test"):
        predicted = best.predict(words.transform(texts[split]))
        f1 = f1_score(labels[split], predicted, average="macro", zero_division=0)
        print(f"{split}: accuracy {accuracy_score(labels[split], predicted):.3f}, macro-F1 {f1:.3f}")
    print(f"{len(labels['train']):,} training labels, {len(labels['test']):,} test programs, C={best.C}")


def texts_of(program: pa.Table) -> list[str]:
    """Name and short line."""
    found: list[str] = pc.binary_join_element_wise(program["name"], program["short"], " ").to_pylist()
    return found


def recommends(program: pa.Table) -> None:
    """MRR and hits@10 of test edges; a source and its other known targets do not compete, ties count half."""
    index = {name: i for i, name in enumerate(program["name"].to_pylist())}
    edges = pq.read_table(TABLES / "recommends.parquet")
    source, target = (np.array([index[name] for name in edges[end].to_pylist()]) for end in ("source", "target"))
    split = np.array(edges["split"].to_pylist())
    words = normalize(TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)).fit_transform(texts_of(program)))
    popularity = np.bincount(target[split == "train"], minlength=len(index)).astype(float)
    ranks: dict[str, list[float]] = {"popularity": [], "nearest text": []}
    for s, t in zip(source[split == "test"], target[split == "test"], strict=True):
        others = np.append(target[source == s], s)
        others = others[others != t]
        for name, scores in (("popularity", popularity), ("nearest text", (words @ words[s].T).toarray()[:, 0])):
            line = np.delete(scores, others)
            ties = (line == scores[t]).sum() - 1
            ranks[name].append(1 + (line > scores[t]).sum() + ties / 2)
    for name, found in ranks.items():
        rank = np.array(found)
        print(
            f"recommends, {name}: MRR {(1 / rank).mean():.3f}, hits@10 {(rank <= 10).mean():.3f} of {len(rank)} edges"
        )


if __name__ == "__main__":
    main()
