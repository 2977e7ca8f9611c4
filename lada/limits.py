"""The most that some numbers of the config may be: what this machine, or any, can do."""

import os

FLOAT32 = 3.4e38
"""The largest number that a tensor of fp32 holds, rounded down."""

ROUNDS = 10_000
"""Rounds of a plan."""

LEAST = 8
"""Processes or threads that are allowed whatever the machine."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_gb() -> int:
    """Memory of this machine in 10^9 bytes, at least 1."""
    try:
        return max(1, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 10**9)
    except (AttributeError, ValueError, OSError):
        return 64


def threads() -> float:
    """The most threads, or processes that make batches."""
    return max(LEAST, 4 * cores())


def why_threads() -> str:
    """The reason for `threads`."""
    return f"four for each core that this process may use, of which there are {cores()}"


def processes() -> float:
    """The most processes of a training on this machine."""
    return max(LEAST, 2 * cores(), memory_gb())


def why_processes() -> str:
    """The reason for `processes`."""
    return f"each takes 1 GB or more, and there are {cores()} cores"
