"""A region's client endpoint as a process: `python -m tests.real.endpoint ADDRESS PORT CERTIFICATE KEY`."""

import asyncio
import ssl
import sys

from failover.lab.region import Endpoint


async def serve(address: str, port: int, certificate: str, key: str) -> None:
    """Until killed."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    await Endpoint(address, port, tls).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]))
