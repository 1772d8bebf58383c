"""Who may do what in a lab cluster: bearer tokens and rules, with the real server's denials."""

from dataclasses import dataclass
from typing import Any

from failover.lab.kubeapi.objects import ApiError, Kind


@dataclass(frozen=True, slots=True)
class Rule:
    """Allows verbs on resources (`deployments`, `deployments/scale`, `*`), perhaps in one namespace only."""

    verbs: tuple[str, ...]
    resources: tuple[str, ...]
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Attributes:
    """One question of a SelfSubjectAccessReview."""

    verb: str
    resource: str
    namespace: str = ""


EVERYTHING = (Rule(("*",), ("*",)),)


class Access:
    """Tokens of one cluster. `users`: token -> (user name, rules)."""

    def __init__(self, users: dict[str, tuple[str, tuple[Rule, ...]]]) -> None:
        self._users = users
        self._rules = dict(users.values())

    def authenticate(self, header: str) -> str:
        """The user of an Authorization header. Raises ApiError 401."""
        scheme, _, token = header.partition(" ")
        if scheme != "Bearer" or token not in self._users:
            raise ApiError(401, "Unauthorized", "Unauthorized")
        return self._users[token][0]

    def allows(self, user: str, asked: Attributes) -> bool:
        """Whether some rule of the user covers it."""
        return any(
            ("*" in rule.verbs or asked.verb in rule.verbs)
            and ("*" in rule.resources or asked.resource in rule.resources)
            and (not rule.namespace or rule.namespace == asked.namespace)
            for rule in self._rules.get(user, ())
        )

    def rules(self, user: str) -> list[dict[str, Any]]:
        """As SelfSubjectRulesReview lists them."""
        return [
            {"verbs": list(rule.verbs), "apiGroups": ["*"], "resources": list(rule.resources)}
            for rule in self._rules.get(user, ())
        ]

    def require(self, user: str, verb: str, kind: Kind, namespace: str, name: str, subresource: str) -> None:
        """Raises ApiError 403 in the real server's words."""
        resource = f"{kind.plural}/{subresource}" if subresource else kind.plural
        if self.allows(user, Attributes(verb, resource, namespace)):
            return
        scope = f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
        raise ApiError(
            403,
            "Forbidden",
            f"{kind.plural}{'.' + kind.group if kind.group else ''} {chr(34) + name + chr(34) + ' ' if name else ''}"
            f'is forbidden: User "{user}" cannot {verb} resource "{resource}" in API group "{kind.group}"{scope}',
        )


def resource_attributes(spec: dict[str, Any]) -> Attributes:
    """From a review's spec."""
    asked = spec.get("resourceAttributes", {})
    resource = asked.get("resource", "")
    if asked.get("subresource"):
        resource += "/" + asked["subresource"]
    return Attributes(asked.get("verb", ""), resource, asked.get("namespace", ""))
