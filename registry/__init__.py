"""What is known and what is allowed: the model, its storage, the type catalogue, the rules, secrets and audit.

Nothing in this package opens a connection to a data source or knows Prefect.
"""
