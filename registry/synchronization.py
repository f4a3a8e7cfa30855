"""What Data Integration does with each type: whether it reads it, writes it or both, in which kind of synchronization.

From the page on supported data sources and synchronization solutions. Of a type that it does not name, or that another
package adds, nothing is known: it is not limited.
"""

from __future__ import annotations

from collections.abc import Mapping

READER, WRITER = "reader", "writer"
_ROLES: Mapping[str, frozenset[str]] = {
    "rw": frozenset({READER, WRITER}),
    "r": frozenset({READER}),
    "w": frozenset({WRITER}),
    "-": frozenset(),
}

#: The kinds of synchronization, as in `registry.usage.TaskKind` -> their names for people.
KINDS: Mapping[str, str] = {
    "batch_sync": "one table, in batches",
    "realtime_sync": "one table, in real time",
    "database_batch_sync": "whole database, in batches",
    "database_realtime_sync": "whole database, in real time",
    "database_full_incremental_sync": "whole database, full and incremental",
}

#: Type -> what is done with it, in the order of `KINDS`.
_TABLE = """
    analyticdb_for_mysql       rw w  r  w  -
    analyticdb_for_postgresql  rw -  r  -  -
    apsaradb_for_oceanbase     rw w  -  rw -
    bigquery                   r  -  -  -  -
    clickhouse                 rw -  r  -  -
    datahub                    rw rw -  w  -
    db2                        rw -  r  -  -
    dlf                        rw w  w  w  -
    dm                         rw -  r  -  -
    doris                      rw w  r  -  -
    drds                       rw -  r  -  -
    elasticsearch              rw w  w  w  -
    ftp                        rw -  -  -  -
    gbase8a                    rw -  -  -  -
    graph_database             w  -  -  -  -
    hbase                      rw -  -  -  -
    hdfs                       rw -  -  -  -
    hive                       rw -  rw -  -
    hologres                   rw rw rw w  -
    httpfile                   r  -  -  -  -
    kafka                      rw rw -  w  -
    kingbasees                 rw -  -  -  -
    lindorm                    rw w  -  w  -
    loghub                     rw r  -  -  -
    mariadb                    rw -  -  -  -
    maxcompute                 rw w  w  w  w
    memcache                   w  -  -  -  -
    milvus                     rw -  -  -  -
    mongodb                    rw -  -  r  -
    mysql                      rw r  r  r  r
    opensearch                 w  -  -  -  -
    oracle                     rw r  r  r  r
    oss                        rw -  w  w  -
    paimon_catalog             -  -  -  -  -
    polardb                    rw r  r  r  r
    postgresql                 rw -  r  r  -
    redis                      w  -  -  -  -
    redshift                   rw -  -  -  -
    restapi                    rw -  -  -  -
    s3                         rw -  -  -  -
    salesforce                 rw -  -  -  -
    saphana                    rw -  -  -  -
    sftp                       rw -  -  -  -
    snowflake                  rw -  -  -  -
    sqlserver                  rw -  r  -  -
    starrocks                  rw w  w  w  -
    tablestore                 rw w  -  -  -
    tidb                       rw -  -  -  -
    vertica                    rw -  -  -  -
"""

#: Type -> kind of synchronization -> what is done with it: rw, r, w or -.
TABLE: Mapping[str, Mapping[str, str]] = {
    name: dict(zip(KINDS, cells, strict=True)) for name, *cells in map(str.split, _TABLE.strip().splitlines())
}


def roles(type_: str, kind: str) -> frozenset[str]:
    """What a synchronization may do with a type: reader, writer.

    Args:
        kind: One of `KINDS`; any other: synchronization of an unknown kind, which may be each of them.
    """
    if type_ not in TABLE:
        return _ROLES["rw"]
    row = TABLE[type_]
    cells = [row[kind]] if kind in row else [*row.values()]
    return frozenset().union(*(_ROLES[cell] for cell in cells))


def told(type_: str, kind: str) -> str:
    """What such a synchronization does with a type: `reads and writes`, `only reads`, ..."""
    able = roles(type_, kind)
    if len(able) != 1:
        return "reads and writes" if able else "neither reads nor writes"
    return "only reads" if READER in able else "only writes"
