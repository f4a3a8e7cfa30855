"""Prefect's REST interface, asked without Prefect's library: importing that takes longer than a check may.

It honours what the library does: the environment over the active profile, an API key or a basic authentication string,
a private CA, and the token that a server with CSRF protection wants of every request that writes.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit, urlunsplit

from tasks.evidence import StageFailed

if TYPE_CHECKING:
    import httpx

#: Seconds that one answer may take, unless the caller's own time ends before.
PATIENCE = 15.0
#: Statuses after which Prefect's own client asks again, and the seconds before each further time.
_BUSY = (429, 502, 503)
_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 3.2)


def settings() -> dict[str, str]:
    """Prefect's settings: the environment, and what `prefect config set` keeps in the active profile."""
    return {**_profile(), **os.environ}


def _profile() -> dict[str, str]:
    home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
    path = Path(os.environ.get("PREFECT_PROFILES_PATH") or home / "profiles.toml").expanduser()
    if not path.exists():
        return {}
    import tomllib

    try:
        content = tomllib.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    name = os.environ.get("PREFECT_PROFILE") or content.get("active")
    profiles = content.get("profiles")
    found = profiles.get(name) if isinstance(profiles, dict) and isinstance(name, str) else None
    return {key: str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def headers(settings: Mapping[str, str]) -> dict[str, str]:
    """What proves to the server who asks."""
    if key := settings.get("PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    if user := settings.get("PREFECT_API_AUTH_STRING"):
        import base64

        return {"Authorization": "Basic " + base64.b64encode(user.encode()).decode()}
    return {}


class PrefectApi:
    """An open connection to a Prefect server; use as an asynchronous context manager.

    Every request raises `StageFailed` with ``agent`` telling why it came to nothing: ``no-server``,
    ``server-unreachable``, ``server-silent``, ``server-unauthorized``, ``server-busy`` or ``server-error``, and
    ``api``, the server's address.

    Attributes:
        api: The server's address, without credentials.
        clock: The server's time in its last answer.
    """

    def __init__(self, settings: Mapping[str, str], *, again: int = 0) -> None:
        """Args:
            again: How often a request is sent again that was not answered in time. Only for whoever sends nothing that
                may not be done twice.

        Raises:
            StageFailed: The settings name no server.
        """
        url = settings.get("PREFECT_API_URL", "").rstrip("/")
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise StageFailed(agent="no-server", api=parts.scheme or "nothing")
        self.api = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        self.clock: datetime | None = None
        self._ui = (settings.get("PREFECT_UI_URL") or self.api.removesuffix("/api")).rstrip("/")
        self._url = url
        self._headers = headers(settings)
        self._settings = settings
        self._again = again
        self._client: httpx.AsyncClient

    async def __aenter__(self) -> Self:
        import httpx

        try:
            self._client = httpx.AsyncClient(headers=self._headers, timeout=PATIENCE, verify=self._verify())
        except (OSError, httpx.InvalidURL, ValueError):
            raise StageFailed(agent="no-server", api=self.api) from None
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    def _verify(self) -> Any:
        if not self._url.startswith("https:"):
            return False  # no certificate is to be verified, and loading the public authorities takes time
        if self._settings.get("PREFECT_API_TLS_INSECURE_SKIP_VERIFY", "").lower() in ("1", "true", "yes"):
            return False
        import ssl

        return ssl.create_default_context(cafile=self._settings.get("PREFECT_API_SSL_CERT_FILE") or None)

    def page_of(self, flow_run: str) -> str:
        """The page of a flow run in the server's interface."""
        return f"{self._ui}/runs/flow-run/{flow_run}"

    async def get(self, path: str) -> Any:
        """What is at a path, as JSON; None where the server knows no such thing."""
        return self._read(await self._send("GET", path))

    def page_of_deployment(self, deployment: str) -> str:
        """The page of a deployment in the server's interface."""
        return f"{self._ui}/deployments/deployment/{deployment}"

    async def post(self, path: str, body: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Any:
        """The answer to a request, as JSON; None where the server knows no such thing."""
        return self._read(await self._send_change("POST", path, body))

    async def patch(self, path: str, body: Mapping[str, Any]) -> bool:
        """Change what is at a path; false where the server knows no such thing."""
        response = await self._send_change("PATCH", path, body)
        self._read(response)
        return response.status_code != 404

    async def _send_change(self, method: str, path: str, body: Any) -> httpx.Response:
        response = await self._send(method, path, body)
        if response.status_code == 403 and await self._take_token():
            response = await self._send(method, path, body)
        return response

    async def _take_token(self) -> bool:
        """The token that a server with CSRF protection wants; false where it wants none."""
        client = str(uuid.uuid4())
        response = await self._send("GET", f"/csrf-token?client={client}")
        if response.status_code != 200:
            return False
        token = self._read(response).get("token", "")
        self._client.headers.update({"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": client})
        return True

    async def _send(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """The server's answer; one that is busy, as SQLite is while another writes, is asked again."""
        import httpx

        again = self._again
        for pause in (*_PAUSES, None):
            try:
                response = await self._client.request(method, f"{self._url}{path}", json=body)
            except httpx.RemoteProtocolError as error:  # it closed the connection as we were about to use it
                if pause is None:
                    raise self._unreachable(error) from None
            except httpx.TimeoutException as error:
                if not again or pause is None or not isinstance(error, httpx.ReadTimeout):
                    raise StageFailed(agent="server-silent", api=self.api, timeout_s=PATIENCE) from None
                again -= 1
            except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
                raise self._unreachable(error) from None  # the request, with its headers, stays out of every traceback
            else:
                if response.status_code not in _BUSY or pause is None:
                    return response
            await asyncio.sleep(pause)
        raise AssertionError("the last answer is returned")

    def _unreachable(self, error: Exception) -> StageFailed:
        return StageFailed(agent="server-unreachable", api=self.api, http_error=_innermost(error))

    def _read(self, response: httpx.Response) -> Any:
        if response.status_code == 404:
            return None
        if response.status_code in (401, 403):
            raise StageFailed(agent="server-unauthorized", api=self.api, http_status=response.status_code)
        if response.status_code in _BUSY:
            raise StageFailed(agent="server-busy", api=self.api, http_status=response.status_code)
        try:
            content = response.json() if response.is_success and response.content else None
        except ValueError:
            content = None
        if not response.is_success or (content is None and response.status_code != 204):
            raise StageFailed(agent="server-error", api=self.api, http_status=response.status_code)
        if date := response.headers.get("Date"):
            from email.utils import parsedate_to_datetime

            self.clock = parsedate_to_datetime(date)
        return content


def _innermost(error: BaseException) -> str:
    """The kernel's or the TLS library's own name of what went wrong, where there is one under httpx's."""
    import errno

    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno is not None and seen.errno in errno.errorcode:
            return errno.errorcode[seen.errno]
        seen = seen.__cause__ or seen.__context__
    return type(error).__name__
