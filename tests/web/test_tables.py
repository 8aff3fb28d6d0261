from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwatch.service.alarm_desk import OrderError
from calwatch.verify.model import Verdict
from calwatch.web.tables import Column, Table, csv_text, download, plain_row

COLUMNS = (Column("name", "Name"), Column("value", "Value", "number"))


def table(*rows: dict, name: str = "first") -> Table:
    return Table(name, "A table", COLUMNS, rows)


def asking(**query: str):
    return SimpleNamespace(query_params=query)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"])))
def test_csv_gives_a_text_back_and_no_spreadsheet_takes_it_for_a_formula(text: str) -> None:
    head, row = csv.reader(io.StringIO(csv_text(table({"name": text, "value": 1.5}))))
    assert head == ["name", "value"]
    assert row[0].removeprefix("'") == text.removeprefix("'")
    assert not row[0].startswith(("=", "+", "-", "@"))
    assert row[1] == "1.5"


def test_a_negative_number_stays_a_number_in_csv() -> None:
    assert csv_text(table({"name": "a", "value": -2.5})).splitlines()[1] == "a,-2.5"


def test_what_is_absent_is_empty_in_csv_and_null_in_json() -> None:
    assert csv_text(table({"name": None})).splitlines()[1] == ","
    assert plain_row(table(), {"name": None}) == {"name": None, "value": None}


def test_json_has_plain_values() -> None:
    at = datetime(2026, 11, 22, 18, 1, tzinfo=UTC)
    row = plain_row(table(), {"name": Verdict.FAIL, "value": at, "more": 1})
    assert row == {"name": "FAIL", "value": "2026-11-22T18:01:00.000+00:00"}


def test_without_a_format_there_is_no_download() -> None:
    assert download(asking(), "x", [table()]) is None


def test_one_of_several_tables_is_chosen() -> None:
    tables = [table({"name": "a"}), table({"name": "b"}, name="second")]
    assert b"b" in download(asking(format="csv", table="second"), "x", tables).body
    both = json.loads(download(asking(format="json"), "x", tables).body)
    assert set(both) == {"first", "second"}
    answer = download(asking(format="csv"), "x", tables)
    assert answer.headers["content-disposition"] == 'attachment; filename="x-first.csv"'


@pytest.mark.parametrize("query", [{"format": "xml"}, {"format": "csv", "table": "third"}])
def test_what_cannot_be_had_is_told(query: dict[str, str]) -> None:
    with pytest.raises(OrderError, match=r"csv or json|no 'third' here, but first"):
        download(asking(**query), "x", [table()])
