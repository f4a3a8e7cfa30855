"""The type of parameters that name a data source: `DataSourceRef`.

A flow that says so lets forms, scans and repoints know which of its parameters name data sources:

    @flow
    def nightly(source: DataSourceRef = DataSourceRef("orders")) -> None:
        engine = connect(source)
"""

from __future__ import annotations

from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

#: What a JSON schema says of such a value.
FORMAT = "headwater-data-source"


class DataSourceRef(str):
    """The name of a data source: `orders`, `retail/orders`, or `retail.orders` of another workspace that shares it."""

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.str_schema(min_length=1, strip_whitespace=True)
        return core_schema.no_info_after_validator_function(
            cls, text, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        said = handler(schema)  # with what an annotation of this one value says, such as an item's of a list
        return {**said, "type": "string", "format": FORMAT, "minLength": 1}
