"""What a linear model reaches on the application: TF-IDF of name and short line, LinearSVC; C chosen on validation.

pip install scikit-learn
python training_scripts/graph_pretraining/baseline.py
"""

from __future__ import annotations

from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import accuracy_score, f1_score
from sklearn.svm import LinearSVC


def main() -> None:
    program = pq.read_table(Path(__file__).parent / "tables" / "program.parquet")
    program = program.filter(pc.is_valid(program["section"]))
    parts = {split: program.filter(pc.equal(program["split"], split)) for split in ("train", "valid", "test")}
    texts = {
        split: pc.binary_join_element_wise(part["name"], part["short"], " ").to_pylist()
        for split, part in parts.items()
    }
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


if __name__ == "__main__":
    main()
