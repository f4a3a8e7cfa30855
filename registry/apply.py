"""`headwater apply`: bring the registry to what files say, all of it or nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import Text, cast, select
from sqlalchemy.orm import Session

from registry import (
    certificate_files,
    compute_resources,
    groups,
    members,
    model,
    reconcile,
    sharing,
    texts,
    workspaces,
)
from registry.audit import By
from registry.certificate_files import FileDraft
from registry.changes import Action, Change
from registry.documents import FILE_DIFFERS, FILE_MISSING, Documents, Known, Notice, read_documents
from registry.entries import SourceDraft
from registry.errors import Conflict, HeadwaterError, InvalidInput, InvalidInputs, NotFound
from registry.store import Store
from registry.workspaces import WorkspaceDraft

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
            return _Writing(session, store, documents, by, dry_run, progress).all()
    except InvalidInputs as error:
        raise InvalidInputs([_placed(documents, problem) for problem in error.problems]) from None
    except InvalidInput as error:
        raise InvalidInputs([_placed(documents, error)]) from None


@dataclass
class _Writing:
    """One apply within its transaction: what changed so far, and what is wrong with the rest."""

    session: Session
    store: Store
    documents: Documents
    by: By
    dry_run: bool
    progress: Progress
    changes: list[Change] = field(default_factory=list)
    problems: list[InvalidInput] = field(default_factory=list)
    done: int = 0

    def all(self) -> list[Change]:
        """Everything that the files name, in the order in which one needs the other.

        Raises:
            InvalidInputs: Every fault.
        """
        self.changes += [groups.put(self.session, group, self.by) for group in self.documents.groups]
        for workspace, drafts in self.documents.workspaces:
            self.workspace(workspace, drafts)
        for rule in () if self.problems else self.documents.shares:
            self.attempt(partial(sharing.put, self.session, rule, self.by), rule.place)
        if self.problems:
            raise InvalidInputs(self.problems)
        # Last, because whoever applies it may lose with them what he could do while nobody had a role.
        return [*self.changes, *members.admit(self.session, self.documents.tenant_members, self.by)]

    def workspace(self, wanted: WorkspaceDraft, drafts: Sequence[SourceDraft]) -> None:
        """A workspace with all that it holds."""
        self.changes.append(workspaces.put(self.session, wanted, self.by))
        row = workspaces.find(self.session, wanted.name)
        within = (self.session, self.store.secrets, row)
        for file in self.documents.certificate_files.get(wanted.name, ()):
            self.attempt(partial(self.file, row, file), f"certificate_file:{row.name}/{file.name}")
        for engine in self.documents.compute_resources.get(wanted.name, ()):
            self.attempt(partial(compute_resources.put, *within, engine, self.by, seal=not self.dry_run))
        total = sum(len(each) for _, each in self.documents.workspaces)
        before, doing = self.done, "comparing" if self.dry_run else "writing"

        def report(part: int, _all: int) -> None:
            self.progress(doing, before + part, total)

        try:
            found = reconcile.put(*within, drafts, self.by, seal=not self.dry_run, progress=report)
            self.changes += found
        except InvalidInputs as error:
            self.problems += error.problems
        self.done += len(drafts)

    def file(self, owner: model.Workspace, wanted: FileDraft) -> Change | None:
        """A file that a workspace keeps; where it is not here, or is another one, that is told."""
        seal = not self.dry_run
        change = certificate_files.put(self.session, self.store.secrets, owner, wanted, self.by, seal=seal)
        place = self.documents.place(f"certificate_file:{owner.name}/{wanted.name}")
        if change is None:
            self.documents.notices.append(Notice(place, FILE_MISSING, _missing(owner.name, wanted)))
        told = certificate_files.differences(self.session, owner, wanted)
        self.documents.notices += (Notice(place, FILE_DIFFERS, one) for one in told)
        return change

    def attempt(self, put: Callable[[], Change | None], where: str = "") -> None:
        """Bring one thing to what the files say; a fault of it hides no other one.

        Args:
            where: What it is, where a fault of it may name something else: a sharing rule whose workspace is unknown.
        """
        try:
            change = put()
        except InvalidInputs as error:
            self.problems += error.problems
        except (InvalidInput, Conflict, NotFound) as error:
            self.problems.append(
                InvalidInput(error.reason, where=where or error.where, instruction=error.instruction, code=error.code)
            )
        else:
            self.changes += [change] if change is not None else []


def _missing(workspace: str, file: FileDraft) -> str:
    """Of a file whose content no text may carry."""
    path = f"{workspace}/{file.name}"
    its = f" --id {file.id}" if file.id else ""
    return f"the file {path} is not here, and its content stands in no export: headwater file add {path} PATH{its}"


def _placed(documents: Documents, problem: HeadwaterError) -> InvalidInput:
    where = documents.place(problem.where)
    return InvalidInput(problem.reason, where=where, instruction=problem.instruction, code=problem.code)
