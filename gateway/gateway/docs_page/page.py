"""The OpenAPI document as one plain page: no script, nothing from elsewhere, readable in any browser."""

import json
from collections.abc import Iterator
from html import escape
from typing import Any

_METHODS = ("get", "post", "patch", "put", "delete")
_REF_PREFIX = "#/components/schemas/"


def render_page(document: dict[str, Any]) -> str:
    """A whole HTML page."""
    operations = list(_operations(document))
    tags = sorted({operation["tags"][0] for _, _, operation in operations})
    sections = "".join(_section(tag, [entry for entry in operations if entry[2]["tags"][0] == tag]) for tag in tags)
    schemas = "".join(_schema(name, schema) for name, schema in document["components"]["schemas"].items())
    links = "".join(
        f"<li><a href='#{escape(operation['operationId'])}'>{escape(method.upper())} {escape(path)}</a></li>"
        for method, path, operation in operations
    )
    info = document["info"]
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f"<title>{escape(info['title'])} API</title>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        "<link rel='stylesheet' href='/docs/style.css'></head><body>"
        f"<header><h1>{escape(info['title'])} API</h1><p>{escape(info['description'])}</p>"
        f"<p>Version {escape(info['version'])}. The exact contract: "
        "<a href='/api/v1/openapi.json'>openapi.json</a>.</p></header>"
        f"<main><nav aria-label='Operations'><ul>{links}</ul></nav>{sections}"
        f"<h2>Schemas</h2>{schemas}</main></body></html>"
    )


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if method in methods:
                yield method, path, methods[method]


def _section(tag: str, operations: list[tuple[str, str, dict[str, Any]]]) -> str:
    return f"<section><h2>{escape(tag)}</h2>{''.join(_operation(*entry) for entry in operations)}</section>"


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    return (
        f"<details id='{escape(operation['operationId'])}'><summary>"
        f"<span class='method'>{escape(method.upper())}</span>"
        f"<code>{escape(path)}</code> {escape(operation['summary'])}</summary>"
        f"<p>{escape(operation.get('description', ''))}</p>"
        f"<p class='facts'>{_callers(operation)}</p>"
        f"{_parameters(operation.get('parameters', []))}{_body(operation.get('requestBody'))}"
        f"{_responses(operation['responses'])}</details>"
    )


def _callers(operation: dict[str, Any]) -> str:
    return "For who is signed in and permitted." if operation.get("security") else "Open to everybody."


def _parameters(parameters: list[dict[str, Any]]) -> str:
    if not parameters:
        return ""
    rows = "".join(
        f"<tr><td><code>{escape(parameter['name'])}</code></td><td>{escape(parameter['in'])}</td>"
        f"<td>{'required' if parameter['required'] else ''}</td>"
        f"<td>{escape(parameter.get('description', ''))}</td></tr>"
        for parameter in parameters
    )
    return f"<h3>Parameters</h3><table>{rows}</table>"


def _body(body: dict[str, Any] | None) -> str:
    if body is None:
        return ""
    media = body["content"]["application/json"]
    example = f"<pre>{escape(json.dumps(media['example'], indent=2))}</pre>" if media.get("example") else ""
    return f"<h3>Body</h3><p>{_type(media['schema'])}</p>{example}"


def _responses(responses: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{escape(status)}</td><td>{escape(response['description'])}</td><td>{_media(response)}</td></tr>"
        for status, response in sorted(responses.items())
    )
    return f"<h3>Replies</h3><table>{rows}</table>"


def _media(response: dict[str, Any]) -> str:
    schema = response.get("content", {}).get("application/json", {}).get("schema")
    return _type(schema) if schema else ""


def _schema(name: str, schema: dict[str, Any]) -> str:
    required = schema.get("required", [])
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code></td><td>{_type(shape)}</td>"
        f"<td>{'required' if field in required else ''}</td><td>{escape(shape.get('description', ''))}</td></tr>"
        for field, shape in schema.get("properties", {}).items()
    )
    name = escape(name)
    return f"<details id='schema-{name}'><summary><code>{name}</code></summary><table>{rows}</table></details>"


def _type(schema: dict[str, Any]) -> str:
    """A schema in a few words, with a link where it has a name."""
    if "$ref" in schema:
        name = escape(schema["$ref"].removeprefix(_REF_PREFIX))
        return f"<a href='#schema-{name}'>{name}</a>"
    if "anyOf" in schema:
        return " or ".join(_type(option) for option in schema["anyOf"])
    if "enum" in schema:
        return " ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if "const" in schema:
        return f"<code>{escape(str(schema['const']))}</code>"
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return escape(" ".join(str(schema[word]) for word in ("type", "format") if word in schema) or "anything")
