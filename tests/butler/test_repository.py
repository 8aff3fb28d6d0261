from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

import calwatch.butler.repository as module
from calwatch.butler import waiting
from calwatch.butler.lookup import Span
from calwatch.butler.repository import Repository
from calwatch.camera.model import Camera
from calwatch.errors import RepositoryError, StopError
from calwatch.offline.certify import certify
from calwatch.offline.chain import prepend
from calwatch.offline.datasets import put_calibration
from calwatch.offline.ingest import ingest_raws
from calwatch.offline.repository import create_repository, writing

BASE = "MiniCam/calib/DM-1/mini"
OPEN = 4_102_444_800_000_000_000
END_2025 = 1_735_776_000_000_000_000
"""An open end and 2025-01-02, as the registry keeps them: nanoseconds since 1970."""

OBSERVATORY = Path(__file__).parents[3] / "shared" / "data" / "latiss-repo"
"""A repository written by the observatory's own software, where one is at hand."""


@pytest.fixture
def repository(template: Path) -> Iterator[Repository]:
    with Repository.open(template) as opened:
        yield opened


def test_exposures_come_oldest_first_with_utc_end(repository: Repository) -> None:
    exposures = repository.exposures("MiniCam")
    assert [record.exposure_id % 100000 for record in exposures] == [1, 2, 3, 4]
    dark = exposures[1]
    assert (dark.observation_type, dark.exposure_time, dark.dark_time) == ("dark", 30.0, 31.0)
    assert (dark.physical_filter, dark.band, dark.day_obs) == ("r_57", "r", 20260120)
    assert dark.begin_tai == pytest.approx(61060.002, abs=1e-9)
    # 61060.002 d + 31 s in TAI is 37 s less in UTC.
    assert dark.end_utc is not None
    assert dark.end_utc.isoformat(timespec="milliseconds") == "2026-01-20T00:02:46.800+00:00"


@pytest.mark.parametrize(
    ("restriction", "seq_nums"),
    [
        ({"observation_types": ["bias"]}, [1, 4]),
        ({"observation_types": []}, []),
        ({"where": "exposure.seq_num > 2"}, [3, 4]),
        ({"where": "exposure.seq_num = 1 OR exposure.seq_num = 4"}, [1, 4]),
        (
            {
                "where": "exposure.seq_num = 1 OR exposure.seq_num = 3",
                "observation_types": ["flat"],
            },
            [3],
        ),
        ({"since_day_obs": 20260121}, []),
        ({"since_day_obs": 20260120}, [1, 2, 3, 4]),
        ({"exposure_ids": [2026012000002, 7]}, [2]),
        ({"exposure_ids": []}, []),
    ],
)
def test_exposures_can_be_restricted(
    repository: Repository, restriction: dict[str, object], seq_nums: list[int]
) -> None:
    found = repository.exposures("MiniCam", **restriction)  # type: ignore[arg-type]  # by case
    assert [record.seq_num for record in found] == seq_nums


@pytest.mark.parametrize("where", ["exposure.seq_num =", "nonsense = 3", "1=1) OR (1=1"])
def test_wrong_expression_is_named(repository: Repository, where: str) -> None:
    with pytest.raises(StopError) as error:
        repository.exposures("MiniCam", where=where)
    assert repr(where) in str(error.value)


def test_unknown_instrument_is_told_the_known_ones(repository: Repository) -> None:
    with pytest.raises(StopError, match=r"no instrument 'HSC'.*MiniCam"):
        repository.exposures("HSC")


def test_raws_have_uris_of_existing_files(repository: Repository) -> None:
    ids = [record.exposure_id for record in repository.exposures("MiniCam")]
    raws = repository.raws("MiniCam", ids)
    assert [(raw.exposure_id % 100000, raw.detector) for raw in raws] == [
        (seq_num, number) for seq_num in (1, 2, 3, 4) for number in (0, 1)
    ]
    assert all(Path(raw.uri.removeprefix("file://")).is_file() for raw in raws)
    assert {raw.run for raw in raws} == {"MiniCam/raw/all"}
    assert [raw.detector for raw in repository.raws("MiniCam", ids[:1], [1])] == [1]
    with pytest.raises(StopError, match="no collection 'nowhere'"):
        repository.raws("MiniCam", ids, collections="nowhere")


def test_chain_gives_the_first_valid_match_in_order(repository: Repository) -> None:
    early, *_, late = repository.exposures("MiniCam", observation_types=["bias"])
    before = repository.chains(early, ["bias"], [0, 1])
    after = repository.chains(late, ["bias"], [0, 1])
    assert before[0].datasets["bias"].collection == f"{BASE}/bias.20260101a"
    assert after[0].datasets["bias"].collection == f"{BASE}/bias.20260201a"
    assert after[1].datasets["bias"].begin_tai == 61072.0
    assert after[1].datasets["bias"].end_tai is None
    assert after[0].datasets["bias"].uuid != after[1].datasets["bias"].uuid
    assert Path(after[0].datasets["bias"].uri.removeprefix("file://")).is_file()
    assert len({chain.fingerprint for chain in (*before.values(), *after.values())}) == 4


def test_chain_agrees_with_the_butler_itself(repository: Repository) -> None:
    from astropy.time import Time
    from lsst.daf.butler import Timespan

    for exposure in repository.exposures("MiniCam"):
        begin, end = (
            Time(mjd, format="mjd", scale="tai") for mjd in (exposure.begin_tai, exposure.end_tai)
        )
        types = ("bias", "dark", "flat", "defects")
        for number, chain in repository.chains(exposure, types, [0, 1]).items():
            for calib_type in types:
                ref = repository._butler.find_dataset(
                    calib_type,
                    instrument="MiniCam",
                    detector=number,
                    collections="MiniCam/calib",
                    timespan=Timespan(begin, end),
                    **({"physical_filter": "r_57"} if calib_type == "flat" else {}),
                )
                ours = chain.datasets.get(calib_type)
                assert (ours and ours.uuid) == (ref and str(ref.id))


def test_missing_calibrations_say_what_exists(repository: Repository) -> None:
    late = repository.exposures("MiniCam")[-1]
    chain = repository.chains(late, ["dark", "defects", "ptc"], [0, 1])[1]
    assert not chain.datasets
    assert chain.missing["dark"].startswith(
        "1 dark certified in MiniCam/calib for detector 1, none valid at 2026-02-19T00:00:00"
    )
    assert "[open, 2026-01-25T00:00:00) TAI" in chain.missing["dark"]
    assert chain.missing["defects"] == "no defects certified in MiniCam/calib for detector 1"
    assert "no dataset type 'ptc'" in chain.missing["ptc"]


def test_flat_goes_by_the_filter_of_the_exposure(repository: Repository) -> None:
    flat = repository.exposures("MiniCam", observation_types=["flat"])[0]
    assert repository.chains(flat, ["flat"], [0])[0].datasets["flat"].physical_filter == "r_57"
    other = repository.chains(replace(flat, physical_filter="g_6"), ["flat"], [0])[0]
    assert "filter g_6 (there are flats for r_57)" in other.missing["flat"]


def test_exposure_without_timespan_has_no_chain(repository: Repository) -> None:
    record = replace(repository.exposures("MiniCam")[0], begin_tai=float("nan"))
    chain = repository.chains(record, ["bias"], [0])[0]
    assert not chain.datasets
    assert "no timespan" in chain.missing["bias"]


def test_overlapping_certifications_give_no_answer_and_are_both_named(root: Path) -> None:
    # certify refuses an overlap, so it is written into the registry behind its back.
    file = next(root.rglob("*.fits"))
    run = f"{BASE}/biasGen.20260301a"
    uuid = put_calibration(root, run, "bias", 0, file)
    certify(root, run, "bias", f"{BASE}/bias.20260201a", "2025-01-01", "2025-01-02")
    with sqlite3.connect(root / "gen3.sqlite3") as registry:
        for (table,) in registry.execute(
            "SELECT name FROM sqlite_master WHERE type='table' AND name LIKE 'dataset_calibs_%'"
        ).fetchall():
            registry.execute(
                f"UPDATE {table} SET timespan_end = ? WHERE timespan_end = ?", (OPEN, END_2025)
            )
    with Repository.open(root) as repository:
        late = repository.exposures("MiniCam")[-1]
        chains = repository.chains(late, ["bias"], [0, 1])
    assert "bias" in chains[1].datasets
    reason = chains[0].missing["bias"]
    assert "overlapping" in reason
    assert uuid in reason
    assert reason.count(f"in {BASE}/bias.20260201a") == 2


def test_new_certification_is_seen_after_refresh_or_when_the_chain_changes(root: Path) -> None:
    with Repository.open(root, max_age=1e9) as repository:
        late = repository.exposures("MiniCam")[-1]
        old = repository.chains(late, ["bias"], [0])[0]
        file = next(root.rglob("*.fits"))
        run, certified = f"{BASE}/biasGen.20260301a", f"{BASE}/bias.20260301a"
        put_calibration(root, run, "bias", 0, file)
        certify(root, run, "bias", certified, "2026-02-10")
        prepend(root, "MiniCam/calib/DM-1", [certified])
        assert repository.chains(late, ["bias"], [0])[0].datasets["bias"].collection == certified
        put_calibration(root, f"{BASE}/darkGen.20260301a", "dark", 0, file)
        certify(root, f"{BASE}/darkGen.20260301a", "dark", f"{BASE}/dark.20260101a", "2026-02-01")
        assert "dark" in repository.chains(late, ["dark"], [0])[0].datasets
        put_calibration(root, f"{BASE}/darkGen.20260401a", "dark", 1, file)
        certify(root, f"{BASE}/darkGen.20260401a", "dark", f"{BASE}/dark.20260101a", "2026-02-01")
        assert "dark" in repository.chains(late, ["dark"], [1])[1].missing
        repository.refresh()
        assert "dark" in repository.chains(late, ["dark"], [1])[1].datasets
    assert old.datasets["bias"].collection == f"{BASE}/bias.20260201a"


def test_calibration_without_a_file_is_missing_with_the_reason(root: Path) -> None:
    with sqlite3.connect(root / "gen3.sqlite3") as registry:
        registry.execute("DELETE FROM file_datastore_records")
    with Repository.open(root) as repository:
        early = repository.exposures("MiniCam")[0]
        chain = repository.chains(early, ["bias"], [0])[0]
        raws = repository.raws("MiniCam", [early.exposure_id])
    assert "the datastore has no file" in chain.missing["bias"]
    assert [raw.uri for raw in raws] == ["", ""]


def test_a_calibration_collection_may_be_searched_directly(repository: Repository) -> None:
    late = repository.exposures("MiniCam")[-1]
    chain = repository.chains(late, ["bias"], [0], f"{BASE}/bias.20260101a")[0]
    assert chain.datasets["bias"].collection == f"{BASE}/bias.20260101a"
    with pytest.raises(StopError, match="no collection 'nowhere'"):
        repository.chains(late, ["bias"], [0], "nowhere")


def test_explain_tells_the_fate_of_every_candidate(repository: Repository) -> None:
    told = repository.explain("MiniCam", "bias", Span(61090.0, 61090.0), 0)
    assert [(entry.dataset.collection[-9:], entry.chosen) for entry in told] == [
        ("20260201a", True),
        ("20260101a", False),
    ]
    assert "later in the chain" in told[1].reason


def test_missing_chain_is_a_reason_not_an_error(tmp_path: Path, camera: Camera) -> None:
    create_repository(tmp_path / "empty", camera)
    with Repository.open(tmp_path / "empty") as repository:
        assert repository.exposures("MiniCam") == []
        assert repository.raws("MiniCam", [1]) == []
        chain = repository.chains_at("MiniCam", Span(61060.0, 61060.0), ["bias"], [0])[0]
    assert "'MiniCam/calib' does not exist" in chain.missing["bias"]


def test_one_query_a_type_for_all_detectors(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    fetch = module.fetch_certified

    def counted(butler: object, instrument: str, calib_type: str, *rest: object) -> object:
        asked.append(calib_type)
        return fetch(butler, instrument, calib_type, *rest)  # type: ignore[arg-type]  # counted

    monkeypatch.setattr(module, "fetch_certified", counted)
    exposures = repository.exposures("MiniCam")
    for exposure in exposures:
        repository.chains(exposure, ["bias", "dark", "flat"], [0, 1])
    assert asked == ["bias", "dark", "flat"]


def test_exposure_without_times_is_kept(
    root: Path, tmp_path: Path, camera: Camera, write_raw: Callable[..., Path]
) -> None:
    path = write_raw(
        tmp_path, 9, 0, "BIAS", 61060.0, **{"MJD-BEG": None, "MJD-END": None, "EXPTIME": None}
    )
    ingest_raws(root, camera, [path])
    with Repository.open(root) as repository:
        record = repository.exposures("MiniCam", where="exposure.seq_num = 9")[0]
    assert record.begin_tai != record.begin_tai
    assert record.end_utc is None


def test_it_cannot_write(root: Path) -> None:
    with Repository.open(root) as repository, pytest.raises(Exception, match=r"(?i)read"):
        repository._butler.collections.register("new")
    with writing(root) as butler:
        assert "new" not in butler.collections.query("*")


def test_bad_repositories_are_named(tmp_path: Path, root: Path) -> None:
    with pytest.raises(RepositoryError, match="nothing-here"):
        Repository.open(tmp_path / "nothing-here")
    registry = root / "gen3.sqlite3"
    content = bytearray(registry.read_bytes())
    content[:100] = b"x" * 100
    registry.write_bytes(content)
    with pytest.raises(RepositoryError, match=str(root)):
        Repository.open(root)


def test_locked_registry_is_named_soon(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "READER_PATIENCE", 0.1)
    with (
        Repository.open(root) as repository,
        closing(sqlite3.connect(root / "gen3.sqlite3", isolation_level=None)) as writer,
    ):
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(RepositoryError, match="locked"):
            repository.exposures("MiniCam")
        with pytest.raises(RepositoryError, match="locked"):
            Repository.open(root)
        writer.execute("ROLLBACK")
        assert len(repository.exposures("MiniCam")) == 4


def test_registry_that_goes_bad_while_open_is_named(root: Path) -> None:
    with Repository.open(root) as repository:
        (root / "gen3.sqlite3").write_bytes(b"x" * 4096)
        with pytest.raises(RepositoryError, match=str(root)):
            repository.exposures("MiniCam")


if OBSERVATORY.is_dir():

    def test_a_repository_of_the_observatory_answers() -> None:
        with Repository.open(OBSERVATORY) as repository:
            (exposure,) = repository.exposures("LATISS")
            (raw,) = repository.raws("LATISS", [exposure.exposure_id])
            chain = repository.chains(exposure, ["bias", "defects", "dark"], [0])[0]
        assert exposure.obs_id == "AT_C_20180920_000065"
        assert raw.uri.endswith("3018092000065-det000.fits")
        assert sorted(chain.datasets) == ["bias", "defects"]
        assert chain.datasets["bias"].run == "LATISS/calib/20180921T000000Z"
        assert "no dataset type 'dark'" in chain.missing["dark"]
