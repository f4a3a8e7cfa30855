"""Why a run is not let connect."""

from __future__ import annotations

from registry.errors import HeadwaterError


class NotUsable(HeadwaterError):
    """A rule of use forbids it."""


class InMaintenance(HeadwaterError):
    """The data source is being worked on."""


class NotConnectable(HeadwaterError):
    """The last check from this resource group did not end well."""
