"""The Python client (PyPI `mcp` 2.x) calls the tool `greet` of one agent, and prints what it was answered as JSON."""

import asyncio
import json
import sys

from mcp import Client


async def main(url: str) -> None:
    async with Client(url) as client:
        answer = await client.call_tool("greet", {"name": "Ada"})
        print(json.dumps({"text": answer.content[0].text}))


asyncio.run(main(sys.argv[1]))
