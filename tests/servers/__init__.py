"""Real servers for the tests: BIND 9 pairs and whole Kubernetes control planes, on loopback and high ports.

Every process is started and ended by its own Popen, and none outlives the test session. Nothing here imports
`failover`: a harness that shared code with what it proves would share its mistakes.
"""
