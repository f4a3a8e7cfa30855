"""Which data sources are meant by names as others write them.

`orders` is one of the workspace that the name stands in, `retail/orders` says its workspace, and `retail.orders` is one
that another workspace shares with it (names have no dot, the names of shared sources have one: OpenAPI 2024-05-18
`ListDataSourceSharedRules`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry import model

_CHUNK = 500

T = TypeVar("T")


@dataclass(frozen=True)
class Meant:
    """What a name means.

    Attributes:
        path: `workspace/name`.
        source_id: None: there is no such source, or it is not shared with the workspace.
        type: The type of the source; empty: there is none.
        sides: For a shared source: environment of the workspace that uses it -> the side that it sees.
    """

    path: str
    source_id: int | None = None
    type: str = ""
    sides: Mapping[str, str] = field(default_factory=dict)

    def side(self, env: str) -> str:
        """The side that is got where `env` is asked for."""
        return self.sides.get(env, env)


def resolve(session: Session, workspace: model.Workspace, names: Iterable[str]) -> dict[str, Meant]:
    """What names that stand in a workspace mean, many at once."""
    paths = {name: _path(workspace.name, name) for name in set(names)}
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    for owner, source in paths.values():
        wanted[owner].add(source)
    known = dict(_sources(session, wanted))
    foreign = {name for name, path in paths.items() if _is_shared(name) and path in known and path[0] != workspace.name}
    sides = _sides(session, workspace, {known[paths[name]][0] for name in foreign})
    found = {}
    for name, path in paths.items():
        id_, type_ = known.get(path, (None, ""))
        if id_ is not None and name in foreign and id_ not in sides:
            id_ = None
        seen = sides.get(id_, {}) if id_ is not None and name in foreign else {}
        found[name] = Meant("/".join(path), id_, type_, seen)
    return found


def _path(workspace: str, name: str) -> tuple[str, str]:
    for separator in "/.":
        owner, found, source = name.partition(separator)
        if found:
            return owner, source
    return workspace, name


def _is_shared(name: str) -> bool:
    return "." in name and "/" not in name


def _sources(session: Session, wanted: Mapping[str, set[str]]) -> Iterator[tuple[tuple[str, str], tuple[int, str]]]:
    for owner, sources in wanted.items():
        for chunk in chunks(sorted(sources)):
            rows = session.execute(
                select(model.DataSource.name, model.DataSource.id, model.DataSource.type)
                .join(model.Workspace, model.Workspace.id == model.DataSource.workspace_id)
                .where(model.Workspace.name == owner, model.DataSource.name.in_(chunk))
            )
            yield from (((owner, name), (id_, type_)) for name, id_, type_ in rows)


def _sides(session: Session, workspace: model.Workspace, ids: set[int]) -> dict[int, dict[str, str]]:
    """Source -> environment of the workspace -> side, for those of these sources that are shared with it."""
    found: defaultdict[int, dict[str, str]] = defaultdict(dict)
    for chunk in chunks(sorted(ids)):
        rows = session.execute(
            select(model.Entry.data_source_id, model.SharingRule.env, model.Entry.env)
            .join(model.Entry, model.Entry.id == model.SharingRule.entry_id)
            .where(model.SharingRule.target_workspace_id == workspace.id, model.Entry.data_source_id.in_(chunk))
        )
        for id_, env, side in rows:
            found[id_][env] = side
    return found


def chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """At most 500 at a time: what one `IN (...)` takes."""
    return (items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK))
