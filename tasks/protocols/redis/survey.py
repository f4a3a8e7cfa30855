"""What a Redis server and the bound keys are like, as far as the account may ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.comparison.survey import Object, Survey, Wanted
from tasks.protocols.redis.wire import GLOB, Refusal, info_lines

if TYPE_CHECKING:
    from tasks.protocols.redis.session import RedisSession

#: What INFO tells that a job can tell as well, or that says how full it is.
_SETTINGS = ("redis_version", "maxmemory_policy", "maxmemory", "cluster_enabled", "role", "maxclients")
#: Keys that one count looks at, in batches of so many.
_BATCH, _BATCHES = 1000, 100


async def survey(session: RedisSession, wanted: Wanted) -> Survey:
    """INFO and the number of keys, then each bound key or beginning of keys."""
    info, size, databases = await session.ask_all(("INFO",), ("DBSIZE",), ("CONFIG", "GET", "databases"))
    known = dict(info_lines(info))
    settings = {name: known[name] for name in _SETTINGS if name in known}
    if isinstance(size, int):
        settings["keys"] = str(size)
    if isinstance(databases, list) and len(databases) == 2 and isinstance(databases[1], bytes):
        settings["databases"] = databases[1].decode(errors="replace")
    notes = tuple(f"{said} refused: {one.word}" for said, one in (("INFO", info),) if isinstance(one, Refusal))
    found = {name: await _object(session, name) for name in session.access.connection.objects}
    notes += tuple(f"{name}: the account may not list keys (SCAN)" for name, one in found.items() if one is None)
    return Survey(settings, tuple(filter(None, found.values())), complete=None not in found.values(), notes=notes)


async def _object(session: RedisSession, name: str) -> Object | None:
    """One key as it is; else the keys that begin with the name or fit the pattern, counted as far as time allows.

    None where the account may not find out.
    """
    if not GLOB.search(name):
        (kind,) = await session.ask_all(("TYPE", name))
        if isinstance(kind, str) and kind != "none":
            (moments,) = await session.ask_all(("PTTL", name))
            notes = ("it expires",) if isinstance(moments, int) and moments >= 0 else ()
            return Object(name, exists=True, kind=kind, notes=notes)
    pattern = name if GLOB.search(name) else f"{name}*"
    cursor: object = "0"
    count = 0
    for _ in range(_BATCHES):
        (reply,) = await session.ask_all(("SCAN", cursor, "MATCH", pattern, "COUNT", _BATCH))
        if not isinstance(reply, list) or len(reply) != 2 or not isinstance(reply[1], list):
            return None
        cursor = reply[0]
        count += len(reply[1])
        if cursor == b"0":
            return Object(name, exists=count > 0, kind="keys" if count else "", rows=count, exact=True)
    return Object(
        name, exists=count > 0, kind="keys" if count else "", rows=count, notes=("not all keys were counted",)
    )
