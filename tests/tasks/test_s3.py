"""Object stores' protocol: signatures, and error codes as their documentation shows them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tasks.evidence import StageFailed
from tasks.protocols.s3.signature import Key, Request, aws4, canonical, encoded, signature
from tests.tasks.scripted import Conversation, Peer, converse

SECRET = "canary-secret-key"
AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def entry(**changes: Any) -> dict[str, Any]:
    given = {
        "endpoint": "http://oss-cn-hangzhou.example.com",
        "region_id": "cn-hangzhou",
        "bucket": "orders",
        "access_id": "LTAI5tExample",
        "access_key": "env:X",
    }
    return {**given, **changes}


def answer(status: str, body: str = "", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body.encode())}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join([*lines, "", ""]) + body).encode()


def error(code: str, **elements: str) -> str:
    more = "".join(f"<{name}>{value}</{name}>" for name, value in elements.items())
    return f'<?xml version="1.0"?>\n<Error><Code>{code}</Code><Message>no</Message>{more}</Error>'


#: What both answer to a request without signature.
S3 = answer("403 Forbidden", error("AccessDenied"), x_amz_request_id="4442587FB7D0A2F9")
OSS = answer("403 Forbidden", error("AccessDenied"), x_oss_request_id="5C3D9778CC1C2AEDF85B587A")
LIST = answer("200 OK", "<ListBucketResult><Contents><Key>daily/1.csv</Key></Contents></ListBucketResult>")
READ = answer("206 Partial Content", "i")


async def talk(*words: bytes, type: str = "s3", **changes: Any) -> Conversation:
    return await converse(type, entry(**changes), {"access_key": SECRET}, Peer(*words, pace=4096))


@pytest.mark.parametrize(
    ("path", "query"),
    [("/", {}), ("/orders", {"list-type": "2", "prefix": "a b/ü+c", "max-keys": "1"}), ("/orders/a b/ü+c=d~e", {})],
)
def test_our_signature_is_the_one_of_amazons_own_library(
    monkeypatch: pytest.MonkeyPatch, path: str, query: dict[str, str]
) -> None:
    ours = aws4(Request("GET", "s3.example.com", path, query), Key("AKIA", SECRET, "eu-west-1"), AT)
    target = Request("GET", "s3.example.com", path, query).target
    theirs = AWSRequest("GET", f"https://s3.example.com{target}", headers={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"})
    theirs.context["timestamp"] = "20260301T120000Z"
    theirs.context["payload_signing_enabled"] = False
    signer = S3SigV4Auth(Credentials("AKIA", SECRET), "s3", "eu-west-1")
    theirs.headers["X-Amz-Date"] = "20260301T120000Z"
    text = signer.string_to_sign(theirs, signer.canonical_request(theirs))
    assert ours["authorization"].endswith(signer.signature(text, theirs))


def test_the_signature_of_oss_is_the_one_of_its_own_libraries() -> None:
    """The vector that the libraries of OSS test their version 4 with."""
    query = {"param1": "value1", "+param1": "value3", "|param1": "value4", "+param2": "", "|param2": "", "param2": ""}
    lines = ["PUT", encoded("/bucket/1234+-/123/1.txt"), canonical(query, bare=True), "content-type:text/plain"]
    lines += ["x-oss-content-sha256:UNSIGNED-PAYLOAD", "x-oss-date:20231216T162057Z", "x-oss-head1:value"]
    lines += ["", "", "UNSIGNED-PAYLOAD"]
    scope = "20231216/cn-hangzhou/oss/aliyun_v4_request"
    assert (
        signature("aliyun_v4", "OSS4-HMAC-SHA256", "20231216T162057Z", scope, lines, "sk")
        == "e21d18daa82167720f9b1047ae7e7f1ce7cb77a31e8203a7d5f4624fa0284afe"
    )


@pytest.mark.parametrize(("type", "greeting"), [("s3", S3), ("oss", OSS)])
async def test_good(type: str, greeting: bytes) -> None:
    went = await talk(greeting, LIST, READ, type=type)
    assert went.cause is None, went
    assert went.seen("login")["access_key_used"] is True


async def test_the_secret_does_not_travel() -> None:
    peer = Peer(S3, LIST, READ, pace=4096)
    await converse("s3", entry(), {"access_key": SECRET}, peer)
    assert b"AWS4-HMAC-SHA256 Credential=LTAI5tExample/" in peer.heard
    assert SECRET.encode() not in peer.heard


async def test_without_a_region_oss_is_signed_for_by_version_1() -> None:
    peer = Peer(OSS, LIST, READ, pace=4096)
    await converse("oss", entry(region_id=""), {"access_key": SECRET}, peer)
    assert b"authorization: OSS LTAI5tExample:" in peer.heard


@pytest.mark.parametrize(
    ("type", "said", "code", "stage"),
    [
        ("s3", answer("403 Forbidden", error("InvalidAccessKeyId")), "AUTH.TOKEN", "login"),
        ("s3", answer("403 Forbidden", error("SignatureDoesNotMatch")), "AUTH.TOKEN", "login"),
        ("s3", answer("403 Forbidden", error("RequestTimeTooSkewed")), "AUTH.TOKEN", "login"),
        ("s3", answer("400 Bad Request", error("ExpiredToken")), "AUTH.TOKEN", "login"),
        ("oss", answer("403 Forbidden", error("SecurityTokenExpired")), "AUTH.TOKEN", "login"),
        ("oss", answer("403 Forbidden", error("UserDisable")), "AUTH.LOGIN_FORBIDDEN", "login"),
        (
            "s3",
            answer("400 Bad Request", error("AuthorizationHeaderMalformed", Region="eu-central-1")),
            "CONFIG.BAD_VALUE",
            "login",
        ),
        ("oss", answer("400 Bad Request", error("InvalidArgument")), "CONFIG.BAD_VALUE", "login"),
        (
            "s3",
            answer(
                "301 Moved Permanently", error("PermanentRedirect", Endpoint="orders.s3.eu-central-1.amazonaws.com")
            ),
            "CONFIG.BAD_VALUE",
            "target",
        ),
        (
            "oss",
            answer("403 Forbidden", error("AccessDenied", Endpoint="oss-cn-beijing.aliyuncs.com")),
            "CONFIG.BAD_VALUE",
            "target",
        ),
        ("s3", answer("400 Bad Request", error("InvalidBucketName")), "CONFIG.BAD_VALUE", "target"),
        ("s3", answer("301 Moved", x_amz_bucket_region="eu-central-1"), "CONFIG.BAD_VALUE", "privilege"),
        ("s3", answer("302 Found"), "CONFIG.BAD_VALUE", "privilege"),
        ("oss", answer("404 Not Found"), "TARGET.MISSING", "target"),
        ("oss", answer("404 Not Found", error("NoSuchBucket")), "TARGET.MISSING", "target"),
        ("oss", answer("403 Forbidden", error("AccessDenied")), "PRIV.OBJECT_DENIED", "privilege"),
        ("s3", answer("503 Slow Down", error("SlowDown")), "CAPACITY.CONNECTIONS", "login"),
        ("s3", answer("503 Service Unavailable"), "SERVER.NOT_READY", "login"),
        ("s3", answer("500 Internal Server Error", error("InternalError")), "SERVER.ERROR", "login"),
    ],
)
async def test_what_stores_answer(type: str, said: bytes, code: str, stage: str) -> None:
    went = await talk(OSS if type == "oss" else S3, said, type=type)
    assert went.cause == code, went
    failed = went.steps.failed()
    assert failed is not None
    assert failed.name == stage


@pytest.mark.parametrize(
    ("rcode", "code"),
    [
        ("NXDOMAIN", "DNS.NXDOMAIN"),
        ("NOERROR", "DNS.NO_ADDRESS"),
        ("TIMEOUT", "DNS.RESOLVER_DOWN"),
        ("SERVFAIL", "DNS.SERVER_FAILURE"),
    ],
)
async def test_a_bucket_whose_own_name_does_not_resolve(rcode: str, code: str) -> None:
    endpoint = "http://oss-cn-hangzhou.aliyuncs.com"
    unresolved = StageFailed(rcode=rcode, name="orders.oss-cn-hangzhou.aliyuncs.com")
    went = await converse("oss", entry(endpoint=endpoint), {"access_key": SECRET}, Peer(OSS, pace=4096), unresolved)
    assert went.finding is not None
    assert (went.finding.code, went.finding.component) == (code, "orders.oss-cn-hangzhou.aliyuncs.com")


async def test_a_key_that_http_cannot_carry_is_not_sent() -> None:
    peer = Peer(S3, LIST, pace=4096)
    went = await converse("s3", entry(access_id="LTAI5t\r\nx-evil: 1"), {"access_key": SECRET}, peer)
    assert went.cause == "CONFIG.BAD_VALUE", went
    assert b"evil" not in peer.heard


async def test_a_key_that_vanishes_between_two_questions() -> None:
    went = await talk(S3, LIST, answer("404 Not Found", error("NoSuchKey")))
    assert went.cause == "TARGET.OBJECT_MISSING", went


async def test_the_right_endpoint_is_named() -> None:
    said = answer("403 Forbidden", error("AccessDenied", Endpoint="oss-cn-beijing.aliyuncs.com"))
    went = await talk(OSS, said, type="oss")
    assert went.seen("target")["server_endpoint"] == "oss-cn-beijing.aliyuncs.com"


async def test_a_role_is_not_supported() -> None:
    went = await talk(OSS, type="oss", auth_type="RamRole", auth_identity="3000001", access_id=None, access_key=None)
    assert went.cause == "DRIVER.MISSING"
    assert went.steps.failed() is went.steps.named("login")


async def test_a_web_server_is_no_store() -> None:
    peer = Peer(answer("200 OK", "<html>"), pace=4096)
    went = await converse("s3", entry(), {"access_key": SECRET}, peer)
    assert went.cause == "PROTO.MISMATCH"
    assert b"authorization" not in peer.heard
