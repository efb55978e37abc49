"""How client.py and live.py say that the host answered something else than it must."""


class Surprise(Exception):
    """The host answered something else than it must."""


def expect(condition: bool, what: str) -> None:
    # Not `assert`, which PYTHONOPTIMIZE would switch off.
    if not condition:
        raise Surprise(what)
