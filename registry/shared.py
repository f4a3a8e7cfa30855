"""What a workspace sees of the data sources that others share with it.

A shared source is called `Source.name` there: its workspace, a dot, its name (OpenAPI 2024-05-18
`SharedDataSourceName`); no name of its own has a dot. It can be viewed and used, neither edited nor shared on, and
neither its secrets nor where they are kept is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, select
from sqlalchemy.orm import Session, aliased

from registry import model
from registry.errors import InvalidInput, NotFound
from registry.nearest import nearest

_NEVER_SHOWN = "(kept by {})"


def is_shared(name: str) -> bool:
    """Whether this is the name of a source that another workspace shares."""
    return "." in name


def name_of(owner: str, source: str) -> str:
    """The name of a source of another workspace."""
    return f"{owner}.{source}"


def sources(
    session: Session, workspace: model.Workspace, user: str = "", *conditions: ColumnElement[bool]
) -> list[model.DataSource]:
    """What is shared with a workspace, or with this user in it, by name.

    They are copies in the place that they are seen in (`shared_by` names the workspace that shares them): their
    entries are those of the workspace's own environments, and what refers to secrets is taken out.

    Args:
        user: Empty: only what is shared with everybody there.
        conditions: On the columns of `model.DataSource`.
    """
    rows = _rows(session, workspace, user, *conditions)
    seen: dict[int, model.DataSource] = {}
    for rule, entry, row, owner in rows:
        copy = seen.setdefault(row.id, _copy(row, owner, workspace))
        if copy.entry(rule.env) is None:
            copy.entries.append(_masked(entry, rule.env, owner))
    return sorted(seen.values(), key=lambda one: one.name)


def source(session: Session, workspace: model.Workspace, name: str, user: str = "") -> model.DataSource:
    """One shared source, as `sources` shows it.

    Raises:
        NotFound: It is not shared with the workspace, nor with this user.
    """
    found = next((one for one in sources(session, workspace, user) if one.name == name), None)
    if found is None:
        raise _unknown(session, workspace, name, user)
    return found


def everywhere(session: Session, name: str, user: str = "") -> list[model.DataSource]:
    """A shared source in every workspace that sees it."""
    owner, _, bare = name.partition(".")
    those = (
        select(model.SharingRule.target_workspace_id)
        .join(model.Entry, model.Entry.id == model.SharingRule.entry_id)
        .join(model.DataSource, model.DataSource.id == model.Entry.data_source_id)
        .where(model.DataSource.name == bare)
    )
    targets = session.scalars(select(model.Workspace).where(model.Workspace.id.in_(those)).order_by(model.Workspace.id))
    found = (sources(session, target, user, model.DataSource.name == bare) for target in targets.all())
    return [one for several in found for one in several if one.shared_by == owner]


def entry(
    session: Session, workspace: model.Workspace, name: str, env: str, user: str = ""
) -> tuple[model.DataSource, model.Entry, str]:
    """What a workspace really gets by the name of a shared source: the owner's source and entry, and the owner's name.

    Args:
        env: An environment of the workspace that uses it.

    Raises:
        NotFound: It is not shared with the workspace for this environment, nor with this user.
    """
    others = set[str]()
    for rule, row_entry, row, owner in _rows(session, workspace, user):
        if name_of(owner, row.name) == name:
            if rule.env == env:
                return row, row_entry, owner
            others.add(rule.env)
    if others:
        raise NotFound(
            f"{name} is shared with {' and '.join(sorted(others))} of workspace {workspace.name}, not with its {env}",
            where="source",
            instruction=f"headwater share with {name.replace('.', '/')} --to {workspace.name} --env {env}",
        )
    raise _unknown(session, workspace, name, user)


def refuse_change(workspace: str, name: str) -> InvalidInput:
    """The refusal to change, delete or share on what another workspace shares."""
    owner = name.partition(".")[0]
    return InvalidInput(
        f"it is shared by {owner}: {workspace} may view and use it, nothing else",
        where=f"data_source:{workspace}/{name}",
        instruction=f"ask an administrator of {owner}",
    )


def _rows(
    session: Session, workspace: model.Workspace, user: str, *conditions: ColumnElement[bool]
) -> Sequence[Row[Any]]:
    owner = aliased(model.Workspace)
    wanted = (
        select(model.SharingRule, model.Entry, model.DataSource, owner.name)
        .join(model.Entry, model.Entry.id == model.SharingRule.entry_id)
        .join(model.DataSource, model.DataSource.id == model.Entry.data_source_id)
        .join(owner, owner.id == model.DataSource.workspace_id)
        .where(model.SharingRule.target_workspace_id == workspace.id, model.SharingRule.user.in_({"", user}))
        # A rule for the user himself goes before the one for everybody.
        .order_by(owner.name, model.DataSource.name, model.SharingRule.user.desc(), model.SharingRule.id)
    )
    return session.execute(wanted.where(*conditions)).all()


def _copy(row: model.DataSource, owner: str, workspace: model.Workspace) -> model.DataSource:
    kept = {attribute.key: getattr(row, attribute.key) for attribute in model.DataSource.__mapper__.column_attrs}
    made = model.DataSource(**kept | {"name": name_of(owner, row.name), "workspace_id": workspace.id})
    made.workspace, made.entries, made.shared_by = workspace, [], owner
    return made


def _masked(row: model.Entry, env: str, owner: str) -> model.Entry:
    kept = {attribute.key: getattr(row, attribute.key) for attribute in model.Entry.__mapper__.column_attrs}
    hidden = {field: _NEVER_SHOWN.format(owner) for field in row.references}
    return model.Entry(**kept | {"env": env, "references": hidden})


def _unknown(session: Session, workspace: model.Workspace, name: str, user: str) -> NotFound:
    known = [one.name for one in sources(session, workspace, user)]
    near = nearest(name, known, count=3) or known[:3]
    advice = f"shared with it: {', '.join(near)}" if near else "nothing is shared with it"
    return NotFound(
        f"no data source {name!r} is shared with workspace {workspace.name}", where="source", instruction=advice
    )
