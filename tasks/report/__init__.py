"""Reports for people: verdicts in, markdown out. Pure; `tasks.publish` takes them to Prefect.

What a peer said is text of a stranger: it never becomes markup.
"""

from tasks.report.batch import several
from tasks.report.deletion import brief as deletion_brief
from tasks.report.deletion import deletion
from tasks.report.dependents import dependents
from tasks.report.fleet import health
from tasks.report.flowchart import path
from tasks.report.limits import DETAILS
from tasks.report.single import diagnosis
from tasks.report.summary import counted, key, sick, tally
from tasks.report.trend import Point
from tasks.report.upgrade import brief as upgrade_brief
from tasks.report.upgrade import drift, upgrade

__all__ = [
    "DETAILS",
    "Point",
    "counted",
    "deletion",
    "deletion_brief",
    "dependents",
    "diagnosis",
    "drift",
    "health",
    "key",
    "path",
    "several",
    "sick",
    "tally",
    "upgrade",
    "upgrade_brief",
]
