"""What happens, act by act."""

from __future__ import annotations

from tests.lab.story import outcomes
from tests.lab.story.playing import Act, Step

ACTS = (
    Act(
        "register",
        "Three data sources, one environment",
        "The shop's workspace is basic: there is production and nothing else. Its databases are reached from two "
        "resource groups: `office`, a machine behind a router that is entered by SSH, and `jobs`, the workers of "
        "a Prefect work pool. The operator's own machine reaches no database. The password of the orders is typed"
        " once and kept encrypted.",
        (
            Step("cat shop.yaml"),
            Step("headwater apply -f shop.yaml", sees=["+ workspace:shop", "4 created"]),
            Step('printf %s "$SHOP_PASSWORD" | headwater secret orders prod', sees=["encrypted"]),
            Step("headwater test", sees=["Connectable"]),
        ),
        outcomes.registered,
    ),
    Act(
        "find",
        "Who uses them",
        "Two hundred Prefect deployments name data sources in their parameters, in lists, and in objects of "
        "lists; forty FlowSpec files of a scheduler do so in a git repository.",
        (
            Step("git -C specs ls-files", shown=4),
            Step("headwater dependents scan specs --workspace shop", sees=["40"]),
            Step("headwater dependents scan --adapter prefect_deployments --workspace shop", sees=["200"]),
            Step("headwater dependents orders", sees=["shop/orders: 240 dependents"], shown=45),
        ),
        outcomes.found,
    ),
    Act(
        "upgrade",
        "From basic to standard",
        "The workspace gets a development side. A mapping file gives the dev sides addresses of their own, so "
        "that what is tried out does not happen in production.",
        (
            Step("cat dev.yaml"),
            Step(
                "headwater workspace upgrade shop --mapping dev.yaml",
                sees=["shop/orders (postgresql)"],
                captures={"UPGRADE": r"plan ([0-9a-f]{16})"},
            ),
            Step("headwater workspace upgrade UPGRADE --apply --yes --why 'a place to try things out'", shown=60),
            Step("headwater workspace drift shop"),
        ),
        outcomes.upgraded,
    ),
    Act(
        "move",
        "The database moves",
        "Without a word to those who use it, the DBA moves the orders to a new machine, and switches the old "
        "server off.",
        (
            Step("pg_dump -Fc -f shop.dump shop", at="old"),
            Step("pg_restore -d shop -t orders shop.dump", at="new"),
            Step("psql shop -c 'GRANT SELECT ON orders TO app'", at="new"),
            Step("pg_ctl stop -s -m fast", at="old"),
        ),
        outcomes.moved,
    ),
    Act(
        "red",
        "The health check turns red",
        "Within a quarter of an hour the scheduled flow notices. It is started by hand here.",
        (
            Step(
                "prefect deployment run health-check/health-check --watch",
                sees=["Sick"],
                shown=20,
            ),
        ),
        outcomes.sick,
        artifact="headwater-health",
    ),
    Act(
        "diagnose",
        "Why",
        "One command names the cause, from every group at once: a host that refuses everywhere is not a firewall "
        "on the way of one.",
        (Step("headwater test orders --env prod --group all --explain", sees=["PORT.CLOSED"], status=1, shown=60),),
        outcomes.diagnosed,
    ),
    Act(
        "refused",
        "Deleting it is no way out",
        "So much hangs on it that it cannot be deleted. The plan says what would break, where, and for whom.",
        (Step("headwater source delete orders", sees=["REFUSED: in use by"], status=1),),
        outcomes.refused,
    ),
    Act(
        "new",
        "The new place is registered",
        "The new machine is a data source of its own, tested from everywhere before anybody uses it.",
        (
            Step("cat orders_new.yaml"),
            Step("headwater apply -f orders_new.yaml", sees=["1 created"]),
            Step("headwater test orders_new", sees=["Connectable"]),
        ),
        outcomes.new_is_well,
    ),
    Act(
        "plan",
        "A plan to repoint",
        "The plan shows each change to the character, and what speaks against it: whether the new source may be "
        "used there, is reached from there, and has the tables with the right types. Nothing is changed yet.",
        (
            Step(
                "headwater repoint orders orders_new --waves 1,40,1000 --why 'the database moves'",
                captures={"REPOINT": r"plan ([0-9a-f]{16}), to be applied"},
                shown=70,
            ),
        ),
        outcomes.planned,
    ),
    Act(
        "waves",
        "In waves, and one fails",
        "A canary first, then forty, then the rest. Before a wave counts, the new source is tested again from the"
        " group of every dependent in it, and deployments with the tag `headwater-smoke` are run once. What no "
        "plan could know comes out now: the code of the invoices reads a table that the DBA forgot. Its wave is "
        "rolled back, to the last byte; the two waves before it stay.",
        (
            Step("headwater repoint apply REPOINT", status=1, sees=["rolled back"]),
            Step("headwater repoint status REPOINT", status=1, shown=12),
            Step("git -C specs status --short", shown=3),
        ),
        outcomes.rolled_back,
    ),
    Act(
        "mend",
        "Mended, and on",
        "The log of the failed run names the table. The DBA restores it; the plan goes on where it stopped.",
        (
            Step("pg_restore -d shop -t order_lines shop.dump", at="new"),
            Step("psql shop -c 'GRANT SELECT ON order_lines TO app'", at="new"),
            Step("headwater repoint continue REPOINT", sees=["applied"]),
        ),
        outcomes.repointed,
    ),
    Act(
        "verify",
        "Seen from all sides",
        "Of every file only the name has changed. Nothing uses the old source any more, and the flows run.",
        (
            Step("git -C specs diff --shortstat"),
            Step("git -C specs diff -U1 check_02.yaml load_01.json"),
            Step("headwater dependents scan --adapter prefect_deployments --workspace shop"),
            Step("headwater dependents orders"),
            Step("headwater dependents orders_new", shown=20),
            Step("prefect deployment run daily-report/report-007 --watch", shown=20),
        ),
        outcomes.verified,
    ),
    Act(
        "delete",
        "The old one goes",
        "Now a deletion harms nobody. It is planned, applied, and leaves a tombstone for thirty days.",
        (
            Step(
                "headwater source delete orders --why 'moved to orders_new'",
                captures={"DELETION": r"plan ([0-9a-f]{16})"},
            ),
            Step("headwater source apply DELETION", sees=["deleted shop/orders"]),
            Step("headwater source tombstones"),
            Step("headwater list"),
        ),
        outcomes.deleted,
    ),
    Act(
        "restore",
        "And comes back",
        "Somebody wants the dev side back. The entries return, and the password that nobody had to remember.",
        (
            Step("headwater source restore orders --why 'its dev side is still needed'", sees=["restored shop/orders"]),
            Step("headwater test orders --env dev", sees=["Connectable"]),
            Step("headwater history orders"),
        ),
        outcomes.restored,
    ),
)
