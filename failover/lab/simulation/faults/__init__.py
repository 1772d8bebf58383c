"""Faults by name. Each is one small function that breaks something and returns how to mend it (None: it happens at once).

To add one: write a function `(world) -> Undo | None` in the module of its area and put `@fault("name", ...)` above it.
"""

from . import clusters, controllers, names, paths, people, policies, vantages, workloads
from .registry import FAULTS, Fault, fault

__all__ = [
    "FAULTS",
    "Fault",
    "clusters",
    "controllers",
    "fault",
    "names",
    "paths",
    "people",
    "policies",
    "vantages",
    "workloads",
]
