"""Route 53 on loopback, as strict as the documented one: spoken to by boto3 with its own signatures (facts/dns.md 2.1)."""

import asyncio
import math
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from failover.lab.providers.behind import Bucket, ServedBy
from failover.lab.providers.route53_checks import HealthCheck
from failover.lab.providers.route53_records import Batch, Invalid, RRSet, parse_batch, served, sort_key
from failover.lab.providers.signatures import signature_problem
from failover.lab.providers.standin import StandIn
from failover.lab.providers.xml import element, error_body, parse
from failover.lab.refusals import FENCE_PREFIX, fence_text

PAGE_MAX = 300
RECORDS_MAX = 10_000
CHECKS_PAGE_MAX = 100
REFERENCE_MAX = 64
"""Characters of a caller reference. It is used up for good, also when its health check is deleted."""


@dataclass(slots=True, kw_only=True)
class _Change:
    id: str
    submitted_at: float
    insync_at: float


class Route53Fake(StandIn):
    """One hosted zone with its name servers, health checks and limits.

    `rate`, `burst`: requests of the account (10 a second, 50 at once, as documented since July 2026). `settle_s`: how long
    a change is processed, during which the next one meets PriorRequestNotComplete; `insync_s`: from PENDING to INSYNC,
    when the name servers have it.
    """

    def __init__(
        self,
        apex: str,
        *,
        hosted_zone: str = "Z0FAILOVERLAB",
        keys: dict[str, str] | None = None,
        rate: float = 10.0,
        burst: float = 50.0,
        settle_s: float = 0.0,
        insync_s: float = 0.0,
        ports: Iterable[int] = (0, 0),
        mono: Callable[[], float] = time.monotonic,
    ) -> None:
        self.apex = apex.rstrip(".").lower() + "."
        super().__init__(ServedBy(self.apex, ports=ports), Bucket(rate=rate, burst=burst), mono)
        self.hosted_zone = hosted_zone
        self.keys = keys or {"AKIDFAILOVERLAB": "lab-secret"}
        self.settle_s, self.insync_s = settle_s, insync_s
        self.changes_made = 0
        self._changes: dict[str, _Change] = {}
        self._busy_until = float("-inf")
        self.checks: dict[str, HealthCheck] = {}
        self.checks_page = CHECKS_PAGE_MAX
        self._references: set[str] = set()
        self.rrsets: dict[tuple[str, str, str], RRSet] = {}
        for kind, values in (
            ("NS", self.behind.names),
            ("SOA", (f"{self.behind.names[0]} host. 1 2 3 4 5",)),
        ):
            self.rrsets[(self.apex, kind, "")] = RRSet(
                name=self.apex, kind=kind, ttl=900, values=tuple(values)
            )

    def write_credentials(self, path: Path) -> Path:
        """A shared credentials file of the first key, private."""
        (key, secret), *_ = self.keys.items()
        path.touch(mode=0o600)
        path.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")
        return path

    def set_records(self, name: str, kind: str, ttl: int, *values: str) -> None:
        """Change a record set as somebody in the console would: no values remove it."""
        name = name if name.endswith(".") else f"{name}.{self.apex}"
        for key in [key for key in self.rrsets if key[:2] == (name, kind)]:
            del self.rrsets[key]
        if values:
            self.rrsets[(name, kind, "")] = RRSet(name=name, kind=kind, ttl=ttl, values=tuple(values))
        self.publish()

    def set_weighted(self, name: str, kind: str, ttl: int, weights: Mapping[str, int]) -> None:
        """A weighted record for each value, as the product names them."""
        for value, weight in weights.items():
            one = RRSet(
                name=name, kind=kind, ttl=ttl, values=(value,), identifier=f"failover:{value}", weight=weight
            )
            self.rrsets[one.key] = one
        self.publish()

    def publish(self) -> None:
        """Serve what is there now, health checks applied."""
        if not self.faults.frozen:
            self.behind.publish(served(self.rrsets.values(), self.checks, apex=self.apex))

    # -- the API -------------------------------------------------------------------------------------------------------

    def broken(self) -> web.Response:
        return _error(500, "InternalFailure", "An internal error has occurred.")

    async def answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        """Credentials first, then the rate."""
        refused = self._refused(request, body)
        if refused is not None:
            return refused
        return await self._route(request, body)

    def _refused(self, request: web.Request, body: bytes) -> web.Response | None:
        """What is answered before the request is looked at: credentials, then the rate."""
        if self.faults.expired:
            return _error(403, "ExpiredToken", "The security token included in the request is expired")
        problem = signature_problem(request.method, request.raw_path, request.headers, body, self.keys)
        if problem is not None:
            return _error(403, *problem)
        return _error(400, "Throttling", "Rate exceeded") if self.throttled() else None

    async def _route(self, request: web.Request, body: bytes) -> web.StreamResponse:
        parts = [part for part in request.path.split("/") if part][1:]
        match (request.method, parts):
            case ("POST", ["hostedzone", zone, "rrset"]) if zone == self.hosted_zone:
                return await self._change(request, body)
            case ("GET", ["hostedzone", zone, "rrset"]) if zone == self.hosted_zone:
                return self._list(request)
            case ("GET", ["hostedzone", zone]) if zone == self.hosted_zone:
                return self._zone()
            case ("GET", ["hostedzonelimit", zone, "MAX_RRSETS_BY_ZONE"]) if zone == self.hosted_zone:
                return _answer(
                    "GetHostedZoneLimitResponse",
                    element("Limit", Type="MAX_RRSETS_BY_ZONE", Value=RECORDS_MAX),
                    element("Count", len(self.rrsets)),
                )
            case (_, ["hostedzone" | "hostedzonelimit", zone, *_]):
                return _error(404, "NoSuchHostedZone", f"No hosted zone found with ID: {zone}")
            case ("GET", ["change", number]):
                return self._get_change(number)
            case (method, ["healthcheck", *rest]):
                return self._health_check(method, rest, request.query, body)
        return _error(404, "UnknownOperationException", f"{request.method} {request.path}")

    async def _change(self, request: web.Request, body: bytes) -> web.StreamResponse:
        if self.faults.denied:
            return _error(
                403, "AccessDenied", "User is not authorized to perform: route53:ChangeResourceRecordSets"
            )
        now = self._mono()
        busy = now < self._busy_until
        if self.faults.busy > 0:
            self.faults.busy -= 1
            busy = True
        if busy:
            return _error(
                400,
                "PriorRequestNotComplete",
                "The request was rejected because Route 53 was still processing a prior request.",
            )
        if self.faults.drop_changes > 0:
            self.faults.drop_changes -= 1
            await self._leave(request)
        batch = Batch(changes=())
        try:
            batch = parse_batch(body)
            after = batch.applied_to(self.rrsets, apex=self.apex, checks=self.checks)
        except Invalid as error:
            self._tell_refused(error.code, batch)
            return _error(400, error.code, error.sentence)
        self.rrsets = after
        self.changes_made += 1
        takes_s = math.inf if self.faults.strands() else self.insync_s
        change = _Change(id=f"C{self.changes_made:08d}", submitted_at=now, insync_at=now + takes_s)
        self._changes[change.id] = change
        self._busy_until = now + self.settle_s
        self.publish_after(takes_s)
        if self.faults.lose_answers > 0:
            self.faults.lose_answers -= 1
            await self._leave(request)
        return _answer("ChangeResourceRecordSetsResponse", self._info(change))

    def _tell_refused(self, code: str, batch: Batch) -> None:
        for action, one in batch.changes:
            if action == "CREATE" and one.name.startswith(FENCE_PREFIX):
                held = self.rrsets.get((one.name, "TXT", ""))
                self.on_refused(code, fence_text(one.values), fence_text(held.values if held else ()))

    async def _leave(self, request: web.Request) -> None:
        assert request.transport is not None
        request.transport.close()
        await asyncio.sleep(3600)

    def _info(self, change: _Change) -> str:
        done = self._mono() >= change.insync_at and not self.faults.frozen
        status = "INSYNC" if done else "PENDING"
        return element(
            "ChangeInfo", Id=f"/change/{change.id}", Status=status, SubmittedAt="2026-01-01T00:00:00Z"
        )

    def _get_change(self, number: str) -> web.Response:
        change = self._changes.get(number)
        if change is None:
            return _error(404, "NoSuchChange", f"A change with id {number} does not exist.")
        return _answer("GetChangeResponse", self._info(change))

    def _list(self, request: web.Request) -> web.Response:
        query = request.query
        limit = min(int(query.get("maxitems", PAGE_MAX)), PAGE_MAX)
        start = sort_key(query.get("name", "."), query.get("type", ""), query.get("identifier", ""))
        listed = sorted(self.rrsets.values(), key=lambda one: sort_key(one.name, one.kind, one.identifier))
        if "name" in query:
            listed = [one for one in listed if sort_key(one.name, one.kind, one.identifier) >= start]
        page, rest = listed[:limit], listed[limit:]
        following = ""
        if rest:
            following = element("NextRecordName", rest[0].name) + element("NextRecordType", rest[0].kind)
            if rest[0].identifier:
                following += element("NextRecordIdentifier", rest[0].identifier)
        return _answer(
            "ListResourceRecordSetsResponse",
            f"<ResourceRecordSets>{''.join(self._listed(one) for one in page)}</ResourceRecordSets>",
            element("IsTruncated", "true" if rest else "false"),
            following,
            element("MaxItems", limit),
        )

    def _listed(self, one: RRSet) -> str:
        whole = one.xml()
        if self.faults.untyped:
            return re.sub("<Type>.*?</Type>", "", whole)
        if self.faults.empty:
            return re.sub(
                "<ResourceRecords>.*?</ResourceRecords>", "<ResourceRecords></ResourceRecords>", whole
            )
        return whole

    def _zone(self) -> web.Response:
        servers = "".join(element("NameServer", name.rstrip(".")) for name in self.behind.names)
        zone = (
            f"<HostedZone>{element('Id', f'/hostedzone/{self.hosted_zone}')}{element('Name', self.apex)}"
            f"{element('CallerReference', 'lab')}<Config><PrivateZone>false</PrivateZone></Config>"
            f"{element('ResourceRecordSetCount', len(self.rrsets))}</HostedZone>"
        )
        return _answer(
            "GetHostedZoneResponse",
            zone,
            f"<DelegationSet><NameServers>{servers}</NameServers></DelegationSet>",
        )

    def _list_checks(self, query: Mapping[str, str]) -> web.Response:
        limit = min(int(query.get("maxitems", CHECKS_PAGE_MAX)), self.checks_page)
        listed = sorted(self.checks.values(), key=lambda one: one.id)
        listed = [one for one in listed if one.id >= query.get("marker", "")]
        page, rest = listed[:limit], listed[limit:]
        return _answer(
            "ListHealthChecksResponse",
            f"<HealthChecks>{''.join(one.xml() for one in page)}</HealthChecks>",
            element("Marker", query.get("marker", "")),
            element("IsTruncated", "true" if rest else "false"),
            element("NextMarker", rest[0].id) if rest else "",
            element("MaxItems", limit),
        )

    def _health_check(
        self, method: str, rest: list[str], query: Mapping[str, str], body: bytes
    ) -> web.Response:
        """Create (POST), read (GET), update (POST with an id) and delete: what the prepared path needs."""
        if self.faults.checks_denied:
            return _error(403, "AccessDenied", "User is not authorized to perform: route53:ListHealthChecks")
        if method == "GET" and not rest:
            return self._list_checks(query)
        if method == "POST" and not rest:
            asked = HealthCheck.created(parse(body), number=len(self._references) + 1)
            if not 1 <= len(asked.reference) <= REFERENCE_MAX:
                return _error(400, "InvalidInput", f"CallerReference has length at most {REFERENCE_MAX}")
            known = next((one for one in self.checks.values() if one.reference == asked.reference), None)
            if asked.reference in self._references and (known is None or known.config != asked.config):
                return _error(
                    409, "HealthCheckAlreadyExists", "A health check with this caller reference exists"
                )
            check = known or asked
            self.checks[check.id] = check
            self._references.add(check.reference)
            answer = _answer("CreateHealthCheckResponse", check.xml(), status=201)
            answer.headers["Location"] = f"{self.endpoint}/2013-04-01/healthcheck/{check.id}"
            return answer
        found = self.checks.get(rest[0]) if rest else None
        if found is None:
            return _error(404, "NoSuchHealthCheck", "No health check exists with the specified ID")
        if method == "DELETE":
            del self.checks[found.id]
            self.publish()
            return _answer("DeleteHealthCheckResponse")
        if method == "POST":
            updated = found.updated(parse(body))
            if updated is None:
                return _error(409, "HealthCheckVersionMismatch", "The version is not the current one")
            self.checks[found.id] = found = updated
            self.publish()
            return _answer("UpdateHealthCheckResponse", found.xml())
        return _answer("GetHealthCheckResponse", found.xml())


def _answer(name: str, *parts: str, status: int = 200) -> web.Response:
    text = (
        f'<?xml version="1.0"?><{name} xmlns="https://route53.amazonaws.com/doc/2013-04-01/">'
        f"{''.join(parts)}</{name}>"
    )
    return web.Response(text=text, status=status, content_type="text/xml")


def _error(status: int, code: str, sentence: str) -> web.Response:
    return web.Response(text=error_body(code, sentence), status=status, content_type="text/xml")
