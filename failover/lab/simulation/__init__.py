"""The proof: the shipped controller in a simulated world, under faults of every kind, watched by oracles.

`world` is the truth, `twins` are the ports into it, `trace` is what happened, `faults` breaks things, `oracles` judge the trace
by the truth and never by the controller's opinion, `mutants` prove that the oracles would notice, `play` runs one seed.
Everything random comes from that seed.
"""
