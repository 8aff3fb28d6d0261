"""The topics of the SAL component CalWatch; ``deploy/sal/CalWatch_Events.xml`` says the same.

``alarm`` has the fields of ts_watcher's alarm event, then ours. ``summary`` is what the Watcher's
rules look at. ``heartbeat`` is one of the topics that every component has (``SALGenerics.xml``),
so it is not in our XML and its words are ts_xml's.
"""

from __future__ import annotations

from calwatch.alarms.deliver.sal_schema import Field, Topic

SEVERITIES = "1 none, 2 warning, 3 serious, 4 critical"


def _text(name: str, description: str) -> Field:
    return Field(name, "string", description)


def _flag(name: str, description: str) -> Field:
    return Field(name, "boolean", description)


def _count(name: str, description: str) -> Field:
    return Field(name, "int", description)


def _number(name: str, description: str) -> Field:
    return Field(name, "long long", description)


def _time(name: str, description: str) -> Field:
    return Field(name, "double", f"{description} (TAI unix seconds); 0 if there is none.", "second")


WATCHER_FIELDS = (
    _text("name", "Name of the alarm, such as LSSTCam.readout.above.R22_S11/C05."),
    _count("severity", f"Severity now: {SEVERITIES}."),
    _text("reason", "What is wrong, in one line; kept when the severity goes to none."),
    _count(
        "maxSeverity",
        f"Gravest severity since the alarm was raised or last acknowledged: {SEVERITIES}.",
    ),
    _flag("acknowledged", "Has somebody acknowledged it, in calwatch?"),
    _text("acknowledgedBy", "Who has; empty if nobody."),
    _text("escalatedId", "Empty until it is escalated, then our number for it."),
    _text("escalateTo", "Who is called if nobody acknowledges it; empty if nobody is."),
    _count("mutedSeverity", f"Notices up to this severity are held back: {SEVERITIES}."),
    _text("mutedBy", "Who muted it; empty if nobody."),
    _time("timestampSeverityOldest", "Since when the severity has its value"),
    _time("timestampSeverityNewest", "When the severity was last confirmed"),
    _time("timestampMaxSeverity", "When maxSeverity last changed"),
    _time("timestampAcknowledged", "When it was acknowledged"),
    _time("timestampAutoAcknowledge", "When it will be acknowledged by itself if still recovered"),
    _time("timestampAutoUnacknowledge", "When the acknowledgement will end if it is still active"),
    _time("timestampEscalate", "When it was or will be escalated"),
    _time("timestampUnmute", "When it will be unmuted"),
)
"""Names, order and types of ``Watcher_logevent_alarm``."""

ALARM = Topic(
    "logevent_alarm",
    "The full state of one alarm, sent whenever it changes and from time to time while it is open. "
    "severity and maxSeverity of 1 with a timestampClosed: it is over.",
    (
        *WATCHER_FIELDS,
        _number("alarmId", "Number of this episode of the problem in calwatch's ledger."),
        _text("instrument", "Butler instrument."),
        _text("kind", "failure, unknown, dead-man or chain."),
        _text("family", "Which tests belong to the problem, such as readout."),
        _text("aspect", "above, below or a calibration type; empty if there is nothing to tell."),
        _text("part", "Part of the camera: R22_S11/C05, R22_S11, R22_Reb1, R22 or LSSTCam."),
        _text("level", "amplifier, CCD, REB, raft or focal plane."),
        _text("members", "Names of the parts that are bad now, separated by commas."),
        _count("numMembers", "Number of parts that are bad now."),
        _count("numJudged", "Number of such parts that were judged; 0 if they are not counted."),
        _number("exposureId", "The newest exposure behind its state; 0 if there is none."),
        _number("clearedBy", "The good exposure that cleared it; 0 if there is none."),
        _text("playbook", "Section of the playbook that says what to do."),
        _text("acknowledgedWhy", "Words of who acknowledged it."),
        _text("mutedWhy", "Words of who muted it."),
        _flag("announced", "False while only late evidence stands behind it: nobody is told."),
        _text("absorbedBy", "Name of the alarm of a larger part that stands in its place."),
        _time("timestampSince", "End of the first bad exposure behind it"),
        _time("timestampOpened", "When it was raised"),
        _time("timestampClosed", "When it was over"),
    ),
)

SUMMARY = Topic(
    "logevent_summary",
    "All open alarms of one instrument: the last message of each index is the whole truth.",
    (
        _text("instrument", "Butler instrument."),
        _flag("warningOpen", "Is there a warning that calls: active, not acknowledged, not muted?"),
        _flag("seriousOpen", "Is there a serious alarm that calls?"),
        _flag("criticalOpen", "Is there a critical alarm that calls?"),
        _count("severity", f"Gravest severity of all open alarms now: {SEVERITIES}."),
        _count("maxSeverity", f"Gravest maxSeverity of all open alarms: {SEVERITIES}."),
        _count("numOpen", "Number of open alarms."),
        _count("numWarning", "How many of them are warnings now, whether they call or not."),
        _count("numSerious", "How many of them are serious now, whether they call or not."),
        _count("numCritical", "How many of them are critical now, whether they call or not."),
        _count("numStale", "How many of them have recovered and wait to be acknowledged."),
        _count("numAcknowledged", "How many of them somebody has acknowledged."),
        _count("numMuted", "How many of them are muted at their severity."),
        _text("alarms", "The open alarms as a JSON array, gravest first."),
        _count("numUnlisted", "Number of open alarms for which that array had no room."),
    ),
)

HEARTBEAT = Topic(
    "logevent_heartbeat",
    "Event output at regular intervals (typcally once per second) to show that the SAL component "
    "is alive.",
    (_flag("heartbeat", "Deprecated field that you should ignore."),),
)

TOPICS = (ALARM, SUMMARY, HEARTBEAT)
