"""Stock clients of pycrdt in the registry's document. Prints what they saw.

    python document.py URL OPERATOR_TOKEN
"""

import json
import random
import sys

import anyio
from httpx_ws import aconnect_ws
from pycrdt import Doc, Map, Provider
from pycrdt.websocket.websocket import HttpxWebsocket

url, token = sys.argv[1:3]
seen = {}


class Client:
    """A document and its connection."""

    def __init__(self, token=None):
        self.doc = Doc()
        self.agents = self.doc.get("agents", type=Map)
        self.headers = {"authorization": f"Bearer {token}"} if token else {}

    async def run(self, *, task_status):
        async with aconnect_ws(f"{url}/yjs/@mcp.registry", headers=self.headers) as socket:
            async with Provider(self.doc, HttpxWebsocket(socket, "@mcp.registry")):
                task_status.started()
                await anyio.sleep_forever()

    def field(self, agent, name):
        return self.agents[agent].get(name) if agent in self.agents else None


async def until(what, condition):
    with anyio.move_on_after(20):
        while not condition():
            await anyio.sleep(0.01)
        return
    raise AssertionError(f"in vain: {what}")


async def main():
    ann, bob, reader = Client(token), Client(token), Client()
    clients = [ann, bob, reader]
    async with anyio.create_task_group() as tasks:
        for client in clients:
            await tasks.start(client.run)
        await until("sync", lambda: all(len(client.agents) > 0 for client in clients))
        agents = seen["agents"] = sorted(ann.agents.keys())
        first = agents[0]

        ann.agents[first]["title"] = "from Ann"
        await until("a title", lambda: all(client.field(first, "title") == "from Ann" for client in clients))
        # It sends whole numbers as floats.
        bob.agents[first]["memory"] = 4194304.0
        await until("a cap", lambda: all(client.field(first, "memory") == 4194304 for client in clients))
        bob.agents[first]["concurrency"] = 1.5
        await until("it is put back", lambda: bob.field(first, "concurrency") is None)
        seen["edits"] = True

        dice = random.Random(42)
        for _ in range(400):
            who, agent = dice.choice([ann, bob]), dice.choice(agents)
            name = dice.choice(["title", "description"])
            if dice.random() < 0.2 and who.field(agent, name) is not None:
                del who.agents[agent][name]
            else:
                who.agents[agent][name] = f"{dice.randrange(1000)}"
            if dice.random() < 0.1:
                await anyio.sleep(0.01)
        await until("all have the same", lambda: ann.agents.to_py() == bob.agents.to_py() == reader.agents.to_py())
        seen["converged"] = 400

        late = Client(token)
        await tasks.start(late.run)
        await until("the late one has all", lambda: late.agents.to_py() == bob.agents.to_py())
        seen["late"] = True
        for agent in agents:
            for name in ["title", "description", "memory"]:
                if bob.field(agent, name) is not None:
                    del bob.agents[agent][name]
        await until("all is deleted", lambda: reader.field(first, "memory") is None)
        tasks.cancel_scope.cancel()
    print(json.dumps(seen))


anyio.run(main)
