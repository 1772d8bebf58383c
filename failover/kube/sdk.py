"""The one module of `kubernetes.aio` that the adapter builds on, imported without the SDK's models.

`import kubernetes.aio.client` runs every generated model: 84 MiB and half a second for classes that raw JSON does not need
(libraries facts). The packages above the module are stood in for while it is imported, and taken away again, so that
anybody else who imports the SDK in this process gets all of it.
"""

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

PACKAGES = ("kubernetes", "kubernetes.aio", "kubernetes.aio.client")
MODULE = "kubernetes.aio.client.rest"


def rest_module() -> Any:
    """`kubernetes.aio.client.rest`; the SDK's own packages where they are loaded already."""
    if MODULE in sys.modules:
        return sys.modules[MODULE]
    if any(name in sys.modules for name in PACKAGES):
        return importlib.import_module(MODULE)
    root = importlib.util.find_spec("kubernetes")
    if root is None or not root.submodule_search_locations:
        return importlib.import_module(MODULE)
    place = root.submodule_search_locations[0]
    try:
        for depth, name in enumerate(PACKAGES):
            package = ModuleType(name)
            package.__path__ = ["/".join([place, *("aio", "client")[:depth]])]
            sys.modules[name] = package
        return importlib.import_module(MODULE)
    finally:
        for name in [*PACKAGES, MODULE, "kubernetes.aio.client.exceptions"]:
            sys.modules.pop(name, None)
