"""Which cause an object store's error code asserts. S3's codes, and those that OSS has besides."""

from __future__ import annotations

from registry.verdict import INCONCLUSIVE
from tasks.protocols import Answer
from tasks.protocols.http.rest import STATUS_ANSWERS, TRANSPORT_ANSWERS

_REGION_UNKNOWN = "Set region_id of {source}/{env} to the region of the bucket."

ANSWERS: tuple[Answer, ...] = (
    *TRANSPORT_ANSWERS,
    *(
        Answer(
            code,
            {"bucket_host": bool, "rcode": rcode},
            component="{bucket_host}",
            message="{host} is there, but the bucket's own name {bucket_host} has no address here ({rcode}).",
            remedy="Let the DNS of {resource_group} resolve {bucket_host} (a wildcard below {host}).",
        )
        for code, rcode in (
            ("DNS.NXDOMAIN", "NXDOMAIN"),
            ("DNS.NO_ADDRESS", "NOERROR"),
            ("DNS.RESOLVER_DOWN", "TIMEOUT"),
        )
    ),
    Answer("DNS.SERVER_FAILURE", {"bucket_host": bool, "rcode": bool}, component="{bucket_host}"),
    Answer(
        "AUTH.TOKEN",
        {"error_code": frozenset({"InvalidAccessKeyId", "InactiveAccessKeyId", "AccessKeyIdDisabled"})},
        component="{access_id}",
        message="{address}:{port} does not know the access key {access_id}, or it is switched off.",
        remedy="Correct access_id of {source}/{env}, or create an access key for this store.",
    ),
    Answer(
        "AUTH.TOKEN",
        {"error_code": "SignatureDoesNotMatch"},
        component="{access_id}",
        message="{address}:{port} knows the access key {access_id}; the secret behind access_key is not its own.",
        remedy="Store the secret of {access_id} in access_key of {source}/{env}.",
    ),
    Answer(
        "AUTH.TOKEN",
        {"error_code": frozenset({"RequestTimeTooSkewed", "RequestExpired"})},
        component="the clock of {resource_group}",
        message="{address}:{port} refuses the signature's time: its clock is {clock_skew_s} s off ours.",
        remedy="Set the clock of {resource_group} by NTP; if it is right, that of {host}.",
    ),
    Answer(
        "AUTH.TOKEN",
        {
            "error_code": frozenset(
                {"ExpiredToken", "InvalidToken", "InvalidSecurityToken", "SecurityTokenExpired", "TokenRefreshRequired"}
            )
        },
        component="{access_id}",
        message="The token that goes with {access_id} has expired or is not valid ({error_code}).",
        remedy="Use a permanent access key, or renew the token.",
    ),
    Answer(
        "AUTH.LOGIN_FORBIDDEN",
        {"error_code": frozenset({"AccountProblem", "AllAccessDisabled", "NotSignedUp", "UserDisable"})},
        component="{access_id}",
        message="The account of {access_id} is known and shut out ({error_code}): in arrears, or closed.",
        remedy="Settle the account with the cloud, or use a key of another one.",
    ),
    Answer(
        "CONFIG.BAD_VALUE",
        {
            "error_code": frozenset({"AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}),
            "server_region": bool,
        },
        component="region_id",
        message="The bucket is in the region {server_region}; requests of {source}/{env} are signed for {region}.",
        remedy="Set region_id: {server_region}.",
    ),
    Answer(
        "CONFIG.BAD_VALUE",
        {"error_code": frozenset({"AuthorizationHeaderMalformed", "InvalidArgument", "InvalidRequest"})},
        stage="login",
        component="region_id",
        message="{address}:{port} does not accept a signature for the region {region} ({error_code}).",
        remedy=_REGION_UNKNOWN,
    ),
    Answer(
        "CONFIG.BAD_VALUE",
        {"endpoint_named": True},
        component="endpoint",
        message="Bucket {bucket} is not served by {host}, but by {server_endpoint}.",
        remedy="Set endpoint: {server_endpoint} for {source}/{env}, and region_id to its region.",
    ),
    Answer(
        "CONFIG.BAD_VALUE",
        {"http_status": frozenset({301, 307}), "server_region": bool},
        component="endpoint",
        message="Bucket {bucket} is not served by {host}: it is in the region {server_region}.",
        remedy="Set region_id: {server_region} and the endpoint of that region for {source}/{env}.",
    ),
    Answer(
        "CONFIG.BAD_VALUE",
        {"http_class": 3},
        component="endpoint",
        message="{host} sends requests for the bucket {bucket} elsewhere (HTTP {http_status}).",
        remedy="Set the endpoint of the region that the bucket is in for {source}/{env}.",
    ),
    Answer(
        "CONFIG.BAD_VALUE",
        {"error_code": frozenset({"InvalidBucketName", "SecondLevelDomainForbidden"})},
        component="bucket",
        message="{bucket} cannot be the name of a bucket on {host} ({error_code}).",
        remedy="Correct bucket of {source}/{env}; the endpoint is the region's, without the bucket in it.",
    ),
    Answer(
        "TARGET.MISSING",
        {"error_code": "NoSuchBucket"},
        component="{bucket}",
        message="There is no bucket {bucket} on {host}.",
        remedy="Correct bucket of {source}/{env}, or have it created.",
    ),
    Answer(
        "TARGET.MISSING",
        {"http_status": 404},
        stage="target",
        component="{bucket}",
        message="{host} has no bucket {bucket}.",
    ),
    Answer(
        "TARGET.OBJECT_MISSING",
        {"object_missing": True},
        message="There is nothing under {object} in the bucket {bucket}.",
    ),
    Answer("TARGET.OBJECT_MISSING", {"error_code": "NoSuchKey"}, message="{object} is not in the bucket {bucket}."),
    # Without the right to list, a store says 403 for a key that is not there, too.
    Answer(
        INCONCLUSIVE,
        {"http_status": 403, "listable": False},
        stage="privilege",
        alternatives=("PRIV.OBJECT_DENIED", "TARGET.OBJECT_MISSING"),
        component="{object}",
        message="{access_id} may not list {bucket}, and {object} is refused: it may not be read, or is not there.",
        remedy="Grant {access_id} s3:ListBucket (oss:ListObjects) on {bucket}; then the two can be told apart.",
    ),
    Answer(
        "PRIV.OBJECT_DENIED",
        {"http_status": 403},
        message="{access_id} may not read {object} ({server_said}).",
        remedy="Grant {access_id} s3:ListBucket (oss:ListObjects) on {bucket} and s3:GetObject (oss:GetObject) on its "
        "objects.",
    ),
    Answer(
        "CAPACITY.CONNECTIONS",
        {"error_code": frozenset({"SlowDown", "RequestRateTooLarge", "QpsLimitExceeded"})},
        message="{address}:{port} has had too many requests for {bucket} ({error_code}).",
        remedy="Test less often, or have the limit of the bucket raised.",
    ),
    *STATUS_ANSWERS,
)
