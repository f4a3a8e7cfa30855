"""Runs in Superset's environment: asks its API to test a connection and prints what it answers."""

import json
import sys

from superset.app import create_app

client = create_app().test_client()
login = {"username": "admin", "password": "admin", "provider": "db", "refresh": False}
token = client.post("/api/v1/security/login", json=login).get_json()["access_token"]
answer = client.post(
    "/api/v1/database/test_connection/",
    json={"sqlalchemy_uri": sys.argv[1], "database_name": "peer", "impersonate_user": False},
    headers={"Authorization": f"Bearer {token}"},
)
print(json.dumps(answer.get_json()))
sys.exit(answer.status_code != 200)
