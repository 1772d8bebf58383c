"""Clock, loop, leadership, deciding, running, commands and the calendar: wires core and adapters together.

Lives here: everything that happens over time. May not live here: an SDK, a rule (execution), a verdict (health) or a
placement (planner). `app.build(ports, policy)` is the one wiring, for `run`, the lab and the CLI without a controller.
"""
