"""The kinds of compressed layers, by the names that an artifact's config gives them."""

KINDS = ("factors", "masked", "residual")

RANKED = ("factors", "residual")
"""Kinds that have a rank."""
