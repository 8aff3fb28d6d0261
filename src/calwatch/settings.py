"""What a deployment sets: one YAML file, and environment variables that override it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from calwatch.errors import StopError

_PREFIX = "CALWATCH_"
_NESTING = "__"


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
        env_prefix=_PREFIX, env_nested_delimiter=_NESTING, extra="forbid", frozen=True
    )

    repo: str = Field(min_length=1)
    """Root of the Butler repository, or the path of its configuration."""
    instruments: Annotated[tuple[str, ...], NoDecode] = Field(min_length=1)
    """Which to watch; in the environment separated by commas."""
    ledger: str = Field(default="sqlite:///calwatch.db", min_length=1, repr=False)
    """Where judgements are kept: an SQLite or PostgreSQL URL, or a path."""
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
    retry: RetrySettings = RetrySettings()
    timeouts: TimeoutSettings = TimeoutSettings()
    kafka: KafkaSettings = KafkaSettings()
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
    content = _read(Path(path)) if path is not None else {}
    where = str(path) if path is not None else "settings"
    try:
        return _settings_over(content)(**overrides)
    except SettingsError as error:
        raise StopError(f"environment: {error}") from error
    except ValidationError as error:
        problems = [f"  {_place(where, e['loc'])}: {e['msg']}" for e in error.errors()]
        noun = "problem" if len(problems) == 1 else "problems"
        lines = "\n".join(problems)
        raise StopError(f"{where}: {len(problems)} {noun} in the settings\n{lines}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise StopError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise StopError(f"{path}: is not YAML: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise StopError(f"{path}: must be a list of `field: value` lines")
    return content


def _place(where: str, location: tuple[int | str, ...]) -> str:
    """Name a field, and where its value came from."""
    variable = _PREFIX + _NESTING.join(str(part).upper() for part in location)
    if variable in {name.upper() for name in os.environ}:
        return f"environment {variable}"
    return f"{where}: {'.'.join(str(part) for part in location)}"
