"""Simulated regions, a name server, faults, scenarios, and in-memory twins of every port.

Lives here: everything that stands in for the outside. May not live here: a rule, a verdict, or a placement; the lab runs
the shipped controller, and the shipped controller does not know that it is in a lab.
"""
