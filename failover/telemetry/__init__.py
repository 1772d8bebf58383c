"""Sinks for the Telemetry port: log lines and metrics. They never raise and never block what they are told by.

Lives here: where events go. May not live here: deciding what is worth telling (the controller) or to whom to page.
"""

from failover.telemetry.sinks import Fan, LogSink, MetricsSink

__all__ = ["Fan", "LogSink", "MetricsSink"]
