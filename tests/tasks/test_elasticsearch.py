"""Elasticsearch and OpenSearch: answers as their documentation has them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import causes
from tests.tasks.scripted import Conversation, Peer, converse

PASSWORD = "canary-passw0rd"


def answer(status: str, body: Any = "", **headers: str) -> bytes:
    text = body if isinstance(body, str) else json.dumps(body)
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(text.encode())}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join([*lines, "", ""]) + text).encode()


def refused(status: str, kind: str) -> bytes:
    return answer(status, {"error": {"type": kind, "reason": "nein"}, "status": int(status[:3])})


ROOT = answer("200 OK", {"cluster_name": "shop", "version": {"number": "8.13.0"}}, x_elastic_product="Elasticsearch")
OPENSEARCH = answer("200 OK", {"cluster_name": "shop", "version": {"number": "2.11.0", "distribution": "opensearch"}})
ASKS = answer(
    "401 Unauthorized", {"error": {"type": "security_exception"}, "status": 401}, www_authenticate='Basic realm="s"'
)
GREEN, RED = answer("200 OK", {"status": "green"}), answer("200 OK", {"status": "red", "unassigned_shards": 3})
FOUND = answer("200 OK", {"_shards": {"total": 2, "failed": 0}, "hits": {}})
NOTHING = answer("200 OK", {"_shards": {"total": 0, "failed": 0}})


async def talk(*words: bytes, type: str = "elasticsearch", **changes: Any) -> tuple[Conversation, Peer]:
    entry = {
        "endpoint": "http://192.0.2.2:9200", "username": "app", "password": "env:X", "objects": ["orders"], **changes
    }  # fmt: skip
    peer = Peer(*words, pace=512)
    return await converse(type, entry, {"password": PASSWORD}, peer), peer


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([ASKS, ROOT, GREEN, FOUND], None),
        (
            [
                ASKS,
                refused("403 Forbidden", "security_exception"),
                refused("403 Forbidden", "security_exception"),
                FOUND,
            ],
            None,
        ),
        ([ASKS, ASKS], "AUTH.BAD_CREDENTIALS"),
        ([ASKS, ROOT, GREEN, refused("400 Bad Request", "invalid_index_name_exception")], "CONFIG.BAD_VALUE"),
        ([ASKS, ROOT, RED, FOUND], None),
        ([ASKS, ROOT, GREEN, refused("404 Not Found", "index_not_found_exception")], "TARGET.OBJECT_MISSING"),
        ([ASKS, ROOT, GREEN, NOTHING], "TARGET.OBJECT_MISSING"),
        ([ASKS, ROOT, GREEN, refused("403 Forbidden", "security_exception")], "PRIV.OBJECT_DENIED"),
        ([ASKS, ROOT, GREEN, refused("400 Bad Request", "index_closed_exception")], "PRIV.OBJECT_DENIED"),
        ([ASKS, ROOT, RED, refused("503 Service Unavailable", "search_phase_execution_exception")], "SERVER.NOT_READY"),
        ([ASKS, ROOT, RED, answer("200 OK", {"_shards": {"total": 2, "failed": 2}})], "SERVER.NOT_READY"),
        ([refused("503 Service Unavailable", "master_not_discovered_exception")], "SERVER.NOT_READY"),
        ([ASKS, ROOT, GREEN, refused("429 Too Many Requests", "circuit_breaking_exception")], "CAPACITY.CONNECTIONS"),
        ([ASKS, ROOT, GREEN, refused("500 Internal Server Error", "null_pointer_exception")], "SERVER.ERROR"),
        ([answer("200 OK", "<html>")], "PROTO.MISMATCH"),
        ([b"\x00\x00\x00\x08garbage!"], "PROTO.MISMATCH"),
    ],
)
async def test_what_clusters_answer(words: list[bytes], code: str | None) -> None:
    went, _ = await talk(*words)
    assert went.cause == code, went


async def test_opensearch_is_told_by_its_name() -> None:
    went, _ = await talk(OPENSEARCH, OPENSEARCH, GREEN, FOUND, type="opensearch")
    assert went.cause is None, went
    assert went.seen("greet")["product"] == "opensearch"
    assert "not_needed" in went.seen("login")


async def test_a_login_that_is_asked_for_and_not_configured() -> None:
    went, _ = await talk(ASKS, auth_enable="disable", username=None, password=None)
    assert went.cause == "AUTH.BAD_CREDENTIALS"


async def test_the_password_is_for_a_cluster_only() -> None:
    went, peer = await talk(answer("200 OK", "<html>"))
    assert went.cause == "PROTO.MISMATCH"
    assert b"authorization" not in peer.heard


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=3))
async def test_whatever_a_peer_says_ends_in_a_cause_of_the_catalogue(words: list[bytes]) -> None:
    went, _ = await talk(*words)
    assert went.cause in causes.catalogue()
