"""The control socket of a lab process: one JSON line is asked, one line is answered, `ok` or what is wrong."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any


async def listen(control: Path, switch: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    """Serve from now on. What cannot be done is answered, and ends nothing."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for line in reader:
            try:
                await switch(json.loads(line))
                answer = "ok"
            except (ValueError, TypeError, KeyError, IndexError, AttributeError, OSError) as error:
                answer = f"{type(error).__name__} {error}".replace("\n", " ")
            writer.write(answer.encode() + b"\n")
            await writer.drain()
        writer.close()

    await asyncio.start_unix_server(serve, str(control))
