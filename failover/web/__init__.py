"""The controller's HTTP API (vantages over TLS, commands over a Unix socket) and the vantage process that speaks to it.

Lives here: transport, authentication, bounds. May not live here: decisions; every request ends in the controller.
"""
