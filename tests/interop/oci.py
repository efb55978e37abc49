"""The stock oras client of OCI registries, with a token as its password. Prints what it saw.

    python oci.py HOST:PORT TOKEN COMPONENT
"""

import hashlib
import json
import os
import random
import sys
import tempfile

import oras.client

address, token, component = sys.argv[1:4]
CONFIG_TYPE, LAYER_TYPE = "application/vnd.wasm.config.v0+json", "application/wasm"
LARGE_BYTES = 40 << 20
seen = {}


def digest(path):
    with open(path, "rb") as file:
        return "sha256:" + hashlib.sha256(file.read()).hexdigest()


def client(token=None):
    # Its other way of logging in asks a token server of the registry's.
    client = oras.client.OrasClient(hostname=address, insecure=True, auth_backend="basic")
    if token:
        client.login("anybody", token, hostname=address, config_path=os.path.abspath("logins.json"))
    return client


def push(client, target, files, **options):
    reply = client.push(f"{address}/{target}", files=files, disable_path_validation=True, quiet=True, **options)
    return reply.headers["docker-content-digest"]


def pulls(client, target, pushed):
    """Whether what is pulled is what was pushed."""
    with tempfile.TemporaryDirectory() as folder:
        pulled = client.pull(f"{address}/{target}", outdir=folder)
        return [digest(path) for path in pulled] == [digest(pushed)]


def main():
    publisher, reader = client(token), client()
    with open("large", "wb") as file:
        file.write(random.Random(42).randbytes(LARGE_BYTES))
    push(publisher, "team/large:whole", ["large"])
    seen["whole"] = pulls(reader, "team/large:whole", "large")
    # Another one, since nothing is pushed that is there.
    with open("large", "ab") as file:
        file.write(b"more")
    by = push(publisher, "team/large:parts", ["large"], do_chunked=True)
    seen["parts"] = pulls(reader, f"team/large@{by}", "large")
    seen["tags"] = reader.get_tags(f"{address}/team/large")

    with open("config.json", "w") as file:
        json.dump({"architecture": "wasm", "os": "wasip2", "layerDigests": [digest(component)]}, file)
    seen["agent"] = push(
        publisher, "team/demo:1.0.0", [f"{component}:{LAYER_TYPE}"], manifest_config=f"config.json:{CONFIG_TYPE}"
    )
    seen["pulled"] = pulls(reader, "team/demo:1.0.0", component)

    try:
        push(client("wrong"), "team/large:wrong", ["config.json"])
    except ValueError as error:
        seen["wrong"] = str(error)


with tempfile.TemporaryDirectory() as folder:
    # Nobody's logins are read or written but those of this run.
    os.environ["HOME"] = folder
    os.chdir(folder)
    main()
print(json.dumps(seen))
