"""Who may do what: the table of DataWorks row by row, and that every verb of the registry is held against it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from registry import access, model
from registry.access import PERMISSIONS, Role, Verb
from registry.apply import apply_texts
from registry.audit import By
from registry.errors import Forbidden, InvalidInput, InvalidInputs, NotFound
from registry.export import document
from registry.groups import GroupDraft, LocalSettings
from registry.members import Membership
from registry.store import Store
from registry.workspaces import WorkspaceDraft
from tests.registry.samples import retail, source

#: Operation -> who may: tenant owner, tenant administrator, workspace owner, administrator, operator, deploy, develop,
#: visitor; as the OpenAPI of 2024-05-18 documents its operations.
DOCUMENTED = {
    Verb.CREATE: "x-xxx---",
    Verb.CLONE: "x-xxx---",
    Verb.DELETE: "x-xxx---",
    Verb.UPDATE: "xxxxx---",
    Verb.GET: "x-xxxxx-",
    Verb.LIST: "x-xxxxxx",
    Verb.TEST: "x-xxxxx-",
    Verb.SHARE: "xxxx----",
    Verb.BIND: "x-xxx---",
}
COLUMNS = (
    Role.TENANT_OWNER,
    Role.TENANT_ADMIN,
    Role.OWNER,
    Role.ADMIN,
    Role.OPERATOR,
    Role.DEPLOY,
    Role.DEVELOP,
    Role.VISITOR,
)


@pytest.mark.parametrize("verb", DOCUMENTED, ids=lambda verb: verb.name.lower())
def test_the_table_is_that_of_the_documentation(verb: Verb) -> None:
    said = "".join("x" if role in PERMISSIONS[verb] else "-" for role in COLUMNS)
    assert said == DOCUMENTED[verb]


@pytest.mark.parametrize(
    ("written", "role"),
    [
        ("role_project_pe", Role.OPERATOR),
        ("O&M", Role.OPERATOR),
        ("Workspace Admin", Role.ADMIN),
        ("guest", Role.VISITOR),
        ("AliyunDataWorksFullAccess", Role.FULL_ACCESS),
        ("AdministratorAccess", Role.FULL_ACCESS),
    ],
)
def test_roles_are_known_by_their_codes_and_names(written: str, role: Role) -> None:
    assert access.role(written) is role


def test_an_unknown_role_brings_the_nearest() -> None:
    with pytest.raises(InvalidInput, match="operator"):
        access.role("operater")


def admitted(store: Store, **roles: Role) -> None:
    """The workspace `retail`, made by root, with these members."""
    retail(store, source())
    for user, role in roles.items():
        store.members.grant(Membership(user, role, "retail"), store.by())


def acting(user: str) -> By:
    return By(user)


CHANGES: dict[str, tuple[Verb, Callable[[Store, By], Any]]] = {
    "add a source": (Verb.CREATE, lambda store, by: store.sources.create("retail", source("new"), by)),
    "edit a source": (
        Verb.UPDATE,
        lambda store, by: store.sources.update("retail", replace(source(), attributes={"description": "x"}), by),
    ),
    "permit a parameter": (Verb.UPDATE, lambda store, by: store.sources.add_permit("retail", "orders", "x", by)),
    "unbind a group": (Verb.BIND, lambda store, by: store.workspaces.unbind("retail", "local", by)),
    "describe": (
        Verb.MANAGE_WORKSPACE,
        lambda store, by: store.workspaces.update(WorkspaceDraft("retail", description="x"), by),
    ),
    "take a role": (
        Verb.MANAGE_WORKSPACE,
        lambda store, by: store.members.grant(Membership(by.actor, Role.ADMIN, "retail"), by),
    ),
    "take a role by a file": (
        Verb.MANAGE_WORKSPACE,
        lambda store, by: store.workspaces.update(WorkspaceDraft("retail", members=((by.actor, "admin"),)), by),
    ),
    "make a group": (
        Verb.MANAGE_TENANT,
        lambda store, by: store.groups.put(GroupDraft("spare", "local", LocalSettings()), by),
    ),
}


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("role", [Role.ADMIN, Role.OPERATOR, Role.DEVELOP, Role.VISITOR])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_made_by_whom_the_table_lets_and_refused_to_others(store: Store, change: str, role: Role) -> None:
    admitted(store, mia=role)
    store.members.grant(Membership("boss", Role.TENANT_OWNER), store.by())
    verb, make = CHANGES[change]
    if role in PERMISSIONS[verb]:
        make(store, acting("mia"))
        return
    before = contents(store)
    with pytest.raises(Forbidden, match=f"mia may not {verb}: mia has "):
        make(store, acting("mia"))
    assert contents(store) == before
    with store.database.read() as session:
        refused = session.scalars(select(model.AuditRecord).where(model.AuditRecord.action == "refuse")).one()
    assert (refused.actor, refused.after) == ("mia", {"verb": verb.name.lower()})


def contents(store: Store) -> dict[str, list[Any]]:
    """Everything but the audit."""
    with store.database.read() as session:
        tables = [table for table in model.Base.metadata.sorted_tables if table.name != "audit_record"]
        return {table.name: [tuple(row) for row in session.execute(table.select())] for table in tables}


def test_nobody_is_refused_where_nobody_has_a_role(store: Store) -> None:
    retail(store, source())
    with store.database.write() as session:
        session.execute(text("UPDATE workspace SET creator = 'somebody'"))
    store.sources.create("retail", source("more"), acting("mia"))
    store.members.grant(Membership("bob", Role.VISITOR, "retail"), acting("mia"))
    with pytest.raises(Forbidden):
        store.sources.create("retail", source("other"), acting("mia"))


def test_whoever_made_a_workspace_is_its_owner(store: Store) -> None:
    store.workspaces.create(WorkspaceDraft("sales", members=(("bob", "develop"),)), acting("mia"))
    store.sources.create("sales", source(), acting("mia"))
    with pytest.raises(Forbidden):
        store.sources.create("sales", source("other"), acting("bob"))


def test_a_role_of_the_tenant_counts_everywhere_and_the_last_owner_stays(store: Store) -> None:
    admitted(store, bob=Role.VISITOR)
    store.members.grant(Membership("boss", Role.TENANT_OWNER), store.by())
    store.members.grant(Membership("helper", Role.TENANT_ADMIN), acting("boss"))
    store.sources.create("retail", source("more"), acting("boss"))
    with pytest.raises(InvalidInput, match="last owner"):
        store.members.revoke(Membership("boss", Role.TENANT_OWNER), acting("boss"))
    with pytest.raises(InvalidInput, match="a role of the tenant"):
        store.members.grant(Membership("bob", Role.TENANT_ADMIN, "retail"), acting("boss"))
    store.members.revoke(Membership("bob", Role.VISITOR, "retail"), acting("boss"))
    assert [one.user for one in store.members.list("retail")] == ["boss", "helper"]
    with pytest.raises(NotFound):
        store.members.revoke(Membership("bob", Role.VISITOR, "retail"), acting("boss"))


def test_full_access_is_access_to_everything_but_what_takes_the_account_itself(store: Store) -> None:
    assert {verb for verb in Verb if Role.FULL_ACCESS not in PERMISSIONS[verb]} == {Verb.UPGRADE, Verb.MANAGE_OWNERS}
    admitted(store, bob=Role.VISITOR)
    store.members.grant(Membership("boss", Role.TENANT_OWNER), store.by())
    store.members.grant(Membership("fay", access.role("AliyunDataWorksFullAccess")), acting("boss"))
    store.sources.create("retail", source("new"), acting("fay"))
    with pytest.raises(InvalidInput, match="a role of the tenant"):
        store.members.grant(Membership("bob", Role.FULL_ACCESS, "retail"), acting("boss"))


def test_only_an_owner_of_the_tenant_makes_an_owner_unmakes_one_and_acts_for_one(store: Store) -> None:
    admitted(store)
    store.members.grant(Membership("helper", Role.TENANT_ADMIN), store.by())
    boss = Membership("boss", Role.TENANT_OWNER)
    store.members.grant(boss, acting("helper"))  # there is none yet
    second = Membership("helper", Role.TENANT_OWNER)
    with pytest.raises(Forbidden, match="helper may not make or unmake an owner"):
        store.members.grant(second, acting("helper"))
    with pytest.raises(Forbidden, match="or act for one"):
        store.tokens.create("boss", "mine", acting("helper"))
    store.tokens.create("mia", "hers", acting("helper"))
    store.tokens.create("boss", "own", acting("boss"))
    store.members.grant(second, acting("boss"))
    store.members.revoke(second, acting("boss"))
    with pytest.raises(Forbidden, match="helper may not make or unmake an owner"):
        store.members.revoke(boss, acting("helper"))
    store.members.grant(Membership("tom", Role.TENANT_ADMIN), acting("helper"))


def test_a_file_names_a_role_that_there_is(store: Store) -> None:
    wrong = "version: 1\nworkspaces:\n  - name: a\n    members: [{user: x, role: chief}]\n"
    with pytest.raises(InvalidInputs, match=r"f\.yaml:4:5: .*no role 'chief'"):
        apply_texts(store, [("f.yaml", wrong)], store.by())
    by_code = wrong.replace("chief", "role_project_dev")
    apply_texts(store, [("f.yaml", by_code)], store.by())
    assert store.members.list("a") == [Membership("x", Role.DEVELOP, "a")]


# --- tokens ---------------------------------------------------------------------------------------------------------


def test_a_token_says_who_acts_and_only_its_digest_is_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    token = store.tokens.create("mia", "laptop", store.by())
    monkeypatch.setenv("HEADWATER_ACTOR", "root")
    monkeypatch.setenv("HEADWATER_TOKEN", token)
    by = store.by("because")
    assert (by.actor, by.owns_registry) == ("mia", False)
    assert token not in repr(contents(store))
    assert token not in repr([record.after for record in store.history("token:mia/laptop")])


@pytest.mark.parametrize("fault", ["unknown", "expired", "revoked"])
def test_a_token_that_counts_no_more_is_told_so(store: Store, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    boss = store.by()
    token = store.tokens.create("mia", "t", boss, lifetime=timedelta(seconds=-1 if fault == "expired" else 60))
    if fault == "revoked":
        store.tokens.create("mia", "spare", boss)
        store.tokens.revoke("mia", "t", boss)
        store.tokens.create("mia", "t", boss)  # the name is free again
    monkeypatch.setenv("HEADWATER_TOKEN", "hwt_canary-nobody" if fault == "unknown" else token)
    with pytest.raises(InvalidInput, match=fault) as refused:
        store.by()
    assert "hwt_" not in str(refused.value)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_shared_registry_believes_no_bare_name_from_its_first_token_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWATER_ACTOR", "mia")
    assert store.by().actor == "mia"
    token = store.tokens.create("mia", "t", store.by())
    with pytest.raises(InvalidInput, match="believes tokens alone"):
        store.by()
    monkeypatch.setenv("HEADWATER_TOKEN", token)
    assert store.by().actor == "mia"


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.parametrize("other", [None, timedelta(seconds=-1)], ids=["none", "expired"])
def test_the_last_token_that_counts_stays(store: Store, other: timedelta | None) -> None:
    boss = store.by()
    store.tokens.create("mia", "only", boss)
    if other is not None:
        store.tokens.create("bob", "old", boss, lifetime=other)
    with pytest.raises(InvalidInput, match="the last token that counts"):
        store.tokens.revoke("mia", "only", acting("mia"))
    with pytest.raises(InvalidInput, match="believes tokens alone"):
        store.by()
    store.tokens.create("boss", "new", boss)
    store.tokens.revoke("mia", "only", acting("mia"))


def test_nobody_makes_or_revokes_the_token_of_another(store: Store) -> None:
    admitted(store, bob=Role.DEVELOP)
    store.members.grant(Membership("boss", Role.TENANT_OWNER), store.by())
    store.tokens.create("bob", "own", acting("bob"))
    with pytest.raises(Forbidden):
        store.tokens.create("boss", "stolen", acting("bob"))
    store.tokens.create("boss", "own", acting("boss"))
    with pytest.raises(Forbidden):
        store.tokens.revoke("boss", "own", acting("bob"))
    assert [one.user for one in store.tokens.list(acting("bob"))] == ["bob"]
    assert [one.user for one in store.tokens.list(acting("boss"))] == ["bob", "boss"]


def two_workspaces(store: Store, **roles: Role) -> None:
    """`retail`, where these are members and which shares `orders`, and `sales`, where none of them is."""
    admitted(store, **roles)
    store.workspaces.create(WorkspaceDraft("sales", members=(("sam", "admin"),)), store.by())
    store.groups.put(GroupDraft("spare", "local", LocalSettings()), store.by())
    store.sharing.share("retail", "orders", store.by(), to="sales", env="prod")
    store.sharing.share("retail", "orders", store.by(), to="sales", env="prod", user="nobody")
    store.members.grant(Membership("boss", Role.TENANT_OWNER), store.by())
    store.members.grant(Membership("helper", Role.TENANT_ADMIN), acting("boss"))


#: Who asks -> what is seen of: members of workspaces, groups, sharing rules.
SEEN: dict[str, tuple[list[str], list[str], int]] = {
    "boss": (["mia", "vic", "sam"], ["local", "spare"], 2),
    "helper": (["mia", "vic", "sam"], ["local", "spare"], 2),
    "mia": (["mia", "vic"], ["local"], 0),
    "vic": (["mia", "vic"], ["local"], 0),
    "sam": (["sam"], ["local"], 2),
    "nobody": ([], [], 0),
}


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_look_around_shows_what_whoever_asks_may_see(store: Store) -> None:
    two_workspaces(store, mia=Role.DEVELOP, vic=Role.VISITOR)
    for user, seen in SEEN.items():
        members = [one.user for one in store.members.list(by=acting(user)) if one.workspace]
        groups = [one.name for one in store.groups.list(acting(user))]
        assert (members, groups, len(store.sharing.list(by=acting(user)))) == seen, user


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("look", "may"),
    [
        (lambda store, by: store.members.list("sales", by), {"boss", "helper", "sam"}),
        (lambda store, by: store.groups.get("local", by), {"boss", "helper", "sam", "mia", "vic"}),
        (lambda store, by: store.groups.get("spare", by), {"boss", "helper"}),
        (
            lambda store, by: store.sharing.preview("retail/orders", by, of="sales", to="sales"),
            {"boss", "helper", "sam"},
        ),
        (lambda store, by: store.secrets.rotate(by), {"boss", "helper"}),
    ],
    ids=["members", "group", "spare group", "end of sharing", "keyring"],
)
def test_a_look_at_one_thing_is_refused_and_kept_in_the_audit(store: Store, look: Any, may: set[str]) -> None:
    two_workspaces(store, mia=Role.DEVELOP, vic=Role.VISITOR)
    refused = set()
    for user in SEEN:
        try:
            look(store, acting(user))
        except Forbidden:
            refused.add(user)
    assert refused == SEEN.keys() - may
    with store.database.read() as session:
        wanted = select(model.AuditRecord.actor).where(model.AuditRecord.action == "refuse")
        assert set(session.scalars(wanted)) == refused


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_an_export_holds_the_workspaces_that_may_be_looked_into_and_their_groups(store: Store) -> None:
    two_workspaces(store)
    found = document(store, among=["sales"])
    assert [one["name"] for one in found["workspaces"]] == ["sales"]
    assert [one["name"] for one in found["resource_groups"]] == ["local"]
