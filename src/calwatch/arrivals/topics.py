"""Which topics tell of which camera's exposures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from calwatch.errors import StopError


class Kind(StrEnum):
    """What the messages of a topic are."""

    INGESTED = "ingested"
    """SAL ``logevent_imageInOODS``: a file was ingested, or could not be."""
    READOUT = "readout"
    """SAL ``logevent_endReadout``: an exposure was read out, its files will come."""
    BUCKET = "bucket"
    """Notifications of an S3 bucket, as JSON: a file was stored."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic to read."""

    name: str
    kind: Kind
    instruments: tuple[str, ...]
    """Whose exposures it may tell of."""


TopicTable = Mapping[str, Mapping[Kind, Sequence[str]]]
"""Names of topics by instrument and kind."""


def default_topics(subname: str = "sal") -> TopicTable:
    """Return the observatory's topics.

    Parameters
    ----------
    subname
        Of the SAL topics, as in ``LSST_TOPIC_SUBNAME``; the summit, base and test stand use
        ``sal``.
    """

    def of(
        oods: Sequence[str], camera: str, buckets: Sequence[str]
    ) -> Mapping[Kind, tuple[str, ...]]:
        return {
            Kind.INGESTED: tuple(f"lsst.{subname}.{n}.logevent_imageInOODS" for n in oods),
            Kind.READOUT: (f"lsst.{subname}.{camera}.logevent_endReadout",),
            Kind.BUCKET: tuple(f"lsst.s3.{name}" for name in buckets),
        }

    return {
        "LATISS": of(["ATOODS"], "ATCamera", ["raw.latiss"]),
        "LSSTComCam": of(["CCOODS"], "CCCamera", ["raw.comcam"]),
        # The wavefront sensors have come through all three at one time or another.
        "LSSTCam": of(["MTOODS", "WFOODS", "CCOODS"], "MTCamera", ["raw.lsstcam", "wf.lsstcam"]),
    }


DEFAULT_TOPICS: TopicTable = default_topics()


def topics_of(
    instruments: Sequence[str],
    *,
    s3: bool = False,
    table: TopicTable = DEFAULT_TOPICS,
) -> tuple[Topic, ...]:
    """Return the topics that tell of these instruments, by name.

    Parameters
    ----------
    instruments
        Butler instrument names.
    s3
        Also the notifications of the buckets that hold the raw files.
    table
        Names of topics by instrument and kind.

    Raises
    ------
    StopError
        If the table has nothing of an instrument, or one topic for two kinds of message.
    """
    found: dict[str, Topic] = {}
    for instrument in instruments:
        kinds = table.get(instrument)
        if not kinds:
            known = ", ".join(table)
            raise StopError(f"topics: none are set for instrument {instrument} (but for {known})")
        for kind, names in kinds.items():
            if kind is Kind.BUCKET and not s3:
                continue
            for name in names:
                others = found.get(name)
                if others is not None and others.kind is not kind:
                    raise StopError(f"topics: {name} is set both as {others.kind} and as {kind}")
                whose = (*others.instruments, instrument) if others else (instrument,)
                found[name] = Topic(name, kind, tuple(dict.fromkeys(whose)))
    return tuple(found[name] for name in sorted(found))
