"""Models counted on paper, for the tests of budgets and plans."""

from lada.ops.budget import Inventory, Matrix

# Target, then Table 2 of the paper: embedding, svd, pruning.
TABLE_2 = [(2.5, 1.43, 2.0, 1.56), (5.0, 2.05, 2.0, 3.41), (7.5, 5.0, 2.0, 4.33),
           (10.0, 5.0, 2.5, 5.45)]  # fmt: skip


def bert(
    vocabulary: int, width: int, layers: int, inner: int, classes: int = 2, positions: int = 512
) -> Inventory:
    """A BERT classifier counted on paper."""
    matrices = [Matrix("words", vocabulary, width, embedding=True)]
    for i in range(layers):
        matrices += [Matrix(f"{i}.{x}", width, width) for x in ("q", "k", "v", "o")]
        matrices += [Matrix(f"{i}.up", inner, width), Matrix(f"{i}.down", width, inner)]
    whole = {
        "position embeddings": positions * width,
        "type embeddings": 2 * width,
        "LayerNorm": 2 * width * (1 + 2 * layers),
        "biases": layers * (5 * width + inner),
        "pooler": width * (width + 1),
        "classifier": classes * (width + 1),
    }
    return Inventory(tuple(matrices), whole)


def bert_base() -> Inventory:
    """bert-base-uncased with three classes, every number written out."""
    layers = [
        Matrix(f"{i}.{name}", rows, cols)
        for i in range(12)
        for name, rows, cols in (
            ("query", 768, 768), ("key", 768, 768), ("value", 768, 768), ("output", 768, 768),
            ("up", 3072, 768), ("down", 768, 3072),
        )
    ]  # fmt: skip
    whole = {
        "position embeddings": 393_216,
        "type embeddings": 1_536,
        "LayerNorm": 38_400,
        "biases": 82_944,
        "pooler": 590_592,
        "classifier": 2_307,
    }
    return Inventory((Matrix("words", 30_522, 768, embedding=True), *layers), whole)


def minilm() -> Inventory:
    """all-MiniLM-L6 with two classes, every number written out."""
    layers = [
        Matrix(f"{i}.{name}", rows, cols)
        for i in range(6)
        for name, rows, cols in (
            ("query", 384, 384), ("key", 384, 384), ("value", 384, 384), ("output", 384, 384),
            ("up", 1536, 384), ("down", 384, 1536),
        )
    ]  # fmt: skip
    whole = {
        "position embeddings": 196_608,
        "type embeddings": 768,
        "LayerNorm": 9_984,
        "biases": 20_736,
        "pooler": 147_840,
        "classifier": 770,
    }
    return Inventory((Matrix("words", 30_522, 384, embedding=True), *layers), whole)


BASE, MINILM = bert_base(), minilm()
# 1000 word entries, 2 x 500 encoder entries, 100 whole: 2100 in all.
TOY = Inventory(
    (Matrix("words", 100, 10, True), Matrix("a", 25, 20), Matrix("b", 20, 25)), {"rest": 100}
)
