"""From what stands in a file or form to a checked connection, its secrets apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr, ValidationError

from registry import urls
from registry.connection.fields import file_reference, is_reference
from registry.connection.model import Connection, Mode
from registry.errors import InvalidInput, InvalidInputs
from registry.nearest import nearest
from registry.parameters import RemovedParameter, filter_parameters
from registry.urls.normal import is_socket

if TYPE_CHECKING:
    from registry.types import DataSourceType

MISSING_FIELD = "CONFIG.MISSING_FIELD"
BAD_VALUE = "CONFIG.BAD_VALUE"

#: Stands in a field until the storage layer has encrypted its literal and knows the id.
PENDING = "stored:PENDING"

#: Keys of DataWorks' exports that the place of the entry already says.
_SAID_ELSEWHERE = ("envtype",)
_MODE_KEYS = ("mode", "connectionpropertiesmode")


@dataclass(frozen=True)
class EntryReading:
    """A checked entry.

    Attributes:
        connection: The entry; a field that held a literal secret says `stored:PENDING`.
        literals: Field name -> the literal, to be encrypted.
        removed: Parameters that the allow-list took out (`CONFIG.PARAM_REMOVED`).
    """

    connection: Connection
    literals: Mapping[str, SecretStr] = field(default_factory=dict)
    removed: tuple[RemovedParameter, ...] = ()


def read_entry(
    type_: DataSourceType,
    raw: Mapping[str, Any],
    *,
    permitted: frozenset[str] = frozenset(),
    literals_allowed: bool = False,
    where: str = "",
) -> EntryReading:
    """Checks one environment entry as it stands in a file: snake_case or camelCase, fields or a URL in place of them.

    Args:
        type_: The type of the data source.
        raw: The entry. `jdbc_url` (or `url`) stands in place of address, database and properties.
        permitted: Parameters that an audited permit keeps.
        literals_allowed: Whether secrets may stand there themselves (prompt and standard input).
        where: Prefix of the places in errors, such as ``retail/orders/dev``.

    Raises:
        InvalidInputs: Everything that is wrong; each problem has the code CONFIG.MISSING_FIELD or CONFIG.BAD_VALUE.
    """
    return _Reading(type_, permitted, literals_allowed, where).read(raw)


def read_url(url: str) -> tuple[DataSourceType, EntryReading]:
    """The type that a URL names and the entry that it describes; a password in it is taken as a literal.

    Raises:
        InvalidInput: The URL is malformed or of an unknown kind, or something is missing in it.
    """
    from registry import types

    parsed = urls.parse(url)
    type_ = types.get(parsed.type_name)
    return type_, read_entry(type_, {"jdbc_url": url}, literals_allowed=True, where="url")


class _Reading:
    """The problems of one entry, gathered while it is read."""

    def __init__(self, type_: DataSourceType, permitted: frozenset[str], literals_allowed: bool, where: str) -> None:
        self.type = type_
        self.permitted = permitted
        self.literals_allowed = literals_allowed
        self.where = where
        self.problems: list[InvalidInput] = []
        self.literals: dict[str, SecretStr] = {}
        self.misspelt: set[str] = set()

    def read(self, raw: Mapping[str, Any]) -> EntryReading:
        if not isinstance(raw, Mapping):
            self.bad("", "an entry is a mapping of fields", f"for example: {_one_line(self.type.example)}")
            raise InvalidInputs(self.problems)
        model = self.model(raw)
        fields = self.named(model, raw)
        self.take_url(model, fields)
        self.default_socket_ports(fields)
        removed = self.take_parameters(fields)
        self.take_literals(model, fields)
        connection = self.validated(model, fields)
        if self.problems or connection is None:
            raise InvalidInputs(self.problems)
        return EntryReading(connection, self.literals, removed)

    # -- which model ------------------------------------------------------------------------------------------

    def model(self, raw: Mapping[str, Any]) -> type[Connection]:
        """The model of the mode that the entry names, or that its fields tell."""
        modes = self.type.modes
        said = next((value for key, value in raw.items() if _squashed(key) in _MODE_KEYS), None)
        if said is not None:
            by_name = {mode.value.lower(): model for mode, model in modes.items()}
            if found := by_name.get(str(said).strip().lower()):
                return found
            known = " or ".join(mode.value for mode in modes)
            self.bad("mode", f"{self.type.name} knows no such connection mode", f"use {known}")
        instance = modes.get(Mode.INSTANCE)
        if instance and {"instanceid", "clusterid"} & {_squashed(key) for key in raw}:
            return instance
        return modes.get(Mode.CONNECTION_STRING) or next(iter(modes.values()))

    def named(self, model: type[Connection], raw: Mapping[str, Any]) -> dict[str, Any]:
        """The entry under the model's own field names; `jdbc_url` stays in it for the next step."""
        known = {_squashed(name): name for name in model.model_fields}
        if "address" in known.values() or "host" in known.values():
            known |= {"jdbcurl": "jdbc_url", "url": "jdbc_url"}
        else:
            known["jdbcurl"] = "jdbc_url"
        fields: dict[str, Any] = {}
        for key, value in raw.items():
            squashed = _squashed(key)
            if squashed in (*_MODE_KEYS, *_SAID_ELSEWHERE):
                continue
            name = known.get(squashed)
            if name is None:
                self.unknown(str(key), list(known.values()))
            elif name in fields:
                self.bad(name, "given twice, under two spellings", f"keep {name}")
            elif value is not None:
                fields[name] = value
        return fields

    def unknown(self, key: str, known: list[str]) -> None:
        near = nearest(_snake(key), known)
        self.misspelt.update(near)
        advice = f"did you mean {near[0]}?" if near else f"fields of {self.type.name}: {', '.join(sorted(set(known)))}"
        self.bad(key, "unknown field", advice)

    # -- what a URL says --------------------------------------------------------------------------------------

    def take_url(self, model: type[Connection], fields: dict[str, Any]) -> None:
        """Puts what the URL says in place of it."""
        if (url := fields.pop("jdbc_url", None)) is None:
            return
        if model.mode is not Mode.CONNECTION_STRING:
            self.bad("jdbc_url", "a URL and an instance id exclude each other", "keep one of the two")
            return
        try:
            parsed = urls.parse(url, where=self.at("jdbc_url"))
            given = urls.fields(parsed, self.type, where=self.at("jdbc_url"))
        except InvalidInput as error:
            self.problems.append(error)
            # The fields that the URL would have given are not missing as well.
            raise InvalidInputs(self.problems) from None
        if isinstance(secret := given.get("password"), SecretStr) and not self.literals_allowed:
            del given["password"]
            self.bad(
                "jdbc_url",
                "it carries a password (not shown)",
                'take it out and give it as a reference: password: "env:ORDERS_PASSWORD"',
            )
        elif isinstance(secret, SecretStr):
            given["password"] = secret.get_secret_value()
        self.merge(model, fields, given)

    def merge(self, model: type[Connection], fields: dict[str, Any], given: dict[str, Any]) -> None:
        properties = given.pop("properties", {})
        if properties:
            own = fields.setdefault("properties", {})
            if isinstance(own, Mapping):
                fields["properties"] = {**properties, **own}
        for name, value in given.items():
            if name not in model.model_fields:
                self.bad("jdbc_url", f"{self.type.name} has no {name}", "take it out of the URL")
            elif name in fields and fields[name] != value:
                self.bad(name, "given here and in the URL, and the two differ", "keep one of the two")
            else:
                fields[name] = value

    def default_socket_ports(self, fields: dict[str, Any]) -> None:
        address = fields.get("address")
        if isinstance(address, Mapping):
            address = [address]
        if isinstance(address, list | tuple):
            fields["address"] = [self.with_socket_port(one) for one in address]

    def with_socket_port(self, one: Any) -> Any:
        if isinstance(one, Mapping) and is_socket(one.get("host")) and one.get("port") is None:
            return {**one, "port": self.type.default_port}
        return one

    # -- parameters and secrets -------------------------------------------------------------------------------

    def take_parameters(self, fields: dict[str, Any]) -> tuple[RemovedParameter, ...]:
        """Filters the properties by the allow-list of the protocol."""
        given = fields.get("properties")
        if not isinstance(given, Mapping):
            return ()
        protocol = self.type.protocol_named(fields.get(self.type.variant_field))
        try:
            filtered = filter_parameters(protocol, given, permitted=self.permitted)
        except InvalidInput as error:
            self.bad("properties", error.reason, error.instruction)
            return ()
        fields["properties"] = {**filtered.kept, **filtered.forced_here}
        return filtered.removed

    def take_literals(self, model: type[Connection], fields: dict[str, Any]) -> None:
        """Moves literal secrets out, where they are allowed; the model itself refuses them."""
        if not self.literals_allowed:
            return
        for place, holder, name in _secret_places(model, fields):
            value = holder[name]
            if isinstance(value, SecretStr):
                value = value.get_secret_value()
            if model.sensitive_fields().get(place) == "file":
                value = holder[name] = file_reference(value)
            if isinstance(value, str) and value and not is_reference(value):
                self.literals[place] = SecretStr(value)
                holder[name] = PENDING

    # -- validation -------------------------------------------------------------------------------------------

    def validated(self, model: type[Connection], fields: dict[str, Any]) -> Connection | None:
        try:
            return model.model_validate(fields)
        except ValidationError as error:
            for fault in error.errors(include_url=False):
                self.report(model, dict(fault))
            return None

    def report(self, model: type[Connection], fault: dict[str, Any]) -> None:
        place = _place(fault["loc"])
        name = str(fault["loc"][0]) if fault["loc"] else ""
        example = _example(model, name)
        advice = f"for example: {name}: {example}" if example else ""
        if fault["type"] == "missing":
            if name not in self.misspelt:
                self.problem(MISSING_FIELD, place, "missing", advice)
        elif fault["type"] == "extra_forbidden":
            self.bad(place, "unknown field", advice)
        else:
            self.bad(place, _shown(model, name, fault) + _reason(fault), advice)

    def at(self, place: str) -> str:
        return ".".join(part for part in (self.where, place) if part)

    def bad(self, place: str, reason: str, instruction: str = "") -> None:
        self.problem(BAD_VALUE, place, reason, instruction)

    def problem(self, code: str, place: str, reason: str, instruction: str) -> None:
        self.problems.append(InvalidInput(reason, where=self.at(place), instruction=instruction, code=code))


def _squashed(key: object) -> str:
    """One spelling for `jdbcUrl`, `jdbc_url` and `JDBC-URL`."""
    return str(key).replace("_", "").replace("-", "").strip().casefold()


def _snake(key: str) -> str:
    return "".join("_" + char.lower() if char.isupper() else char for char in key).lstrip("_").replace("-", "_")


def _secret_places(model: type[Connection], fields: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Every place for a secret that the entry fills: its name, the mapping it stands in, its key there."""
    for name in model.sensitive_fields():
        if name in fields:
            yield name, fields, name
    for name in model.secret_mappings:
        if isinstance(held := fields.get(name), Mapping):
            fields[name] = dict(held)
            for key in model.secret_keys(held):
                yield f"{name}.{key}", fields[name], key


def _place(loc: tuple[int | str, ...]) -> str:
    """`address[0].port` for pydantic's ("address", 0, "port")."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return text.lstrip(".")


def _example(model: type[Connection], name: str) -> str:
    info = model.model_fields.get(name)
    return _one_line(info.examples[0]) if info and info.examples else ""


def _one_line(value: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)


#: Pydantic's words for shapes, in those of a file.
_SHAPES = {
    "tuple_type": "a list is needed",
    "dict_type": "a mapping of names to values is needed",
    "model_type": "a mapping of fields is needed",
    "model_attributes_type": "a mapping of fields is needed",
    "string_type": "text is needed",
    "int_type": "a whole number is needed",
    "int_parsing": "a whole number is needed",
    "too_short": "at least one is needed",
    "string_too_short": "it is empty",
}


def _reason(fault: dict[str, Any]) -> str:
    if fault["type"] == "too_long":
        return f"{fault['ctx']['max_length']} is the most that this type takes"
    message = str(fault["msg"]).removeprefix("Value error, ").replace("Input should", "it should")
    return _SHAPES.get(fault["type"], message)


#: Faults of a number or of a choice; other texts may hold a secret in the wrong place and are not repeated.
_SHOWN_FAULTS = ("literal_error", "int_parsing", "int_type", "greater_than_equal", "less_than_equal")


def _shown(model: type[Connection], name: str, fault: dict[str, Any]) -> str:
    """The value at fault, where it is short, simple and nothing to hide."""
    value = fault.get("input")
    if fault["type"] not in _SHOWN_FAULTS or name in model.sensitive_fields() or not isinstance(value, str | int):
        return ""
    text = repr(value)
    return f"{text}: " if len(text) <= 40 else ""
