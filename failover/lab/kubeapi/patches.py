"""Merge patch, JSON patch and server-side apply over plain objects, with managedFields as the real server keeps them."""

import copy
from typing import Any

from failover.lab.kubeapi.objects import ApiError, Object, timestamp


def merge(target: Any, patch: Any) -> Any:
    """RFC 7396. Lists are replaced (a strategic merge of lists by key is not needed here)."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def json_patch(target: Object, operations: list[Any]) -> Object:
    """RFC 6902: add, replace, remove and test on objects and lists."""
    result = copy.deepcopy(target)
    for operation in operations:
        *parents, last = [
            part.replace("~1", "/").replace("~0", "~") for part in operation["path"].lstrip("/").split("/")
        ]
        holder: Any = result
        try:
            for step in parents:
                holder = holder[int(step)] if isinstance(holder, list) else holder[step]
            _apply_operation(holder, last, operation)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ApiError(422, "Invalid", f"the server rejected our request: {error}") from None
    return result


def _apply_operation(holder: Any, last: str, operation: dict[str, Any]) -> None:
    name = operation["op"]
    key: Any = last
    if isinstance(holder, list):
        key = len(holder) if last == "-" else int(last)
    if name == "test":
        if holder[key] != operation["value"]:
            raise ValueError("test failed")
    elif name == "remove":
        del holder[key]
    elif isinstance(holder, list) and name == "add":
        holder.insert(key, operation["value"])
    else:
        holder[key] = operation["value"]


def fields_of(value: Any) -> Object:
    """FieldsV1 of a plain object: the keys that somebody set."""
    if not isinstance(value, dict):
        return {}
    return {f"f:{key}": fields_of(item) for key, item in value.items()}


def note_manager(value: Object, manager: str, operation: str, subresource: str, fields: Object) -> None:
    """Record who set which fields; a field has one owner among Update managers, as in the real server."""
    managed = value["metadata"].setdefault("managedFields", [])
    for entry in managed:
        if entry["manager"] != manager:
            entry["fieldsV1"] = _without(entry["fieldsV1"], fields)
    managed[:] = [
        entry
        for entry in managed
        if entry["fieldsV1"]
        and (entry["manager"], entry["operation"], entry.get("subresource", ""))
        != (manager, operation, subresource)
    ]
    entry = {
        "manager": manager,
        "operation": operation,
        "apiVersion": value.get("apiVersion", ""),
        "time": timestamp(),
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    if subresource:
        entry["subresource"] = subresource
    managed.append(entry)


def _without(owned: Object, taken: Object) -> Object:
    result = {}
    for key, value in owned.items():
        if key not in taken:
            result[key] = value
        elif value and taken[key]:
            rest = _without(value, taken[key])
            if rest:
                result[key] = rest
    return result


def differing(value: Any, wanted: Any) -> Object:
    """What of an applied object is not so yet: who sets a field to the value that it has becomes its owner beside others."""
    if not isinstance(value, dict) or not isinstance(wanted, dict):
        return {}
    found = {}
    for key, item in wanted.items():
        deeper = differing(value.get(key), item) if isinstance(item, dict) else {}
        if deeper or (not isinstance(item, dict) and value.get(key) != item):
            found[key] = deeper or item
    return found


def apply_conflicts(value: Object, manager: str, fields: Object) -> list[str]:
    """Managers that own a field which a server-side apply without force would take."""
    return [
        entry["manager"]
        for entry in value["metadata"].get("managedFields", [])
        if entry["manager"] != manager and _overlap(entry["fieldsV1"], fields)
    ]


def _overlap(one: Object, other: Object) -> bool:
    for key in one.keys() & other.keys():
        if not one[key] or not other[key] or _overlap(one[key], other[key]):
            return True
    return False
