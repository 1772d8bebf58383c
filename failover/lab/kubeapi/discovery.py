"""What a cluster serves, as kubectl asks before everything else: groups, resources with their short names, reviews of rights."""

import json
from typing import Any

from aiohttp import web

from failover.lab.kubeapi.access import Access, resource_attributes
from failover.lab.kubeapi.objects import KINDS, ApiError, Kind
from failover.lab.kubeapi.protobuf import review_of

AUTHORIZATION = "authorization.k8s.io"
REVIEWS = {
    "selfsubjectaccessreviews": "SelfSubjectAccessReview",
    "selfsubjectrulesreviews": "SelfSubjectRulesReview",
}
VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


class Discovery:
    """Routes that no object lies behind."""

    def __init__(self, access: Access, version: str) -> None:
        self._access, self._version_text = access, version

    def routes(self, app: web.Application) -> None:
        """Add them."""
        for path in ("/readyz", "/livez", "/healthz"):
            app.router.add_get(path, self._ok)
        app.router.add_get("/version", self._version)
        app.router.add_get("/api", self._core)
        app.router.add_get("/apis", self._groups)
        app.router.add_get("/api/v1", self._resources)
        app.router.add_get("/apis/{group}/{version}", self._resources)
        base = f"/apis/{AUTHORIZATION}/v1/"
        app.router.add_post(base + "selfsubjectaccessreviews", self._access_review)
        app.router.add_post(base + "selfsubjectrulesreviews", self._rules_review)

    async def _ok(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response(
            {"major": "1", "minor": "36", "gitVersion": self._version_text, "platform": "lab"}
        )

    async def _core(self, _: web.Request) -> web.Response:
        return web.json_response({"kind": "APIVersions", "versions": ["v1"]})

    async def _groups(self, _: web.Request) -> web.Response:
        seen = sorted({(kind.group, kind.version) for kind in KINDS.values() if kind.group})
        groups = []
        for group, version in [*seen, (AUTHORIZATION, "v1")]:
            one = {"groupVersion": f"{group}/{version}", "version": version}
            groups.append({"name": group, "versions": [one], "preferredVersion": one})
        return web.json_response({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})

    async def _resources(self, request: web.Request) -> web.Response:
        group = request.match_info.get("group", "")
        resources = [row for kind in KINDS.values() if kind.group == group for row in _rows(kind)]
        if group == AUTHORIZATION:
            resources = [
                {"name": plural, "kind": kind, "namespaced": False, "singularName": "", "verbs": ["create"]}
                for plural, kind in REVIEWS.items()
            ]
        if not resources:
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        version = f"{group}/{request.match_info['version']}" if group else "v1"
        return web.json_response(
            {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}
        )

    # -- rights --------------------------------------------------------------------------------------------------------

    async def _access_review(self, request: web.Request) -> web.Response:
        user = self._access.authenticate(request.headers.get("Authorization", ""))
        body = await _review(request, "SelfSubjectAccessReview")
        allowed = self._access.allows(user, resource_attributes(body.get("spec", {})))
        body["status"] = {"allowed": allowed, "reason": "" if allowed else "no rule of the lab allows it"}
        return web.json_response(body, status=201)

    async def _rules_review(self, request: web.Request) -> web.Response:
        user = self._access.authenticate(request.headers.get("Authorization", ""))
        body = await _review(request, "SelfSubjectRulesReview")
        rules = self._access.rules(user)
        body["status"] = {"resourceRules": rules, "nonResourceRules": [], "incomplete": False}
        return web.json_response(body, status=201)


def _rows(kind: Kind) -> list[dict[str, Any]]:
    """A kind's own row, and its scale's."""
    row: dict[str, Any] = {
        "name": kind.plural,
        "kind": kind.kind,
        "namespaced": kind.namespaced,
        "singularName": kind.kind.lower(),
        "verbs": VERBS,
    }
    found = [{**row, "shortNames": list(kind.short)} if kind.short else row]
    if kind.scale:
        scale = {
            "group": "autoscaling",
            "version": "v1",
            "kind": "Scale",
            "verbs": ["get", "patch", "update"],
        }
        found.append({**row, **scale, "name": f"{kind.plural}/scale", "singularName": ""})
    return found


async def _review(request: web.Request, kind: str) -> dict[str, Any]:
    """The body of a review: kubectl writes these in protobuf, everybody else in JSON."""
    body = await request.read()
    try:
        found = review_of(body, kind) if "protobuf" in request.content_type else json.loads(body)
    except ValueError as error:
        raise ApiError(400, "BadRequest", f"the object provided is unrecognized: {error}") from None
    if not isinstance(found, dict):
        raise ApiError(400, "BadRequest", "the object provided is unrecognized: it is no object")
    return {**found, "kind": kind, "apiVersion": f"{AUTHORIZATION}/v1"}
