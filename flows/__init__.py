"""What an operator runs: one module an operation, and the command line."""

from registry import news


def _announce(records: news.Records) -> None:
    from tasks import announcements  # only what changes something needs it

    announcements.changed(records)


news.listen(_announce)
