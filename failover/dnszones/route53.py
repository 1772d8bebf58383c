"""A zone on Route 53, through boto3. Never UPSERT: it does not compare (facts/dns.md 2.1)."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from failover.dnszones.aws_errors import known_errors, translate
from failover.dnszones.held import Held, Key
from failover.dnszones.keyfile import read_private
from failover.dnszones.limits import AccountBudget, budget_of
from failover.dnszones.names import absolute_name
from failover.dnszones.provider import MALFORMED, RECORD_SETS, Delta, ProviderZone
from failover.dnszones.route53_checks import PAGES_MAX as CHECK_PAGES_MAX
from failover.dnszones.route53_checks import (
    CheckedEndpoint,
    ListedChecks,
    checks_page,
    create_check,
    endpoints_of,
)
from failover.model.errors import LocalFault, Rejected, TargetError, Unavailable
from failover.model.policy import ClusterEntry
from failover.model.records import Quota, RecordSet, RecordType, ZoneChange

RATE, BURST = 10.0, 50.0
"""Of an account, shared with everything else in it (documented since July 2026)."""

ELEMENTS_MAX = 1_000
CHARACTERS_MAX = 32_000
PAGE = 300
DIRECT_MAX = 4
"""Names that are looked up one by one; for more the zone is listed, 300 records a request."""

PAGES_MAX = 200
CHECKS_EVERY_S = 60.0
IDENTIFIER = "failover:"
"""Our weighted record sets' SetIdentifier starts so; the value follows."""

OCTAL = re.compile(r"\\([0-3][0-7]{2})")
_OURS = frozenset({item.value for item in RecordType} | {"TXT"})
_POLICIES = (
    "Region",
    "GeoLocation",
    "Failover",
    "MultiValueAnswer",
    "CidrRoutingConfig",
    "GeoProximityLocation",
)


class Route53Zone(ProviderZone):
    """One hosted zone. Its API answers from one region, whatever happens there: `prepare` is the way around it."""

    _client: Any = None
    _checked: tuple[CheckedEndpoint, ...] = ()
    _listed = ListedChecks()
    _listed_at = float("-inf")
    _list_next = float("-inf")
    _unlisted = ""
    """Why the last listing of health checks failed, "" if it did not."""

    def expect(self, clusters: Sequence[ClusterEntry]) -> None:
        """Whose endpoints have a health check beside their records, where the zone says `prepare`."""
        self._checked = endpoints_of(self.name, clusters) if self.entry.prepare else ()

    async def prepare(self, clusters: Sequence[ClusterEntry]) -> tuple[tuple[str, str], ...]:
        """Make a health check for each address of the clusters; (address, id). What is answered changes by none of them:
        the next change of a weighted name writes them beside its records. Raises TargetError.
        """
        self.expect(clusters)
        made = []
        for endpoint in self._checked:
            made.append((endpoint.value, await self._call(create_check, self._ask, endpoint)))
        self._listed_at = self._list_next = float("-inf")
        return tuple(made)

    async def _read_checks(self, *, urgent: bool) -> None:
        """Ask now and then for the account's health checks. Where that fails the last listing holds, however old: the record
        sets can be read all the same, and a change keeps what stands beside them.
        """
        if not self.entry.prepare or self._mono() < self._list_next:
            return
        self._list_next = self._mono() + CHECKS_EVERY_S
        try:
            self._listed = await self._list_checks(urgent=urgent)
        except TargetError as error:
            self._unlisted = str(error)
        else:
            self._listed_at, self._unlisted = self._mono(), ""

    async def _learn_for(self, change: ZoneChange) -> None:
        """List the checks anew where one is missing that goes beside a record of this change: `dns prepare` may have made it a
        moment ago, in another process. Where the last listing failed it is not tried before its time: a failover waits for none.
        """
        written = {value for item in change.changes if item.after.weights for value in item.after.values}
        missing = any(one.value in written and not self._listed.of(one) for one in self._checked)
        if missing and not self._unlisted:
            self._list_next = float("-inf")
            await self._read_checks(urgent=True)

    async def _list_checks(self, *, urgent: bool) -> ListedChecks:
        """The account's health checks, whole. Raises Unavailable and the like: partial is unknown."""
        rows: list[tuple[str, str]] = []
        page = partial(checks_page, self._ask, where=self.where, target=self.name)
        marker = ""
        for _ in range(CHECK_PAGES_MAX):
            found, marker = await self._call(page, marker, urgent=urgent)
            rows += found
            if not marker:
                return ListedChecks(tuple(rows))
        raise Unavailable(f"{self.where}: the listing of health checks does not end", target=self.name)

    def _check_of(self, record_set: RecordSet, value: str) -> str:
        """The id of the health check that goes beside a value: the one that makes today's probe, else the one that stands
        beside it now, as long as it exists or nobody could tell. "" for none.
        """
        unknown = self._listed_at == float("-inf")
        for endpoint in self._checked:
            if endpoint.value == value and (number := self._listed.of(endpoint)):
                return number
        seen = self._seen.get(record_set.key)
        for item in seen.raw if seen is not None and self.entry.prepare else ():
            number = str(item.get("HealthCheckId", ""))
            if item.get("SetIdentifier") == f"{IDENTIFIER}{value}" and (unknown or self._listed.has(number)):
                return number
        return ""

    def _budget(self) -> AccountBudget:
        entry = self.entry
        account = ("route53", entry.credentials_file, entry.profile, entry.endpoint)
        return budget_of(account, rate=entry.requests_per_s or RATE, burst=BURST)

    def _open(self) -> Any:
        """boto3's client, made at first use. One attempt a call: what is ambiguous must be read back, not repeated."""
        client = self._client  # another thread may find the credentials no good meanwhile
        if client is None:
            import boto3
            import botocore.config
            import botocore.session

            entry = self.entry
            session = botocore.session.Session()
            if entry.credentials_file:
                read_private(Path(entry.credentials_file), "credentials file")
                session.set_config_variable("credentials_file", entry.credentials_file)
            config = botocore.config.Config(
                connect_timeout=entry.timeout_s,
                read_timeout=entry.timeout_s,
                retries={"total_max_attempts": 1, "mode": "standard"},
                parameter_validation=True,
            )
            try:
                self._client = client = boto3.Session(
                    botocore_session=session, profile_name=entry.profile or None
                ).client(
                    "route53", region_name="us-east-1", endpoint_url=entry.endpoint or None, config=config
                )
            except known_errors() as error:  # also what a credentials file makes of it
                raise translate(error, where=self.where, target=self.name, sent_changes=False) from None
        return client

    def _ask(self, method: str, *, sent_changes: bool = False, **arguments: Any) -> Mapping[str, Any]:
        """One call. Raises our errors only."""
        client = self._open()
        try:
            found: Mapping[str, Any] = getattr(client, method)(**arguments)
        except TargetError:
            raise
        except known_errors() as error:
            ours = translate(error, where=self.where, target=self.name, sent_changes=sent_changes)
            if isinstance(ours, LocalFault):
                self._client = None  # credentials that are put right on disk are used at once
            raise ours from None
        return found

    # -- reading -------------------------------------------------------------------------------------------------------

    async def _fetch(self, keys: Sequence[Key], *, urgent: bool) -> dict[Key, Held]:
        names = {name for name, _ in keys}
        await self._read_checks(urgent=urgent)
        found: list[Mapping[str, Any]] = []
        if len(names) <= DIRECT_MAX:
            for name in sorted(names):
                found += await self._list(name, urgent=urgent)
        else:
            found = await self._list("", urgent=urgent)
        return held_of(found, names)

    async def _list(self, name: str, *, urgent: bool) -> list[Mapping[str, Any]]:
        """All record sets of a name, or of the zone. A listing that breaks off raises: partial is unknown."""
        start = {"StartRecordName": name} if name else {}
        found: list[Mapping[str, Any]] = []
        for _ in range(PAGES_MAX):
            page = await self._call(self._page, start, 20 if name else PAGE, urgent=urgent)
            sets = page["ResourceRecordSets"]
            found += [item for item in sets if not name or _name(item) == name]
            if not page["IsTruncated"] or (name and sets and _name(sets[-1]) != name):
                return found
            start = {
                f"StartRecord{part}": page[f"NextRecord{part}"]
                for part in ("Name", "Type", "Identifier")
                if f"NextRecord{part}" in page
            }
        raise Unavailable(f"{self.where}: the listing does not end", target=self.name)

    def _page(self, start: Mapping[str, str], size: int) -> Mapping[str, Any]:
        arguments: dict[str, Any] = {
            "HostedZoneId": self.entry.hosted_zone,
            "MaxItems": str(size),
            **start,
        }
        page = self._ask("list_resource_record_sets", **arguments)
        if "ResourceRecordSets" not in page or "IsTruncated" not in page:
            raise Unavailable(f"{self.where}: the answer is no listing of record sets", target=self.name)
        return page

    # -- changing ------------------------------------------------------------------------------------------------------

    def _objects_of(self, record_set: RecordSet) -> tuple[Any, ...]:
        plain = {"Name": record_set.name, "Type": record_set.record_type.value, "TTL": record_set.ttl}
        if not record_set.weights:
            return ({**plain, "ResourceRecords": [{"Value": value} for value in record_set.values]},)
        return tuple(
            {
                **plain,
                "SetIdentifier": f"{IDENTIFIER}{value}",
                "Weight": weight,
                "ResourceRecords": [{"Value": value}],
                **({"HealthCheckId": check} if (check := self._check_of(record_set, value)) else {}),
            }
            for value, weight in zip(record_set.values, record_set.weights, strict=True)
        )

    def _fence_object(self, name: str, text: str, ttl: int) -> Any:
        return {"Name": name, "Type": "TXT", "TTL": ttl, "ResourceRecords": [{"Value": text}]}

    async def _learn_limits(self) -> None:
        """They are documented, and the same for everybody."""

    def _refuse_oversize(self, change: ZoneChange, delta: Delta) -> None:
        able = self.capabilities
        self._refuse_wide(change, plain=able.values_max, weighted=able.weighted_max)
        values = [
            record["Value"]
            for item in (*delta.deletions, *delta.additions)
            for record in item.get("ResourceRecords", ())
        ]
        if len(values) > ELEMENTS_MAX or sum(map(len, values)) > CHARACTERS_MAX:
            raise Rejected(
                f"{self.where}, application {change.application}: {len(change.changes)} names do not fit one atomic "
                f"batch ({len(values)} values of at most {ELEMENTS_MAX}, deletions included); they go in several parts",
                target=self.name,
            )

    def _submit(self, delta: Delta, permitted: Callable[[], None]) -> str:
        self._open()
        changes = [{"Action": "DELETE", "ResourceRecordSet": item} for item in delta.deletions]
        changes += [{"Action": "CREATE", "ResourceRecordSet": item} for item in delta.additions]
        permitted()
        answer = self._ask(
            "change_resource_record_sets",
            sent_changes=True,
            HostedZoneId=self.entry.hosted_zone,
            ChangeBatch={"Comment": "failover", "Changes": changes},
        )
        try:
            return str(answer["ChangeInfo"]["Id"]).rpartition("/")[2]
        except (KeyError, TypeError) as error:
            raise translate(error, where=self.where, target=self.name, sent_changes=True) from None

    def _is_settled(self, change: str) -> bool:
        answer = self._ask("get_change", Id=change)
        return bool(answer.get("ChangeInfo", {}).get("Status") == "INSYNC")

    def _describe(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        answer = self._ask("get_hosted_zone", Id=self.entry.hosted_zone)
        found, servers = answer.get("HostedZone", {}), answer.get("DelegationSet", {}).get("NameServers", ())
        if absolute_name(str(found.get("Name", "."))).to_text() != self.apex:
            raise Rejected(
                f"{self.where}: the hosted zone {self.entry.hosted_zone} is {found.get('Name', 'unreadable')}, not {self.apex}",
                target=self.name,
            )
        said = []
        listed = self._listed_at > float("-inf")
        if self._unlisted:
            since = f"{self._mono() - self._listed_at:.0f} s ago" if listed else "never"
            said.append(f"the health checks could not be listed (last: {since}): {self._unlisted}")
        missing = [item.value for item in self._checked if listed and not self._listed.of(item)]
        if missing:
            said.append(
                f"{', '.join(missing)} has no health check that makes today's probe: `failover dns prepare {self.name}`"
            )
        return tuple(servers), tuple(said)

    async def _record_sets_used(self) -> Quota:
        found = await self._call(
            partial(
                self._ask,
                "get_hosted_zone_limit",
                HostedZoneId=self.entry.hosted_zone,
                Type="MAX_RRSETS_BY_ZONE",
            )
        )
        try:
            return Quota(what=RECORD_SETS, used=int(found["Count"]), limit=int(found["Limit"]["Value"]))
        except MALFORMED as error:
            raise Unavailable(f"{self.where}: the answer is no limit ({error!r})", target=self.name) from None


def _name(item: Mapping[str, Any]) -> str:
    """The name as we write it. Route 53 gives most characters by an octal code (`\\052` is `*`), where zone files take decimals."""
    plain = OCTAL.sub(lambda found: f"\\{int(found[1], 8):03d}", str(item["Name"]))
    return absolute_name(plain).to_text()


def held_of(listed: Sequence[Mapping[str, Any]], names: set[str]) -> dict[Key, Held]:
    """What is held of these names, record sets of one name and type together."""
    groups: dict[Key, list[Mapping[str, Any]]] = {}
    for item in listed:
        if item["Type"] in _OURS and (name := _name(item)) in names:
            groups.setdefault((name, item["Type"]), []).append(item)
    return {key: _held(key, items) for key, items in groups.items()}


def _held(key: Key, items: Sequence[Mapping[str, Any]]) -> Held:
    name, kind = key
    raw = tuple(dict(item) for item in items)
    ttl = int(items[0].get("TTL", 0))
    foreign = list(_foreign(items))
    if foreign:
        return Held(name=name, kind=kind, ttl=ttl, values=tuple(foreign), raw=raw)
    if "Weight" not in items[0]:
        values = tuple(record["Value"] for record in items[0]["ResourceRecords"])
        return Held(name=name, kind=kind, ttl=ttl, values=values, raw=raw)
    weights = {item["ResourceRecords"][0]["Value"]: int(item["Weight"]) for item in items}
    return Held(
        name=name, kind=kind, ttl=ttl, values=tuple(weights), weights=tuple(weights.values()), raw=raw
    )


def _foreign(items: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What we cannot write, in words that are no address: read honestly, never replaced.

    A weighted record of ours is known by its identifier, whatever became of the health check beside it.
    """
    for item in items:
        policy = next((word for word in _POLICIES if word in item), "")
        if "AliasTarget" in item:
            yield f"alias of {item['AliasTarget'].get('DNSName', '?')}"
        elif policy:
            yield f"{policy} record {item.get('SetIdentifier', '')}"
        elif item.get("HealthCheckId") and not _is_ours(item):
            yield f"health-checked record {item.get('SetIdentifier', '')}"
        elif "Weight" in item and len(item.get("ResourceRecords", ())) != 1:
            yield f"weighted record {item.get('SetIdentifier', '')} of {len(item['ResourceRecords'])} values"


def _is_ours(item: Mapping[str, Any]) -> bool:
    values = [record["Value"] for record in item.get("ResourceRecords", ())]
    return "Weight" in item and [item.get("SetIdentifier")] == [f"{IDENTIFIER}{value}" for value in values]
