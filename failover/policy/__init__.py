"""Policy YAML: documents, loader with `file:line:column`, cross-reference checks, JSON Schema, and the compiled Policy.

Pure but for reading the files it is given. May not live here: anything that asks a cluster or a name server
(`failover validate --live` does that), and anything of the calendar but its entries and when they come due.
"""

from failover.policy.loader import LoadResult, load, load_directory, policy_files

__all__ = ["LoadResult", "load", "load_directory", "policy_files"]
