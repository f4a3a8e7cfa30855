"""What tests of the adapters for files share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from tasks.dependents import FoundDependent, Rename, Scope, Unread
from tasks.dependents.files.adapter import FileAdapter

CHECKOUT = Path(__file__).parents[3]
EXAMPLES = CHECKOUT / "tests" / "data"


def real(folder: str) -> Path | None:
    """A folder of real exports beside the checkout; None, and told, where they are absent."""
    found = Path(os.environ.get("HEADWATER_SHARED_DATA") or CHECKOUT.parent / "shared" / "data") / folder
    if found.is_dir():
        return found
    print(f"the real exports are absent ({found}): only the project's own examples are tested")
    return None


def copied(folder: Path, to: Path) -> Path:
    """A copy to work on."""
    return Path(shutil.copytree(folder, to / folder.name))


async def scan(
    adapter: FileAdapter, *roots: Path, **options: str
) -> tuple[dict[str, FoundDependent], dict[str, Unread]]:
    """What is found, by key without the folder, and what was not read, by `file pointer`."""
    found, unread = dict[str, FoundDependent](), dict[str, Unread]()
    async for one in adapter.scan(Scope("retail", tuple(map(str, roots)), options)):
        if isinstance(one, Unread):
            unread[f"{Path(one.place.unit).name} {one.place.pointer}"] = one
        else:
            key = (
                one.key.rpartition("/")[2]
                if "#" not in one.key
                else Path(one.key.partition("#")[0]).name + ("#" + one.key.partition("#")[2])
            )
            assert key not in found, key
            found[key] = one
    return found, unread


def renames(found: FoundDependent | Sequence[FoundDependent], old: str, new: str) -> dict[str, list[Rename]]:
    """Unit -> everything that is to be renamed in it."""
    units = dict[str, list[Rename]]()
    for one in [found] if isinstance(found, FoundDependent) else found:
        for reference in one.references:
            if reference.source == old:
                for place in reference.places:
                    units.setdefault(place.unit, []).append(Rename(place, old, new))
    return units


def changed_lines(before: str, after: str) -> list[tuple[str, str]]:
    """The lines that differ, before and after; both texts have as many."""
    pairs = zip(before.splitlines(keepends=True), after.splitlines(keepends=True), strict=True)
    return [(one, other) for one, other in pairs if one != other]
