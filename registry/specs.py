"""The shape of the declarative file: its parts, with the names and kinds of their fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, IPvAnyNetwork, create_model
from pydantic_core import PydanticCustomError

from registry import names
from registry.errors import InvalidInput
from registry.groups import KINDS
from registry.network import Network
from registry.workspaces import WorkspaceDraft


def _ruled(check: Callable[..., str]) -> AfterValidator:
    def checked(value: str) -> str:
        try:
            return check(value)
        except InvalidInput as error:
            told = {"reason": error.reason, "instruction": error.instruction}
            raise PydanticCustomError("ruled", "{reason}", told) from None

    return AfterValidator(checked)


Description = Annotated[str, _ruled(names.check_description)]


class Spec(BaseModel):
    """A part of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class SourceSpec(Spec):
    """One data source."""

    name: Annotated[str, _ruled(names.DATA_SOURCE.check)]
    type: str
    description: Description | None = None
    tags: list[str] | None = None
    visibility: Literal["everywhere", "data_integration"] | None = None
    #: URL parameters that this source keeps although the allow-list removes them.
    permits: list[str] | None = None
    dev: dict[str, Any] | None = None
    prod: dict[str, Any] | None = None

    def entries(self) -> dict[str, dict[str, Any]]:
        """Environment -> fields, of those that the file gives."""
        return {env: raw for env, raw in (("dev", self.dev), ("prod", self.prod)) if raw is not None}

    def attributes(self) -> dict[str, Any]:
        """What the file says besides."""
        stated = {name: getattr(self, name) for name in ("description", "tags", "visibility", "permits")}
        return {name: value for name, value in stated.items() if value is not None}


class ComputeSpec(SourceSpec):
    """One compute resource, and what its data source is."""

    default: bool | None = None
    settings: dict[str, Any] | None = None


class MemberSpec(Spec):
    """One role of one user."""

    user: str
    role: str


class CertificateFileSpec(Spec):
    """One file that a workspace keeps.

    Attributes:
        content: Certificates in PEM, which are public; of every other file it stands in the registry alone.
        digest: SHA-256 of a content that is not here.
    """

    name: str
    id: str | None = None
    description: str | None = None
    content: str | None = None
    digest: str | None = None


class ShareSpec(Spec):
    """One sharing rule, below the workspace that owns the data source."""

    source: str
    workspace: str
    env: Literal["dev", "prod"]
    side: Literal["dev", "prod"] | None = None
    user: str = ""


class WorkspaceSpec(Spec):
    """One workspace."""

    name: Annotated[str, _ruled(names.WORKSPACE.check)]
    mode: Literal["basic", "standard"] | None = None
    description: Description | None = None
    permitted_ranges: list[IPvAnyNetwork] | None = None
    resource_groups: list[str] | None = None
    members: list[MemberSpec] | None = None
    #: Things like data sources: what is not named stays.
    certificate_files: list[CertificateFileSpec] = Field(default_factory=list)
    shares: list[ShareSpec] = Field(default_factory=list)
    #: Each a `SourceSpec` or `ComputeSpec`, read one by one.
    data_sources: list[Any] = Field(default_factory=list)
    compute_resources: list[Any] = Field(default_factory=list)

    def draft(self) -> WorkspaceDraft:
        """What the file says about the workspace itself."""

        def stated(items: Iterable[Any] | None) -> tuple[Any, ...] | None:
            return None if items is None else tuple(items)

        ranges = None if self.permitted_ranges is None else map(str, self.permitted_ranges)
        members = None if self.members is None else ((member.user, member.role) for member in self.members)
        groups = None if self.resource_groups is None else dict.fromkeys(self.resource_groups)
        return WorkspaceDraft(self.name, self.mode, self.description, stated(ranges), stated(groups), stated(members))


class GroupBase(Spec):
    """One resource group; its settings stand under the name of its kind."""

    name: Annotated[str, _ruled(names.RESOURCE_GROUP.check)]
    kind: str
    network: Network | None = None


_settings_fields: dict[str, Any] = {kind: (settings | None, None) for kind, settings in KINDS.items()}
GroupSpec: type[GroupBase] = create_model("GroupSpec", __base__=GroupBase, **_settings_fields)


class FileSpec(Spec):
    """One file: its parts are a `GroupSpec` or `WorkspaceSpec` each, read one by one."""

    version: Literal[1]
    tenant_members: list[MemberSpec] = Field(default_factory=list)
    resource_groups: list[Any] = Field(default_factory=list)
    workspaces: list[Any] = Field(default_factory=list)


#: Where a field stands -> the model that knows the names there. `#` is any index.
MODELS: Mapping[tuple[str, ...], type[BaseModel]] = {
    (): FileSpec,
    ("resource_groups", "#"): GroupSpec,
    ("resource_groups", "#", "network"): Network,
    **{("resource_groups", "#", kind): settings for kind, settings in KINDS.items()},
    ("workspaces", "#"): WorkspaceSpec,
    ("tenant_members", "#"): MemberSpec,
    ("workspaces", "#", "members", "#"): MemberSpec,
    ("workspaces", "#", "certificate_files", "#"): CertificateFileSpec,
    ("workspaces", "#", "shares", "#"): ShareSpec,
    ("workspaces", "#", "data_sources", "#"): SourceSpec,
    ("workspaces", "#", "compute_resources", "#"): ComputeSpec,
}


def fields_at(path: Sequence[str | int]) -> list[str]:
    """The names of the fields at a path; none where there is no such place."""
    model = MODELS.get(tuple("#" if isinstance(step, int) else step for step in path))
    return list(model.model_fields) if model else []
