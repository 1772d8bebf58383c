"""One class a sink."""

from collections.abc import Sequence
from typing import Protocol

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from failover.model.telemetry import TelemetryEvent

SURVIVABILITY = "survivability"
SURVIVES_PREFIX = "survives:"
"""The fields of that event that say of a domain whether its loss would be survived: for metrics, too many for a line."""
QUOTA, LEFT_PREFIX = "zone.quota", "left:"
"""The event that says how much of what a DNS provider counts is left, and the fields that do."""
UNKNOWN = "unknown"
SECRET_WORDS = ("token", "secret", "password", "key", "authorization")


class Sink(Protocol):
    """Takes events."""

    def emit(self, event: TelemetryEvent) -> None: ...


class Fan:
    """Tells several sinks."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = tuple(sinks)

    def emit(self, event: TelemetryEvent) -> None:
        """To each in turn."""
        for sink in self._sinks:
            sink.emit(event)


class LogSink:
    """One line an event on stderr. Fields whose name smells of a secret are not written."""

    def __init__(self) -> None:
        import sys

        self._log = structlog.wrap_logger(
            structlog.PrintLogger(sys.stderr),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.KeyValueRenderer(key_order=["at", "level", "event"]),
            ],
        )

    def emit(self, event: TelemetryEvent) -> None:
        """Pages are warnings, the rest information."""
        write = self._log.warning if event.page else self._log.info
        fields = {
            key: value
            for key, value in event.fields
            if not key.startswith(SURVIVES_PREFIX) and not any(word in key.lower() for word in SECRET_WORDS)
        }
        write(event.name, at=event.at.isoformat(timespec="milliseconds"), sentence=event.sentence, **fields)


class Absent:
    """A gauge that is absent until its first value: a 0 that nobody has measured would be read as one that somebody has."""

    def __init__(self, name: str, about: str, registry: CollectorRegistry) -> None:
        self._gauge = Gauge(name, about, registry=None)
        self._registry = registry
        self._known = False

    def set(self, value: float) -> None:
        """From now on it has this value."""
        self._gauge.set(value)
        if not self._known:
            self._registry.register(self._gauge)
            self._known = True


class MetricsSink:
    """Counts for Prometheus, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._events = Counter("failover_events", "Events by name", ["name"], registry=self.registry)
        self._pages = Counter(
            "failover_pages", "Events that should wake somebody", ["name"], registry=self.registry
        )
        self._survives = Gauge(
            "failover_survives",
            "1 where the loss would be survived whole, 0 where not; absent where nobody knows",
            ["domain"],
            registry=self.registry,
        )
        self._unknown = Gauge(
            "failover_survives_unknown",
            "1 where the domain holds a cluster that nobody has looked at lately, and nothing else breaks it",
            ["domain"],
            registry=self.registry,
        )
        self._broken = Absent(
            "failover_promises_broken", "Promises that the loss of some domain would break", self.registry
        )
        self._unshown = Absent(
            "failover_promises_unshown",
            "Promises of which nobody knows whether the loss of some domain would break them",
            self.registry,
        )
        self._headroom = Absent(
            "failover_survivability_headroom_percent",
            "Least headroom of the tightest resource after the loss of any domain",
            self.registry,
        )
        self._asked = Absent(
            "failover_survivability_timestamp_seconds", "When that was last worked out", self.registry
        )
        self._left = Gauge(
            "failover_dns_quota_left",
            "What is left of what a zone's provider counts; absent where it counts nothing or could not be asked",
            ["zone", "what"],
            registry=self.registry,
        )
        self._counted: dict[str, frozenset[str]] = {}
        self._last = Absent("failover_last_event_timestamp_seconds", "When the last event was", self.registry)

    def emit(self, event: TelemetryEvent) -> None:
        """Count it."""
        self._events.labels(event.name).inc()
        if event.page:
            self._pages.labels(event.name).inc()
        self._last.set(event.at.timestamp())
        if event.name == SURVIVABILITY:
            self._survivability(event)
        elif event.name == QUOTA:
            self._quota(event)

    def _quota(self, event: TelemetryEvent) -> None:
        """One gauge for each count of a zone. What is not told any more is gone."""
        told = dict(event.fields)
        zone = told["zone"]
        left = {
            key.removeprefix(LEFT_PREFIX): value for key, value in told.items() if key.startswith(LEFT_PREFIX)
        }
        for what in self._counted.get(zone, frozenset()) - set(left):
            self._left.remove(zone, what)
        for what, value in left.items():
            self._left.labels(zone, what).set(float(value))
        self._counted[zone] = frozenset(left)

    def _survivability(self, event: TelemetryEvent) -> None:
        """Could we fail over now: one gauge a domain. Domains that are gone from the fleet are gone from the metric."""
        self._survives.clear()
        self._unknown.clear()
        for key, value in event.fields:
            if key.startswith(SURVIVES_PREFIX):
                domain = key.removeprefix(SURVIVES_PREFIX)
                if value == UNKNOWN:
                    self._unknown.labels(domain).set(1)
                else:
                    self._survives.labels(domain).set(int(value))
        told = dict(event.fields)
        self._broken.set(float(told["broken"]))
        self._unshown.set(float(told["unshown"]))
        self._headroom.set(float(told["headroom_percent"]))
        self._asked.set(event.at.timestamp())

    def start_http(self, host: str, port: int) -> None:
        """Serve `/metrics`."""
        start_http_server(port, addr=host, registry=self.registry)
