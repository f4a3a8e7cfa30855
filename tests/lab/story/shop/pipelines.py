"""What the shop's people wrote: flows that name data sources, and nothing else about them."""

from __future__ import annotations

from typing import Annotated

from prefect import flow
from pydantic import BaseModel, Field
from sqlalchemy import text

from tasks import DataSourceRef, connect

#: The scan reads the role and the tables from the schema of the parameters.
Orders = Annotated[DataSourceRef, Field(json_schema_extra={"headwater-objects": ["orders"]})]


def count(source: str, table: str) -> int:
    """The rows of a table, by a client that Headwater gives."""
    with connect(source, role="reader").connect() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


@flow(name="daily-report", log_prints=True)
def daily_report(source: Orders, region: str = "all") -> None:
    """A data source in a parameter."""
    print(f"{count(source, 'orders')} orders in {region}")


@flow(name="consistency", log_prints=True)
def consistency(sources: list[Orders]) -> None:
    """Data sources in a list."""
    print([count(source, "orders") for source in sources])


class Copy(BaseModel):
    """One table on its way."""

    source: Orders
    target: DataSourceRef
    table: str = "orders"


@flow(name="copy-tables", log_prints=True)
def copy_tables(copies: list[Copy]) -> None:
    """Data sources in objects of a list."""
    for one in copies:
        print(f"{count(one.source, one.table)} rows of {one.table} for {one.target}")


@flow(name="invoices", log_prints=True)
def invoices(source: Orders) -> None:
    """Which tables it needs stands in its code alone."""
    print(f"{count(source, 'order_lines')} lines to be billed")
