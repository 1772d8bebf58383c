"""What a cluster's etcd would keep: every object but pods and events, one JSON line a change.

A region that was killed comes back with it as it was: the same identity, the same fence, the replicas that it had. A line
is in the kernel's hands before the change is answered, so that SIGKILL loses none.
"""

import json
from pathlib import Path
from typing import TextIO

from failover.lab.kubeapi.objects import KINDS, Change, Object, ObjectStore

NOT_KEPT = frozenset({"pods", "events"})
VERSIONS_SKIPPED = 1000
"""Status changes are not kept: versions go on well above all that may have been handed out."""
Key = tuple[str, str, str, str]


class Ledger:
    """One cluster's file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last: dict[Key, str] = {}
        self._file: TextIO | None = None

    def restore(self, store: ObjectStore) -> bool:
        """Fill a store with what was kept, and keep what changes from now on. False where nothing was kept yet."""
        objects = self._read()
        version = store.version
        for (group, plural, namespace, name), value in sorted(objects.items()):
            version = max(version, int(value["metadata"].get("resourceVersion", 0)))
            store.items.setdefault((group, plural), {})[namespace, name] = value
        store.version = version + VERSIONS_SKIPPED if objects else version
        self._begin_anew(objects)
        store.keep = self._keep
        return bool(objects)

    def _begin_anew(self, objects: dict[Key, Object]) -> None:
        """One line an object, and no line that was cut off."""
        draft = self._path.with_suffix(".draft")
        draft.write_text(
            "".join(json.dumps([key, value]) + "\n" for key, value in objects.items()), encoding="utf-8"
        )
        draft.rename(self._path)
        self._last = {key: _text(value) for key, value in objects.items()}
        self._file = self._path.open("a", encoding="utf-8", buffering=1)

    def _read(self) -> dict[Key, Object]:
        found: dict[Key, Object] = {}
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        for line in lines:
            try:
                key, value = json.loads(line)
            except ValueError:
                continue  # the line that SIGKILL cut off: its change was never answered
            if value is None:
                found.pop(tuple(key), None)
            else:
                found[tuple(key)] = value
        return {key: value for key, value in found.items() if key[:2] in KINDS}

    def _keep(self, change: Change) -> None:
        if change.kind.plural in NOT_KEPT or self._file is None:
            return
        metadata = change.object["metadata"]
        key = (change.kind.group, change.kind.plural, metadata.get("namespace", ""), metadata["name"])
        value = None if change.type == "DELETED" else _lasting(change.object)
        text = _text(value)
        if self._last.get(key) != text:
            self._last[key] = text
            self._file.write(json.dumps([key, value]) + "\n")


def _lasting(value: Object) -> Object:
    """An object without what its kubelets find out anew; a node's status is part of what it is."""
    return value if value["kind"] == "Node" else {key: item for key, item in value.items() if key != "status"}


def _text(value: Object | None) -> str:
    """What tells two versions of an object apart, other than the version."""
    if value is None:
        return ""
    metadata = {key: item for key, item in value["metadata"].items() if key != "resourceVersion"}
    return json.dumps({**value, "metadata": metadata}, sort_keys=True)
