"""Names of data sources in documents, found by the marks of their schemas."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from tasks import DataSourceRef
from tasks.dependents.marks import Marked, Marks

ORDERS = DataSourceRef("orders")


class Side(BaseModel):
    """One end of a copy."""

    source: DataSourceRef
    table: str = "orders"


class Copy(BaseModel):
    """All the shapes in which a source may stand."""

    one: DataSourceRef = ORDERS
    maybe: DataSourceRef | None = None
    many: list[DataSourceRef] = []
    named: dict[str, DataSourceRef] = {}
    sides: list[Side] = []
    either: Side | str = "nothing"
    pair: tuple[str, DataSourceRef] = ("x", ORDERS)
    target: Annotated[
        DataSourceRef, Field(json_schema_extra={"headwater-role": "writer", "headwater-objects": ["t"]})
    ] = ORDERS
    parts: list[Copy] = []


MARKS = Marks(Copy.model_json_schema())


def found(document: dict[str, Any]) -> dict[str, str]:
    return {"/".join(one.path): one.name for one in MARKS.found(document)}


def test_every_shape_is_found_and_plain_text_is_not() -> None:
    document = {
        "one": "a",
        "maybe": "b",
        "many": ["c", "d"],
        "named": {"x": "e"},
        "sides": [{"source": "f", "table": "no"}],
        "either": {"source": "g"},
        "pair": ["no", "h"],
        "parts": [{"one": "i", "parts": [{"one": "j"}]}],
    }
    assert found(document) == {
        "one": "a",
        "maybe": "b",
        "many/0": "c",
        "many/1": "d",
        "named/x": "e",
        "sides/0/source": "f",
        "either/source": "g",
        "pair/1": "h",
        "parts/0/one": "i",
        "parts/0/parts/0/one": "j",
    }


def test_a_default_that_names_a_source_counts_as_said_at_any_depth() -> None:
    filled = MARKS.filled({"parts": [{"maybe": "b"}]})
    assert filled["one"] == "orders"
    assert filled["parts"][0]["one"] == "orders"
    assert "table" not in filled
    assert MARKS.filled({"one": "mine"})["one"] == "mine"


def test_a_schema_may_say_role_and_tables() -> None:
    assert Marked(("target",), "t1", "writer", ("t",)) in MARKS.found({"target": "t1"})


def test_what_is_said_of_items_and_of_all_of_them_is_read_in_every_shape() -> None:
    said = Field(json_schema_extra={"headwater-role": "writer", "headwater-objects": ["t"]})

    class End(BaseModel):
        source: Annotated[DataSourceRef, said]
        other: DataSourceRef = ORDERS

    class Ends(BaseModel):
        items: list[Annotated[DataSourceRef, said]]
        maybe_items: list[Annotated[DataSourceRef, said] | None] | None
        rows: tuple[Annotated[DataSourceRef, said], ...]
        pair: tuple[DataSourceRef, Annotated[DataSourceRef, said]]
        unique: set[Annotated[DataSourceRef, said]]
        named: dict[str, Annotated[DataSourceRef, said]]
        all_items: Annotated[list[DataSourceRef] | None, said]
        all_named: Annotated[dict[str, DataSourceRef], said]
        maybe: Annotated[DataSourceRef, said] | None
        models: Annotated[list[End], Field(json_schema_extra={"headwater-objects": ["no"]})]
        maybe_models: dict[str, End] | None

    document = {
        "items": ["a"],
        "maybe_items": [None, "b"],
        "rows": ["c"],
        "pair": ["plain", "d"],
        "unique": ["e"],
        "named": {"x": "f"},
        "all_items": ["g"],
        "all_named": {"x": "h"},
        "maybe": "i",
        "models": [{"source": "j", "other": "plain"}],
        "maybe_models": {"x": {"source": "k"}},
    }
    for mode in ("validation", "serialization"):
        marked = Marks(Ends.model_json_schema(mode=mode)).found(document)
        told = {one.name: (one.role, one.objects) for one in marked}
        assert told == {**dict.fromkeys("abcdefghijk", ("writer", ("t",))), "plain": ("", ())}
        assert sum(one.name == "plain" for one in marked) == 2


def test_odd_documents_and_schemas_hold_nothing() -> None:
    assert MARKS.found({"many": "text", "sides": {"a": 1}, "one": None, "pair": []}) == []
    assert Marks({}).found({"one": "a"}) == []
    assert Marks({"$ref": "#/nowhere"}).found({"one": "a"}) == []
    assert Marks({"$ref": "#"}).filled({"one": "a"}) == {"one": "a"}


def test_the_type_is_text_that_is_not_empty() -> None:
    made = Side(source=" orders ")  # type: ignore[arg-type]
    assert (made.source, type(made.source)) == ("orders", DataSourceRef)
    assert made.model_dump_json() == '{"source":"orders","table":"orders"}'
