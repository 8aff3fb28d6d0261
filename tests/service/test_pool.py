"""Workers keep their detectors, and no job is lost when one of them dies."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import fakes
import pytest
from fakes import make_job

from calwatch.errors import LimitsError, RawError, RecordError, UnreachableFileError
from calwatch.service.pool import PoolError, PoolPlan, WorkerPool


def with_pool(
    use: Callable[[WorkerPool], Awaitable[object]], work=fakes.work, detector_of=None, **plan
):
    """Run something with a pool, and end the pool whatever happens."""

    async def run():
        pool = WorkerPool(PoolPlan(work, **plan), detector_of or (lambda job: job.detector))
        try:
            return await use(pool)
        finally:
            await pool.close()

    return asyncio.run(run())


def test_a_detector_keeps_its_worker() -> None:
    async def use(pool: WorkerPool):
        jobs = [(detector, number) for number in range(3) for detector in (0, 1)]
        return [(await pool.run(job)).result for job in jobs]

    done = with_pool(use, fakes.whoami, lambda job: job[0], workers=2)
    workers = {detector: {pid for pid, d, _ in done if d == detector} for detector in (0, 1)}
    assert len(workers[0]) == len(workers[1]) == 1
    assert workers[0] != workers[1]


def test_workers_that_were_begun_are_waited_for_and_not_made_twice() -> None:
    pool = WorkerPool(PoolPlan(fakes.whoami, workers=2), lambda job: job[0])
    pool.begin()

    async def use() -> set[int]:
        await pool.start()
        begun = set(pool.pids)
        done = [await pool.run((detector, 0)) for detector in (0, 1)]
        assert begun == {outcome.result[0] for outcome in done}
        await pool.close()
        return begun

    assert len(asyncio.run(use())) == 2
    pool.end()  # once more does no harm
    assert pool.pids == []


def test_workers_that_are_being_made_end_with_the_pool() -> None:
    pool = WorkerPool(PoolPlan(fakes.whoami, workers=2), lambda job: job[0])
    pool.begin()
    pool.end()
    assert pool.pids == []


def test_an_idle_worker_helps_where_many_wait() -> None:
    async def use(pool: WorkerPool):
        await pool.start()
        outcomes = await asyncio.gather(*(pool.run((0, number)) for number in range(16)))
        return [outcome.result for outcome in outcomes]

    done = with_pool(use, fakes.whoami, lambda job: job[0], workers=2)
    assert [number for _pid, _detector, number in done] == list(range(16))
    assert len({pid for pid, _detector, _number in done}) == 2


def test_results_and_errors_come_back() -> None:
    async def use(pool: WorkerPool):
        words = ["", "raw:HDU 3 is cut short", "away:s3://x gives 404", "bug:oops"]
        jobs = [make_job(n, observation_reason=word) for n, word in enumerate(words)]
        return await asyncio.gather(*(pool.run(job) for job in jobs))

    fine, bad, away, bug = with_pool(use)
    assert fine.error is None
    assert fine.result == fakes.make_result(make_job(0))
    assert isinstance(bad.error, RawError)
    assert str(bad.error) == "HDU 3 is cut short"
    assert isinstance(away.error, UnreachableFileError)
    assert isinstance(bug.error, RecordError)
    assert str(bug.error) == "unexpected ZeroDivisionError: oops"
    assert "fakes.py" in bug.trace


def test_a_result_that_cannot_be_sent_is_an_error_of_its_job() -> None:
    async def use(pool: WorkerPool):
        return await pool.run(make_job()), await pool.run(make_job())

    first, second = with_pool(use, fakes.unpicklable)
    assert isinstance(first.error, RecordError)
    assert isinstance(second.error, RecordError)
    assert second.deaths == 0


def test_a_worker_that_dies_is_replaced_and_its_job_done(tmp_path: Path) -> None:
    async def use(pool: WorkerPool):
        jobs = [make_job(1, observation_reason=f"die_once:{tmp_path / 'died'}"), make_job(2)]
        return await asyncio.gather(*(pool.run(job) for job in jobs))

    first, second = with_pool(use)
    assert first.error is None
    assert first.deaths == 1
    assert second.error is None
    assert second.deaths == 0


def test_a_job_that_kills_every_worker_is_given_up() -> None:
    async def use(pool: WorkerPool):
        deadly = await pool.run(make_job(1, observation_reason="die"))
        return deadly, await pool.run(make_job(2))

    deadly, after = with_pool(use)
    assert str(deadly.error) == "worker died 3 times over this job"
    assert isinstance(deadly.error, RecordError)
    assert after.error is None


def test_a_job_that_takes_too_long_is_ended() -> None:
    async def use(pool: WorkerPool):
        await pool.start()
        slow = await pool.run(make_job(1, observation_reason="sleep:60"))
        return slow, await pool.run(make_job(2))

    slow, after = with_pool(use, job_seconds=0.5)
    assert str(slow.error) == "took longer than 0.5 s and was ended"
    assert after.error is None


def test_workers_do_not_heed_the_signals_of_a_terminal() -> None:
    async def use(pool: WorkerPool):
        await pool.start()
        (pid,) = pool.pids
        running = asyncio.create_task(pool.run(make_job(1, observation_reason="sleep:0.5")))
        await asyncio.sleep(0.1)
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGTERM)
        return pid, await running, pool.pids

    pid, outcome, after = with_pool(use)
    assert outcome.error is None
    assert outcome.deaths == 0
    assert after == [pid]


def test_a_worker_that_was_killed_while_idle_is_not_counted() -> None:
    async def use(pool: WorkerPool):
        await pool.start()
        (pid,) = pool.pids
        os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(30):
            while pool.pids:
                await asyncio.sleep(0.01)
        return await pool.run(make_job(1)), pool.pids

    outcome, after = with_pool(use)
    assert outcome.error is None
    assert len(after) == 1


def test_a_worker_that_cannot_be_set_up_stops_the_start() -> None:
    with pytest.raises(LimitsError, match="line 3: no such test"):
        with_pool(lambda pool: pool.start(), initializer=fakes.bad_limits)


def test_closing_drops_what_waits_and_lets_the_running_finish() -> None:
    async def use(pool: WorkerPool):
        await pool.start()
        running = asyncio.create_task(pool.run(make_job(1, observation_reason="sleep:0.3")))
        waiting = asyncio.create_task(pool.run(make_job(2)))
        await asyncio.sleep(0.1)
        await pool.close(grace_seconds=20)
        return await asyncio.gather(running, waiting, pool.run(make_job(3)), return_exceptions=True)

    ran, waited, late = with_pool(use)
    assert ran.error is None
    assert isinstance(waited, PoolError)
    assert isinstance(late, PoolError)


def test_closing_without_grace_ends_the_running() -> None:
    async def use(pool: WorkerPool):
        await pool.start()
        pids = pool.pids
        running = asyncio.create_task(pool.run(make_job(1, observation_reason="sleep:60")))
        await asyncio.sleep(0.1)
        await pool.close()
        return pids, await asyncio.gather(running, return_exceptions=True)

    pids, (ended,) = with_pool(use)
    assert isinstance(ended, PoolError)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


WORD = {"work": fakes.say, "initializer": fakes.set_word, "arguments": ("old",)}


def test_new_arguments_reach_workers_that_live_and_those_that_come() -> None:
    async def use(pool: WorkerPool):
        before = [(await pool.run(n)).result for n in (0, 1)]
        pool.renew(("new",))
        after = [(await pool.run(n)).result for n in (0, 1)]
        os.kill(after[0][0], signal.SIGKILL)
        made = (await pool.run(0)).result
        return before, after, made

    before, after, made = with_pool(
        use, detector_of=lambda job: job, workers=2, renew=fakes.set_word, **WORD
    )
    assert [word for _, word in (*before, *after)] == ["old", "old", "new", "new"]
    assert [pid for pid, _ in before] == [pid for pid, _ in after]
    assert made[1] == "new"
    assert made[0] != after[0][0]


def test_what_is_begun_ends_with_the_old_arguments() -> None:
    async def use(pool: WorkerPool):
        await pool.start()
        running = asyncio.create_task(pool.run(100))
        waiting = asyncio.create_task(pool.run(101))
        await asyncio.sleep(0.1)
        pool.renew(("new",))
        pool.renew(("newer",))
        return [(await job).result[1] for job in (running, waiting)]

    done = with_pool(use, detector_of=lambda _: 0, renew=fakes.set_word, **WORD)
    assert done == ["old", "newer"]


@pytest.mark.parametrize("renew", [None, fakes.bad_limits])
def test_a_worker_that_cannot_take_them_is_made_anew(renew) -> None:
    """`bad_limits` fails in the worker."""

    async def use(pool: WorkerPool):
        before = (await pool.run(0)).result
        pool.renew(("new",))
        return before, (await pool.run(0)).result

    before, after = with_pool(use, detector_of=lambda _: 0, renew=renew, **WORD)
    assert (before[1], after[1]) == ("old", "new")
    assert before[0] != after[0]
