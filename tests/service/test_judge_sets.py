"""Sets are judged from real files; what is missing or damaged is said, and spoils nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from calwatch.arrivals.job import Job, Member
from calwatch.butler.repository import Repository
from calwatch.errors import RecordError
from calwatch.service.judge import Judge
from calwatch.service.judge_settings import JudgeSettings
from calwatch.service.looking_sets import fingerprint_of
from calwatch.verify.model import Verdict
from calwatch.verify.sets.model import Earlier
from calwatch.verify.sets.needs import need_name, needed_of_set


@pytest.fixture(scope="module")
def job_of(nights):
    """Make the job of a set of exposures of one night."""

    def make(kind: str, night: int, calib_type: str, *numbers: int, **changes) -> Job:
        singles = [nights.jobs[night, calib_type, number] for number in numbers]
        last = singles[-1]
        with Repository.open(nights.root) as repository:
            needed = needed_of_set(nights.camera, need_name(kind, calib_type))
            chain = repository.chains(last.exposure, needed, [0])[0]
        members = tuple(Member(one.exposure, one.raw) for one in singles)
        chain = replace(chain, fingerprint=fingerprint_of(chain, members))
        job = Job(last.exposure, kind, 0, last.raw, chain, members)
        return replace(job, **changes)

    return make


def test_a_good_pair_has_the_certified_gain(judge, job_of, nights):
    result = judge(job_of("gain", 1, "flat", 1, 2))
    assert result.verdict is Verdict.PASS, result.reason
    assert (result.calib_type, result.algorithm) == ("gain", "gain 1")
    truth = nights.truth.detectors["R00_S00"]["amps"]
    for amp, judged in result.amps.items():
        gain, error = judged.metrics["PAIR_GAIN_ZERO"], judged.metrics["PAIR_GAIN_ZERO_ERROR"]
        assert gain == pytest.approx(truth[amp]["gain"], abs=5 * error)
    assert result.provenance["members"] == [
        nights.jobs[1, "flat", n].exposure.exposure_id for n in (1, 2)
    ]
    assert result.arrays["covariances"].shape[0] == len(result.amps)


def test_the_order_of_what_a_set_is_made_of_is_kept(judge, job_of, nights):
    numbers = (3, 1, 2)
    ids = [nights.jobs[1, "bias", n].exposure.exposure_id for n in numbers]
    points = tuple(Earlier(number, 0, 0.0, {}) for number in ids)
    result = judge(job_of("bias_stability", 1, "bias", 1, 2, 3, earlier=points))
    assert result.provenance["made_of"] == ids


def test_a_gain_step_within_a_pair_is_told(judge, job_of):
    result = judge(job_of("gain", 3, "flat", 1, 5))
    assert result.verdict is not Verdict.PASS
    assert result.amps["C12"].verdict is not Verdict.PASS


def test_a_lamp_that_was_off_makes_no_pair(judge, job_of):
    result = judge(job_of("gain", 3, "flat", 2, 5))
    assert result.verdict is Verdict.UNKNOWN, result.reason


def test_a_dead_amplifier_leaves_the_others_alone(judge, job_of):
    result = judge(job_of("gain", 3, "flat", 4, 5))
    assert result.amps["C06"].verdict is Verdict.UNKNOWN
    others = {name: amp.verdict for name, amp in result.amps.items() if name != "C06"}
    assert set(others.values()) == {Verdict.PASS}


def test_why_a_set_cannot_be_measured_is_its_reason(judge, job_of):
    result = judge(job_of("gain", 1, "flat", 1, why_not="it has no partner"))
    assert (result.verdict, result.reason, dict(result.amps)) == (
        Verdict.UNKNOWN, "it has no partner", {},
    )  # fmt: skip
    assert len(result.provenance["members"]) == 1


def test_a_damaged_half_is_named(judge, job_of, tmp_path):
    job = job_of("gain", 1, "flat", 1, 2)
    damaged = tmp_path / "cut.fits"
    damaged.write_bytes(b"SIMPLE  =                    T")
    first = replace(job.members[0], raw=replace(job.members[0].raw, uri=str(damaged)))
    result = judge(replace(job, members=(first, job.members[1])))
    assert result.verdict is Verdict.UNKNOWN
    assert "cut.fits" in result.reason
    assert job.members[0].exposure.obs_id in result.reason


def test_without_a_ptc_the_gain_is_measured_and_unknown(judge, job_of):
    job = job_of("gain", 1, "flat", 1, 2)
    datasets = {name: one for name, one in job.chain.datasets.items() if name != "ptc"}
    chain = replace(job.chain, datasets=datasets, missing={"ptc": "no ptc certified"})
    result = judge(replace(job, chain=chain))
    assert result.verdict is Verdict.UNKNOWN
    assert all(amp.metrics["PAIR_GAIN"] for amp in result.amps.values())


def test_both_engines_agree(nights, judge, job_of):
    job = job_of("gain", 1, "flat", 3, 4)
    plain = Judge(JudgeSettings(camera=nights.camera_file, engine="reference"))(job)
    fast = judge(job)
    for amp, judged in fast.amps.items():
        for name, value in judged.metrics.items():
            assert value == pytest.approx(plain.amps[amp].metrics[name], rel=1e-4, abs=1e-6), name


def test_an_unknown_kind_is_refused(judge, job_of):
    with pytest.raises((KeyError, RecordError)):
        judge(replace(job_of("gain", 1, "flat", 1, 2), calib_type="magic"))
