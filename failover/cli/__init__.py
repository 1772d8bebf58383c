"""Commands, and one place for rendering. Commands parse, call and render; they decide nothing.

Lives here: arguments, confirmation, exit codes, tables. May not live here: anything that a running controller would do
differently. Nothing on the path of `status` imports an SDK, pydantic or aiohttp.
"""
