"""The history of verdicts over what was deleted: it lies under the tombstone, and comes back with what it is about."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import delete, func, insert, literal, select
from sqlalchemy.orm import Session

from registry import model, rows

#: What a verdict and a buried one have in common.
_VERDICT = ("env", "resource_group", "state", "cause", "started_at", "elapsed_ms", "document")


def bury(session: Session, stones: Mapping[int, model.Tombstone]) -> None:
    """Move the history of deleted sides under their stones.

    Args:
        stones: Id of a source -> what is left of it, or of a side of it.
    """
    verdict, standing, buried = model.VerdictRecord, model.Standing, model.BuriedVerdict
    tested = select(verdict.data_source_id).where(verdict.data_source_id.in_(stones)).distinct()
    for id_ in session.scalars(tested).all():
        stone = stones[id_]
        here = (verdict.data_source_id == id_, verdict.env.in_(stone.envs))
        columns = [getattr(verdict, name) for name in _VERDICT]
        history = (
            select(literal(stone.id), *columns, standing.since)
            .outerjoin(standing, standing.verdict_id == verdict.id)
            .where(*here)
            .order_by(verdict.id)
        )
        session.execute(insert(buried).from_select(["tombstone_id", *_VERDICT, "since"], history))
        session.execute(delete(standing).where(standing.data_source_id == id_, standing.env.in_(stone.envs)))
        session.execute(delete(verdict).where(*here))


def unearth(session: Session, stone: model.Tombstone, source_id: int) -> None:
    """Bring the history back to a source that has these sides again, as the newest that there is of them."""
    verdict, standing, buried = model.VerdictRecord, model.Standing, model.BuriedVerdict
    here = buried.tombstone_id == stone.id
    columns = [getattr(buried, name) for name in _VERDICT]
    history = select(literal(source_id), *columns).where(here).order_by(buried.id)
    session.execute(insert(verdict).from_select(["data_source_id", *_VERDICT], history))
    # A check that was under way when it was deleted may have told of it since.
    session.execute(delete(standing).where(standing.data_source_id == source_id, standing.env.in_(stone.envs)))
    for newest in session.scalars(select(buried).where(here, buried.since.is_not(None))):
        key = {"data_source_id": source_id, "env": newest.env, "resource_group": newest.resource_group}
        same = (getattr(verdict, name) == value for name, value in key.items())
        id_ = session.scalars(select(func.max(verdict.id)).where(*same)).one()
        session.execute(insert(standing).values(**key, **rows.some(newest, "state", "cause", "since"), verdict_id=id_))
    session.execute(delete(buried).where(here))
