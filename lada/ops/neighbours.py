"""The nearest rows of a table."""

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 1024
"""Rows compared at a time, to bound memory."""


def nearest(table: Tensor, rows: Tensor, among: Tensor, count: int) -> Tensor:
    """The rows of the largest cosine with each of some rows, themselves left out.

    Args:
        table: (n, width).
        rows: numbers of rows, (r,) int64.
        among: numbers of the rows that may be found, (a,) int64, each once, at least two.
        count: how many are found; fewer, where there are fewer.

    Returns:
        Numbers of rows, (r, count), the nearest first.

    Example:
        >>> table = torch.tensor([[1.0, 0.0], [2.0, 0.1], [0.0, 3.0], [0.1, 0.1]])
        >>> nearest(table, torch.tensor([0, 2]), torch.arange(4), 2).tolist()
        [[1, 3], [3, 1]]
    """
    unit = F.normalize(table.float(), dim=-1)
    others, most = unit[among], min(count, len(among) - 1)
    found = [among.new_empty(0, most)]
    for part in rows.split(CHUNK):
        cosines = unit[part] @ others.T
        cosines = cosines.masked_fill(part[:, None] == among[None, :], -2.0)
        found.append(among[cosines.topk(most).indices])
    return torch.cat(found)
