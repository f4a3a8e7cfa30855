"""One conversation with one object store."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from datetime import UTC, datetime
from html import unescape
from typing import Any
from urllib.parse import urlsplit

from tasks.evidence import Recorder, StageFailed
from tasks.protocols import Access, Dial
from tasks.protocols.http.rest import OTHER_SERVICE, Reply, RestSession
from tasks.protocols.http.session import clock_skew
from tasks.protocols.http.wire import Origin
from tasks.protocols.s3.signature import Key, Request, aws4
from tasks.streams import Stream

#: Codes that a store gives before it looks at the bucket, and those that are about the bucket; the rest is about
#: what may be done in it.
_OF_LOGIN = frozenset(
    {"AuthorizationHeaderMalformed", "AuthorizationQueryParametersError", "ExpiredToken", "InvalidAccessKeyId"}
    | {"InvalidSecurityToken", "InvalidToken", "RequestExpired", "RequestTimeTooSkewed", "SecurityTokenExpired"}
    | {"SignatureDoesNotMatch", "TokenRefreshRequired", "UserDisable", "InactiveAccessKeyId", "AccountProblem"}
    | {"NotSignedUp", "InvalidArgument", "InvalidRequest", "AccessKeyIdDisabled", "RequestTimeout"}
)
_OF_BUCKET = frozenset(
    {"AllAccessDisabled", "IllegalLocationConstraintException", "InvalidBucketName", "NoSuchBucket"}
    | {"PermanentRedirect", "Redirect", "TemporaryRedirect", "SecondLevelDomainForbidden"}
)


class S3Session(RestSession):
    """One conversation with one store of S3's protocol."""

    #: Headers that only such a store sends, and elements of its answers.
    marks: tuple[str, ...] = ("x-amz-request-id", "x-amz-id-2", "x-amz-bucket-region")
    #: Domains whose buckets have host names of their own.
    bucket_domains: tuple[str, ...] = (".amazonaws.com", ".amazonaws.com.cn")
    #: The region that requests are signed for unless one is configured.
    default_region = "us-east-1"

    def __init__(self, stream: Stream, access: Access, dial: Dial) -> None:
        super().__init__(stream, access, dial)
        self.bucket = str(access.setting("bucket"))
        self._base = urlsplit(str(access.setting("url", ""))).path.rstrip("/")
        own_host = _has_name(access.host) and access.host.endswith(self.bucket_domains)
        named = access.host.startswith(f"{self.bucket}.")
        self._in_host = own_host or named
        host = access.host if named or not own_host else f"{self.bucket}.{access.host}"
        self._there = Origin(self._home.scheme, host.lower(), access.port)
        self._listing: Reply | None = None

    # -- stages -------------------------------------------------------------------------------------------------------

    async def greet(self, recorder: Recorder) -> None:
        reply = await self.ask("GET", "/")
        if not any(name in reply.head.headers for name in self.marks) and not self._speaks_xml(reply):
            raise StageFailed(not_protocol=True, looks_like=OTHER_SERVICE, first_bytes=f"HTTP {reply.status}")
        recorder.see(**self._shown(reply.head), clock_skew_s=clock_skew(reply.head))

    async def login(self, recorder: Recorder) -> None:
        self._listing = await self._list("")
        code = self._code(self._listing)
        recorder.see(http_status=self._listing.status, error_code=code, access_key_used=True)
        if code in _OF_LOGIN or (self._listing.status >= 500 and code not in _OF_BUCKET):
            raise self._refused(self._listing)

    async def target(self, recorder: Recorder) -> None:
        assert self._listing is not None  # noqa: S101 - the stage `login` has seen to it
        recorder.see(bucket=self.bucket, bucket_host=self._there.host if self._there != self._home else None)
        if self._code(self._listing) in _OF_BUCKET or self._endpoint_named(self._listing):
            raise self._refused(self._listing)
        if self._listing.status == 404:
            raise self._refused(self._listing)

    async def privilege(self, recorder: Recorder) -> None:
        assert self._listing is not None  # noqa: S101 - the stage `login` has seen to it
        listable = self._listing.status == 200
        objects = self.access.connection.objects
        for name in objects:
            await self._object(name, listable)
        if objects:
            recorder.see(objects=list(objects), listable=listable)
            return
        if not listable:
            raise self._refused(self._listing, object=f"the list of bucket {self.bucket}")
        key = _key(self._listing)
        if key is None:
            recorder.warn(nothing_to_read="the bucket holds no objects yet")
        else:
            await self._read(key, key)

    # -- reading ------------------------------------------------------------------------------------------------------

    async def _object(self, name: str, listable: bool) -> None:
        """A bound object is a key or the beginning of keys."""
        if not name.endswith("/") and await self._read(name, name, missing_allowed=True):
            return
        found = await self._list(name)
        if found.status != 200:
            raise self._refused(found, object=name, listable=listable)
        key = _key(found)
        if key is None:
            raise StageFailed(object_missing=True, object=name, bucket=self.bucket)
        await self._read(key, name)

    async def _read(self, key: str, name: str, *, missing_allowed: bool = False) -> bool:
        """Whether there is such a key. Raises `StageFailed` if it may not be read."""
        reply = await self._signed("GET", key, {}, {"range": "bytes=0-0"})
        if reply.status in (200, 206, 416):  # 416: it is there, and empty
            return True
        if missing_allowed and (reply.status == 404 or (reply.status == 403 and self._readable_list)):
            return False
        raise self._refused(reply, object=name, listable=self._readable_list)

    @property
    def _readable_list(self) -> bool:
        return self._listing is not None and self._listing.status == 200

    async def _list(self, prefix: str) -> Reply:
        query = {"list-type": "2", "max-keys": "1", **({"prefix": prefix} if prefix else {})}
        return await self._signed("GET", "", query)

    async def _signed(
        self, method: str, key: str, query: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> Reply:
        root = self._base if self._in_host else f"{self._base}/{self.bucket}"
        path = f"{root}/{key}" if key else root or "/"
        request = Request(method, self._there.authority, path, query, f"/{self.bucket}/{key}")
        signed = {**self.signature(request), **(headers or {})}
        try:
            return await self.ask(method, request.target, signed, origin=self._there)
        except StageFailed as failure:
            raise StageFailed(**failure.evidence, bucket_host=self._there.host, bucket=self.bucket) from None

    def signature(self, request: Request) -> Mapping[str, str]:
        """The headers that prove who asks."""
        return aws4(request, self.key, datetime.now(UTC))

    @property
    def key(self) -> Key:
        """The access key."""
        region = str(self.access.setting("region_id", self.default_region))
        return Key(str(self.access.setting("access_id", "")), self.access.secret("access_key") or "", region)

    # -- evidence -----------------------------------------------------------------------------------------------------

    def _speaks_xml(self, reply: Reply) -> bool:
        """Whether the answer is an error, or a list of buckets, as these stores write it."""
        return self._code(reply) is not None or b"<ListAllMyBucketsResult" in reply.body[:1024]

    def _code(self, reply: Reply) -> str | None:
        return reply.tag("Code") if b"<Error" in reply.body[:1024] else None

    def _endpoint_named(self, reply: Reply) -> str | None:
        """The endpoint that the store says is the right one."""
        return reply.tag("Endpoint") if reply.status in (301, 307, 403) and b"<Error" in reply.body[:1024] else None

    def _refused(self, reply: Reply, **more: Any) -> StageFailed:
        code = self._code(reply)
        found = {
            **self._shown(reply.head),
            "error_code": code,
            "server_said": code or f"HTTP {reply.status}",
            "server_region": reply.tag("Region") or reply.header("x-amz-bucket-region"),
            "server_endpoint": self._endpoint_named(reply),
            "endpoint_named": self._endpoint_named(reply) is not None or None,
            "clock_skew_s": clock_skew(reply.head),
            "access_id": self.key.id,
            "bucket": self.bucket,
            "region": self.key.region,
            **more,
        }
        return StageFailed(**{key: value for key, value in found.items() if value is not None})


def _key(listing: Reply) -> str | None:
    """The first key of a listing, its XML entities resolved."""
    found = listing.tag("Key")
    return unescape(found) if found else None


def _has_name(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False
