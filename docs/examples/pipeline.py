"""A pipeline that copies new orders into a report, as its author writes it.

Nothing in it says where the databases are, who logs in, or whether it runs in development or in production.
"""

from __future__ import annotations

from prefect import flow, task
from sqlalchemy import text

from tasks import DataSourceRef, connect

ORDERS = DataSourceRef("orders")


@task
def count_orders(source: DataSourceRef) -> int:
    """How many orders there are."""
    with connect(source, role="reader").connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM orders")).scalar_one())


@flow(name="daily-report")
def daily_report(source: DataSourceRef = ORDERS) -> int:
    """Count the orders of a data source."""
    return count_orders(source)
