"""Runs cases by schedules, and checks each run."""

import json
import multiprocessing
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from random import Random
from typing import Any

from atrium import keys
from atrium.keys import Key
from atrium.store.engine.client import dynamodb
from atrium.store.engine.table import Item, Table
from atrium.store.engine.wire import plain_item
from atrium.store.fsck.check import Check
from atrium.store.purge import Deletion, Purge, queued
from local.template import Template
from tests.support.actor import act
from tests.support.client import MOMENT, World, flat_id
from tests.support.deletions import purge_all
from tests.support.schedules.cases import MAX_LIVE, Cases, Sent
from tests.support.schedules.judging import (
    AN_ID,
    difference,
    judged,
    judged_project,
    misanswered,
    only_order,
    orders_of,
    unmended,
    without_bound,
    without_chance,
)
from tests.support.schedules.rows import Rows, Transaction, written_by
from tests.support.schedules.run import Actor, Attempt, Run
from tests.support.snapshot import Snapshot

# More steps than any run takes: two requests that keep each other from committing would go on for ever.
_MOST_STEPS = 60

# So often in a row one request steps while another one could. A commit is visible in part for a moment only: a request
# that tries again in that moment, with pauses that take no time here, would never see the rest.
_IN_A_ROW = 15

# Seconds within which a purge has mended what a deletion and another request have left.
_MENDED_WITHIN = 60

Choose = Callable[[Sequence[str]], str]

# The characters of a schedule, and the request that each is about.
_CALL, _BEFORE, _AFTER, _BEFORE_FOR_GOOD, _AFTER_FOR_GOOD = "012", "abc", "ABC", "xyz", "XYZ"
_PURGE = "p"
_WHOSE = {
    each: number
    for kind in (_CALL, _BEFORE, _AFTER, _BEFORE_FOR_GOOD, _AFTER_FOR_GOOD)
    for number, each in enumerate(kind)
}


class Explorer:
    """Runs cases by schedules. `runs` counts them, and the runs of one request after the other that they are held
    against where no schedule was one."""

    def __init__(self, template: Template, cases: Cases, rows: Rows, pipes: Sequence[Connection]) -> None:
        self.cases = cases
        self._template = template
        self.runs: Counter[str] = Counter()
        self._rows = rows
        self._actors = [Actor(pipe, rows) for pipe in pipes]
        self._table = Table(rows.name, dynamodb())
        start = json.dumps([*rows.start.values(), cases.world.dev])
        self._known = {flat_id(id) if "-" in id else id for id in AN_ID.findall(start)} | {*MOMENT.findall(start)}
        self._start = {key: plain_item(row) for key, row in rows.start.items()}
        self._sound: set[str] = set()
        self._one_by_one: dict[tuple[str, tuple[int, ...]], Run] = {}
        self._touched: set[Key] = set()
        self._images: dict[Key, Item] = {}

    # ------------------------------------------------------------ running

    def run(self, case: str, choose: Choose, *, crashes: bool = True) -> Run:
        """One run, checked; `choose` picks one of the options of each step, the first of which is the lowest request's.

        Raises AssertionError, which shows the case and the schedule.
        """
        run = Run(case)
        with self._on_a_fresh_table(run):
            for actor, sent in zip(self._actors, self.cases.requests(case), strict=False):
                self._begin(run, actor, sent)
            self._until_all_are_done(run, choose, crashes)
        self.runs["schedules"] += 1
        if (order := only_order(run)) is not None:
            self._one_by_one.setdefault((case, order), run)
        self._check(run)
        return run

    def given(self, text: str) -> Run:
        """Runs `case:schedule`."""
        case, _, schedule = text.partition(":")
        return self.run(case, _following(schedule))

    def every(self, case: str, *, crashes: bool = False) -> Iterator[Run]:
        """All orders of the calls, each once; with `crashes`, a crash at each step of each of them too."""
        prefixes = [""]
        while prefixes:
            prefix = prefixes.pop()
            run = self.run(case, _following(prefix), crashes=crashes)
            for step in range(len(prefix), len(run.schedule)):
                prefixes += [run.schedule[:step] + other for other in run.options[step][1:]]
            yield run

    def some(self, case: str, random: Random, *, crashes: bool = True) -> Run:
        """A schedule by chance."""
        return self.run(case, by_chance(random), crashes=crashes)

    def mended(self, case: str, choose: Choose) -> Run:
        """One run with a deletion, and the purge of it, checked by what that has left."""
        run = Run(case)
        with self._on_a_fresh_table(run):
            for actor, sent in zip(self._actors, self.cases.requests(case), strict=False):
                self._begin(run, actor, sent)
            try:
                self._until_all_are_done(run, choose, crashes=True, purges=True)
                waited = purge_all(self._template)
            finally:
                left = self._seen_anew()
        self.runs["mended"] += 1
        faults = [*run.faults, *misanswered(run), *unmended(left, run.deleted)]
        faults += [f"mended after {waited} s"] if waited > _MENDED_WITHIN else []
        assert not faults, f"{run}\n" + "\n".join(faults)
        return run

    def after_reading(self, order: str) -> Choose:
        """All requests read before any of them commits; then they do in this order, and the purge."""

        def choose(options: Sequence[str]) -> str:
            calls = {option: self._actors[_WHOSE[option]].waits for option in options if option in _CALL}
            reads = (option for option, call in calls.items() if call and call[0] != "TransactWriteItems")
            return next(reads, None) or next(option for option in order if option in options)

        return choose

    def _until_all_are_done(self, run: Run, choose: Choose, crashes: bool, purges: bool = False) -> None:
        while options := self._options(run, crashes, purges):
            assert len(run.schedule) < _MOST_STEPS, f"{run} does not come to an end"
            chosen = choose(options)
            run.options.append(options)
            run.schedule += chosen
            self._step(run, chosen)

    def _options(self, run: Run, crashes: bool, purges: bool) -> list[str]:
        """At most one crash in a run, and one purge."""
        able = {number: actor for number, actor in enumerate(self._actors) if actor.waits and not actor.is_held_up}
        last = run.schedule[-_IN_A_ROW:]
        if len(able) > 1 and last in [call * _IN_A_ROW for call in _CALL]:
            able.pop(_WHOSE[last[0]], None)
        options = [_CALL[number] for number in able]
        if purges and run.deleted and _PURGE not in run.schedule:
            options.append(_PURGE)
        if crashes and set(run.schedule) <= {*_CALL, _PURGE}:
            waiting = {number: actor.waits for number, actor in able.items() if actor.waits and not actor.commits}
            for number, (operation, _) in waiting.items():
                options += [_BEFORE[number], _BEFORE_FOR_GOOD[number]]
                # A read that nobody hears of is none.
                if operation == "TransactWriteItems":
                    options += [_AFTER[number], _AFTER_FOR_GOOD[number]]
        return options

    def _step(self, run: Run, chosen: str) -> None:
        if chosen == _PURGE:
            for row in queued(self._table):
                Purge(self._table, Deletion.of(row)).run()
            self._seen_anew()
            return
        actor = self._actors[_WHOSE[chosen]]
        attempt, step = actor.attempt, len(run.schedule) - 1
        if attempt.began < 0:
            attempt.began = step
        committed = actor.step() if chosen in _CALL else actor.crash(chosen in _AFTER + _AFTER_FOR_GOOD)
        if committed:
            self._committed(run, attempt, committed)
        if actor.waits is None:
            attempt.ended = step
            # Without a commit its last read is what it rests on.
            if attempt.succeeded and not attempt.commits and not self.cases.shows(attempt.sent):
                run.faults.append(
                    f"{attempt.sent.request}: a success without a commit, and there was something to change"
                )
            if chosen in _BEFORE + _AFTER:
                self._begin(run, actor, attempt.sent)

    def _begin(self, run: Run, actor: Actor, sent: Sent) -> None:
        attempt = Attempt(self._actors.index(actor), sent)
        run.attempts.append(attempt)
        actor.begin(attempt)

    def _one_after_the_other(self, case: str, order: tuple[int, ...]) -> Run:
        """The same requests, each going on when the one before it was answered. A caller is let in before the first of
        them, as in every run."""
        if (case, order) not in self._one_by_one:
            run = Run(case)
            requests = self.cases.requests(case)
            with self._on_a_fresh_table(run):
                for number in set(order):
                    self._begin(run, self._actors[number], requests[number])
                for place, number in enumerate(order):
                    if number in order[:place]:
                        self._begin(run, self._actors[number], requests[number])
                    while self._actors[number].waits:
                        run.schedule += _CALL[number]
                        self._step(run, _CALL[number])
            self.runs["one after the other"] += 1
            self._one_by_one[case, order] = run
        return self._one_by_one[case, order]

    @contextmanager
    def _on_a_fresh_table(self, run: Run) -> Iterator[None]:
        self._touched, self._images = set(), {}
        try:
            yield
            run.changed = self._rows.changed(self._touched)
            self._check_the_table(run)
        finally:
            # Whatever is not done ends now.
            for actor in self._actors:
                while actor.waits:
                    actor.crash(after=False)
            self._rows.restore(self._touched)

    # ------------------------------------------------------------ what holds after every commit

    def _committed(self, run: Run, attempt: Attempt, params: Transaction) -> None:
        attempt.commits += 1
        run.commits.append(attempt)
        written = written_by(params)
        self._touched |= set(written)
        run.deleted += [key.sk.rpartition("#")[2] for key in written if key.pk.startswith(keys.PURGE_PREFIX)]
        if len(written) == 1 and "#I#" in written[0].pk:
            if not self.cases.shows(attempt.sent):
                run.faults.append(f"{attempt.sent.request}: a record alone, and there was something to change")
            return
        attempt.changes += 1
        found = {key: plain_item(row) for key, row in self._rows.under(written).items()}
        # A principal's own row may be written for its roles alone, which its events do not count.
        images = {key: (self._image(key), row) for key, row in found.items() if "last_events" in row}
        changed = [key for key, (before, row) in images.items() if row["sequence"] != before.get("sequence")]
        types: set[str] = set()
        for root in changed:
            before, meta = images[root]
            self._images[root] = meta
            told = [keys.event(keys.tenant_of(root.pk), id) for id in meta["last_events"]]
            events = self._rows.under(told)
            rows = [plain_item(events[key]) if key in events else None for key in told]
            types |= {row["type"] for row in rows if row}
            run.faults += judged(before, meta, rows, attempt.sent.by)
            if "#P#" in root.pk:
                run.faults += judged_project(*self._rows.members_and_meta(root.pk))
        # The credentials that one made may be of several principals.
        if len(changed) != 1 and not (types and types <= {"credential.updated", "credential.revoked"}):
            run.faults.append(f"a commit on {changed}")

    def _seen_anew(self) -> dict[Key, Any]:
        """The whole table, where something else than a request has changed it."""
        found = self._rows.everything()
        changed = {key for key in found.keys() | self._rows.start.keys() if found.get(key) != self._rows.start.get(key)}
        self._touched |= changed
        self._images |= {key: plain_item(found[key]) for key in changed & found.keys() if "last_events" in found[key]}
        return found

    def _image(self, root: Key) -> Item:
        """The row of a root before the last commit on it, empty for none."""
        return self._images.get(root, self._start.get(root, {}))

    def _check_the_table(self, run: Run) -> None:
        """The check of the table, for what is left where no run before has left the same."""
        left = self._text(run)
        if left not in self._sound:
            now = self._start | {key: row and plain_item(row) for key, row in run.changed.items()}
            found = Check(Snapshot({key: row for key, row in now.items() if row is not None})).run()
            # No publisher runs here, and after an hour the check asks for its numbers.
            if found["damage"].keys() - {"event_unnumbered"} or found["unsettled"]:
                run.faults.append(f"fsck: {found}")
            self._sound.add(left)

    # ------------------------------------------------------------ what holds after every run

    def _check(self, run: Run) -> None:
        faults = [*run.faults, *misanswered(run)]
        shown = self.shown(run)
        if not faults and all(self._shown_in(run, order) != shown for order in orders_of(run)):
            faults.append("like no order of the requests")
            faults += [difference(shown, self._shown_in(run, order), order) for order in orders_of(run)]
        assert not faults, f"{run}\n" + "\n".join(faults)

    def _shown_in(self, run: Run, order: tuple[int, ...]) -> str:
        """What the same requests show in an order, as far as their answers were heard in the run."""
        other = self._one_after_the_other(run.case, order)
        assert not other.faults, f"{run.case}, in the order {order}: {other.faults}"
        return self.shown(other, run)

    def shown(self, run: Run, heard: Run | None = None) -> str:
        """The answers to the requests and what is left in the table; of the answers those that were heard in another
        run, as they were: without a secret where that was a replay."""
        answers = {}
        for actor, answer in sorted(run.observed.items()):
            as_heard = (heard or run).observed.get(actor)
            if answer and as_heard:
                content = answer.recorded if as_heard.replayed else answer.content
                named = (answer.headers.get(name) for name in ("etag", "link"))
                answers[actor] = [answer.status, *named, content.decode()]
        return self._text(run, answers)

    def _text(self, run: Run, answers: Any = None) -> str:
        """As text, without moments but those that were there and those that were sent, and with each new id called by
        where it first appears: in an answer, or a row."""
        names: dict[str, str] = {}
        sent = [request.raw[3].decode() for request in self.cases.requests(run.case)]
        known = self._known.union(*map(MOMENT.findall, sent))

        def named(found: re.Match[str]) -> str:
            id = flat_id(found[0]) if "-" in found[0] else found[0]
            return found[0] if id in self._known else names.setdefault(id, f"<id {len(names)}>")

        def as_yet(found: re.Match[str]) -> str:
            id = flat_id(found[0]) if "-" in found[0] else found[0]
            return found[0] if id in self._known else names.get(id, "<id>")

        text = AN_ID.sub(named, without_chance(json.dumps(answers), known))
        changed = [json.dumps([*key, without_bound(row)], sort_keys=True) for key, row in run.changed.items()]
        rows = [without_chance(row, known) for row in changed]
        # Of rows that differ by new ids alone, as events of equal changes do, the earlier id is the first.
        in_order = sorted(rows, key=lambda row: (AN_ID.sub(as_yet, row), row))
        shown = [AN_ID.sub(named, row) for row in in_order]
        # A principal's map of roles has ids as its keys, which are in another order now.
        return "\n".join([text, *(json.dumps(json.loads(row), sort_keys=True) for row in shown)])


def _following(schedule: str) -> Choose:
    left = list(schedule)
    return lambda options: left.pop(0) if left else options[0]


def by_chance(random: Random) -> Choose:
    """Not often a crash."""

    def choose(options: Sequence[str]) -> str:
        calls = [option for option in options if option in _CALL + _PURGE]
        return random.choice(options if random.random() < 0.2 else calls)

    return choose


@contextmanager
def explorer(template: Template, world: World, endpoint: str, environment: Mapping[str, str]) -> Iterator[Explorer]:
    """Three actors on the table of a world in this process, whose functions' environment is given."""
    methods = multiprocessing.get_context("forkserver")
    methods.set_forkserver_preload(["local.preload"])
    cases = Cases(world)
    pipes, processes = [], []
    for _ in range(3):
        ours, theirs = methods.Pipe()
        process = methods.Process(
            target=act,
            args=(theirs, dict(environment), template.api, template.functions, template.stage, MAX_LIVE),
            daemon=True,
        )
        process.start()
        theirs.close()
        pipes.append(ours)
        processes.append(process)
    try:
        tenant = flat_id(world.dev["tenants"]["acme"]["tenant_id"])
        rows = Rows(endpoint, environment, tenant)
        yield Explorer(template, cases, rows, pipes)
        assert rows.everything() == rows.start, "no run saw all that it changed"
    finally:
        for pipe, process in zip(pipes, processes, strict=True):
            pipe.close()
            process.join()
