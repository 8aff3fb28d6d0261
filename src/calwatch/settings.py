"""What a deployment sets: one YAML file, and environment variables that override it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from calwatch.alarms.deliver.settings import Channels, ConsoleSettings
from calwatch.errors import StopError
from calwatch.redaction import keep_environment, keep_secret, keep_url
from calwatch.yaml_file import YamlFile, YamlFileError, parse_yaml

CalibType = Literal["bias", "dark", "flat"]
SetType = Literal[
    "gain",
    "cti",
    "ptc",
    "linearity",
    "defects",
    "dark_stack",
    "crosstalk",
    "bias_stability",
]
SET_TYPES: tuple[SetType, ...] = get_args(SetType)
"""What `calwatch.verify.metrics.SET_TYPES` has; settings are read without what measures."""

_PREFIX = "CALWATCH_"
_NESTING = "__"
_SHORT = (str, int, float, bool)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RetrySettings(_Part):
    """How often and how soon to try again."""

    attempts: int = Field(default=5, ge=1)
    """A detector whose files cannot be fetched is tried so often, then recorded UNKNOWN."""
    first_seconds: float = Field(default=2.0, gt=0)
    """Wait before the second attempt; doubled each time."""
    most_seconds: float = Field(default=300.0, gt=0)
    """The longest wait between two attempts."""

    def wait(self, failures: int) -> float:
        """Return the seconds to wait after so many failures (1, 2, …)."""
        doubled = self.first_seconds * 2.0 ** min(max(failures - 1, 0), 60)
        return min(doubled, self.most_seconds)


class TimeoutSettings(_Part):
    """How long things may take."""

    job_seconds: float = Field(default=600.0, gt=0)
    """A detector that takes longer is recorded UNKNOWN and its worker replaced."""
    start_seconds: float = Field(default=120.0, gt=0)
    """A worker that is not ready by then counts as dead."""
    shutdown_seconds: float = Field(default=10.0, ge=0, le=18)
    """On SIGTERM running jobs may finish for so long; then they are abandoned."""


class KafkaSettings(_Part):
    """What is read from Kafka and written to it, where ``KAFKA_BOOTSTRAP_SERVERS`` is set.

    How to reach and be let into Kafka stands in the environment only (see
    `calwatch.kafka.connection`).
    """

    events: bool = True
    """Be woken by the observatory's events."""
    s3: bool = False
    """Be woken by the notifications of the buckets with the raw files as well."""
    sal_subname: str = Field(default="sal", pattern=r"^[A-Za-z0-9_.-]+$")
    """Of the SAL topics, as in ``LSST_TOPIC_SUBNAME``."""
    topics: dict[str, dict[Literal["ingested", "readout", "bucket"], tuple[str, ...]]] = {}
    """Topics to read by instrument and kind, for a camera of one's own or where the observatory's
    own names do not hold: ``{TestStand: {ingested: [lsst.sal.TSOODS.logevent_imageInOODS]}}``."""
    group: str = Field(default="calwatch", min_length=1)
    """Consumer group; its workers' is ``<group>-workers``. Each deployment has its own."""
    due_seconds: float = Field(default=240.0, gt=0)
    """Detectors not in the Butler so long after the end of readout are missing."""
    publish: bool = True
    """Tell Sasquatch."""
    prefix: str = Field(default="lsst.cp.calwatch", pattern=r"^[A-Za-z_][A-Za-z0-9_.]*$")
    """Topics are ``<prefix>.<record>``, and this is the namespace of the records."""
    dataset_tag: str = "calwatch"
    """Tag of every point."""
    jobs_topic: str = Field(default="calwatch.jobs", pattern=r"^[A-Za-z0-9_.-]+$")
    """Where an intake leaves jobs for its workers."""
    jobs_partitions: int = Field(default=32, ge=1)
    """Of that topic, if it is to be made: the most workers that can share it."""
    jobs_ahead: int = Field(default=1000, ge=1)
    """Jobs an intake leaves there at once."""


class EscalationSettings(_Part):
    """Whom to call when nobody acknowledges an alarm."""

    alarms: str = Field(min_length=1)
    """Glob on the alarm's name, such as ``LSSTCam.*``, whatever the case."""
    responder: str = Field(min_length=1)
    """Who is called; channels say how (``escalations_only``)."""
    delay_seconds: float = Field(gt=0)
    severity: Literal["WARNING", "SERIOUS", "CRITICAL"] = "CRITICAL"
    """From this severity on."""


class ExpectedSettings(_Part):
    """Exposures that every day of observation should have."""

    instrument: str = Field(min_length=1)
    calib_type: CalibType
    number: int = Field(ge=1)
    by: str = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    """UTC, such as ``21:30``; a day of observation begins at 12:00."""


class AlarmSettings(_Part):
    """When failures become alarms, and who is told."""

    enabled: bool = True
    rules: str = Field(default="default", min_length=1)
    """``default``, or the path of a file of alarm rules."""
    auto_acknowledge_seconds: float = Field(default=0.0, ge=0)
    """A recovered alarm counts as acknowledged after so long; 0: never."""
    auto_unacknowledge_seconds: float = Field(default=0.0, ge=0)
    """An acknowledged alarm that is still active is brought back after so long; 0: never."""
    late_hours: float = Field(default=24.0, gt=0)
    """Nobody is told of exposures that ended longer ago, until a fresh one confirms them."""
    escalations: tuple[EscalationSettings, ...] = ()
    cadence_hours: dict[CalibType, Annotated[float, Field(gt=0)]] = {
        "bias": 36.0,
        "dark": 36.0,
        "flat": 36.0,
    }
    """Once a type has been judged, another exposure of it is expected within so long."""
    judged_seconds: float = Field(default=1800.0, gt=0)
    """An exposure that was ingested should be judged so long after it was due."""
    expected: tuple[ExpectedSettings, ...] = ()
    channels: Channels = (ConsoleSettings(type="console"),)
    """Who is told, and how."""
    page: str = ""
    """Address of the page, for links in messages."""
    playbook: str = "docs/playbook.md"
    """Address of the playbook, for links in messages."""


class WebSettings(_Part):
    """The page and the HTTP interface."""

    port: int | None = Field(default=None, ge=1, le=65535)
    """None: no page."""
    host: str = "127.0.0.1"
    """Where it listens; ``0.0.0.0`` inside a container."""
    token: SecretStr | None = None
    """Whoever has it may acknowledge and mute; without one nobody may, over HTTP. It belongs in the
    environment: ``CALWATCH_WEB__TOKEN``."""


class IsrSettings(_Part):
    """How pixels are corrected and measured."""

    engine: Literal["fast", "reference"] = "fast"
    """``reference`` is the plain numpy that the fast engine is held to: many times slower, for
    whoever doubts a number."""


class SetSettings(_Part):
    """What is judged of several exposures together: pairs and sequences of flats, sets of a day."""

    kinds: tuple[SetType, ...] = SET_TYPES
    """Which; an empty list for none."""
    pair_by: Literal["time", "exposure_id", "flux"] = "time"
    """Two flats are a pair if they are neighbours of equal exposure time, neighbours by number, or
    of equal measured light."""
    time_tolerance: float = Field(default=5e-3, ge=0)
    """Seconds by which the exposure times of a pair may differ."""
    flux_tolerance: float = Field(default=0.02, gt=0, lt=1)
    """Relative difference of light in a pair, for ``pair_by: flux``."""
    wait_seconds: float = Field(default=900.0, gt=0)
    """So long after its end a flat may still get its partner, and a set another exposure."""
    least_levels: int = Field(default=5, ge=2)
    """Different exposure times that make pairs of flats a photon transfer curve."""
    least_frames: int = Field(default=4, ge=2)
    """Exposures that make a set of one day."""
    linearity_by: Literal["auto", "exposure_time", "photodiode"] = "auto"
    """What the light of a sequence is known by. By the exposure time a lamp that drifts leaves
    linearity UNKNOWN; by the photodiode pairs without a charge are left out. ``auto`` takes the
    photodiode if every exposure has one that can be read, otherwise the exposure time."""
    photodiode_method: Literal["TRIMMED_SUM", "CHARGE_SUM", "DIRECT_SUM", "MEAN"] = "TRIMMED_SUM"
    """How its readings become a charge, by cp_pipe's names: trapezia above the baseline, the sum of
    charges above it, trapezia as they are, or the mean current times the exposure time."""
    photodiode_scale: float = Field(default=-1.0, allow_inf_nan=False)
    """What its readings are multiplied by: the electrometer counts them as negative."""
    crosstalk_reasons: tuple[str, ...] = ("*crosstalk*", "*xtalk*", "*spot*", "*cbp*")
    """Which flats, and exposures of type spot or cbp, have bright sources: globs, one of which has
    to match the observation reason, the science program or the observation type, whatever the case.
    Crosstalk is judged of these alone, and no other set is made of them. ``*`` has it judged of
    every flat as well, each of which is read once more for it; an empty list of none."""


class LogSettings(_Part):
    """How the log looks."""

    format: Literal["json", "console"] = "json"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(BaseSettings):
    """Everything the daemon is told.

    Every field may be given in the environment as ``CALWATCH_<FIELD>``, with two underscores
    before a field of a part: ``CALWATCH_RETRY__ATTEMPTS=3``. The environment wins over the file.
    """

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_nested_delimiter=_NESTING,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    repo: str = Field(min_length=1)
    """Root of the Butler repository, or the path of its configuration."""
    instruments: Annotated[tuple[str, ...], NoDecode] = Field(min_length=1)
    """Which to watch; in the environment separated by commas."""
    ledger: str = Field(default="sqlite:///calwatch.db", min_length=1, repr=False)
    """Where judgements are kept: an SQLite or PostgreSQL URL, or a path."""
    keep_arrays_days: int | None = Field(default=90, ge=1)
    """Projections, correlations and images are dropped from the ledger so long after they were
    measured; null keeps them. All other numbers stay."""
    keep_images: Literal["all", "not_passed", "none"] = "not_passed"
    """Of which frames the ledger keeps a small image (65 kB a detector): every one, those that
    failed, could not be judged or had a warning, or none."""
    limits: str = Field(default="dmtn101", min_length=1)
    """Name of a profile of limits, or the path of a file."""
    camera: str = ""
    """A camera file; the instrument's own camera if empty."""
    where: str = ""
    """Butler expression that narrows the exposures watched, such as
    ``exposure.science_program = 'BLOCK-T664'``."""
    collection: str | None = None
    """Chain of certified calibrations; the instrument's own ``<INSTRUMENT>/calib`` if not set."""
    interval_seconds: float = Field(default=60.0, gt=0)
    """The Butler is compared with the ledger so often."""
    look_back_days: int | None = Field(default=7, ge=0)
    """Exposures of today and so many days before are looked at; null for all there are."""
    recheck_unknown_seconds: float = Field(default=900.0, ge=0)
    """So often it is asked whether a calibration has arrived for what is UNKNOWN."""
    workers: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1)
    """Processes that judge."""
    calibration_cache_bytes: int = Field(default=2 * 1024**3, ge=0)
    """Memory for certified calibrations, each worker."""
    calibration_folder: str = ""
    """Where all workers of this machine share decompressed bias, dark and flat images: on a local
    disk that is quicker than decompressing, or in ``/dev/shm``. Mapped from there they do not count
    against ``calibration_cache_bytes``. None if empty: a daemon fills no disk it was not given."""
    calibration_folder_bytes: int = Field(default=64 * 1024**3, ge=0)
    """Bound of that folder. An LSSTCam detector takes 0.16 GB for each of bias, dark and flat; the
    least recently used make room."""
    isr: IsrSettings = IsrSettings()
    sets: SetSettings = SetSettings()
    retry: RetrySettings = RetrySettings()
    timeouts: TimeoutSettings = TimeoutSettings()
    kafka: KafkaSettings = KafkaSettings()
    alarms: AlarmSettings = AlarmSettings()
    web: WebSettings = WebSettings()
    metrics_port: int | None = Field(default=None, ge=1, le=65535)
    """Port for Prometheus; none if not set."""
    log: LogSettings = LogSettings()

    @field_validator("instruments", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        """Take ``LATISS,LSSTCam`` or one bare name as well as a list."""
        if isinstance(value, str):
            return tuple(word.strip() for word in value.split(",") if word.strip())
        return value


def settings_schema() -> dict[str, Any]:
    """Return the JSON schema of a configuration file, for editors and for the chart."""
    schema = Settings.model_json_schema()
    # One bare name, or names separated by commas, are taken as well.
    schema["properties"]["instruments"] = {
        "anyOf": [schema["properties"]["instruments"], {"type": "string"}]
    }
    # How many cores this machine has is no default of another.
    schema["properties"]["workers"].pop("default", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _settings_over(content: dict[str, Any]) -> type[Settings]:
    """Return Settings that fall back on a file's content after arguments and environment."""

    class FromFile(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (the base class's)
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            fallback = InitSettingsSource(settings_cls, init_kwargs=content)
            return init_settings, env_settings, fallback

    return FromFile


def load_settings(path: str | Path | None = None, **overrides: Any) -> Settings:
    """Read the settings of the daemon.

    Parameters
    ----------
    path
        A YAML file; None to go by the environment alone.
    **overrides
        Fields given on the command line; they win over the environment and the file.

    Raises
    ------
    StopError
        Naming the file (or environment variable) and every field that is wrong, at once.
    """
    file = YamlFile({}, {}) if path is None else _read(Path(path))
    where = "settings" if path is None else str(path)
    try:
        settings = _settings_over(file.content)(**overrides)
    except SettingsError as error:
        raise StopError(f"environment: {error}") from error
    except ValidationError as error:
        problems = [f"  {_place(where, file, e['loc'])}: {_words(e)}" for e in error.errors()]
        noun = "problem" if len(problems) == 1 else "problems"
        lines = "\n".join(problems)
        raise StopError(f"{where}: {len(problems)} {noun} in the settings\n{lines}") from error
    _keep_secrets(settings)
    return settings


def _keep_secrets(settings: Settings) -> None:
    """Have what is secret in them struck out of whatever is shown from now on."""
    keep_environment()
    keep_url(settings.ledger)
    if settings.web.token is not None:
        keep_secret(settings.web.token.get_secret_value())
    for channel in settings.alarms.channels:
        for url in getattr(channel, "urls", ()):
            keep_url(url.get_secret_value(), whole=True)


def _read(path: Path) -> YamlFile:
    try:
        file = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise StopError(f"{path}: cannot be read: {error}") from error
    except YamlFileError as error:
        raise StopError(f"{path}: {error}") from error
    if file.content is None:
        return YamlFile({}, {})
    if not isinstance(file.content, dict) or not all(isinstance(key, str) for key in file.content):
        raise StopError(f"{path}: must be a list of `field: value` lines")
    return file


def _place(where: str, file: YamlFile, location: tuple[int | str, ...]) -> str:
    """Name a field, and where its value came from."""
    variable = _PREFIX + _NESTING.join(str(part).upper() for part in location)
    if variable in {name.upper() for name in os.environ}:
        return f"environment {variable}"
    line = file.line(location) if location[:1] in file.lines else None
    return f"{where}{f':{line}' if line else ''}: {'.'.join(str(part) for part in location)}"


def _words(problem: ErrorDetails) -> str:
    """Say what is wrong, and what was given where that is short and no secret."""
    text = problem["msg"].removeprefix("Value error, ")
    given = problem["input"]
    secret = any(word in str(problem["loc"]).lower() for word in ("token", "ledger", "password"))
    if secret or problem["type"] in ("missing", "extra_forbidden") or not isinstance(given, _SHORT):
        return text
    return (
        f"{text} (given: {str(given)[:60]!r})"
        if isinstance(given, str)
        else f"{text} (given: {given})"
    )
