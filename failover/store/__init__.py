"""Encodes and keeps runs, intents, state and leadership: SQLite behind the Store port, and a light reader for `status`.

Lives here: bytes on disk and what can be wrong with them. May not live here: what the entries mean (execution).
"""
