"""What a service answers for the bound paths: whether they are there, of which kind, and since when as they are."""

from __future__ import annotations

from urllib.parse import quote

from tasks.comparison.survey import Object, Survey, Wanted
from tasks.protocols.http.session import HttpSession
from tasks.protocols.http.wire import SAFE, Response

#: There is nothing of that name (RFC 9110, sections 15.5.5 and 15.5.11).
_ABSENT = frozenset({404, 410})
_DENIED = frozenset({401, 403, 407})


class RestSession(HttpSession):
    """A service of paths that can be compared with another one's."""

    async def survey(self, wanted: Wanted) -> Survey:
        answers = {name: await self._of(name) for name in self.access.connection.objects}
        settings = {"http_version": self._answer.version, "server": self._shown(self._answer)["server"]}
        told = {name: value for name, value in settings.items() if value}
        sound = {name: one for name, one in answers.items() if one.status < 500}
        notes = tuple(f"{name}: HTTP {one.status}" for name, one in answers.items() if name not in sound)
        objects = tuple(_object(name, one) for name, one in sound.items())
        return Survey(told, objects, complete=len(sound) == len(answers), notes=notes)

    async def _of(self, name: str) -> Response:
        path = f"{self._path.rstrip('/')}/{quote(name.lstrip('/'), safe=SAFE)}"
        return await self._follow(await self._get(self._home.url(path), credentials=self._sends))


def _object(name: str, answer: Response) -> Object:
    modified = answer.headers.get("last-modified")
    return Object(
        name,
        exists=answer.status not in _ABSENT,
        kind=answer.media_type,
        newest=modified,
        newest_of="Last-Modified",
        privileges=() if answer.status in _DENIED else ("GET",),
        notes=(f"HTTP {answer.status}",) if answer.status >= 400 else (),
    )
