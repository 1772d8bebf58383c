"""Policy YAML: documents, loader with `file:line:column`, cross-reference checks, JSON Schema, and the compiled Policy.

Pure but for reading the files it is given. May not live here: anything that asks a cluster or a name server
(`failover validate --live` does that), and anything of the calendar but the shape of its entries.
"""

from failover.policy.loader import LoadResult, load, load_directory

__all__ = ["LoadResult", "load", "load_directory"]
