"""The Python client (PyPI `mcp` 2.x), which begins with `server/discover`, or with `initialize` when it is told to.

Prints one line of JSON with what it saw and exits 0, or prints the first surprise and exits 1. The steps and the
answers they want are those of walk.mjs and live.mjs.
"""

import asyncio
import base64
import json
import sys
import traceback
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

from mcp import Client, MCPError
from mcp.client.sse import sse_client
from mcp.shared.exceptions import MCPDeprecationWarning
from mcp_types import Implementation, PromptReference

from live import Ears, live
from surprise import Surprise, expect

INVALID_PARAMS = -32602
RESOURCE_NOT_FOUND_BEFORE_2026 = -32002
PNG_SIGNATURE = bytes.fromhex("89504e470d0a1a0a")
# More pages than any fixture has: a cursor that never ends is a failure, not a hang.
PAGES_MAX = 100


async def walk(client: Client, ears: Ears, prefix: str) -> dict[str, Any]:
    """The whole tour; the names on the shared endpoint carry the agent, on the agent's own they are plain."""

    def name(plain: str) -> str:
        return f"{prefix}__{plain}" if prefix else plain

    def uri(plain: str) -> str:
        return f"{prefix}+{plain}" if prefix else plain

    pages: dict[str, int] = {}
    tools = await list_all(pages, "tools", client.list_tools, "tools")
    resources = await list_all(pages, "resources", client.list_resources, "resources")
    templates = await list_all(pages, "templates", client.list_resource_templates, "resource_templates")
    prompts = await list_all(pages, "prompts", client.list_prompts, "prompts")
    includes([tool.name for tool in tools], name("test_simple_text"))
    includes([prompt.name for prompt in prompts], name("test_prompt_with_arguments"))
    includes([resource.uri for resource in resources], uri("test://static-text"))
    includes([resource.uri for resource in resources], uri("test://static-binary"))
    includes([template.uri_template for template in templates], uri("test://template/{id}/data"))
    missing = [INVALID_PARAMS, RESOURCE_NOT_FOUND_BEFORE_2026] if client.protocol_version < "2026" else [INVALID_PARAMS]
    unknown_tool = await refusal([INVALID_PARAMS], lambda: client.call_tool(name("no_such_tool"), {}))
    unknown_resource = await refusal(missing, lambda: client.read_resource(uri("test://no-such")))
    return {
        "revision": client.protocol_version,
        "server": client.server_info.name if client.server_info else None,
        "tools": len(tools),
        "resources": len(resources),
        "templates": len(templates),
        "prompts": len(prompts),
        "pages": pages,
        "text": await read_text(client, uri("test://static-text"), "text/plain"),
        "binaryBytes": await read_png(client, uri("test://static-binary")),
        "template": await read_text(client, uri("test://template/123/data"), "application/json", "123"),
        "tool": await call(client, name("test_simple_text"), is_error=False),
        "toolError": await call(client, name("test_error_handling"), is_error=True),
        "prompt": await get_prompt(client, name("test_prompt_with_arguments")),
        "completion": await complete(client, name("test_prompt_with_arguments")),
        "unknownTool": unknown_tool,
        "unknownResource": unknown_resource,
        **await live(client, ears, name, uri),
    }


async def list_all(
    pages: dict[str, int], key: str, page_of: Callable[..., Awaitable[Any]], field: str
) -> list[Any]:
    """Every item of every page, once each; `pages[key]` is how many pages there were."""
    items: list[Any] = []
    cursor = None
    for number in range(1, PAGES_MAX + 1):
        page = await page_of(cursor=cursor)
        items.extend(getattr(page, field))
        pages[key] = number
        cursor = page.next_cursor
        if cursor is None:
            names = [getattr(item, "uri", None) or getattr(item, "uri_template", None) or item.name for item in items]
            expect(len(set(names)) == len(names), f"{key} are listed once each: {names}")
            return items
    raise Surprise(f"{key} do not end after {PAGES_MAX} pages")


async def read_one(client: Client, uri: str, mime_type: str) -> Any:
    contents = (await client.read_resource(uri)).contents
    expect(len(contents) == 1, f"{uri} has one content, not {len(contents)}")
    expect(contents[0].uri == uri, f"{uri} is called {contents[0].uri} in its content")
    expect(contents[0].mime_type == mime_type, f"{uri} is {mime_type}, not {contents[0].mime_type}")
    return contents[0]


async def read_text(client: Client, uri: str, mime_type: str, part: str = "") -> str:
    text = (await read_one(client, uri, mime_type)).text
    expect(bool(text) and part in text, f"{uri} holds {part!r}: {text!r}")
    return text


async def read_png(client: Client, uri: str) -> int:
    data = base64.b64decode((await read_one(client, uri, "image/png")).blob, validate=True)
    expect(data.startswith(PNG_SIGNATURE), f"{uri} is a PNG")
    return len(data)


async def call(client: Client, name: str, *, is_error: bool) -> str:
    result = await client.call_tool(name, {})
    expect(bool(result.is_error) == is_error, f"isError of {name} is {is_error}")
    expect(len(result.content) == 1 and bool(result.content[0].text), f"{name} answers with one text")
    return result.content[0].text


async def get_prompt(client: Client, name: str) -> str:
    result = await client.get_prompt(name, {"arg1": "first", "arg2": "second"})
    text = "\n".join(message.content.text for message in result.messages)
    expect("first" in text and "second" in text, f"{name} repeats its arguments: {text!r}")
    return text


async def complete(client: Client, name: str) -> list[str]:
    result = await client.complete(PromptReference(name=name), {"name": "arg1", "value": "par"})
    values = result.completion.values
    expect(len(values) <= 100, f"at most 100 values, not {len(values)}")
    expect(all(value.startswith("par") for value in values), f'each of {values} completes "par"')
    return values


async def refusal(codes: list[int], call_it: Callable[[], Awaitable[Any]]) -> int:
    try:
        result = await call_it()
    except MCPError as error:
        expect(error.code in codes, f"refused with {error.code} {error.message!r}, not {codes}")
        return error.code
    raise Surprise(f"not refused: {result}")


def includes(found: list[str], wanted: str) -> None:
    expect(wanted in found, f"{wanted} is missing from {found}")


async def main(url: str, prefix: str, mode: str) -> None:
    ears = Ears()
    newest = "2026-07-28" if mode == "auto" else "2025-11-25"
    client = Client(
        sse_client(url) if mode == "sse" else url,
        mode="auto" if mode == "auto" else "legacy",
        client_info=Implementation(name=f"stockade-interop-python-{mode}", version="1.0.0"),
        elicitation_callback=ears.elicitation,
        sampling_callback=ears.sampling,
        list_roots_callback=ears.roots,
        logging_callback=ears.log,
        message_handler=ears.message,
    )
    async with client:
        expect(client.protocol_version == newest, f"revision {newest}, not {client.protocol_version}")
        print(json.dumps(await walk(client, ears, prefix)))


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[3] not in ("auto", "legacy", "sse"):
        sys.exit("usage: client.py URL AGENT auto|legacy|sse")
    # The library calls what older revisions have deprecated, and says so each time.
    warnings.simplefilter("ignore", MCPDeprecationWarning)
    try:
        asyncio.run(main(*sys.argv[1:]))
    except Exception:
        traceback.print_exc()
        sys.exit(1)
