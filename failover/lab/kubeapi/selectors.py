"""Label and field selectors, as list and watch take them."""

from typing import Any

from failover.lab.kubeapi.objects import ApiError


def matches_labels(selector: str, labels: dict[str, str]) -> bool:
    """`a=b,c!=d,e,!f,g in (h,i)`. Raises ApiError 400 for what cannot be read."""
    for part in _split(selector):
        if " in " in part or " notin " in part:
            key, operator, rest = part.split(" ", 2)
            values = {value.strip() for value in rest.strip().strip("()").split(",")}
            if (labels.get(key) in values) != (operator == "in"):
                return False
        elif "!=" in part:
            key, value = part.split("!=", 1)
            if labels.get(key.strip()) == value.strip():
                return False
        elif "=" in part:
            key, value = part.replace("==", "=").split("=", 1)
            if labels.get(key.strip()) != value.strip():
                return False
        elif part.startswith("!"):
            if part[1:] in labels:
                return False
        elif part not in labels:
            return False
    return True


def _split(selector: str) -> list[str]:
    parts, depth, current = [], 0, ""
    for char in selector:
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append(current.strip())
            current = ""
        else:
            current += char
    if depth:
        raise ApiError(400, "BadRequest", f"unable to parse requirement: {selector!r}")
    return [part for part in [*parts, current.strip()] if part]


def matches_fields(selector: str, value: dict[str, Any]) -> bool:
    """`metadata.name=x,status.phase!=Succeeded,spec.nodeName=`: equality on dotted paths."""
    for part in filter(None, selector.split(",")):
        negated = "!=" in part
        path, wanted = part.split("!=" if negated else "=", 1)
        found: Any = value
        for step in path.strip().split("."):
            found = found.get(step) if isinstance(found, dict) else None
        if (str(found or "") == wanted.lstrip("=").strip()) == negated:
            return False
    return True
