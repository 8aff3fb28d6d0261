"""The shape of a camera file: what each field may hold, checked before a camera is built."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from calwatch.camera.model import Box

Compression = Literal["RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1", "NONE"]
Name = Annotated[str, Field(min_length=1, pattern=r"^[A-Za-z0-9_.+-]+$")]
Size = Annotated[int, Field(gt=0)]
Index = Annotated[int, Field(ge=0)]
Millimetres = Annotated[float, Field(allow_inf_nan=False)]
Yaw = Literal[0, 90, 180, 270]
"""Degrees, counter-clockwise."""

KEYWORDS = (
    "instrument",
    "obs_id",
    "controller",
    "day_obs",
    "seq_num",
    "observation_type",
    "test_type",
    "reason",
    "exposure_time",
    "dark_time",
    "physical_filter",
    "band",
    "program",
    "begin",
    "end",
    "raft",
    "slot",
    "serial",
    "vendor",
)
"""The facts a camera file may give keywords for."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Section(_Strict):
    """A box, written ``[x0, y0, width, height]`` in the file; width or height 0 means none."""

    x0: Index
    y0: Index
    width: Index
    height: Index

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        if isinstance(value, list):
            if len(value) != 4:
                raise ValueError("a box is written [x0, y0, width, height]")
            return dict(zip(("x0", "y0", "width", "height"), value, strict=True))
        return value

    def box(self) -> Box:
        """Return the box."""
        return Box(self.x0, self.y0, self.width, self.height)


class AmplifierEntry(_Strict):
    """One amplifier of a layout; sections left out are those of the layout."""

    name: Name
    hdu: str | int
    at: tuple[Index, Index]
    """Lower-left corner in the assembled detector."""
    flip: Literal["", "x", "y", "xy"] = ""
    """From readout order to the assembled frame."""
    hdu_box: Section | None = None
    hdu_flip: Literal["", "x", "y", "xy"] = ""
    """From the HDU's pixel order to readout order."""
    data: Section | None = None
    serial_overscan: Section | None = None
    parallel_overscan: Section | None = None
    gain: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    read_noise: float | None = Field(default=None, gt=0, allow_inf_nan=False)


class Layout(_Strict):
    """The amplifiers of one kind of detector."""

    vendor: Name
    detector: tuple[Size, Size]
    """Width and height of the assembled detector."""
    raw: tuple[Size, Size]
    """Columns and rows of one raw amplifier, overscans included."""
    data: Section
    serial_overscan: Section
    parallel_overscan: Section
    gain: float = Field(gt=0, allow_inf_nan=False)
    read_noise: float = Field(gt=0, allow_inf_nan=False)
    amplifiers: list[AmplifierEntry] = Field(min_length=1)


class DetectorEntry(_Strict):
    """One detector, written out."""

    number: Index
    name: Name
    raft: Name
    slot: Name
    reb: Name
    layout: Name
    purpose: Literal["SCIENCE", "GUIDER", "WAVEFRONT"] = "SCIENCE"
    at: tuple[Millimetres, Millimetres] | None = None
    """Centre in the focal plane."""
    yaw: Yaw = 0
    serial: str = ""
    former_serials: tuple[str, ...] = ()


class Slot(_Strict):
    """One place in a type of raft; what is left out comes from the raft."""

    reb: Name
    layout: Name | None = None
    purpose: Literal["SCIENCE", "GUIDER", "WAVEFRONT"] = "SCIENCE"
    at: tuple[Millimetres, Millimetres] | None = None
    """Centre in the raft's own frame."""
    yaw: Yaw = 0


class RaftType(_Strict):
    """The slots of a type of raft, in the order that numbers its detectors."""

    slots: dict[Name, Slot] = Field(min_length=1)


class Raft(_Strict):
    """One raft: detectors are numbered from ``first`` and named ``RAFT_SLOT``."""

    type: Name
    first: Index
    at: tuple[Millimetres, Millimetres] = (0.0, 0.0)
    """Centre in the focal plane."""
    yaw: Yaw = 0
    layout: Name | None = None
    serials: dict[Name, str] = Field(default_factory=dict)


class Part(_Strict):
    """One level of the tree of parts; the name is a template over a detector's fields."""

    level: str = Field(min_length=1)
    name: str = Field(min_length=1)


class RawLayout(_Strict):
    """How a raw file is laid out."""

    compression: Compression
    accepted: list[Compression] = Field(default_factory=list)
    tile: tuple[Size, Size] | None = None
    bitpix: Literal[8, 16, 32] = 32
    header_hdus: list[Name] = Field(default_factory=list)
    unnamed_tables: Index = 0
    range: tuple[int, int] | None = None
    """Least and greatest count the converter can give."""


class FilterRule(_Strict):
    """How the physical filter is made of its keywords."""

    join: str = "~"
    drop_trailing: str = ""
    """A word dropped from the end as often as it stands there."""
    collapse: list[str] = Field(default_factory=list)
    """``empty`` here makes ``empty`` of ``empty_1``, ``empty_2``…"""
    all_keywords: bool = False
    """Every keyword gives a part, ``unknown`` where it has no value."""


class HeaderRules(_Strict):
    """Rules that differ from camera to camera."""

    dark_time_at_least_exposure: bool = False
    """A dark time below the exposure time is not believed."""
    plain_exposure_id_since: dict[str, int] = Field(default_factory=dict)
    """First day_obs from which a controller's exposures are numbered without a shift of years."""
    filter: FilterRule = FilterRule()


class CameraFile(_Strict):
    """A whole camera file."""

    instrument: Name
    camera_code: Name
    controllers: str = Field(min_length=1, pattern=r"^[A-Z]+$")
    instrument_words: list[str] = Field(min_length=1)
    raft_words: dict[Name, list[str]] = Field(default_factory=dict)
    keywords: dict[str, list[str]]
    header_rules: HeaderRules = HeaderRules()
    sequencer_keywords: list[str] = Field(default_factory=list)
    filters: dict[str, str] = Field(default_factory=dict)
    raw: RawLayout
    pixel_mm: float = Field(default=0.01, gt=0, allow_inf_nan=False)
    isr: dict[str, bool | list[str]] = Field(default_factory=dict)
    optional_calibrations: list[str] = Field(default_factory=list)
    parts: list[Part] = Field(min_length=1)
    layouts: dict[Name, Layout] = Field(min_length=1)
    raft_types: dict[Name, RaftType] = Field(default_factory=dict)
    rafts: dict[Name, Raft] = Field(default_factory=dict)
    detectors: list[DetectorEntry] = Field(default_factory=list)

    @field_validator("controllers")
    @classmethod
    def _controllers_once(cls, value: str) -> str:
        if len(set(value)) != len(value):
            raise ValueError("the same controller stands twice")
        return value

    @field_validator("keywords")
    @classmethod
    def _known_facts(cls, value: dict[str, list[str]]) -> dict[str, list[str]]:
        unknown = sorted(set(value) - set(KEYWORDS))
        if unknown:
            raise ValueError(f"unknown fact {', '.join(unknown)}")
        return value
