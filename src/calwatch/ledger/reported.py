"""What a report reads from the ledger: which exposures, and each of their documents by itself."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import LargeBinary, func, select, type_coerce

from calwatch.ledger.queries import _latest, _of_days
from calwatch.ledger.store import Ledger
from calwatch.ledger.tables import exposure_verdict, expectation, judgement, provenance
from calwatch.verify.codec import from_dict, tests_from_dict
from calwatch.verify.model import ALGORITHM, DetectorResult, TestResult, Verdict
