"""Elasticsearch's and OpenSearch's REST interface.

Sources: the REST API pages of both (root, cluster health, search, "Error responses"). HTTP status and `error.type`
decide; reasons are for people.
"""

from tasks.protocols import Protocol
from tasks.protocols.elasticsearch.answers import ANSWERS
from tasks.protocols.elasticsearch.session import SearchSession

PROTOCOL = Protocol(
    name="elasticsearch", title="Elasticsearch", session=SearchSession, answers=ANSWERS, fingerprint="HTTP"
)
