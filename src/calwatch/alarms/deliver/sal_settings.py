"""What a deployment says about the LOVE/Watcher channel."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

SalIndex = Annotated[int, Field(gt=0, lt=2**31)]


class SalSettings(BaseModel):
    """State events for LOVE and Watcher, through Kafka and its schema registry.

    Where these are, and how to be let in, is said by the environment as for all of calwatch.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["sal"]
    name: str = Field(default="love", min_length=1)
    subname: str = Field(default="sal", pattern=r"^[A-Za-z][A-Za-z0-9_]*$")
    """``LSST_TOPIC_SUBNAME`` of the control system: the second word of each topic."""
    component: str = Field(default="CalWatch", pattern=r"^[A-Za-z][A-Za-z0-9]*$")
    """SAL component: the third word of each topic, and the last of each namespace."""
    index: dict[str, SalIndex] = Field(
        default={"LATISS": 1, "LSSTComCam": 2, "LSSTCam": 3}, min_length=1
    )
    """SAL index by instrument; alarms of an instrument that is not named are not told here."""
    resend_seconds: float = Field(default=60.0, gt=0)
    """How often all open alarms are told again."""
    heartbeat_seconds: float = Field(default=10.0, gt=0)
    """How often a heartbeat is sent; Watcher's rule must allow for a few of them to be late."""

    @field_validator("index")
    @classmethod
    def _is_one_to_one(cls, value: dict[str, int]) -> dict[str, int]:
        """Check that no two instruments overwrite each other's state."""
        if len(set(value.values())) != len(value):
            raise ValueError("two instruments have the same SAL index")
        return value
