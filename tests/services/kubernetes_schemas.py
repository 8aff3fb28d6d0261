"""Makes JSON schemas for kubeconform of what Kubernetes and operators publish of their resources.

Strict: a property that nobody knows is an error, for the API server would drop it in silence.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Schema = dict[str, Any]

KINDS = (
    ("apps", "v1", "Deployment"),
    ("", "v1", "ConfigMap"),
    ("", "v1", "PersistentVolumeClaim"),
    ("", "v1", "Secret"),
    ("", "v1", "Service"),
    ("networking.k8s.io", "v1", "Ingress"),
    ("networking.k8s.io", "v1", "NetworkPolicy"),
    ("policy", "v1", "PodDisruptionBudget"),
)
"""Group, version and kind of Kubernetes' own resources."""

_PREFIX = "#/definitions/"
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_TEXT_OR_NUMBER = {"anyOf": [{"type": "string"}, {"type": "number"}]}


def file_name(group: str, version: str, kind: str) -> str:
    """Return how kubeconform calls the schema of a kind."""
    parts = [kind.lower(), group.partition(".")[0], version]
    return "-".join(part for part in parts if part) + ".json"


def write_own(swagger: Path, folder: Path) -> None:
    """Write the schemas of `KINDS` from Kubernetes' description of its whole interface."""
    definitions = json.loads(swagger.read_text(encoding="utf-8"))["definitions"]
    definitions = {name: strict(one) for name, one in definitions.items()}
    definitions[_QUANTITY] = _TEXT_OR_NUMBER
    for group, version, kind in KINDS:
        wanted = {"group": group, "version": version, "kind": kind}
        (root,) = (
            name
            for name, one in definitions.items()
            if wanted in one.get("x-kubernetes-group-version-kind", ())
        )
        used = {name: definitions[name] for name in _used(definitions, root)}
        schema = {
            "allOf": [{"$ref": _PREFIX + root}, _named(group, version, kind)],
            "definitions": used,
        }
        _write(folder, (group, version, kind), schema)


def write_custom(definition: Path, folder: Path) -> None:
    """Write the schemas of every version in a file of custom resource definitions."""
    for document in yaml.safe_load_all(definition.read_text(encoding="utf-8")):
        spec = document["spec"]
        for version in spec["versions"]:
            which = (spec["group"], version["name"], spec["names"]["kind"])
            schema = strict(version["schema"]["openAPIV3Schema"])
            # What every resource has is not told of each.
            schema["properties"] |= {name: {"type": "string"} for name in ("apiVersion", "kind")}
            schema["properties"]["metadata"] = {"type": "object"}
            schema.setdefault("additionalProperties", False)
            _write(folder, which, {"allOf": [schema, _named(*which)]})


def strict(schema: Any) -> Any:
    """Return a schema as JSON Schema has it, which takes no property that it does not name."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {
        name: {key: strict(one) for key, one in part.items()}
        if name == "properties"
        else strict(part)
        for name, part in schema.items()
        if name not in ("description", "default", "example")
    }
    loose = found.get("x-kubernetes-preserve-unknown-fields")
    if "properties" in found and "additionalProperties" not in found and not loose:
        found["additionalProperties"] = False
    if found.get("x-kubernetes-int-or-string") or found.get("format") == "int-or-string":
        found.pop("type", None)
        found |= _TEXT_OR_NUMBER
    # These are about how numbers are kept, and what they mean is not JSON Schema's.
    found.pop("format", None)
    if found.pop("nullable", False):
        return {"anyOf": [found, {"type": "null"}]}
    return found


def _named(group: str, version: str, kind: str) -> Schema:
    api = f"{group}/{version}" if group else version
    return {
        "type": "object",
        "required": ["apiVersion", "kind", "metadata"],
        "properties": {"apiVersion": {"const": api}, "kind": {"const": kind}},
    }


def _used(definitions: dict[str, Schema], root: str) -> set[str]:
    """Return the names of all definitions that one needs, itself included."""
    names, ahead = set(), [root]
    while ahead:
        name = ahead.pop()
        if name not in names:
            names.add(name)
            ahead += _references(definitions[name])
    return names


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        target = part.get("$ref")
        if isinstance(target, str):
            yield target.removeprefix(_PREFIX)
        part = list(part.values())
    if isinstance(part, list):
        for one in part:
            yield from _references(one)


def _write(folder: Path, which: tuple[str, str, str], schema: Schema) -> None:
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", **schema}
    (folder / file_name(*which)).write_text(json.dumps(schema), encoding="utf-8")
