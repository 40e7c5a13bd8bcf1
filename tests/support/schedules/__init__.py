"""Runs requests on one project in every order of their calls to the table, and with a crash at each of them.

Everything that a request does, it does by calls to the table. So two requests that run at the same time are an order
of their calls, and there are few: a write is one round trip that reads and one transaction, and more only where it lost
a race. An `Explorer` has one process for each request of a case (an actor), since Powertools keeps the request that is
being answered in class attributes. An actor hands each call to the scheduler, which is in the test's process, and waits
until it is its turn; only then the call is made, on DynamoDB Local. Exactly one actor runs at any time, so a run is
decided by its schedule alone.

A schedule is a text: each character is one step. `0`, `1` and `2` let the call of that request through. `a`, `b` and
`c` let the process of request 0, 1 or 2 end before its call takes effect, `A`, `B` and `C` after a transaction of it
has; the client then sends the same request, with the same Idempotency-Key, again. `x`, `y`, `z` and `X`, `Y`, `Z` are
the same with a client that never comes back. Where a schedule ends, the lowest request goes on. A process that ends is
an exception that nothing catches; real processes are killed in test_exactly_once.py.

What is a step: one call of the client. The calls of one round trip (`Table.together`) are made in their order, each a
step of its own, so whatever another request commits between them is seen by some and not by others. In the cloud a
batch and a query are no snapshot either: with `~n` a request reads item n of a batch one step before the others, with
`~-n` one step after, and with both the first n items of a query, which comes along its keys, before the rest. The
authorizer's calls are let through and are no steps. Nothing waits, so the time that a request has does not pass.

Nor does a commit become visible at one moment. With `^n` its items do one after the other, each in a step of its own,
from item n on (with `^-n` downwards), until then reads have what was there before; only transactions do not. They are
in conflict with it where they touch what is not visible yet, and tried again for as long: so here they are no option
until it is. One whose conditions on other items do not hold is refused at once.

A case is a text too: `Apollo/V1UpdateProject,V1DeleteProject@contributor=k!~2`. The project's name; for each request
its name in REQUESTS, then who sends it (the owner), its Idempotency-Key (one of its own; none after a bare `=`), `!`
for an If-Match with the version that the table starts with, how it reads, and how it commits. `case:schedule` is what a
failure shows, and

    SCHEDULE="Apollo/V1UpdateProject,V1DeleteProject:0110" pytest tests/races/test_schedules.py -k given

runs again. `check` holds each run against every order in which the same requests could have come one after the other,
and against what holds after every commit.

A request succeeds in one of two ways. It changes one project, space, principal or tenant, by exactly one commit on it;
a credential with what it made, those of several principals. Or it changes nothing, since a GET shows already what it
sends: then it commits its idempotency record, and that alone; without a key nothing. (Where a request without a key
reads beside `^n`, the GET sees more than it does.)

What two requests may leave behind a deletion is like no order of them: a project in a deleted space, or with a deleted
manager. So `mended` holds a run against something else. Once the deletion is committed, the purge comes at any step:
`p`, all that it does at first. It ends when all requests have, 30 seconds after the deletion. Then nothing is left of
what was deleted, and each project has a living manager.
"""
