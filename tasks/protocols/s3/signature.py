"""Signatures of requests: AWS Signature Version 4, and Alibaba Cloud OSS' versions 4 and 1."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from tasks.protocols.signing import hmac_sha1, http_date

#: What is signed in place of a hash of the body: requests here have none.
_UNSIGNED = "UNSIGNED-PAYLOAD"


@dataclass(frozen=True)
class Key:
    """An access key; `secret` is for the signature only."""

    id: str
    secret: str
    region: str


@dataclass(frozen=True)
class Request:
    """What of a request is signed.

    Attributes:
        host: The authority, as in the Host header.
        path: As sent, without encoding.
        query: Its parameters, without encoding.
        resource: `/bucket/object`, whichever part of it stands in the host; for OSS.
    """

    method: str
    host: str
    path: str
    query: Mapping[str, str]
    resource: str = ""

    @property
    def target(self) -> str:
        """Path and query, encoded."""
        return encoded(self.path) + (f"?{canonical(self.query)}" if self.query else "")


def encoded(path: str) -> str:
    """A path with everything encoded but the unreserved characters and `/`."""
    return quote(path, safe="/-_.~")


def canonical(query: Mapping[str, str], *, bare: bool = False) -> str:
    """Sorted and encoded; `bare` leaves out the `=` of a parameter without value, as OSS does."""
    pairs = sorted((quote(key, safe="-_.~"), quote(value, safe="-_.~")) for key, value in query.items())
    return "&".join(key if bare and not value else f"{key}={value}" for key, value in pairs)


def aws4(request: Request, key: Key, at: datetime) -> dict[str, str]:
    """The headers of a request signed with AWS Signature Version 4 for S3."""
    stamp = at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {"host": request.host, "x-amz-content-sha256": _UNSIGNED, "x-amz-date": stamp}
    signed = ";".join(sorted(headers))
    lines = [request.method, encoded(request.path), canonical(request.query)]
    lines += [*(f"{name}:{headers[name]}" for name in sorted(headers)), "", signed, _UNSIGNED]
    scope = f"{stamp[:8]}/{key.region}/s3/aws4_request"
    signed_by = signature("AWS4", "AWS4-HMAC-SHA256", stamp, scope, lines, key.secret)
    credential = f"AWS4-HMAC-SHA256 Credential={key.id}/{scope}, SignedHeaders={signed}, Signature={signed_by}"
    return {**headers, "authorization": credential}


def oss4(request: Request, key: Key, at: datetime) -> dict[str, str]:
    """The headers of a request signed with OSS' version 4 ("Include a V4 signature", OSS API reference)."""
    stamp = at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {"x-oss-content-sha256": _UNSIGNED, "x-oss-date": stamp}
    lines = [request.method, encoded(request.resource), canonical(request.query, bare=True)]
    lines += [*(f"{name}:{headers[name]}" for name in sorted(headers)), "", "", _UNSIGNED]
    scope = f"{stamp[:8]}/{key.region}/oss/aliyun_v4_request"
    signed_by = signature("aliyun_v4", "OSS4-HMAC-SHA256", stamp, scope, lines, key.secret)
    return {**headers, "authorization": f"OSS4-HMAC-SHA256 Credential={key.id}/{scope},Signature={signed_by}"}


def oss1(request: Request, key: Key, at: datetime) -> dict[str, str]:
    """The headers of a request signed with OSS' version 1, which knows no region ("Include a V1 signature")."""
    date = http_date(at)
    # None of the parameters used here is among the sub-resources that version 1 signs.
    digest = hmac_sha1(key.secret.encode(), [request.method, "", "", date, request.resource])
    return {"date": date, "authorization": f"OSS {key.id}:{digest}"}


def signature(prefix: str, algorithm: str, stamp: str, scope: str, lines: list[str], secret: str) -> str:
    """Of a canonical request, by a key that is good for the day, region and service of the scope."""
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    key = (prefix + secret).encode()
    for word in scope.split("/"):
        key = hmac.digest(key, word.encode(), "sha256")
    return hmac.digest(key, "\n".join([algorithm, stamp, scope, digest]).encode(), "sha256").hex()
