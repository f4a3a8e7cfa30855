"""HTTP services (type restapi): nginx and misbehaving listeners."""

from __future__ import annotations

import base64
import subprocess
import time
from collections.abc import Mapping
from typing import Any

import pytest

from registry.verdict import Verdict
from tests.lab.certificates import Authority, Certificate
from tests.lab.expectation import Expectation
from tests.lab.lab import Lab
from tests.lab.servers import PASSWORD, Http

NAME = "api.lab.test"
#: What basic authentication sends; it is as secret as the password.
BLOB = base64.b64encode(f"app:{PASSWORD}".encode()).decode()
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

#: Every location that a scenario needs, in one server.
CONFIG = f"""
location = /token {{ if ($http_authorization != "Bearer {PASSWORD}") {{ return 401; }} return 200 '[]'; }}
location = /key {{ if ($http_x_api_key != "{PASSWORD}") {{ return 401; }} return 200 '[]'; }}
location = /negotiate {{ add_header WWW-Authenticate 'Negotiate' always; return 401; }}
location = /proxy {{ add_header Proxy-Authenticate 'Basic realm="way out"' always; return 407; }}
location = /gone {{ return 410; }}
location = /teapot {{ return 418; }}
location = /broken {{ return 500; }}
location = /gateway {{ proxy_pass http://127.0.0.1:9; }}
location = /sleeping {{ add_header Retry-After 30 always; return 503; }}
location = /busy {{ return 429; }}
location = /old {{ return 505; }}
location = /forbidden {{ return 403; }}
location = /loop {{ return 302 /loop; }}
location = /circle-a {{ return 302 /circle-b; }}
location = /circle-b {{ return 302 /circle-a; }}
location /endless {{ return 302 "${{uri}}x"; }}
location = /moved {{ return 301 /orders; }}
location = /metadata {{ return 302 http://169.254.169.254/latest/meta-data/; }}
location = /mail {{ return 302 mailto:shop@example.com; }}
location = /absent-host {{ return 302 http://absent.lab.test/; }}
location = /moved-private {{ return 302 /private/; }}
"""


@pytest.fixture(scope="module")
def server(lab: Lab) -> Http:
    return lab.http(config=CONFIG)


@pytest.fixture(scope="module")
def certificate(lab: Lab) -> Certificate:
    return lab.ca.issue(NAME)


def basic(url: str, **changes: Any) -> dict[str, Any]:
    """An entry with the account `app`."""
    return {"url": url, "security_protocol": "basic", "username": "app", "password": PASSWORD, **changes}


def token(url: str, value: str = PASSWORD) -> dict[str, Any]:
    """An entry with a bearer token."""
    return {"url": url, "security_protocol": "token", "auth_token": value}


def stage(verdict: Verdict, name: str) -> Mapping[str, Any]:
    """What a stage observed."""
    return next(one.evidence for one in verdict.stages if one.name == name)


def trusting(lab: Lab, server: Http, path: str = "/orders") -> dict[str, Any]:
    """An entry that verifies the server of `NAME`."""
    lab.name("api", server.v4)
    return {"url": server.url(path, host=NAME), "truststore_file": f"file:{lab.ca.bundle}"}


# -- it works ---------------------------------------------------------------------------------------------------------


def test_good(lab: Lab, expect: Expectation, server: Http) -> None:
    verdict = lab.check("restapi", {"url": server.url("/orders")})
    expect(verdict, "good", code=None, state="Connectable", within=1)
    assert stage(verdict, "greet")["server"].startswith("nginx")
    assert abs(stage(verdict, "greet")["clock_skew_s"]) <= 2


def test_good_over_https(lab: Lab, expect: Expectation, certificate: Certificate) -> None:
    verdict = lab.check("restapi", trusting(lab, lab.http(tls=certificate)))
    expect(verdict, "good, https", code=None, state="Connectable", within=1)
    assert stage(verdict, "tls")["verified"] is True


def test_good_credentials(lab: Lab, expect: Expectation, server: Http) -> None:
    verdict = lab.check("restapi", basic(server.url("/private/")))
    expect(verdict, "good, basic", code=None, state="Connectable", within=1, secrets=[BLOB])
    verdict = lab.check("restapi", token(server.url("/token")))
    expect(verdict, "good, token", code=None, state="Connectable", within=1)
    verdict = lab.check("restapi", {"url": server.url("/key"), "default_header": {"X-Api-Key": PASSWORD}})
    expect(verdict, "good, key in a header", code=None, state="Connectable", within=1)


def test_good_over_ipv6(lab: Lab, expect: Expectation, server: Http) -> None:
    verdict = lab.check("restapi", {"url": server.url("/orders", host=f"[{server.host.v6}]")})
    expect(verdict, "good, IPv6", code=None, state="Connectable", within=1)


def test_redirect_within_the_server_keeps_the_credentials(lab: Lab, expect: Expectation, server: Http) -> None:
    verdict = lab.check("restapi", basic(server.url("/moved-private")))
    expect(verdict, "redirect, same origin", code=None, state="Connectable", within=1)


@pytest.mark.parametrize("base", ["/", "/nothing-here-itself"])
def test_bound_paths(lab: Lab, expect: Expectation, base: str) -> None:
    server = lab.http(config="location = /nothing-here-itself/orders { return 200 '[]'; }")
    verdict = lab.check("restapi", {"url": server.url(base), "objects": ["orders"]})
    expect(verdict, f"bound path under {base}", code=None, state="Connectable", within=1)


# -- credentials ------------------------------------------------------------------------------------------------------


def test_wrong_password(lab: Lab, expect: Expectation, server: Http) -> None:
    verdict = lab.check("restapi", basic(server.url("/private/"), password=lab.wrong_password))
    expect(verdict, "wrong password", code="AUTH.BAD_CREDENTIALS", state="ConfigError", component="app", within=1)


@pytest.mark.parametrize("path", ["/token", "/private/"])
def test_wrong_token(lab: Lab, expect: Expectation, server: Http, path: str) -> None:
    verdict = lab.check("restapi", token(server.url(path), lab.wrong_password))
    expect(verdict, f"wrong token {path}", code="AUTH.TOKEN", state="ConfigError", component="token", within=1)


def test_wrong_key_in_a_header(lab: Lab, expect: Expectation, server: Http) -> None:
    entry = {"url": server.url("/key"), "default_header": {"X-Api-Key": lab.wrong_password}}
    verdict = lab.check("restapi", entry)
    expect(verdict, "wrong key in a header", code="AUTH.TOKEN", state="ConfigError", within=1)


def test_credentials_missing(lab: Lab, expect: Expectation, server: Http) -> None:
    verdict = lab.check("restapi", {"url": server.url("/private/")})
    expect(
        verdict, "credentials missing", code="AUTH.BAD_CREDENTIALS", state="ConfigError",
        component="security_protocol", within=1, remedy="basic",
    )  # fmt: skip


def test_method_not_supported(lab: Lab, expect: Expectation, server: Http) -> None:
    verdict = lab.check("restapi", basic(server.url("/negotiate")))
    expect(
        verdict, "Negotiate only", code="AUTH.METHOD_UNSUPPORTED", state="ConfigError", component="negotiate", within=1
    )
    verdict = lab.check("restapi", {"url": server.url("/proxy")})
    expect(verdict, "proxy wants a login", code="AUTH.METHOD_UNSUPPORTED", state="ConfigError", within=1)


# -- statuses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/absent", "TARGET.MISSING"),
        ("/gone", "TARGET.MISSING"),
        ("/broken", "SERVER.ERROR"),
        ("/gateway", "SERVER.ERROR"),
        ("/sleeping", "SERVER.NOT_READY"),
        ("/busy", "CAPACITY.CONNECTIONS"),
        ("/old", "PROTO.MISMATCH"),
        ("/teapot", "CONFIG.BAD_VALUE"),
        ("/forbidden", "PRIV.OBJECT_DENIED"),
    ],
)
def test_status(lab: Lab, expect: Expectation, server: Http, path: str, code: str) -> None:
    verdict = lab.check("restapi", {"url": server.url(path)})
    expect(verdict, f"status of {path}", code=code, state="ConfigError", component=server.v4, within=1)


def test_forbidden_everywhere(lab: Lab, expect: Expectation) -> None:
    server = lab.http(config="return 403;")
    verdict = lab.check("restapi", {"url": server.url("/static")})
    expect(
        verdict, "403 everywhere", code="INCONCLUSIVE", state="Unreachable",
        alternatives=["ADMIT.ALLOWLIST", "PRIV.OBJECT_DENIED"], within=1,
    )  # fmt: skip


def test_forbidden_to_this_account(lab: Lab, expect: Expectation) -> None:
    location = "location = /closed { if ($http_authorization = '') { return 401; } return 403; }"
    server = lab.http(config=location)
    verdict = lab.check("restapi", basic(server.url("/closed")))
    expect(verdict, "403 to the account", code="PRIV.OBJECT_DENIED", state="ConfigError", component="/closed", within=1)


def test_bound_path_missing_or_denied(lab: Lab, expect: Expectation, server: Http) -> None:
    verdict = lab.check("restapi", {"url": server.url("/"), "objects": ["orders", "invoices"]})
    expect(
        verdict, "bound path missing", code="TARGET.OBJECT_MISSING", state="ConfigError", component="invoices", within=1
    )
    verdict = lab.check("restapi", {"url": server.url("/"), "objects": ["/forbidden"]})
    expect(
        verdict, "bound path denied", code="PRIV.OBJECT_DENIED", state="ConfigError", component="/forbidden", within=1
    )
    verdict = lab.check("restapi", {"url": server.url("/v9"), "objects": ["invoices"]})
    expect(verdict, "URL and bound path missing", code="TARGET.MISSING", state="ConfigError", within=1)


# -- redirects --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/loop", "/circle-a", "/endless"])
def test_redirect_loop(lab: Lab, expect: Expectation, server: Http, path: str) -> None:
    verdict = lab.check("restapi", {"url": server.url(path)})
    expect(
        verdict,
        f"redirect loop {path}",
        code="TARGET.REDIRECT_LOOP",
        state="ConfigError",
        component=server.v4,
        within=1,
    )


def test_redirect_to_cloud_metadata(lab: Lab, expect: Expectation, server: Http) -> None:
    verdict = lab.check("restapi", basic(server.url("/metadata")))
    expect(
        verdict, "redirect to metadata", code="POLICY.FORBIDDEN_TARGET", state="Unsupport",
        component="169.254.169.254", within=1,
    )  # fmt: skip


def test_redirect_out_of_the_permitted_ranges(lab: Lab, expect: Expectation) -> None:
    other = lab.http(own="outside")
    server = lab.http(config=f"location = /away {{ return 302 http://{other.host.public}/; }}")
    verdict = lab.check("restapi", {"url": server.url("/away")}, permitted_ranges=["10.77.2.0/24"])
    expect(
        verdict, "redirect out of the ranges", code="POLICY.FORBIDDEN_TARGET", state="Unsupport",
        component=other.host.public, within=1,
    )  # fmt: skip


def test_redirect_to_nowhere(lab: Lab, expect: Expectation, server: Http) -> None:
    verdict = lab.check("restapi", {"url": server.url("/absent-host")})
    expect(
        verdict, "redirect to an unknown name", code="DNS.NXDOMAIN", state="Unreachable", component="absent.lab.test",
        within=1,
    )  # fmt: skip
    verdict = lab.check("restapi", {"url": server.url("/mail")})
    expect(verdict, "redirect to mailto", code="CONFIG.BAD_VALUE", state="ConfigError", component="url", within=1)
    entry = {"url": lab.http(config=f"location = /away {{ return 302 http://{lab.dead.BLACKHOLE}/; }}").url("/away")}
    verdict = lab.check("restapi", entry, timeout=2)
    expect(
        verdict, "redirect into silence", code="INCONCLUSIVE", state="Unreachable", component=lab.dead.BLACKHOLE,
        alternatives=("FILTER.DROP", "HOST.DOWN"), within=2.5,
    )  # fmt: skip
    closed = lab.host().v4
    server = lab.http(config=f"location = /away {{ return 302 http://{closed}/; }}")
    verdict = lab.check("restapi", {"url": server.url("/away")})
    expect(verdict, "redirect to a closed port", code="PORT.CLOSED", state="Unreachable", component=closed, within=1)
    assert "the redirect of" in verdict.message


@pytest.mark.parametrize("entry", [basic, token])
def test_credentials_never_leave_their_origin(lab: Lab, expect: Expectation, entry: Any) -> None:
    with lab.listener("http", 80, reply=OK) as stranger, lab.listener("http", 8080, reply=OK) as neighbour:
        for listener in (stranger, neighbour):
            there = f"http://{listener.host}:{listener.port}/"
            server = lab.http(config=f"location = /away {{ return 302 {there}; }}")
            headers = {"X-Api-Key": PASSWORD, "X-Tenant": "shop"}
            verdict = lab.check("restapi", {**entry(server.url("/away")), "default_header": headers})
            expect(verdict, f"redirect to port {listener.port}", code=None, state="Connectable", within=1)
            heard = b"".join(listener.heard)
            assert heard.startswith(b"GET / HTTP/1.1"), "the redirect was followed"
            for secret in (PASSWORD, BLOB, "authorization", "x-api-key", "x-tenant"):
                assert secret.encode() not in heard.lower() + heard


def test_another_port_of_the_same_host_is_another_origin(lab: Lab) -> None:
    host = lab.host().v4
    there = b"HTTP/1.1 302 Found\r\nLocation: http://" + host.encode() + b":8080/\r\nContent-Length: 0\r\n\r\n"
    with (
        lab.listener("http", 80, host, reply=there) as first,
        lab.listener("http", 8080, host, reply=OK) as second,
    ):
        assert lab.check("restapi", basic(f"http://{host}/")).connectable
    assert BLOB.encode() in b"".join(first.heard)
    assert second.heard
    assert b"uthorization" not in b"".join(second.heard)


def test_credentials_are_asked_for_elsewhere(lab: Lab, expect: Expectation, server: Http) -> None:
    first = lab.http(config=f"location = /away {{ return 302 {server.url('/private/')}; }}")
    verdict = lab.check("restapi", basic(first.url("/away")))
    expect(
        verdict, "redirect, login elsewhere", code="AUTH.BAD_CREDENTIALS", state="ConfigError", component=server.v4,
        within=1,
    )  # fmt: skip


def test_redirect_to_https_of_the_same_host(lab: Lab, expect: Expectation, certificate: Certificate) -> None:
    secure = lab.http(tls=certificate)
    lab.name("api", secure.v4)
    there = f"HTTP/1.1 301 Moved\r\nLocation: https://{NAME}/private/\r\nContent-Length: 0\r\n\r\n".encode()
    with lab.listener("http", 80, secure.v4, reply=there) as listener:
        entry = basic(f"http://{NAME}/private/", truststore_file=f"file:{lab.ca.bundle}")
        verdict = lab.check("restapi", entry)
    expect(verdict, "https by redirect", code="TLS.REQUIRED", state="ConfigError", component="url", within=1)
    assert b"uthorization" not in b"".join(listener.heard), "the password went in clear where https was offered"


def test_redirect_to_an_untrusted_certificate(lab: Lab, expect: Expectation, certificate: Certificate) -> None:
    secure = lab.http(tls=certificate)
    lab.name("api", secure.v4)
    server = lab.http(config=f"location = /away {{ return 302 https://{NAME}/orders; }}")
    verdict = lab.check("restapi", {"url": server.url("/away")})
    expect(verdict, "redirect, untrusted CA", code="TLS.UNTRUSTED_CA", state="ConfigError", component=NAME, within=1)


# -- TLS --------------------------------------------------------------------------------------------------------------


def test_untrusted_authority(lab: Lab, expect: Expectation, certificate: Certificate) -> None:
    server = lab.http(tls=certificate)
    lab.name("api", server.v4)
    verdict = lab.check("restapi", {"url": server.url("/orders", host=NAME)})
    expect(verdict, "untrusted CA", code="TLS.UNTRUSTED_CA", state="ConfigError", component="Lab Root CA", within=1)
    other = Authority(lab.network.directory, "HTTP Test CA")
    entry = {**trusting(lab, server), "truststore_file": f"file:{other.bundle}"}
    verdict = lab.check("restapi", entry)
    expect(verdict, "another CA", code="TLS.UNTRUSTED_CA", state="ConfigError", component="Lab Root CA", within=1)


@pytest.mark.parametrize(
    ("kind", "made", "code"),
    [
        ("wrong name", {"name": "other.lab.test"}, "TLS.NAME_MISMATCH"),
        ("expired", {"valid_from": -9, "valid_to": -2}, "TLS.EXPIRED"),
        ("not yet valid", {"valid_from": 2, "valid_to": 9}, "TLS.NOT_YET_VALID"),
    ],
)
def test_bad_certificate(lab: Lab, expect: Expectation, kind: str, made: Mapping[str, Any], code: str) -> None:
    options = dict(made)
    bad = lab.ca.issue(options.pop("name", NAME), **options)
    verdict = lab.check("restapi", trusting(lab, lab.http(tls=bad)))
    expect(verdict, f"certificate {kind}", code=code, state="ConfigError", component=NAME, within=1)


def test_certificate_expires_soon(lab: Lab, expect: Expectation) -> None:
    ending = lab.ca.issue(NAME, valid_to=5)
    verdict = lab.check("restapi", trusting(lab, lab.http(tls=ending)))
    expect(verdict, "certificate ends soon", code=None, state="Connectable", within=1, warnings=["TLS.EXPIRES_SOON"])


def test_old_tls_only(lab: Lab, expect: Expectation, certificate: Certificate) -> None:
    options = "ssl_protocols TLSv1.1; ssl_ciphers ALL:@SECLEVEL=0;"
    verdict = lab.check("restapi", trusting(lab, lab.http(tls=certificate, tls_options=options)))
    expect(verdict, "TLS 1.1 only", code="TLS.VERSION_OR_CIPHER", state="ConfigError", within=1)


@pytest.mark.parametrize(
    ("kind", "protocols", "code", "alternatives"),
    [
        ("client certificate", "TLSv1.2 TLSv1.3", "TLS.CLIENT_CERT", []),
        ("client certificate, TLS 1.3", "TLSv1.3", "INCONCLUSIVE", ["TLS.CLIENT_CERT", "CONFIG.BAD_VALUE"]),
    ],
)
def test_client_certificate_demanded(
    lab: Lab, expect: Expectation, certificate: Certificate, kind: str, protocols: str, code: str,
    alternatives: list[str],
) -> None:  # fmt: skip
    options = f"ssl_verify_client on; ssl_client_certificate {lab.ca.bundle}; ssl_protocols {protocols};"
    server = lab.http(tls=certificate, tls_options=options)
    verdict = lab.check("restapi", trusting(lab, server))
    expect(verdict, kind, code=code, state="ConfigError", component=NAME, within=1, alternatives=alternatives)


def test_client_certificate_demanded_by_an_alert(lab: Lab, expect: Expectation, certificate: Certificate) -> None:
    host = lab.host().v4
    lab.name("api", host)
    files = ["-cert", str(certificate.certificate), "-key", str(certificate.key), "-CAfile", str(lab.ca.bundle)]
    command = ["openssl", "s_server", "-accept", f"{host}:443", "-Verify", "1", "-verify_return_error", "-www", *files]
    with subprocess.Popen(lab.network.command("server", command), stdout=subprocess.DEVNULL) as process:
        time.sleep(0.5)
        entry = {"url": f"https://{NAME}/", "truststore_file": f"file:{lab.ca.bundle}"}
        verdict = lab.check("restapi", entry)
        process.kill()
    expect(verdict, "client certificate, alert", code="TLS.CLIENT_CERT", state="ConfigError", component=NAME, within=1)


def test_bad_request_where_no_certificate_is_asked_for(lab: Lab, expect: Expectation, certificate: Certificate) -> None:
    server = lab.http(tls=certificate, config="location = /bad { return 400; }")
    verdict = lab.check("restapi", trusting(lab, server, "/bad"))
    expect(verdict, "400 over https", code="CONFIG.BAD_VALUE", state="ConfigError", component="/bad", within=1)


def test_plain_http_to_an_https_port(lab: Lab, expect: Expectation, certificate: Certificate) -> None:
    server = lab.http(tls=certificate)
    verdict = lab.check("restapi", basic(f"http://{server.v4}:443/orders"))
    expect(verdict, "http to an https port", code="TLS.REQUIRED", state="ConfigError", component="url", within=1)


def test_https_to_an_http_port(lab: Lab, expect: Expectation, server: Http) -> None:
    verdict = lab.check("restapi", basic(f"https://{server.v4}:80/orders"))
    expect(verdict, "https to an http port", code="TLS.NOT_OFFERED", state="ConfigError", component=server.v4, within=1)


# -- the way there ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ssh", "mysql", "smtp", "ftp", "redis", "garbage"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_another_protocol(lab: Lab, expect: Expectation, kind: str, scheme: str) -> None:
    with lab.listener(kind, 80) as listener:
        verdict = lab.check("restapi", basic(f"{scheme}://{listener.host}:80/"), timeout=3)
    expect(
        verdict, f"{kind} on the port, {scheme}", code="PROTO.MISMATCH", state="ConfigError", component=listener.host,
        within=3.5,
    )  # fmt: skip
    assert BLOB.encode() not in b"".join(listener.heard)


def test_mute(lab: Lab, expect: Expectation) -> None:
    with lab.listener("mute", 80) as listener:
        verdict = lab.check("restapi", basic(f"http://{listener.host}/"), timeout=2)
    expect(verdict, "accepts, never speaks", code="PEER.MUTE", state="Unreachable", component=listener.host, within=2.5)
    assert BLOB.encode() not in b"".join(listener.heard)


@pytest.mark.parametrize(
    "reply", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx"], ids=["head", "body"]
)
def test_stops_in_the_middle(lab: Lab, expect: Expectation, reply: bytes) -> None:
    with lab.listener("http", 80, reply=reply, end="hold", wait=False) as listener:
        verdict = lab.check("restapi", {"url": f"http://{listener.host}/"}, timeout=2)
    part = "body" if reply.endswith(b"x") else "head"
    expect(verdict, f"{part} that never ends", code="PEER.MUTE", state="Unreachable", within=2.5)


@pytest.mark.parametrize("kind", ["close", "reset", "close-after-hello", "reset-after-hello"])
def test_hangs_up(lab: Lab, expect: Expectation, kind: str) -> None:
    with lab.listener(kind, 80) as listener:
        verdict = lab.check("restapi", basic(f"http://{listener.host}/"))
    expect(
        verdict, f"hangs up ({kind})", code="PEER.RESET_EARLY", state="Unreachable", component=listener.host, within=1
    )


def test_dribbles(lab: Lab, expect: Expectation) -> None:
    with lab.listener("slow", 80, greeting=b"HTTP/1.1 200 OK\r\nServer: slow and steady\r\n", pace=0.3) as listener:
        verdict = lab.check("restapi", basic(f"http://{listener.host}/"), timeout=2)
    expect(verdict, "a byte now and then", code="PROBE.DEADLINE", state="Unsupport", component="greet", within=2.5)


def test_closed_port(lab: Lab, expect: Expectation) -> None:
    host = lab.host().v4
    verdict = lab.check("restapi", {"url": f"http://{host}:8080/"})
    expect(verdict, "closed port", code="PORT.CLOSED", state="Unreachable", component=f"{host}:8080", within=1)


def test_unknown_name(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("restapi", {"url": "https://absent.lab.test/"})
    expect(verdict, "unknown name", code="DNS.NXDOMAIN", state="Unreachable", component="absent.lab.test", within=1)


def test_firewall_drops(lab: Lab, expect: Expectation) -> None:
    host = lab.host().v4
    with lab.listener("mute", 22, host), lab.filter("drop", host, 80):
        verdict = lab.check("restapi", {"url": f"http://{host}/"}, timeout=2)
    expect(verdict, "firewall drops", code="FILTER.DROP", state="Unreachable", component=f"{host}:80", within=2.5)


def test_firewall_rejects(lab: Lab, expect: Expectation) -> None:
    host = lab.host().v4
    with lab.filter("admin-prohibited", host, 443):
        verdict = lab.check("restapi", {"url": f"https://{host}/"}, timeout=2)
    expect(verdict, "firewall rejects", code="FILTER.REJECT", state="Unreachable", within=2.5)


def test_metadata_address_itself(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("restapi", {"url": "http://169.254.169.254/latest/meta-data/"})
    expect(
        verdict, "metadata address", code="POLICY.FORBIDDEN_TARGET", state="Unsupport", component="169.254.169.254",
        within=1,
    )  # fmt: skip
