"""One TLS context per CA bundle, shared by every probe: a context costs half a megabyte and some milliseconds."""

import ssl
from functools import lru_cache


@lru_cache(maxsize=256)
def context_for(ca_pem: str) -> ssl.SSLContext:
    """A verifying client context; "" trusts the system's bundle. Raises ssl.SSLError where the bundle is broken."""
    if not ca_pem:
        return ssl.create_default_context()
    return ssl.create_default_context(cadata=ca_pem)
