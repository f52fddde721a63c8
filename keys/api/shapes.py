"""The types of the API as JSON Schema, and what a value of each may look like."""

from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

Json = dict[str, Any]


class Generator(GenerateJsonSchema):
    """JSON Schema without the titles that only repeat the names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


class Shapes:
    """The types of all operations as schemas that refer to one another."""

    def __init__(self, types: Iterable[Any]) -> None:
        # By `repr`: a union is made anew each time that it is written, and is the same nevertheless.
        adapters = [(repr(each), "validation", TypeAdapter(each)) for each in types]
        self._references, found = TypeAdapter.json_schemas(
            adapters,  # type: ignore[arg-type]
            ref_template="#/components/schemas/{model}",
            schema_generator=Generator,
        )
        self.definitions: dict[str, Json] = found["$defs"]

    def of(self, shape: Any) -> Json:
        """Return the schema of a type, or the reference to it."""
        return self._references[repr(shape), "validation"]

    def media(self, shape: Any) -> Json:
        """Return the media type object of a type, with an example."""
        schema = self.of(shape)
        return {"schema": schema, "example": self.example(schema)}

    def example(self, schema: Json) -> Any:
        """Return what a value of this schema may look like, from the examples of its parts."""
        if "$ref" in schema:
            return self.example(self.definitions[schema["$ref"].rpartition("/")[2]])
        for word in ("examples", "enum"):
            if word in schema:
                return schema[word][0]
        for word in ("const", "default"):
            if word in schema:
                return schema[word]
        if "anyOf" in schema:
            return self.example(schema["anyOf"][0])
        if schema.get("type") == "array":
            return [self.example(schema["items"])]
        if schema.get("type") == "object":
            return self._object(schema)
        return schema.get("type", "")

    def _object(self, schema: Json) -> Json:
        required = schema.get("required", ())
        members: dict[str, Json] = schema.get("properties", {})
        return {
            name: self.example(member)
            for name, member in members.items()
            if name in required or "examples" in member
        }
