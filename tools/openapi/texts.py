"""The words of the OpenAPI document that no route says of itself: of the whole, of schemas, fields and parameters."""

INFO = """\
A projects API for teams: tenants hold spaces, spaces hold projects, projects hold members and records (tasks, datasets,
experiments, decisions).

## Quickstart

1. **A credential.** Those who run Atrium give you one: a token, `atr_token_…`, or a key, `atr_key_…`, shown once, when
   they provision your tenant or issue another. On a laptop `make run` prints a token, and `.local/dev.json` has more.
2. **The base URL** is this page's own address without `/docs`, the stage included: `https://api.example/prod` for
   `https://api.example/prod/docs`.
3. **The first requests**: who am I, and a project of my own.

```
ATRIUM=https://api.example/prod
ATRIUM_TOKEN=atr_token_…

curl $ATRIUM/v1/me -H "Authorization: Bearer $ATRIUM_TOKEN"
curl $ATRIUM/projects -H "Authorization: Bearer $ATRIUM_TOKEN" -H 'Content-Type: application/json' \\
  -d '{"projectName": "Apollo", "clientName": "Acme", "description": "To the moon"}'
```

**Authorize**, at the top of this page, takes the credential for the requests that you send from here. It is kept until
the tab is closed, or on your device if you wish so. Every operation has samples in curl, Python and JavaScript.

## Two dialects, one store

| | flat: `/projects…` | v1: `/v1/…` |
|---|---|---|
| names | camelCase, `_id` | snake_case, `id` |
| ids, read in any case | 24 hex digits | UUIDs |
| lists | a bare array; the next page is in the `Link` header | `{"data": […], "meta": {…}}` with `next_cursor` |
| changes | `PUT` with all fields of a project | `PATCH` with those to change |
| deletions | `200 {"message"}` | `204` |
| errors | `{"error": "message"}` | `{"detail": "message"}`; `422` has a list |
| unknown fields and query parameters | ignored | refused |

A project made through one dialect is the same project in the other. An id has two spellings: `64a1f2c3b4e5d6f7a8b9c0d1`
is `64a1f2c3-b4e5-8000-8000-d6f7a8b9c0d1`. `POST /projects` creates in the tenant's default space.

## Credentials

Send one credential, as `Authorization: Bearer <token>` or as `X-API-Key: <key>`. A secret of Atrium's own,
`atr_token_…` or `atr_key_…`, is good in either header; an access token of an issuer is a bearer token only. The same
one in both headers is one credential; two different ones are refused with 401, as none is, and told so.
`GET /v1/me` says who you are, which roles you have, and what your credential is narrowed to. What another tenant has
answers like what does not exist: 404.

Make credentials of your own by `POST /v1/principals/{principal_id}/credentials`: for some permissions, spaces or
projects alone, and with an end. A new one is no wider than the one that you send, and ends no later. Its `secret` is in
the first answer alone; if that answer is lost, a replay has `null` there: rotate it, and you have another one. Who is
given one with `enrol` sends `POST …/{credential_id}/rotate` with it, and uses the secret of that answer from then on.
If the secret of such an enrolment is lost, revoke it and make another one: an admin may not rotate it.

## Exactly once

Every write takes an `Idempotency-Key`, 1 to 255 visible ASCII characters. Send the same request with the same key
again, after a time-out or a `503`, say, and it happens once: the answer is the first one, byte for byte but for a
secret, with `Idempotent-Replayed: true`. A key belongs to who sends it, a method and a route, and is remembered for 30
days: on another route, or from another caller, the same text is another key. With the same three and another path,
query or body it is refused (`422`, flat `400`). The order of a body's members and the blanks between them make no other
body; leaving a field out instead of sending `null` does. A request that was refused does not use its key up.

## Concurrency

A single resource has an `ETag`. Send it back as `If-Match` with a write, and the write is refused with `412` when
somebody else was faster; `*` stands for any version. What is created has no version yet: there `If-Match` is refused.
The two dialects count differently: flat shows a project with its tasks and team, and a task with its notes, so the
`ETag` changes with them; v1's changes with their own fields. An `ETag` is good in its own dialect only, and a version
never comes twice under one address: a member who is removed and added again has another.

A change to the values that are there already changes nothing: `200`, the same `ETag`, no event.

Send it as `If-None-Match` with a `GET`, and the answer is `304` without a body while the resource is the same. A write
with it is refused with `412` if it names the current version.

A creation answers with a `Location`, the URL of what it made. Every answer that needs a credential says `Cache-Control:
private, no-store`.

## Pages

Lists are consistent: what you have made is in the next list, always. A page ends after `limit` entries, or earlier when
they are large or a filter leaves some out: go on as long as there is a next page, not as long as pages are full. A
cursor is opaque and good for its list alone; send it back unchanged. To another list, or with another filter, it is
refused (`422`, flat `400`); `limit` may change from page to page.

## Text

A name is 1 to 200 characters on one line, trimmed, without controls and without what turns the direction of text
around. A text has up to 10,000 characters. One that must not be empty has something visible in it: blanks, marks,
joiners and fillers alone are none. The patterns in the schemas say the part of this that the regular expressions of
every language can say.

## Errors

| status | when |
|---|---|
| `400` (flat), `422` (v1) | something sent is not acceptable; v1 says where (`loc`) and has a word for it (`type`) |
| `401` | no credential, two different ones, or none that is valid: mistyped, ended, its principal suspended |
| `403` | your role does not allow it |
| `404` | it does not exist, or not for you |
| `409` | its state does not allow it: the project is archived, say |
| `412` | `If-Match` names another version than the current one |
| `413`, `415` | the body is over 256 KB; or it is not `application/json` in UTF-8, or has a `Content-Encoding` |
| `429`, `503` | busy: send the same again after `Retry-After`, with the same key |
| `500`, `502`, `504` | our fault; with an `Idempotency-Key` it is safe to send the same again |

What the gateway answers by itself (`401`, `429`, `502`, `504`, some of the `503` and of the others) carries both
`error` and `detail`. Every `429`, `502`, `503` and `504` has a `Retry-After`.
No message repeats what was sent. Every answer has an `X-Request-Id`: name it when you ask us something.

Every error has a code in `X-Error-Code`, the same in both dialects, and a `Link` to this section with `rel="help"`. Go
by the code: messages are for people, and may be worded better one day. A code keeps its meaning; new ones may come, so
take one that you do not know for its status.

CODES
"""

# What components are, by their names there; a `V1` in front of a name changes nothing.
SCHEMAS = {
    "NewProject": "A project to be made.",
    "ProjectRevision": "A project's fields, all three of them.",
    "ProjectChange": "At least one field of a project.",
    "Project": "A project.",
    "ProjectDescription": "What a project is about, in any members: an object of your own.",
    "ProjectSummary": "A project in a list: all but its description.",
    "TaskSummary": "A task as its project shows it.",
    "NewTask": "A task to be made.",
    "TaskRevision": "A task's name and description, and what else is to change.",
    "TaskChange": "At least one field of a task.",
    "TaskStatusChange": "A task's new status.",
    "TaskPhaseChange": "A task's new phase.",
    "TaskAssignment": "Whom a task is assigned to.",
    "Task": "A task.",
    "TaskWithNotes": "A task with its notes.",
    "StatusChange": "A change of a task's status.",
    "Reassignment": "A confirmation, and the task.",
    "NewNote": "A note to be added.",
    "Note": "A note on a task.",
    "NewDataset": "A dataset to be made.",
    "DatasetChange": "At least one field of a dataset.",
    "Dataset": "A dataset.",
    "NewExperiment": "An experiment to be made.",
    "ExperimentChange": "At least one field of an experiment.",
    "Experiment": "An experiment.",
    "NewDecision": "A decision to be made.",
    "DecisionChange": "At least one field of a decision.",
    "Decision": "A decision.",
    "Report": "All records of a project, and which tasks are stalled.",
    "NewTeamMember": "A user to be added.",
    "EmailQuery": "Whom to look for.",
    "Person": "A user.",
    "Confirmation": "What was done, in words.",
    "NewMember": "A member to be added: the role, and the principal, by `principal_id` or else by `email`.",
    "MemberChange": "A member's new role.",
    "Member": "A member of a project.",
    "Role": "A role and what it permits.",
    "SpaceRole": "A role in a space.",
    "Me": "The caller.",
    "PageMeta": "Whether and where a list goes on.",
    "RolePage": "All roles.",
    "PrincipalProjectPage": "A page of a principal's projects.",
}

# What fields and parameters are, in either dialect, by their names in snake_case; `Schema.field` where one differs.
FIELDS = {
    "acquisition_date": "When the data was acquired: a day or a time in ISO 8601; UTC unless it says otherwise.",
    "actor_id": "Only changes that this principal made.",
    "algorithm_model": "The algorithm or model.",
    "alternatives": "What else was considered.",
    "assigned_to": "The id of the member who works on it; null for nobody.",
    "at": "When it was changed.",
    "client_name": "The client's name; empty for a project that was made through v1.",
    "completed": "The checkbox. It has nothing to do with the status.",
    "completed_by": "The latest hundred changes of the status.",
    "conclusion": "What follows from it.",
    "content": "The text.",
    "created_at": "When it was made.",
    "created_by": "The id of who made it.",
    "cursor": "Where the page starts: the `cursor` of the last page's `Link` header, unchanged.",
    "data": "The entries.",
    "datasets": "The datasets, the oldest first.",
    "deadline": "When it has to be done: a day or a time in ISO 8601; UTC unless it says otherwise. Null for none. A "
    "day stays a day in v1, and is shown as its midnight in flat.",
    "decisions": "The decisions, the oldest first.",
    "description": "The text.",
    "email": "The e-mail address; null for a service without one.",
    "estimated_hours": "How long it will take, in hours; given back as it was written. Null if nobody knows.",
    "experiments": "The experiments, the oldest first.",
    "external_id": "The name that another system has for it.",
    "finished_at": "When the status last became `completed`; null while it is another one.",
    "has_more": "Whether there is a next page.",
    "issued": "Whether those that it issued end with it, and those that they issued.",
    "justification": "Why it was decided so.",
    "key": "The name for programs.",
    "kind": "Whether it is a person or a program.",
    "limit": "The most entries that the page may have.",
    "manager": "The user id of the named manager.",
    "manager_id": "The principal id of the named manager.",
    "message": "What was done.",
    "meta": "Whether and where the list goes on.",
    "metric": "What was measured.",
    "name": "The name: 1 to 200 characters on one line.",
    "next_cursor": "Send it as `cursor` to get the next page; null on the last one.",
    "notes": "The notes, the oldest first.",
    "order": "`desc`, the newest first; or `asc`, the oldest first, up to the watermark.",
    "parameters": "The parameters.",
    "permissions": "What the role permits.",
    "phase": "The phase of the project that it belongs to.",
    "principal_id": "The id of a user or service; its own is in `GET /v1/me`.",
    "priority": "The priority; null for none.",
    "project": "The id of the project that it belongs to.",
    "project_id": "The id of the project that it belongs to.",
    "project_name": "The project's name: 1 to 200 characters on one line.",
    "q": "The beginning of an e-mail address, or of a word of a name; 2 to 100 characters.",
    "records": "How many records the data has.",
    "result": "What came out.",
    "role": "The role's name for programs.",
    "role_id": "The role's id; see `GET /v1/roles`.",
    "since": "Only changes made at this time or later: a day or a time in ISO 8601; UTC unless it says otherwise.",
    "source": "Where the data comes from.",
    "space_id": "The id of the space that it belongs to.",
    "spaces": "The spaces that the caller has a role in.",
    "stalled_tasks": "Tasks on hold, in progress or under review that nobody has touched for more than seven days.",
    "started_at": "When the status first became another one than `pending`; null before.",
    "status": "The status.",
    "task": "The id of the task that it is on.",
    "tasks": "The tasks, the oldest first.",
    "team": "The user ids of the members other than the manager.",
    "tenant_id": "The id of the tenant that it belongs to.",
    "type": "Only events of this type, or of those that begin so, as in `task.*`. May be sent several times.",
    "until": "Only changes made before this time: a day or a time in ISO 8601; UTC unless it says otherwise.",
    "updated_at": "When it was last changed.",
    "user": "The id of who changed it.",
    "webhook_id": "The id of the webhook.",
    "EmailQuery.email": "The e-mail address, in any case.",
    "Me.id": "The same id as the flat dialect spells it.",
    "Dataset._id": "The dataset's id, for the path that deletes it.",
    "Decision._id": "The decision's id, for the path that deletes it.",
    "Experiment._id": "The experiment's id, for the path that deletes it.",
    "NewTeamMember.id": "The user's id: the `_id` that finding or searching users answers.",
    "Note._id": "The note's id, for the path that deletes it.",
    "Person._id": "The user's id, for adding to a team and for assigning tasks.",
    "Project._id": "The project's id, for the paths below `/projects`.",
    "SpaceRole.space_id": "The space's id, for the paths below `/v1/spaces`.",
    "Task._id": "The task's id, for the paths of this task and of its notes.",
    "TaskSummary._id": "The task's id, for the paths of this task and of its notes.",
    "TaskWithNotes._id": "The task's id, for the paths of this task and of its notes.",
    "is_default": "Whether it is the tenant's default space, where `POST /projects` creates.",
    "SpaceRole.name": "The space's name.",
    "tenant_role": "The role in the tenant: an admin manages its spaces, principals and credentials, reads its events, "
    "and may do in every space what an owner may.",
    "V1Dataset.id": "The dataset's id, for the path of this dataset.",
    "V1Decision.id": "The decision's id, for the path of this decision.",
    "V1Experiment.id": "The experiment's id, for the path of this experiment.",
    "V1Project.id": "The project's id, for the paths of this project and of what it holds.",
    "V1ProjectSummary.id": "The project's id, for the paths of this project and of what it holds.",
    "V1Role.id": "The role's id, the same in every tenant, for adding members and changing their roles.",
    "V1Task.id": "The task's id, for the path of this task.",
    "NewProject.description": "What the project is about, up to 10,000 characters.",
    "ProjectRevision.description": "What the project is about, up to 10,000 characters; or unchanged what it "
    "has, which v1 may have made longer.",
    "Project.description": "What the project is about. Of a description that is an object in v1, its `summary`.",
    "Reassignment.task": "The task.",
    "TaskSummary.status": "Its status.",
    "V1.cursor": "Where the page starts: the `next_cursor` of the last page, unchanged.",
    "V1NewMember.email": "The principal's e-mail address, in any case, in the place of `principal_id`.",
    "V1NewProject.description": "An object, a string or null, up to 32 KB as JSON; given back as it was sent.",
    "V1ProjectChange.description": "An object, a string or null, up to 32 KB as JSON; given back as it was sent.",
    "V1ProjectChange.manager_id": "The principal id of the member who is to be the named manager.",
    "V1Project.description": "An object, a string or null, exactly as it was sent.",
}

# What parameters in paths are: whose ids, and where they are from.
PARAMETERS = {
    "credential_id": "The credential's id, from the list of credentials or from the answer that made it.",
    "dataset_id": "The dataset's id, from the list of datasets or from the answer that made it.",
    "decision_id": "The decision's id, from the list of decisions or from the answer that made it.",
    "event_id": "The event's id, from the list of events, or as it was published.",
    "experiment_id": "The experiment's id, from the list of experiments or from the answer that made it.",
    "job_id": "The recovery's id, from the answer that began it.",
    "id": "The project's id: an `_id` of `GET /projects`, 24 lower-case hex digits.",
    "member_id": "The member's `principal_id`, from the list of members.",
    "note_id": "The note's id, from the list of notes or from the answer that added it.",
    "principal_id": "The principal's id: an `id` of `GET /v1/principals`; its own is in `GET /v1/me`.",
    "project_id": "The project's id: an `id` of `GET /v1/spaces/{space_id}/projects`.",
    "space_id": "The space's id: a `space_id` of `GET /v1/me`.",
    "task_id": "The task's id, from the list of tasks or from the answer that made it.",
    "webhook_id": "The webhook's id, from the list of webhooks or from the answer that made it.",
    "user_id": "The user's id: an `_id` of `GET /projects/{id}/team`.",
}
