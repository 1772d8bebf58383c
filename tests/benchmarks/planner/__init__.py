"""The joint planner's figures: seeded fleets, the linear programs' bounds, and what is measured against them."""
