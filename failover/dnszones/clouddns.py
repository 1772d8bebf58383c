"""A zone on Google Cloud DNS: REST v1 over the transport and the credentials of Google's own client.

The client's own `ResourceRecordSet` knows no routing policies and raises KeyError on them (facts/dns.md 2.2), so record
sets and changes are its `api_request` with plain JSON. A deletion must match exactly: that is the compare-and-swap.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from failover.dnszones.google_errors import known_errors, no_credentials, translate
from failover.dnszones.held import Held, Key
from failover.dnszones.keyfile import read_private
from failover.dnszones.limits import AccountBudget, budget_of
from failover.dnszones.names import absolute_name
from failover.dnszones.provider import MALFORMED, RECORD_SETS, Delta, ProviderZone
from failover.model.errors import LocalFault, Rejected, TargetError, Unavailable
from failover.model.records import Quota, RecordSet, RecordType, ZoneChange

RATE, BURST = 10.0, 50.0
"""Of a project: 600 requests a minute by default; a console shows the project's own."""

ADDITIONS_MAX, DELETIONS_MAX, SIZE_MAX = 1_000, 1_000, 100_000
"""Until the project's own quotas have been read."""

PAGE = 1_000
DIRECT_MAX = 4
PAGES_MAX = 200
_OURS = frozenset({item.value for item in RecordType} | {"TXT"})


class CloudDNSZone(ProviderZone):
    """One managed zone. `done` says that its name servers were told, and no more: they are asked themselves."""

    _client: Any = None
    _quota: Mapping[str, int] = {}

    def _budget(self) -> AccountBudget:
        entry = self.entry
        account = ("clouddns", entry.project, entry.credentials_file, entry.endpoint)
        return budget_of(account, rate=entry.requests_per_s or RATE, burst=BURST)

    def _open(self) -> Any:
        client = self._client  # another thread may find the credentials no good meanwhile
        if client is None:
            from google.cloud import dns as google
            from google.oauth2 import service_account

            entry, credentials = self.entry, None
            try:
                if entry.credentials_file:
                    read_private(Path(entry.credentials_file), "service account file")
                    credentials = service_account.Credentials.from_service_account_file(  # type: ignore[no-untyped-call]
                        entry.credentials_file, scopes=google.Client.SCOPE
                    )
                options = {"api_endpoint": entry.endpoint} if entry.endpoint else None
                self._client = client = google.Client(
                    project=entry.project, credentials=credentials, client_options=options
                )
            except TargetError:
                raise
            except known_errors() as error:  # a service account file may be anything
                raise no_credentials(error, where=self.where, target=self.name) from None
        return client

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> Mapping[str, Any]:
        """One call, `path` below the project. Raises our errors only."""
        try:
            client = self._open()
            found = client._connection.api_request(
                method=method,
                path=f"/projects/{self.entry.project}{path}",
                query_params=dict(query or {}),
                data=data,
                timeout=self.entry.timeout_s,
            )
        except TargetError:
            raise
        except known_errors() as error:
            ours = translate(error, where=self.where, target=self.name, sent_changes=method == "POST")
            if isinstance(ours, LocalFault):
                self._client = None  # credentials that are put right on disk are used at once
            raise ours from None
        if not isinstance(found, Mapping):
            raise translate(
                ValueError("the answer is no JSON object"),
                where=self.where,
                target=self.name,
                sent_changes=method == "POST",
            )
        return found

    # -- reading -------------------------------------------------------------------------------------------------------

    @property
    def _zone_path(self) -> str:
        return f"/managedZones/{self.entry.hosted_zone}"

    async def _fetch(self, keys: Sequence[Key], *, urgent: bool) -> dict[Key, Held]:
        names = {name for name, _ in keys}
        found: list[Mapping[str, Any]] = []
        if len(names) <= DIRECT_MAX:
            for name in sorted(names):
                found += await self._list(name, urgent=urgent)
        else:
            found = await self._list("", urgent=urgent)
        held = [_held(item) for item in found if item["type"] in _OURS]
        return {(item.name, item.kind): item for item in held if item.name in names}

    async def _list(self, name: str, *, urgent: bool) -> list[Mapping[str, Any]]:
        """All record sets of a name, or of the zone. A listing that breaks off raises: partial is unknown."""
        query = {"maxResults": str(PAGE), **({"name": name} if name else {})}
        found: list[Mapping[str, Any]] = []
        for _ in range(PAGES_MAX):
            page = await self._call(self._page, dict(query), urgent=urgent)
            found += page["rrsets"]
            if "nextPageToken" not in page:
                return found
            query["pageToken"] = page["nextPageToken"]
        raise Unavailable(f"{self.where}: the listing does not end", target=self.name)

    def _page(self, query: Mapping[str, str]) -> Mapping[str, Any]:
        page = self._ask("GET", f"{self._zone_path}/rrsets", query=query)
        if not isinstance(page.get("rrsets"), list):
            raise Unavailable(f"{self.where}: the answer is no listing of record sets", target=self.name)
        return page

    # -- changing ------------------------------------------------------------------------------------------------------

    def _objects_of(self, record_set: RecordSet) -> tuple[Any, ...]:
        plain = {"name": record_set.name, "type": record_set.record_type.value, "ttl": record_set.ttl}
        if not record_set.weights:
            return ({**plain, "rrdatas": list(record_set.values)},)
        items = [
            {"weight": float(weight), "rrdatas": [value]}
            for value, weight in zip(record_set.values, record_set.weights, strict=True)
        ]
        return ({**plain, "routingPolicy": {"wrr": {"items": items}}},)

    def _fence_object(self, name: str, text: str, ttl: int) -> Any:
        return {"name": name, "type": "TXT", "ttl": ttl, "rrdatas": [text]}

    async def _learn_for(self, change: ZoneChange) -> None:
        """Its objects hold nothing but what a change says."""

    async def _learn_limits(self) -> None:
        if not self._quota:
            with contextlib.suppress(
                TargetError
            ):  # over a quota that we do not know, the change itself is refused
                await self._call(self._read_quota, urgent=True)

    def _refuse_oversize(self, change: ZoneChange, delta: Delta) -> None:
        able = self.capabilities
        self._refuse_wide(
            change,
            plain=self._quota.get("resourceRecordsPerRrset", able.values_max),
            weighted=self._quota.get("itemsPerRoutingPolicy", able.weighted_max),
        )
        size = sum(len(value) for item in (*delta.deletions, *delta.additions) for value in _values(item))
        limits = (
            (len(delta.additions), self._quota.get("rrsetAdditionsPerChange", ADDITIONS_MAX), "additions"),
            (len(delta.deletions), self._quota.get("rrsetDeletionsPerChange", DELETIONS_MAX), "deletions"),
            (size, self._quota.get("totalRrdataSizePerChange", SIZE_MAX), "bytes"),
        )
        for count, most, what in limits:
            if count > most:
                raise Rejected(
                    f"{self.where}, application {change.application}: {len(change.changes)} names do not fit one atomic "
                    f"change ({count} {what} of at most {most}); they go in several parts",
                    target=self.name,
                )

    def _submit(self, delta: Delta, permitted: Callable[[], None]) -> str:
        permitted()
        data = {"additions": list(delta.additions), "deletions": list(delta.deletions)}
        answer = self._ask("POST", f"{self._zone_path}/changes", data=data)
        if "id" not in answer:
            raise translate(
                ValueError("the answer has no id"), where=self.where, target=self.name, sent_changes=True
            )
        return str(answer["id"])

    def _is_settled(self, change: str) -> bool:
        return bool(self._ask("GET", f"{self._zone_path}/changes/{change}").get("status") == "done")

    def _read_quota(self) -> None:
        found = self._ask("GET", "").get("quota", {})
        self._quota = {key: int(value) for key, value in found.items() if str(value).isdigit()}

    async def _record_sets_used(self) -> Quota:
        try:
            await self._call(self._read_quota)
            most = self._quota.get("rrsetsPerManagedZone")
            if most is None:
                raise Unavailable(
                    f"{self.where}: the project tells no rrsetsPerManagedZone", target=self.name
                )
            return Quota(what=RECORD_SETS, used=len(await self._list("", urgent=False)), limit=most)
        except MALFORMED as error:
            raise self._nonsense(repr(error)[:80]) from None

    def _describe(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        found = self._ask("GET", self._zone_path)
        if absolute_name(str(found.get("dnsName", "."))).to_text() != self.apex:
            raise Rejected(
                f"{self.where}: the managed zone {self.entry.hosted_zone} is {found.get('dnsName', 'unreadable')}, "
                f"not {self.apex}",
                target=self.name,
            )
        said = []
        try:
            self._read_quota()
        except TargetError as error:
            said.append(f"the project's quotas could not be read: {error}")
        able = min(
            self._quota.get("rrsetAdditionsPerChange", ADDITIONS_MAX),
            self._quota.get("rrsetDeletionsPerChange", DELETIONS_MAX),
        )
        if able <= self.capabilities.atomic_names:
            said.append(f"the project's quota lets one atomic change hold {able} record sets only")
        return tuple(found.get("nameServers", ())), tuple(said)


def _values(item: Mapping[str, Any]) -> Iterator[str]:
    yield from item.get("rrdatas", ())
    for one in item.get("routingPolicy", {}).get("wrr", {}).get("items", ()):
        yield from one.get("rrdatas", ())


def _held(item: Mapping[str, Any]) -> Held:
    name, kind, ttl = absolute_name(str(item["name"])).to_text(), str(item["type"]), int(item.get("ttl", 0))
    raw = ({key: value for key, value in item.items() if key != "signatureRrdatas"},)
    policy = item.get("routingPolicy")
    if policy is None:
        return Held(name=name, kind=kind, ttl=ttl, values=tuple(item.get("rrdatas", ())), raw=raw)
    items = policy.get("wrr", {}).get("items", [])
    weights = [float(one.get("weight", 0)) for one in items]
    simple = all(len(one.get("rrdatas", ())) == 1 and "healthCheckedTargets" not in one for one in items)
    if not items or not simple or any(weight != int(weight) for weight in weights):
        word = next((word for word in ("geo", "primaryBackup", "wrr") if word in policy), "another")
        return Held(name=name, kind=kind, ttl=ttl, values=(f"{word} routing policy",), raw=raw)
    return Held(
        name=name,
        kind=kind,
        ttl=ttl,
        values=tuple(one["rrdatas"][0] for one in items),
        weights=tuple(int(weight) for weight in weights),
        raw=raw,
    )
