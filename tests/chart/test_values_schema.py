"""The schema of the values knows the daemon's settings as they are."""

from __future__ import annotations

import values_schema


def test_the_schema_of_the_values_is_up_to_date() -> None:
    as_it_should_be = values_schema.text()
    assert values_schema.FILE.read_text(encoding="utf-8") == as_it_should_be, (
        "the settings have changed: run python tests/chart/values_schema.py"
    )


def test_what_the_chart_sets_itself_is_not_among_them() -> None:
    found = values_schema.definitions()
    assert not set(values_schema.OWN) & found["Settings"]["properties"].keys()
    assert "repo" in found["Settings"]["properties"]
    assert found["Settings"]["additionalProperties"] is False
    assert "group" not in found["KafkaSettings"]["properties"]
    assert "WebSettings" not in found
