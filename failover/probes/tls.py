"""One TLS context per CA bundle, shared by every probe: a context costs half a megabyte and some milliseconds."""

import ssl
from functools import lru_cache


@lru_cache(maxsize=256)
def context_for(ca_pem: str) -> ssl.SSLContext:
    """A verifying client context; "" trusts the system's bundle.

    Raises ValueError where the bundle is broken: that is our fault, and must not look like the target's TLS.
    """
    if not ca_pem:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cadata=ca_pem)
    except ssl.SSLError as error:
        raise ValueError(f"our CA bundle cannot be used: {error}") from None
