"""The joint engine: one placement of all demands over all sites under shared capacity. `solve(problem) -> Solution`.

Pure numbers over frozen values: it knows no cluster, no policy document and no verdict; who calls it translates. Nothing
here reads a clock or draws a random number: what looks random is a hash of names.
"""

from failover.planner.joint.problem import Problem
from failover.planner.joint.solution import Placement
from failover.planner.joint.solve import Engine, solve
from failover.planner.joint.survivability import survivability, survive

__all__ = ["Engine", "Placement", "Problem", "solve", "survivability", "survive"]
