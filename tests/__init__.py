"""Tests: one folder a package of `failover`, and `servers` for the real servers that adapters are tested on."""
