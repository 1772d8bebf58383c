"""Values, ids, observations, verdicts, plans, journal, record sets, errors and ports.

Lives here: frozen values and Protocols that every other package speaks in. May not live here: any I/O,
clock, random, thread, event loop or third-party import (standard library only, and of that only pure parts).
"""
