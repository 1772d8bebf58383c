"""Google Cloud DNS on loopback: REST v1 as its discovery document says, spoken to by Google's own client (facts/dns.md 2.2)."""

import asyncio
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from failover.lab.providers.behind import Bucket, ServedBy
from failover.lab.providers.clouddns_records import Refused, apply, served
from failover.lab.providers.service_account import Account
from failover.lab.providers.standin import StandIn
from failover.lab.refusals import FENCE_PREFIX, fence_text

QUOTA = {
    "rrsetAdditionsPerChange": 1000,
    "rrsetDeletionsPerChange": 1000,
    "totalRrdataSizePerChange": 100_000,
    "resourceRecordsPerRrset": 100,
    "rrsetsPerManagedZone": 10_000,
    "itemsPerRoutingPolicy": 100,
}
PAGE_MAX = 1000


class CloudDNSFake(StandIn):
    """One managed zone of one project with its name servers, tokens and limits.

    `rate`, `burst`: requests of the project. `settle_s`: from `pending` to `done`. `behind_s`: from `done` to the name
    servers, for `done` only says that they were told.
    """

    def __init__(
        self,
        apex: str,
        *,
        project: str = "failover-lab",
        managed_zone: str = "lab",
        rate: float = 10.0,
        burst: float = 50.0,
        settle_s: float = 0.0,
        behind_s: float = 0.0,
        quota: Mapping[str, int] | None = None,
        ports: Iterable[int] = (0, 0),
        account: Account | None = None,
        mono: Callable[[], float] = time.monotonic,
    ) -> None:
        self.apex = apex.rstrip(".").lower() + "."
        super().__init__(
            ServedBy(self.apex, ports=ports, lag_s=behind_s), Bucket(rate=rate, burst=burst), mono
        )
        self.project, self.managed_zone = project, managed_zone
        self.settle_s = settle_s
        self.quota = {**QUOTA, **(quota or {})}
        self.account = account or Account.generate()
        self._changes: dict[str, tuple[dict[str, Any], float]] = {}
        self.rrsets: dict[tuple[str, str], dict[str, Any]] = {}
        soa = f"{self.behind.names[0]} host. 1 21600 3600 259200 300"
        for kind, values in (("NS", list(self.behind.names)), ("SOA", [soa])):
            self.rrsets[(self.apex, kind)] = _rrset(self.apex, kind, 21600, values)

    def write_credentials(self, path: Path) -> Path:
        """A service account's file as Google gives it out, private; its tokens come from here."""
        path.touch(mode=0o600)
        path.write_text(json.dumps(self.account.document(self.project, f"{self.endpoint}/token")))
        return path

    def set_records(self, name: str, kind: str, ttl: int, *values: str) -> None:
        """Change a record set as somebody in the console would: no values remove it."""
        name = name if name.endswith(".") else f"{name}.{self.apex}"
        self.rrsets.pop((name, kind), None)
        if values:
            self.rrsets[(name, kind)] = _rrset(name, kind, ttl, list(values))
        self.publish()

    def publish(self) -> None:
        """Serve what is there now."""
        if not self.faults.frozen:
            self.behind.publish(served(self.rrsets.values(), apex=self.apex))

    # -- the API -------------------------------------------------------------------------------------------------------

    def broken(self) -> web.Response:
        return _error(503, "backendError", "Backend Error")

    async def answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        """Tokens first, then credentials, then the rate."""
        if request.path == "/token":
            return self._token(body)
        if self.faults.expired or not self.account.knows(request.headers.get("Authorization", "")):
            return _error(401, "authError", "Request had invalid authentication credentials.")
        if self.throttled():
            return _error(403, "rateLimitExceeded", "Rate Limit Exceeded")
        return await self._route(request, body)

    def _token(self, body: bytes) -> web.Response:
        token = None if self.faults.expired else self.account.exchange(body.decode(errors="replace"))
        if token is None:
            told = {
                "error": "invalid_grant",
                "error_description": "Invalid JWT Signature, or it has expired.",
            }
            return web.json_response(told, status=400)
        return web.json_response({"access_token": token, "expires_in": 3600, "token_type": "Bearer"})

    async def _route(self, request: web.Request, body: bytes) -> web.StreamResponse:
        parts = [part for part in request.path.split("/") if part][2:]
        if len(parts) < 2 or parts[:2] != ["projects", self.project]:
            return _error(403, "forbidden", "Forbidden")
        match (request.method, parts[2:]):
            case ("GET", []):
                quota = dict(self.quota)
                return web.json_response({"kind": "dns#project", "id": self.project, "quota": quota})
            case (_, ["managedZones", zone, *_]) if zone != self.managed_zone:
                return _error(
                    404, "notFound", f"The 'parameters.managedZone' resource named '{zone}' does not exist."
                )
            case ("GET", ["managedZones", _]):
                return web.json_response(
                    {
                        "kind": "dns#managedZone",
                        "name": self.managed_zone,
                        "dnsName": self.apex,
                        "nameServers": list(self.behind.names),
                    }
                )
            case ("GET", ["managedZones", _, "rrsets"]):
                return self._list(request)
            case ("POST", ["managedZones", _, "changes"]):
                return await self._change(request, body)
            case ("GET", ["managedZones", _, "changes", number]) if number in self._changes:
                return web.json_response(self._told(number))
        return _error(404, "notFound", "Not Found")

    def _list(self, request: web.Request) -> web.Response:
        name, kind = request.query.get("name"), request.query.get("type")
        if kind and not name:
            return _error(400, "invalid", "Invalid value for 'parameters.type': a name is needed")
        listed = [
            item
            for key, item in sorted(self.rrsets.items())
            if (not name or key[0] == name) and (not kind or key[1] == kind)
        ]
        start = int(request.query.get("pageToken", 0))
        limit = min(int(request.query.get("maxResults", 100)), PAGE_MAX)
        answer: dict[str, Any] = {"kind": "dns#resourceRecordSetsListResponse"}
        missing = {"type"} if self.faults.untyped else {"rrdatas"} if self.faults.empty else set()
        answer["rrsets"] = [
            {key: value for key, value in item.items() if key not in missing}
            for item in listed[start : start + limit]
        ]
        if start + limit < len(listed):
            answer["nextPageToken"] = str(start + limit)
        return web.json_response(answer)

    async def _change(self, request: web.Request, body: bytes) -> web.StreamResponse:
        if self.faults.denied:
            return _error(403, "forbidden", "The caller lacks permission dns.changes.create")
        if self.faults.busy > 0:
            self.faults.busy -= 1
            return _error(429, "rateLimitExceeded", "Too many changes at once")
        if self.faults.drop_changes > 0:
            self.faults.drop_changes -= 1
            await self._leave(request)
        try:
            asked = json.loads(body)
            self.rrsets = apply(asked, self.rrsets, apex=self.apex, quota=self.quota)
        except ValueError:
            return _error(400, "parseError", "Parse Error")
        except Refused as error:
            self._tell_refused(error.reason, asked)
            return _error(error.status, error.reason, error.sentence)
        number = str(len(self._changes) + 1)
        takes_s = math.inf if self.faults.strands() else self.settle_s
        self._changes[number] = (asked, self._mono() + takes_s)
        self.publish_after(takes_s)
        if self.faults.lose_answers > 0:
            self.faults.lose_answers -= 1
            await self._leave(request)
        return web.json_response(self._told(number))

    def _tell_refused(self, reason: str, asked: Mapping[str, Any]) -> None:
        for one in asked.get("additions", []):
            if str(one.get("name", "")).startswith(FENCE_PREFIX):
                held = self.rrsets.get((one["name"], "TXT"), {})
                self.on_refused(
                    reason, fence_text(one.get("rrdatas", ())), fence_text(held.get("rrdatas", ()))
                )

    async def _leave(self, request: web.Request) -> None:
        assert request.transport is not None
        request.transport.close()
        await asyncio.sleep(3600)

    def _told(self, number: str) -> dict[str, Any]:
        asked, done_at = self._changes[number]
        done = self._mono() >= done_at and not self.faults.frozen
        return {
            "kind": "dns#change",
            "id": number,
            "startTime": "2026-01-01T00:00:00Z",
            "status": "done" if done else "pending",
            "additions": asked.get("additions", []),
            "deletions": asked.get("deletions", []),
        }


def _rrset(name: str, kind: str, ttl: int, values: list[str]) -> dict[str, Any]:
    return {"kind": "dns#resourceRecordSet", "name": name, "type": kind, "ttl": ttl, "rrdatas": values}


def _error(status: int, reason: str, sentence: str) -> web.Response:
    errors = [{"domain": "global", "reason": reason, "message": sentence}]
    return web.json_response(
        {"error": {"code": status, "message": sentence, "errors": errors}}, status=status
    )
