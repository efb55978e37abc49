"""An agent in Python: one tool that greets, as the smallest Rust agent does it."""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import describe, tools
from wit_world.imports.types import Content_Text, Error_InvalidInput, Error_NotFound, TextContent

SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


class Describe(exports.Describe):
    def describe(self) -> describe.Description:
        return describe.Description(
            title="Greeter",
            description="Greets, in Python.",
            version="0.1.0",
            instructions=None,
            website_url=None,
            icons=[],
            changes=describe.Changes(0),
            poll_ms=None,
        )


class Tools(exports.Tools):
    def list_tools(self, cursor: str | None) -> tools.ToolPage:
        greet = tools.Tool(
            name="greet",
            title=None,
            description="Says hello to somebody.",
            input_schema=json.dumps(SCHEMA),
            output_schema=None,
            hints=None,
            icons=[],
        )
        return tools.ToolPage(tools=[greet], next=None, cache=None)

    def call(self, name: str, arguments: str) -> tools.ToolResult:
        if name != "greet":
            raise Err(Error_NotFound(f"no tool {name}; there is greet"))
        who = json.loads(arguments).get("name")
        if not isinstance(who, str):
            raise Err(Error_InvalidInput("`name` must be a text"))
        text = Content_Text(TextContent(text=f"Hello, {who}, from Python!", annotations=None))
        return tools.ToolResult(content=[text], structured=None, is_error=False)
