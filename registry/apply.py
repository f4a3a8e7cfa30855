"""`headwater apply`: bring the registry to what files say, all of it or nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Text, cast, select

from registry import compute_resources, groups, model, reconcile, texts, workspaces
from registry.audit import By
from registry.changes import Action, Change
from registry.documents import Documents, Known, Notice, read_documents
from registry.errors import Conflict, HeadwaterError, InvalidInput, InvalidInputs
from registry.store import Store

#: Called with (what is being done, done, in all), every few hundred data sources.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Applied:
    """What an apply did, or would do.

    Attributes:
        changes: One a thing that the files name, unchanged ones included, in the order of the files.
        notices: What the author should know: removed parameters, passwords in clear.
        dry_run: Nothing was written.
    """

    changes: list[Change]
    notices: list[Notice]
    dry_run: bool

    def count(self, action: Action) -> int:
        """How many things are created, updated or unchanged."""
        return Counter(change.action for change in self.changes)[action]


def _silent(_what: str, _done: int, _total: int) -> None:
    pass


def apply(
    store: Store,
    path: str,
    by: By,
    *,
    dry_run: bool = False,
    literals_allowed: bool | None = None,
    progress: Progress = _silent,
) -> Applied:
    """Apply a file, the YAML and JSON files of a folder, or standard input (`-`).

    Args:
        literals_allowed: Whether secrets may stand in the text; by default on standard input alone.

    Raises:
        InvalidInputs: Every fault of the files; nothing was changed.
        Conflict: Somebody else made the same thing at the same time; nothing was changed.
    """
    allowed = path == texts.STANDARD_INPUT if literals_allowed is None else literals_allowed
    return apply_texts(store, texts.read_all(path), by, dry_run=dry_run, literals_allowed=allowed, progress=progress)


def apply_texts(
    store: Store,
    sources: Sequence[tuple[str, str]],
    by: By,
    *,
    dry_run: bool = False,
    literals_allowed: bool = False,
    progress: Progress = _silent,
) -> Applied:
    """Apply (name, text) pairs; as `apply`."""
    with texts.collector_paused():
        documents = read_documents(
            sources,
            known(store),
            literals_allowed=literals_allowed,
            progress=lambda done, total: progress("reading", done, total),
        )
        return apply_documents(store, documents, by, dry_run=dry_run, progress=progress)


def apply_documents(
    store: Store, documents: Documents, by: By, *, dry_run: bool = False, progress: Progress = _silent
) -> Applied:
    """Apply what was read already, from whatever text; as `apply`."""
    return Applied(_write(store, documents, by, dry_run, progress), documents.notices, dry_run)


def known(store: Store) -> Known:
    """What the registry holds and readers of texts need."""
    with store.database.read() as session:
        names = frozenset(session.scalars(select(model.ResourceGroup.name)))
        permits = session.execute(
            select(model.Workspace.name, model.DataSource.name, model.DataSource.permits)
            .join(model.Workspace, model.Workspace.id == model.DataSource.workspace_id)
            .where(cast(model.DataSource.permits, Text) != "[]")
        )
        return Known(names, {(workspace, source): kept for workspace, source, kept in permits})


def _write(store: Store, documents: Documents, by: By, dry_run: bool, progress: Progress) -> list[Change]:
    """One transaction for everything. A dry run does the same and takes it back, so that it can't say anything else."""
    try:
        with store.database.write(keep=not dry_run) as session:
            changes = [groups.put(session, group, by) for group in documents.groups]
            problems: list[InvalidInput] = []
            total = sum(len(drafts) for _, drafts in documents.workspaces)
            done = 0
            for workspace, drafts in documents.workspaces:
                changes.append(workspaces.put(session, workspace, by))
                row = workspaces.find(session, workspace.name)

                for engine in documents.compute_resources.get(workspace.name, ()):
                    try:
                        changes.append(compute_resources.put(session, store.secrets, row, engine, by, seal=not dry_run))
                    except InvalidInputs as error:
                        problems += error.problems
                    except (InvalidInput, Conflict) as error:
                        problems.append(_as_fault(error))

                def report(part: int, _all: int, before: int = done) -> None:
                    progress("comparing" if dry_run else "writing", before + part, total)

                try:
                    changes += reconcile.put(session, store.secrets, row, drafts, by, seal=not dry_run, progress=report)
                except InvalidInputs as error:
                    problems += error.problems
                done += len(drafts)
            if problems:
                raise InvalidInputs(problems)
            return changes
    except InvalidInputs as error:
        raise InvalidInputs([_placed(documents, problem) for problem in error.problems]) from None
    except InvalidInput as error:
        raise InvalidInputs([_placed(documents, error)]) from None


def _as_fault(error: HeadwaterError) -> InvalidInput:
    return InvalidInput(error.reason, where=error.where, instruction=error.instruction, code=error.code)


def _placed(documents: Documents, problem: HeadwaterError) -> InvalidInput:
    where = documents.place(problem.where)
    return InvalidInput(problem.reason, where=where, instruction=problem.instruction, code=problem.code)
