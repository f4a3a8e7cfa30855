"""The statements that tell what a good check wants to know of a server."""

from tasks.path_mtu import LARGE

#: One round trip that tells whether anything can be read, and what else a good check wants to know; its last column is
#: there to be large.
FACTS = f"""
SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
               WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
               AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'),
       EXISTS (SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
               WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
               AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
               AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
               AND (pg_catalog.has_table_privilege(c.oid, 'SELECT')
                    OR pg_catalog.has_any_column_privilege(c.oid, 'SELECT'))),
       pg_catalog.pg_is_in_recovery(),
       pg_catalog.current_setting('transaction_read_only'),
       pg_catalog.current_setting('max_connections'),
       (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE datid IS NOT NULL),
       (SELECT CASE WHEN isfinite(rolvaliduntil) THEN extract(epoch FROM rolvaliduntil) END
        FROM pg_catalog.pg_roles WHERE rolname = current_user),
       extract(epoch FROM pg_catalog.clock_timestamp()),
       pg_catalog.host(pg_catalog.inet_client_addr()),
       '{LARGE}'
"""  # noqa: S608 - a constant
#: Which cluster this is, since when it runs, and which database of it: names and addresses may differ, these do not. A
#: copy keeps the identifier, and was started at another moment. Asked by itself, because servers that only speak the
#: protocol have no such functions.
IDENTITY = (
    "SELECT (SELECT system_identifier FROM pg_catalog.pg_control_system()), "
    "extract(epoch FROM pg_catalog.pg_postmaster_start_time()), "
    "(SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())"
)
#: For servers that speak the protocol without PostgreSQL's whole catalogue.
PLAIN_FACTS = (
    f"SELECT count(*), '{LARGE}' FROM information_schema.tables "  # noqa: S608 - a constant
    "WHERE table_schema NOT IN ('pg_catalog', 'information_schema') AND table_schema NOT LIKE 'pg_toast%'"
)
