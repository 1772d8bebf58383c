"""REST verbs over an ObjectStore: lists with selectors and paging, watch, scale, patches, apply, dry run, conflicts."""

import asyncio
import base64
import copy
import json
from collections.abc import Callable
from typing import Any

import yaml
from aiohttp import web

from failover.lab.kubeapi.access import Access
from failover.lab.kubeapi.discovery import Discovery
from failover.lab.kubeapi.objects import KINDS, ApiError, Kind, Object, ObjectStore, conflict, qualified
from failover.lab.kubeapi.patches import (
    apply_conflicts,
    differing,
    fields_of,
    json_patch,
    merge,
    note_manager,
)
from failover.lab.kubeapi.selectors import matches_fields, matches_labels

PAGE_MAX = 500
Admission = Callable[[str, Kind, str, str, Object], None]
"""Called before every write: user, kind, subresource, field manager, object. Raises ApiError to refuse."""


class Rest:
    """All routes of one cluster's API server."""

    def __init__(
        self, store: ObjectStore, access: Access, admit: Admission, version: str = "v1.36.3"
    ) -> None:
        self.store, self.access, self.admit, self.version = store, access, admit, version

    def routes(self, app: web.Application) -> None:
        """Add every route."""
        Discovery(self.access, self.version).routes(app)
        for prefix in ("/api/v1", "/apis/{group}/{version}"):
            for base in (
                prefix + "/namespaces/{namespace}",
                prefix,
            ):  # the longer first: the shorter matches it too
                app.router.add_route("*", base + "/{plural}", self._collection)
                app.router.add_route("*", base + "/{plural}/{name}", self._object)
                app.router.add_route("*", base + "/{plural}/{name}/{subresource}", self._object)

    # -- who and what ----------------------------------------------------------------------------------------------------

    def _user(self, request: web.Request) -> str:
        return self.access.authenticate(request.headers.get("Authorization", ""))

    def _kind(self, request: web.Request) -> Kind:
        key = (request.match_info.get("group", ""), request.match_info["plural"])
        kind = KINDS.get(key)
        if kind is None or request.match_info.get("version", "v1") != kind.version:
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        return kind

    # -- collections ---------------------------------------------------------------------------------------------------

    async def _collection(self, request: web.Request) -> web.StreamResponse:
        user, kind = self._user(request), self._kind(request)
        namespace = request.match_info.get("namespace")
        watching = request.query.get("watch") in ("true", "1")
        verb = {"GET": "watch" if watching else "list", "POST": "create"}.get(
            request.method, "deletecollection"
        )
        self.access.require(user, verb, kind, namespace or "", "", "")
        if verb == "watch":
            return await self._watch(request, kind, namespace)
        if verb == "list":
            return self._list(request, kind, namespace)
        if verb != "create":
            raise ApiError(
                405, "MethodNotAllowed", "the server does not allow this method on the requested resource"
            )
        body = await _json(request)
        manager = request.query.get("fieldManager", _agent(request))
        self.admit(user, kind, "", manager, body)
        note_manager(
            {**body, "metadata": body.setdefault("metadata", {})}, manager, "Update", "", _owned(body)
        )
        if request.query.get("dryRun") == "All":
            return web.json_response(body, status=201)
        return web.json_response(self.store.create(kind, namespace or "", body), status=201)

    def _list(self, request: web.Request, kind: Kind, namespace: str | None) -> web.Response:
        limit = min(int(request.query.get("limit", "0") or 0) or PAGE_MAX * 1000, PAGE_MAX * 1000)
        start, version = "", str(self.store.version)
        token = request.query.get("continue", "")
        if token:
            start, version = _read_token(token)
            if int(version) < self.store.oldest():
                raise ApiError(410, "Expired", "The provided continue parameter is too old")
        found: list[Object] = []
        more = 0
        for item in self.store.select(kind, namespace):
            metadata = item["metadata"]
            place = f"{metadata.get('namespace', '')}/{metadata['name']}"
            if place <= start and start:
                continue
            if not matches_labels(request.query.get("labelSelector", ""), metadata.get("labels", {})):
                continue
            if not matches_fields(request.query.get("fieldSelector", ""), item):
                continue
            if len(found) < limit:
                found.append(item)
            else:
                more += 1
        listing: Object = {"resourceVersion": version}
        if more:
            last = found[-1]["metadata"]
            listing["continue"] = _token(f"{last.get('namespace', '')}/{last['name']}", version)
            listing["remainingItemCount"] = more
        return web.json_response(
            {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": listing, "items": found}
        )

    async def _watch(self, request: web.Request, kind: Kind, namespace: str | None) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        version = int(request.query.get("resourceVersion", "0") or self.store.version)
        if version < self.store.oldest():
            gone = ApiError(410, "Expired", f"too old resource version: {version} ({self.store.oldest()})")
            await _send(response, {"type": "ERROR", "object": gone.status()})
            return response
        deadline = asyncio.get_running_loop().time() + float(request.query.get("timeoutSeconds", "300"))
        while (left := deadline - asyncio.get_running_loop().time()) > 0:
            for change in self.store.since(version, kind, namespace):
                version = change.version
                labels = change.object["metadata"].get("labels", {})
                if matches_labels(request.query.get("labelSelector", ""), labels):
                    await _send(response, {"type": change.type, "object": change.object})
            try:
                async with asyncio.timeout(left):
                    await self.store.wait()
            except TimeoutError:
                break
        return response

    # -- single objects ------------------------------------------------------------------------------------------------

    async def _object(self, request: web.Request) -> web.Response:
        user, kind = self._user(request), self._kind(request)
        namespace, name = request.match_info.get("namespace", ""), request.match_info["name"]
        subresource = request.match_info.get("subresource", "")
        verb = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}.get(request.method, "")
        self.access.require(user, verb, kind, namespace, name, subresource)
        if subresource not in ("", "status", "scale") or (subresource == "scale" and not kind.scale):
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        if verb == "get":
            value = self.store.get(kind, namespace, name)
            return web.json_response(scale_of(value) if subresource == "scale" else value)
        if verb == "delete":
            return web.json_response(self.store.delete(kind, namespace, name))
        return await self._write(request, user, kind, (namespace, name, subresource))

    async def _write(
        self, request: web.Request, user: str, kind: Kind, place: tuple[str, str, str]
    ) -> web.Response:
        namespace, name, subresource = place
        body = await _json(request)
        manager = request.query.get("fieldManager", _agent(request))
        content = request.content_type
        applying = request.method == "PATCH" and "apply-patch" in content
        current = self.store.peek(kind, namespace, name)
        if current is None:
            if applying and not subresource:
                body.setdefault("metadata", {})["name"] = name
                self.admit(user, kind, "", manager, body)
                note_manager(body, manager, "Apply", "", _owned(body))
                if request.query.get("dryRun") == "All":
                    return web.json_response(body, status=201)
                return web.json_response(self.store.create(kind, namespace, body), status=201)
            raise ApiError(404, "NotFound", f'{qualified(kind)} "{name}" not found')
        seen = scale_of(current) if subresource == "scale" else copy.deepcopy(current)
        wanted = self._wanted(
            request.method, content, seen, body, manager, request.query.get("force") == "true"
        )
        expected = wanted.get("metadata", {}).get("resourceVersion", "")
        if expected and expected != current["metadata"]["resourceVersion"]:
            raise conflict(kind, name)
        after = _after(copy.deepcopy(current), wanted, subresource)
        _validate(kind, after)
        self.admit(user, kind, subresource, manager, wanted)
        touched = {"f:spec": {"f:replicas": {}}} if subresource == "scale" else _changed(current, after)
        if touched:
            note_manager(after, manager, "Apply" if applying else "Update", subresource, touched)
        if request.query.get("dryRun") != "All":
            after = self.store.replace(kind, after)
        return web.json_response(scale_of(after) if subresource == "scale" else after)

    def _wanted(
        self, method: str, content: str, seen: Object, body: Any, manager: str, force: bool
    ) -> Object:
        if method == "PUT":
            return dict(body)
        if "json-patch" in content:
            return json_patch(seen, body)
        if "apply-patch" in content:
            others = apply_conflicts(seen, manager, _owned(differing(seen, body)))
            if others and not force:
                raise ApiError(409, "Conflict", f'Apply failed with 1 conflict: conflict with "{others[0]}"')
        metadata = body.get("metadata", {}) if isinstance(body, dict) else {}
        merged: Object = merge(seen, body)
        if not metadata.get("resourceVersion"):
            merged["metadata"] = {**merged["metadata"], "resourceVersion": ""}
        return merged


def scale_of(value: Object) -> Object:
    """The Scale of a workload."""
    metadata = value["metadata"]
    keep = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in keep if key in metadata},
        "spec": {"replicas": value.get("spec", {}).get("replicas", 1)},
        "status": {"replicas": value.get("status", {}).get("replicas", 0), "selector": ""},
    }


def _after(current: Object, wanted: Object, subresource: str) -> Object:
    if subresource == "scale":
        current["spec"] = {**current.get("spec", {}), "replicas": wanted.get("spec", {}).get("replicas")}
        return current
    if subresource == "status":
        current["status"] = wanted.get("status", {})
        return current
    kept = {
        key: current["metadata"][key]
        for key in ("uid", "creationTimestamp", "generation", "name", "namespace")
        if key in current["metadata"]
    }
    wanted = copy.deepcopy(wanted)
    wanted["metadata"] = {
        **wanted.get("metadata", {}),
        **kept,
        "managedFields": copy.deepcopy(current["metadata"].get("managedFields", [])),
    }
    if "status" in current:
        wanted["status"] = current["status"]
    wanted["apiVersion"], wanted["kind"] = current["apiVersion"], current["kind"]
    return wanted


def _validate(kind: Kind, value: Object) -> None:
    if kind.scale:
        replicas = value.get("spec", {}).get("replicas", 1)
        if not isinstance(replicas, int) or isinstance(replicas, bool) or replicas < 0:
            message = f'{kind.kind}.{kind.group} "{value["metadata"]["name"]}" is invalid: spec.replicas: Invalid value: {replicas}: must be greater than or equal to 0'
            raise ApiError(422, "Invalid", message)


def _owned(body: Object) -> Object:
    return fields_of(
        {key: item for key, item in body.items() if key not in ("metadata", "kind", "apiVersion", "status")}
    )


def _changed(before: Object, after: Object) -> Object:
    def differing(one: Any, other: Any) -> Object:
        if not isinstance(one, dict) or not isinstance(other, dict):
            return {}
        return {
            f"f:{key}": differing(one.get(key), item) for key, item in other.items() if one.get(key) != item
        }

    return differing(
        {"spec": before.get("spec"), "data": before.get("data")},
        {k: after[k] for k in ("spec", "data") if k in after},
    )


async def _json(request: web.Request) -> Any:
    """The body. An apply patch is YAML by its name and its right; JSON is a part of it."""
    text = await request.text()
    try:
        return yaml.safe_load(text) if "yaml" in request.content_type else json.loads(text)
    except (ValueError, yaml.YAMLError) as error:
        raise ApiError(400, "BadRequest", f"the object provided is unrecognized: {error}") from None


async def _send(response: web.StreamResponse, event: Object) -> None:
    await response.write(json.dumps(event).encode() + b"\n")


def _agent(request: web.Request) -> str:
    return request.headers.get("User-Agent", "unknown").split("/")[0] or "unknown"


def _token(place: str, version: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([place, version]).encode()).decode()


def _read_token(token: str) -> tuple[str, str]:
    try:
        place, version = json.loads(base64.urlsafe_b64decode(token))
    except ValueError:
        raise ApiError(400, "BadRequest", "continue key is not valid") from None
    return str(place), str(version)
