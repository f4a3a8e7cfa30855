"""One unit's way from what it holds to what it is to hold, there or back. Every call may be repeated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from registry import model
from registry.errors import HeadwaterError
from tasks.dependents import Adapter, Content, Rename, UnitMoved
from tasks.repointing import records


@dataclass(frozen=True)
class Way:
    """A way of one unit.

    Attributes:
        start, goal: Fingerprints of what it holds before and after.
    """

    unit: str
    renames: Sequence[Rename]
    start: str
    goal: str


def there(step: model.PlanStep) -> Way:
    """From the old source to the new one."""
    action = step.action
    return Way(action["unit"], records.renames_of(action), action["before"], action["after"])


def back(step: model.PlanStep) -> Way:
    """And back."""
    way = there(step)
    return Way(way.unit, records.backwards(way.renames), way.goal, way.start)


async def go(adapter: Adapter, way: Way, message: str) -> None:
    """Bring a unit to its goal, hand it in and deploy it; one that is there already is handed in and deployed again.

    Raises:
        UnitMoved: It holds neither its start nor its goal.
        HeadwaterError: A step fails, or what runs is not what was written.
    """
    content = await adapter.read(way.unit)
    goal = _goal(adapter, way, content)
    if goal is not content:
        await adapter.write(way.unit, content, goal)
    await adapter.submit(way.unit, message)
    await adapter.deploy(way.unit)
    problem = await adapter.verify(way.unit, goal)
    if problem:
        raise HeadwaterError(problem, where=way.unit)


def _goal(adapter: Adapter, way: Way, content: Content) -> Content:
    if content.fingerprint == way.goal:
        return content
    if content.fingerprint == way.start:
        goal = adapter.rewrite(content, way.renames)
        if goal.fingerprint == way.goal:
            return goal
    raise UnitMoved("somebody else has changed it; it is left alone", where=way.unit)


def told(error: Exception) -> str:
    """A fault in words; of one that is not ours, its name alone, because its words may hold anything."""
    if isinstance(error, HeadwaterError):
        return error.reason
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
