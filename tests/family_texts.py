"""Texts of words that the tokenizers of all families have; one of them decides the label."""

import random


def rows(name: str) -> list[dict[str, str]]:
    """300 examples of "train", or 60 of another split."""
    draw = random.Random(name)
    found = []
    for _ in range(300 if name == "train" else 60):
        said = draw.choices(("the", "soup", "was", "not"), k=draw.randint(2, 5))
        label = draw.choice(("fine", "poor"))
        if label == "poor":
            said.insert(draw.randrange(len(said) + 1), "bad")
        found.append({"text": " ".join(said), "label": label})
    return found
