"""What may change in a schema: fields may be added, nothing else.

The observatory's registry accepts any schema, and InfluxDB refuses a field that changes its type
only when the points arrive. So we look ourselves, before anything is sent.
"""

from __future__ import annotations

from typing import Any

from calwatch.publish.schemas import Schema


def changes(registered: Schema, ours: Schema) -> list[str]:
    """Return what in our schema breaks with the registered one, in words; empty if nothing does.

    Parameters
    ----------
    registered
        The newest schema of the subject.
    ours
        The one to be registered.
    """
    found = []
    for word in ("namespace", "name"):
        before, now = registered.get(word), ours.get(word)
        if before != now:
            found.append(f"the record's {word} was {before!r} and would become {now!r}")
    before_fields = {field.get("name"): field for field in registered.get("fields", [])}
    our_fields = {field["name"]: field for field in ours["fields"]}
    for name, field in before_fields.items():
        if name not in our_fields:
            found.append(f"field {name} would be removed")
        elif _plain(field.get("type")) != _plain(our_fields[name]["type"]):
            before, now = _shown(field.get("type")), _shown(our_fields[name]["type"])
            found.append(f"field {name} was of type {before} and would become {now}")
    found += [
        f"field {name} would be added without a default"
        for name, field in our_fields.items()
        if name not in before_fields and "default" not in field
    ]
    return found


def _plain(kind: Any) -> Any:
    """Return a type in its shortest spelling: ``{"type": "double"}`` is ``"double"``."""
    if isinstance(kind, list):
        return [_plain(part) for part in kind]
    if isinstance(kind, dict) and isinstance(kind.get("type"), str) and len(kind) == 1:
        return kind["type"]
    return kind


def _shown(kind: Any) -> str:
    plain = _plain(kind)
    return " or ".join(map(str, plain)) if isinstance(plain, list) else str(plain)
