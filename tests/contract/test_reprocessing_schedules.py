"""Jobs that are reprocessed again and again, by runs in any order: clients always get all of one revision."""

from __future__ import annotations

from random import Random

import pytest

from pipeline.results import find_results
from pipeline.settings import Settings
from storage.documents import Failure, JobState, StageState
from storage.ledger import Ledger
from storage.stores import Stores
from tests.support.fakes import RENDITIONS
from tests.support.revisions import (
    Run,
    expected_results,
    insert_done,
    read_results,
    reprocess,
    run_to_end,
    start_run,
    tidy,
)

STEPS = 150
UNDISTURBED_SHARE = 0.7
EXHAUSTED = Failure(stage=None, code="dispatches_exhausted", message="Too many times.")
CHOICES = ("small", "medium", "large", "card", "zoom", "hero")


class Schedule:
    """A random order of what workers, gateways and the tidier do to one job, and a client that looks in between."""

    def __init__(self, seed: int, stores: Stores, ledger: Ledger, settings: Settings) -> None:
        self._random = Random(seed)  # noqa: S311  # the same schedules in every run
        self._stores, self._ledger, self._settings = stores, ledger, settings
        self._runs: list[Run] = []
        self.names = {0: tuple(RENDITIONS)}
        self.served = {0}

    async def run(self) -> str:
        """Do all steps, end the job and let all late runs write; return the job's id."""
        self._job_id = (await insert_done(self._stores, self._ledger)).id
        steps = (self._claim, self._claim, self._go_on, self._go_on, self._reprocess, self._end, self._tidy)
        weights = (10, 10, 4, 4, 3, 1, 2)
        for _ in range(STEPS):
            [step] = self._random.choices(steps, weights)
            await step()
            await self._look()
        run_to_end(self._ledger, self._stores.blobs, self._job_id)
        for run in self._runs:
            assert not run.complete()  # all of them are late by now
        await self._look()
        await self._tidy()
        return self._job_id

    async def _look(self) -> None:
        job = await self._stores.jobs.get(self._job_id)
        found = read_results(self._stores.blobs, job)
        whole = {revision: expected_results(revision, names) for revision, names in self.names.items()}
        [revision] = [revision for revision, results in whole.items() if results == found]
        assert revision >= max(self.served)
        self.served.add(revision)

    async def _claim(self) -> None:
        job = await self._stores.jobs.get(self._job_id)
        due = next((name for name, record in job.stages.items() if record.state is not StageState.DONE), "none")
        stage = self._random.choice([due, due, *job.stages, *CHOICES])  # also those of earlier revisions
        run = start_run(self._ledger, self._stores.blobs, self._job_id, stage)
        if run is not None and self._random.random() < UNDISTURBED_SHARE:
            assert run.complete()
        elif run is not None:
            self._runs.append(run)

    async def _go_on(self) -> None:
        if self._runs:
            run = self._random.choice([*self._runs, self._runs[-1], self._runs[-1]])
            act = self._random.choice([run.work, run.work, run.complete, run.complete, run.complete, run.release])
            act()
            if act != run.work:  # the others end it
                self._runs.remove(run)

    async def _reprocess(self) -> None:
        job = await self._stores.jobs.get(self._job_id)
        names = tuple(self._random.sample(CHOICES, self._random.randint(1, 4)))
        if not job.is_active and (revised := await reprocess(self._stores, job, *names)):
            self.names[revised.revision] = names

    async def _end(self) -> None:
        job = await self._stores.jobs.get(self._job_id)
        if self._random.random() < 0.5 and job.is_active:
            await self._stores.jobs.mark_dead(job, EXHAUSTED)
        elif self._runs:
            run = self._runs.pop(self._random.randrange(len(self._runs)))
            self._random.choice([run.refuse, run.mark_dead])()

    async def _tidy(self) -> None:
        await tidy(self._stores, self._settings, self._job_id)


@pytest.mark.parametrize("seed", range(4))
async def test_clients_always_get_all_of_one_revision_and_nothing_is_left_behind(
    stores: Stores, ledger: Ledger, settings: Settings, seed: int
) -> None:
    schedule = Schedule(seed, stores, ledger, settings)

    job_id = await schedule.run()

    job = await stores.jobs.get(job_id)
    renditions = {result["blob"].rpartition("/")[2] for result in find_results(job).values()}
    assert (job.state, job.finalizations, job.previous) == (JobState.DONE, 1, None)
    assert set(stores.blobs.list_all_names(job_id)) == {"original", *renditions}
    assert len(schedule.served) > 1
