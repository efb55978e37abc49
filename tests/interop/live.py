"""What happens while a call runs or between calls, for client.py: progress, changes, cancelling, questions, log messages.

The steps and the answers they want are those of live.mjs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp import Client, MCPError
from mcp.client.subscriptions import ResourceUpdated, ToolsListChanged
from mcp_types import (
    LOG_LEVEL_META_KEY,
    REQUEST_TIMEOUT,
    CreateMessageResult,
    ElicitResult,
    ListRootsResult,
    LoggingMessageNotificationParams,
    ResourceUpdatedNotification,
    Root,
    TextContent,
    ToolListChangedNotification,
)

from surprise import Surprise, expect

# How long a notice may take.
PATIENCE_SECONDS = 20
# Longer than any test waits, and shorter than the agent's deadline.
SLEEP = {"ms": 30_000}
PERSON = {"username": "ada", "email": "ada@example.org", "name": "Ada", "color": "green"}


class Ears:
    """What the client hears and answers. Its methods are the client's callbacks."""

    def __init__(self) -> None:
        self.notices = Inbox()
        self.logs = Inbox()

    async def elicitation(self, _context: Any, params: Any) -> ElicitResult:
        fields = params.requested_schema["properties"]
        return ElicitResult(action="accept", content={field: PERSON[field] for field in fields})

    async def sampling(self, _context: Any, _params: Any) -> CreateMessageResult:
        text = TextContent(type="text", text="Paris")
        return CreateMessageResult(role="assistant", model="interop", content=text)

    async def roots(self, _context: Any) -> ListRootsResult:
        return ListRootsResult(roots=[Root(uri="file:///workspace", name="workspace")])

    async def log(self, params: LoggingMessageNotificationParams) -> None:
        self.logs.put(params)

    async def message(self, message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            self.notices.put(ResourceUpdated(uri=message.params.uri))
        elif isinstance(message, ToolListChangedNotification):
            self.notices.put(ToolsListChanged())


class Inbox:
    """Values put in by a callback and taken out, in their order, by who waits for them."""

    def __init__(self) -> None:
        self.send, self.receive = anyio.create_memory_object_stream[Any](1000)

    def put(self, value: Any) -> None:
        self.send.send_nowait(value)

    async def take(self) -> Any:
        with anyio.fail_after(PATIENCE_SECONDS):
            return await self.receive.receive()


async def live(
    client: Client, ears: Ears, name: Callable[[str], str], uri: Callable[[str], str]
) -> dict[str, Any]:
    updated, list_changed = await changes(client, ears, name, uri("test://watched-resource"))
    return {
        "progress": await progress(client, name("test_tool_with_progress")),
        "updated": updated,
        "listChanged": list_changed,
        "cancelled": await cancel(client, name),
        "answered": await answered(client, name, uri),
        "logged": await logged(client, ears, name("test_tool_with_logging")),
    }


async def progress(client: Client, name: str) -> list[float]:
    """Some of 0, 50 and 100 in this order; of those that follow close upon each other the last one counts."""
    seen: list[tuple[float, float | None]] = []

    async def heard(done: float, total: float | None, _message: str | None) -> None:
        seen.append((done, total))

    await client.call_tool(name, {}, progress_callback=heard)
    steps = [done for done, _ in seen]
    expect(steps == [step for step in (0, 50, 100) if step in steps], f"rising progress: {steps}")
    expect(steps[-1:] == [100], f"the last progress is the whole: {steps}")
    expect(all(total == 100 for _, total in seen), f"the total is told each time: {seen}")
    return steps


async def changes(client: Client, ears: Ears, name: Callable[[str], str], watched: str) -> tuple[str, str]:
    async with watch(client, ears, watched) as next_change:
        await client.call_tool(name("trigger_watched_change"), {})
        expect(await next_change(ResourceUpdated) == ResourceUpdated(uri=watched), "the resource that was asked for")
        await client.call_tool(name("test_trigger_tool_change"), {})
        await next_change(ToolsListChanged)
    # A host that still counts this client among the listeners must not fail for it.
    await client.call_tool(name("trigger_watched_change"), {})
    return watched, "tools"


@asynccontextmanager
async def watch(client: Client, ears: Ears, uri: str) -> AsyncIterator[Callable[..., Any]]:
    """Asks for changes of `uri` and of the list of tools, and yields what waits for the next one of a kind."""
    if client.protocol_version < "2026":
        await client.subscribe_resource(uri)
        yield lambda kind: first_of(kind, ears.notices.take)
        await client.unsubscribe_resource(uri)
        return
    async with client.listen(tools_list_changed=True, resource_subscriptions=[uri]) as subscription:
        honored = subscription.honored
        expect(honored.tools_list_changed is True, f"the host grants changes of the tools: {honored}")
        expect(honored.resource_subscriptions == [uri], f"the host grants changes of {uri}: {honored}")
        yield lambda kind: first_of(kind, subscription.__anext__)


async def first_of(kind: type, take: Callable[[], Any]) -> Any:
    with anyio.fail_after(PATIENCE_SECONDS):
        while True:
            change = await take()
            if isinstance(change, kind):
                return change


async def cancel(client: Client, name: Callable[[str], str]) -> str:
    """Cancels a call that has begun, which its first progress shows; then one that waits for its place must get it.

    A caller of this library cancels the scope it waits in, and sees no error; a call that takes longer than it may is
    cancelled by the library, and that is an error.
    """
    begun = anyio.Event()

    async def heard(_done: float, _total: float | None, _message: str | None) -> None:
        begun.set()

    async def sleep(scope: anyio.CancelScope) -> None:
        with scope:
            result = await client.call_tool(name("sleep"), SLEEP, progress_callback=heard)
            expect(False, f"not cancelled: {result}")

    async with anyio.create_task_group() as group:
        scope = anyio.CancelScope()
        group.start_soon(sleep, scope)
        with anyio.fail_after(PATIENCE_SECONDS):
            await begun.wait()
        scope.cancel()
    expect(scope.cancelled_caught, "the call ends where its scope was cancelled")
    await serves(client, name)
    try:
        result = await client.call_tool(name("sleep"), SLEEP, read_timeout_seconds=1)
    except MCPError as error:
        expect(error.code == REQUEST_TIMEOUT, f"out of time, not {error.code} {error.message!r}")
        await serves(client, name)
        return error.message
    raise Surprise(f"not cancelled: {result}")


async def serves(client: Client, name: Callable[[str], str]) -> None:
    result = await client.call_tool(name("test_simple_text"), {})
    expect(not result.is_error, "the agent serves the next call")


async def answered(client: Client, name: Callable[[str], str], uri: Callable[[str], str]) -> list[str]:
    """Every kind of question, two rounds of them, and one that a read asks."""

    async def ask(tool: str, arguments: dict[str, Any], wanted: str) -> str:
        result = await client.call_tool(name(tool), arguments)
        text = result.content[0].text
        expect(not result.is_error and wanted in text, f"{tool} repeats the answer {wanted!r}: {text!r}")
        return text

    read = (await client.read_resource(uri("test://personal"))).contents[0].text
    expect(read == "The copy of Ada.", f"a read repeats the answer: {read!r}")
    return [
        await ask("test_elicitation", {"message": "Who are you?"}, '"username":"ada"'),
        await ask("test_input_required_result_elicitation", {}, "Hello, Ada!"),
        await ask("test_sampling", {"prompt": "What is the capital of France?"}, "Paris"),
        await ask("test_input_required_result_list_roots", {}, "file:///workspace"),
        await ask("test_input_required_result_multiple_inputs", {}, "Paris Ada works in file:///workspace"),
        await ask("test_input_required_result_multi_round", {}, "Ada likes green"),
        read,
    ]


async def logged(client: Client, ears: Ears, name: str) -> list[Any]:
    """The messages of one call, in their order. Once a level is set every call has them; since 2026 a call asks."""
    meta = None
    if client.protocol_version < "2026":
        await client.set_logging_level("info")
    else:
        meta = {LOG_LEVEL_META_KEY: "info"}
    await client.call_tool(name, {}, meta=meta)
    messages = [await ears.logs.take() for _ in range(3)]
    expect(all(message.level == "info" for message in messages), f"three messages of level info: {messages}")
    return [message.data for message in messages]
