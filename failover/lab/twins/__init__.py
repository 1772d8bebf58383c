"""In-memory twins of the ports, for the simulation: deterministic, on any clock, held to the adapters' contract suites."""
