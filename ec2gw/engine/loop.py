"""The engine's loop: observe, plan one step, perform it, look again; one record never in two hands at once.

It keeps nothing that matters: what is to be done shows in the records and on the host. Hints and commits only wake it sooner than
the regular look around does.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Literal

import structlog
from prometheus_client import Counter

from ec2gw.backend.downloads import Downloads
from ec2gw.backend.ports import Domain, HostError, Hypervisor, VolumeStore
from ec2gw.backend.staging import Staging
from ec2gw.engine import observe, plan, steps
from ec2gw.engine.importer import Importer, Interrupted
from ec2gw.engine.perform import Performer
from ec2gw.engine.steps import Step
from ec2gw.model import ids as names
from ec2gw.state.session import Database

log = structlog.get_logger(__name__)
STEPS = Counter("ec2gw_engine_steps_total", "Steps the engine has taken", ["step", "outcome"])

MOST_TRIES = 5  # of making something, before the record says that it cannot be made
LONGEST_PAUSE = 30.0
LOOK_AROUND = 10.0
IMPORTERS = 2  # threads for what may take hours, so that nothing else waits for it

Lane = Literal["steps", "imports"]
LANES: tuple[Lane, ...] = ("steps", "imports")
OnStep = Callable[[Step, str], None]  # the step; "before", "halfway" or "after"


def ignore(step: Step, moment: str) -> None:
    """Nobody listens."""


class Engine:
    """Makes the records true on the host until told to stop.

    `stores` are by zone; `staging` is where blocks of uploads are received. `patience` is how many seconds a guest has to give a
    disk back. `give_way` blocks for a moment while others need the process more. `on_step` hears of each step before it, when the
    host's part is done, and after it.
    """

    def __init__(
        self,
        database: Database,
        stores: Mapping[str, VolumeStore],
        hypervisor: Hypervisor,
        staging: Staging,
        downloads: Downloads,
        *,
        workers: int = 4,
        patience: float = 20.0,
        give_way: Callable[[], None] = lambda: None,
        on_step: OnStep = ignore,
    ) -> None:
        self._database = database
        self._hypervisor = hypervisor
        self._patience = patience
        self._give_way = give_way
        self._on_step = on_step
        self._importer = Importer(database, stores, downloads, lambda: self._ending.is_set())
        self._performer = Performer(database, stores, hypervisor, staging, self._importer, lambda step: on_step(step, "halfway"))
        self._lock = threading.Lock()
        # Something is due in a lane: one of its workers is to look.
        self._bells: dict[Lane, threading.Condition] = {lane: threading.Condition(self._lock) for lane in LANES}
        self._quiet = threading.Condition(self._lock)  # something is done: whoever waits for that is to look
        self._ending = threading.Event()
        self._due: dict[str, float] = {}  # id -> when to look at it; the heaps may hold older entries of the same id
        self._heaps: dict[Lane, list[tuple[float, int, str]]] = {lane: [] for lane in LANES}
        self._order = itertools.count()
        self._busy: set[str] = set()
        self._tries: dict[str, int] = {}
        self._causes: dict[str, str] = {}  # id -> the request that wished for what is being done
        self._threads = [
            threading.Thread(target=self._work, args=(lane,), name=f"engine-{lane}-{n}", daemon=True)
            for lane, many in zip(LANES, (workers, IMPORTERS), strict=True)
            for n in range(many)
        ]
        self._watch = threading.Thread(target=self._look_around, name="engine-watch", daemon=True)

    def start(self) -> None:
        """Take up whatever was left undone, then follow commits and hints."""
        self._database.on_commit(self.wake)
        self._hypervisor.hints(lambda name: self.wake([name]))
        for thread in (*self._threads, self._watch):
            thread.start()

    def stop(self) -> None:
        """Finish the steps under way and take no others."""
        with self._lock:
            self._ending.set()
            for bell in self._bells.values():
                bell.notify_all()
            self._quiet.notify_all()
        for thread in (*self._threads, self._watch):
            thread.join()

    def wake(self, ids: Iterable[str]) -> None:
        """Look at these records now. The log tells the steps for them by the id of the request that called."""
        cause = structlog.contextvars.get_contextvars().get("request_id")
        with self._lock:
            for id in ids:
                self._put(id, 0.0)
                if cause is not None:
                    self._causes[id] = cause

    def wait(self, ids: Iterable[str], timeout: float) -> bool:
        """Until nothing can be done for these records right now; False after `timeout` seconds, or when the engine stops."""
        wanted = frozenset(ids)

        def quiet() -> bool:
            now = time.monotonic()
            return not any(id in self._busy or self._due.get(id, now + 1) <= now for id in wanted)

        with self._quiet:
            return self._quiet.wait_for(lambda: quiet() or self._ending.is_set(), timeout) and quiet()

    def refresh_console(self, instance_id: str) -> None:
        """Write down the newest console text of an instance. Host trouble leaves the text that was seen last."""
        try:
            self._performer.listen(instance_id)
        except HostError as trouble:
            log.warning("console not read", instance=instance_id, error=str(trouble))

    def refresh_screen(self, instance_id: str, wake: bool) -> None:
        """Write down what an instance's screen shows. Host trouble leaves no picture."""
        try:
            self._performer.watch(instance_id, wake=wake)
        except HostError as trouble:
            log.warning("screen not seen", instance=instance_id, error=str(trouble))

    # -- the queue ----------------------------------------------------------------------------------------------------------

    def _put(self, id: str, pause: float) -> None:
        when = time.monotonic() + pause
        if when < self._due.get(id, float("inf")):
            self._due[id] = when
            self._line_up(id)

    def _line_up(self, id: str) -> None:
        lane = _lane(id)
        heapq.heappush(self._heaps[lane], (self._due[id], next(self._order), id))
        self._bells[lane].notify()

    def _remind(self, ids: Iterable[str]) -> None:
        """Look at these records now, but for those that are to be looked at later for a reason."""
        with self._lock:
            for id in ids:
                if id not in self._due:
                    self._put(id, 0.0)

    def _take(self, lane: Lane) -> str | None:
        heap, bell = self._heaps[lane], self._bells[lane]
        with bell:
            while not self._ending.is_set():
                now = time.monotonic()
                while heap and heap[0][0] <= now:
                    when, _, id = heapq.heappop(heap)
                    if id in self._busy or self._due.get(id) != when:
                        continue  # whoever has it puts it back, or it was taken under an earlier entry
                    del self._due[id]
                    self._busy.add(id)
                    return id
                bell.wait(heap[0][0] - now if heap else None)
            return None

    def _heed(self, id: str) -> None:
        """Whoever has woken us for this record by now will have been heard: it is about to be looked at."""
        with self._lock:
            if self._due.get(id, float("inf")) <= time.monotonic():
                del self._due[id]

    def _give_back(self, id: str, pause: float | None) -> None:
        with self._lock:
            self._busy.discard(id)
            if pause is not None:
                self._put(id, pause)
            elif id not in self._due:
                self._causes.pop(id, None)
            if id in self._due:
                self._line_up(id)
            self._quiet.notify_all()

    # -- the work -----------------------------------------------------------------------------------------------------------

    def _work(self, lane: Lane) -> None:
        while (id := self._take(lane)) is not None:
            pause: float | None = LONGEST_PAUSE
            try:
                with structlog.contextvars.bound_contextvars(request_id=self._causes.get(id)):
                    pause = self._bring_along(id)
            except Exception:  # a bug must neither end the thread nor leave the record stuck
                log.exception("engine step broke", id=id)
            finally:
                self._give_back(id, pause)

    def _bring_along(self, id: str) -> float | None:
        """Take steps until there is none to take now. Returns in how many seconds to look again, or None for never."""
        while not self._ending.is_set():
            self._give_way()
            self._heed(id)
            with self._database.read() as tx:
                seen = observe.look(tx, id)
                now = tx.now
            if seen is None:
                self._tries.pop(id, None)
                return None
            step: Step | None = None
            try:
                step = self._plan(seen, now)
                if step is None or isinstance(step, steps.Rest):
                    self._tries.pop(id, None)
                    return step.wait if step else None
                self._perform(id, step)
            except Interrupted:
                continue  # it is wished otherwise by now
            except HostError as trouble:
                return self._stumble(id, seen.state, step, trouble)
            self._tries.pop(id, None)
            if step.wait:
                return step.wait
        return 0.0

    def _plan(self, seen: observe.Seen, now: datetime) -> Step | None:
        match seen:
            case observe.Volume():
                return plan.volume(seen)
            case observe.Snapshot():
                return plan.snapshot(seen, self._domain(seen.machine), now)
            case observe.Image():
                return plan.image(seen)
            case observe.Import():
                return plan.task(seen, self._importer.held(seen.id), now)
            case observe.Instance():
                return plan.instance(seen, self._domain(seen.id), now, self._patience)

    def _domain(self, name: str | None) -> Domain | None:
        return self._hypervisor.observe(name) if name else None

    def _perform(self, id: str, step: Step) -> None:
        began = time.monotonic()
        self._on_step(step, "before")
        try:
            self._performer.do(step)
        except HostError:
            STEPS.labels(step.name, "failed").inc()
            raise
        self._on_step(step, "after")
        STEPS.labels(step.name, "done").inc()
        log.info("step", id=id, step=step.name, seconds=round(time.monotonic() - began, 3))

    def _stumble(self, id: str, state: str, step: Step | None, trouble: HostError) -> float:
        tries = self._tries[id] = self._tries.get(id, 0) + 1
        log.warning("host trouble", id=id, state=state, tries=tries, error=str(trouble))
        if trouble.final or tries >= MOST_TRIES:
            self._performer.give_up(id, state, step, trouble)
        return min(2.0 ** min(tries, 10) / 4, LONGEST_PAUSE)

    def _look_around(self) -> None:
        """Now and then: records that are on their way, and machines that are not as their records say."""
        while True:
            try:
                with self._database.read() as tx:
                    ids, running = observe.unsettled(tx), observe.running(tx)
                self._performer.sweep()
                domains = self._hypervisor.domains()
                self._remind(ids)
                self._remind(id for id, boots in running.items() if not _as_wished(domains.get(id), boots))
            except Exception:
                log.exception("look around broke")
            if self._ending.wait(LOOK_AROUND):
                return


def _lane(id: str) -> Lane:
    return "imports" if names.kind(id) in ("import-snapshot-task", "import-image-task") else "steps"


def _as_wished(domain: Domain | None, boots: int) -> bool:
    return domain is not None and domain.state == "running" and domain.generation >= boots
