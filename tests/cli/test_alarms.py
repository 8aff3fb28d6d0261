from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from calwatch.cli.main import cli
from calwatch.errors import StopError
from calwatch.ledger.alarms import AlarmStore
from calwatch.ledger.store import Ledger

HERE = Path(__file__).parents[1]
sys.path[:0] = [str(HERE / "web"), str(HERE / "alarms")]

from scenes import amps  # noqa: E402  (found only now)
from web_scene import AMP, Scene, make_scene  # noqa: E402


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def scene(url: str):
    """An alarm of an amplifier (1) and one of a raft (2)."""
    ledger = Ledger.open(url)
    scene = make_scene(ledger)
    scene.raise_alarm(AMP, more={"OVERSCAN_LEVEL": amps("R10")})
    yield scene
    ledger.close()


@pytest.fixture
def config(tmp_path: Path, url: str) -> Path:
    path = tmp_path / "calwatch.yaml"
    path.write_text(f"repo: /nowhere\ninstruments: [LSSTCam]\nledger: {url}\n")
    return path


def alarms(config: Path, *words: str) -> Result:
    command = ["alarms", *words, "--config", str(config)]
    return CliRunner().invoke(cli, command, catch_exceptions=False)


def said(config: Path, *words: str) -> str:
    result = alarms(config, *words)
    assert result.exit_code == 0, result.output
    return result.stdout


def objects(config: Path, *words: str) -> list[dict]:
    return [json.loads(line) for line in said(config, *words, "--json").splitlines()]


def ids(scene: Scene) -> dict[str, int]:
    return {one.alarm.key.part: one.alarm_id for one in scene.store.open_alarms()}


def test_list_shows_what_is_open(scene: Scene, config: Path) -> None:
    text = said(config, "list")
    assert "2 SERIOUS" in text
    assert "LSSTCam raft R10" in text
    assert "nobody has acknowledged it" in " ".join(text.split())
    names = {one["name"] for one in objects(config, "list")}
    assert names == {f"LSSTCam.readout.above.{AMP}", "LSSTCam.overscan.above.R10"}
    assert objects(config, "list", "-I", "LATISS") == []
    assert "no alarm" in said(config, "list", "-I", "LATISS")


def test_list_shows_what_is_over_on_demand(scene: Scene, config: Path) -> None:
    number = str(ids(scene)["R10"])
    said(config, "reset", number, "--why", "exchanged", "--by", "Ada")
    assert [one["id"] for one in objects(config, "list")] == [ids(scene)[AMP]]
    for words in (["--all"], ["--from", "20261122"], ["--to", "2026-11-22"]):
        assert len(objects(config, "list", *words)) == 2, words
    assert objects(config, "list", "--to", "20261121") == []
    assert "1 SERIOUS, 1 over" in said(config, "list", "--all")


def test_show_tells_everything(scene: Scene, config: Path) -> None:
    number = str(ids(scene)[AMP])
    said(config, "ack", number, "--why", "REB exchanged", "--by", "Ada")
    text = said(config, "show", number)
    for word in ("amplifier C05", "bias NOISE §4.3", "7.3 e-", "6.1 … 6.8", "REB exchanged",
                 "slack waiting", "acknowledged", "raised"):  # fmt: skip
        assert word in text, word
    (document,) = objects(config, "show", number)
    assert [entry["what"] for entry in document["history"]] == ["raised", "acknowledged"]
    assert document["symptoms"][0]["samples"][0]["value"] == 7.3


def test_a_life_by_commands(scene: Scene, config: Path) -> None:
    number = str(ids(scene)["R10"])
    said(config, "mute", number, "--for", "4h", "--severity", "serious", "--why", "work")
    (muted,) = objects(config, "show", number)
    assert muted["muted"]
    assert muted["muted_severity"] == "SERIOUS"
    assert "nobody has acknowledged it" in said(config, "unmute", number)
    assert "acknowledged by Ada: known" in said(
        config, "ack", number, "--by", "Ada", "--why", "known", "--severity", "CRITICAL"
    )
    (back,) = objects(config, "unack", number)
    assert not back["acknowledged"]
    assert "over" in said(config, "reset", number, "--why", "exchanged")
    entries = objects(config, "history", number)
    assert [entry["what"] for entry in entries] == [
        "raised", "muted", "unmuted", "acknowledged", "unacknowledged", "cleared",
    ]  # fmt: skip
    assert entries[1]["who"]


def test_history_is_the_whole_log_or_a_part(scene: Scene, config: Path) -> None:
    assert len(objects(config, "history")) == 2
    assert "LSSTCam.overscan.above.R10" in said(config, "history")
    assert objects(config, "history", "-I", "LATISS") == []
    assert objects(config, "history", "--to", "20261121") == []
    assert len(objects(config, "history", "--limit", "1")) == 1
    assert "there may be more" in said(config, "history", "-n", "1")


@pytest.mark.parametrize(
    "name", ["LSSTCam.overscan.above.R10", "LSSTCam.overscan", "lsstcam.overscan.ab", "{id}"]
)
def test_an_alarm_has_several_names(scene: Scene, config: Path, name: str) -> None:
    number = ids(scene)["R10"]
    (found,) = objects(config, "show", name.format(id=number))
    assert found["id"] == number


def test_the_name_of_a_closed_alarm_is_its_last_episode(scene: Scene, config: Path) -> None:
    number = ids(scene)["R10"]
    said(config, "reset", str(number), "--why", "exchanged")
    (found,) = objects(config, "show", "LSSTCam.overscan.above.R10")
    assert (found["id"], found["open"]) == (number, False)


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (["show", "LSSTCam"], r"beginning of 2 alarms:\n +\d  LSSTCam\.\S+\n +\d  LSSTCam"),
        (["show", "LSST.*"], r"no alarm is called 'LSST\.\*'.*open are"),
        (["show", "R10"], r"no open alarm begins with 'R10'; it is in"),
        (["show", "99"], "there is no alarm 99"),
        (["show", ""], "say which alarm"),
        (["history", "99"], "there is no alarm 99"),
        (["ack", "99", "--why", "so"], "there is no alarm 99"),
        (["ack", "1", "--why", " "], "say why"),
        (["ack", "1", "--why", "so", "--by", " "], "say who you are"),
        (["ack", "1", "--why", "so", "--severity", "warning"], "does not cover"),
        (["unack", "1"], "nobody has acknowledged it"),
        (["unmute", "1"], "is not muted"),
        (["mute", "1", "--why", "so", "--for", "4 hours"], "no length of time such as"),
        (["mute", "1", "--why", "so", "--for", "0h"], "from 1 second to 366 days"),
        (["mute", "1", "--why", "so", "--for", "1000d"], "from 1 second to 366 days"),
        (["list", "--from", "yesterday"], "--from: 'yesterday' is no UTC date"),
        (["history", "--to", "20261340"], "--to: '20261340' is no UTC date"),
    ],
)
def test_wrong_use_is_told(scene: Scene, config: Path, words: list[str], cause: str) -> None:
    before = scene.store.open_alarms()
    with pytest.raises(StopError, match=rf"(?s){cause}") as caught:
        alarms(config, *words)
    assert caught.value.exit_code == 2
    assert scene.store.open_alarms() == before


@pytest.mark.parametrize("action", ["ack", "mute", "reset"])
def test_a_reason_is_required(scene: Scene, config: Path, action: str) -> None:
    more = ["--for", "1h"] if action == "mute" else []
    result = alarms(config, action, "1", *more)
    assert result.exit_code == 2
    assert "--why" in result.output


def test_an_instrument_that_is_not_configured_is_told(scene: Scene, config: Path) -> None:
    config.write_text(config.read_text().replace("LSSTCam", "LATISS"))
    with pytest.raises(StopError, match="not among the instruments"):
        alarms(config, "ack", "1", "--why", "so")


@pytest.mark.parametrize("words", [["list"], ["show", "1"], ["history"], ["unmute", "1"]])
def test_no_ledger_is_made_by_asking(tmp_path: Path, config: Path, words: list[str]) -> None:
    with pytest.raises(StopError, match="there is no such file; the daemon makes it"):
        alarms(config, *words)
    assert not (tmp_path / "ledger.db").exists()


def test_a_variable_wins_over_the_file(
    scene: Scene, config: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text("repo: /nowhere\ninstruments: [LSSTCam]\nledger: nowhere.db\n")
    monkeypatch.setenv("CALWATCH_LEDGER", url)
    assert len(objects(config, "list")) == 2


def test_a_terminal_takes_no_orders_from_a_name(scene: Scene, config: Path) -> None:
    scene.books.acknowledge(ids(scene)["R10"], "\x1b[31mAda", "\x1b]0;owned\x07 [red]x[/red]")
    for words in (["list"], ["show", "LSSTCam.overscan"], ["history"]):
        text = said(config, *words)
        assert "\x1b" not in text
        assert "\x07" not in text
    assert "[red]x[/red]" in "".join(said(config, "history").split())


def test_changes_are_published_where_the_daemon_publishes(
    scene: Scene, config: Path, url: str
) -> None:
    from calwatch.ledger.outbox import Outbox

    ledger = Ledger.open(url)
    said(config, "ack", "1", "--why", "seen")
    assert Outbox(ledger).pending(10) == []
    AlarmStore(ledger).beat("daemon", datetime.now(UTC), {"publishing": True})
    said(config, "unack", "1")
    assert len(Outbox(ledger).pending(10)) == 1
    ledger.close()


@pytest.mark.parametrize(
    "command", ["list", "show", "ack", "unack", "mute", "unmute", "reset", "history"]
)
def test_every_help_has_an_example(command: str) -> None:
    result = CliRunner().invoke(cli, ["alarms", command, "--help"])
    assert result.exit_code == 0
    assert f"Example: calwatch alarms {command}" in " ".join(result.output.split())
