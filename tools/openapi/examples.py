"""The samples in the OpenAPI document. Those of projects and members are those of the dialects' own documents, with ids
that are ids where a document has placeholders.
"""

from typing import Any

from pydantic.alias_generators import to_camel

from atrium.api.v1 import RolePage
from atrium.ids import to_uuid
from atrium.permissions import Role

PROJECT, MANAGER, MEMBER, TASK = (f"64a1f2c3b4e5d6f7a8b9c0{end}" for end in ("d1", "d0", "d2", "e1"))
RECORD, NOTE, EVENT = (f"64a1f2c3b4e5d6f7a8b9c0{end}" for end in ("f1", "f2", "f3"))
SPACE = "123e4567-e89b-12d3-a456-426614174000"
TENANT = to_uuid("64a1f2c3b4e5d6f7a8b9c0a0")
ROLE = Role.CONTRIBUTOR

_CHURN = {
    "projectName": "Customer Churn Model",
    "clientName": "Acme Corp",
    "description": "Predict customer churn using historical transaction data.",
}
_CHURN_V2 = {
    "projectName": "Customer Churn Model v2",
    "clientName": "Acme Corp",
    "description": "Updated scope to include real-time scoring.",
}
_REDESIGN = {
    "name": "Website Redesign Q3",
    "description": {"summary": "Redesign company website for improved UX and SEO"},
}
_AT = {"created_at": "2025-04-05T10:00:00Z", "updated_at": "2025-04-05T10:00:00Z"}
_LATER = {"created_at": "2025-04-05T10:05:00Z", "updated_at": "2025-04-05T10:05:00Z"}

_TASK = {"name": "Collect raw data", "description": "Export two years of transactions.", "phase": "data_understanding"}
_PLAN = {"estimated_hours": 12.5, "priority": "high", "deadline": "2025-05-01T00:00:00Z"}
_DATASET = {
    "name": "Transactions",
    "source": "https://data.example.com/transactions.csv",
    "description": "Two years of card transactions.",
    "acquisition_date": "2025-03-31T00:00:00Z",
    "phase": "data_understanding",
    "records": 1250000,
}
_EXPERIMENT = {
    "name": "Baseline",
    "algorithm_model": "Logistic regression",
    "parameters": "C=1.0, balanced classes",
    "metric": "AUC",
    "result": "0.81",
    "conclusion": "Good enough to start from.",
    "phase": "modeling",
}
_DECISION = {
    "description": "Score customers once a week.",
    "justification": "Nobody acts on it faster.",
    "alternatives": "Scoring in real time.",
    "phase": "deployment",
}
_RECORDS: dict[str, dict[str, Any]] = {"Dataset": _DATASET, "Experiment": _EXPERIMENT, "Decision": _DECISION}


def page(entry: dict[str, Any]) -> dict[str, Any]:
    """The last page of a list in v1."""
    return {"data": [entry], "meta": {"has_more": False, "next_cursor": None}}


def _camel(fields: dict[str, Any]) -> dict[str, Any]:
    return {to_camel(name): value for name, value in fields.items()}


def _flat_record(id: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {"_id": id, "project": PROJECT, "createdBy": MANAGER, **_camel(_AT), **_camel(fields)}


def _v1_record(id: str, fields: dict[str, Any]) -> dict[str, Any]:
    ids = {
        "id": to_uuid(id),
        "tenant_id": TENANT,
        "space_id": SPACE,
        "project_id": to_uuid(PROJECT),
        "created_by": to_uuid(MANAGER),
    }
    return {**ids, **_AT, **fields}


_DONE = {
    **_TASK,
    **_PLAN,
    "status": "completed",
    "completed": True,
    "started_at": "2025-04-06T09:00:00Z",
    "finished_at": "2025-04-08T16:30:00Z",
}
_FLAT_TASK = {
    **_flat_record(TASK, _DONE),
    "assignedTo": MEMBER,
    "completedBy": [
        {"user": MEMBER, "status": "inProgress", "at": "2025-04-06T09:00:00Z"},
        {"user": MEMBER, "status": "completed", "at": "2025-04-08T16:30:00Z"},
    ],
}
_V1_TASK = {
    **_v1_record(TASK, _DONE),
    "assigned_to": to_uuid(MEMBER),
    "completed_by": [
        {"principal_id": to_uuid(MEMBER), "status": "inProgress", "at": "2025-04-06T09:00:00Z"},
        {"principal_id": to_uuid(MEMBER), "status": "completed", "at": "2025-04-08T16:30:00Z"},
    ],
}
_NOTE = {
    "_id": NOTE,
    "task": TASK,
    "content": "The export of 2023 lacks December.",
    "createdBy": MANAGER,
    "createdAt": "2025-04-07T08:15:00Z",
}
_NEW_PROJECT = {"_id": PROJECT, **_CHURN, "manager": MANAGER, "tasks": [], "team": []}
_V1_PROJECT = {
    "id": to_uuid(PROJECT),
    "tenant_id": TENANT,
    "space_id": SPACE,
    **_REDESIGN,
    "manager_id": to_uuid(MANAGER),
    "created_by": to_uuid(MANAGER),
    "status": "active",
    **_AT,
}
_V1_MEMBER = {
    "tenant_id": TENANT,
    "project_id": to_uuid(PROJECT),
    "principal_id": to_uuid(MEMBER),
    "role_id": ROLE.uuid,
    "status": "active",
    **_LATER,
}
_STALLED = {**_FLAT_TASK, "status": "onHold", "completed": False, "finishedAt": None, "completedBy": []}

# One of each, by the components' names: what is sent, and what is answered.
OF = {
    "NewProject": _CHURN,
    "ProjectRevision": _CHURN_V2,
    "Project": {
        **_NEW_PROJECT,
        "tasks": [{"_id": TASK, "name": "Collect raw data", "status": "completed"}],
        "team": [MANAGER, MEMBER],
    },
    "NewTask": {**_camel(_TASK), **_camel(_PLAN), "assignedTo": MEMBER},
    "TaskRevision": {"name": _TASK["name"], "description": _TASK["description"], "priority": "high"},
    "TaskStatusChange": {"status": "inProgress"},
    "TaskPhaseChange": {"phase": "data_preparation"},
    "TaskAssignment": {"assignedTo": MEMBER},
    "Task": _FLAT_TASK,
    "TaskWithNotes": {**_FLAT_TASK, "notes": [_NOTE]},
    "Reassignment": {"message": "Task reassigned successfully.", "task": _FLAT_TASK},
    "NewNote": {"content": _NOTE["content"]},
    "Note": _NOTE,
    **{f"New{kind}": _camel(fields) for kind, fields in _RECORDS.items()},
    **{kind: _flat_record(RECORD, fields) for kind, fields in _RECORDS.items()},
    "Report": {
        "tasks": [_STALLED],
        **{f"{kind.lower()}s": [_flat_record(RECORD, fields)] for kind, fields in _RECORDS.items()},
        "stalledTasks": [_STALLED],
    },
    "NewTeamMember": {"id": MEMBER},
    "EmailQuery": {"email": "ada@acme.example"},
    "Person": {"_id": MEMBER, "name": "Ada Lovelace", "email": "ada@acme.example"},
    "V1NewProject": _REDESIGN,
    "V1ProjectChange": {"description": {"summary": "Updated scope to include mobile optimization"}},
    "V1Project": _V1_PROJECT,
    "V1NewMember": {"principal_id": to_uuid(MEMBER), "role_id": ROLE.uuid},
    "V1MemberChange": {"role_id": ROLE.uuid},
    "V1Member": _V1_MEMBER,
    "V1NewPrincipal": {"name": "Ada Lovelace", "email": "ada@acme.example", "external_id": "00u1a2b3"},
    "V1PrincipalChange": {"status": "suspended"},
    "V1NewTask": {**_TASK, **_PLAN, "assigned_to": to_uuid(MEMBER)},
    "V1TaskChange": {"status": "underReview", "completed": True},
    "V1Task": _V1_TASK,
    **{f"V1New{kind}": fields for kind, fields in _RECORDS.items()},
    "V1DatasetChange": {"records": 1300000},
    "V1ExperimentChange": {"result": "0.84", "conclusion": "Better features helped."},
    "V1DecisionChange": {"phase": "evaluation"},
    **{f"V1{kind}": _v1_record(RECORD, fields) for kind, fields in _RECORDS.items()},
    "V1ProjectPage": page({name: value for name, value in _V1_PROJECT.items() if name != "description"}),
    "V1RolePage": RolePage.catalogue().model_dump(),
    "V1Me": {
        "principal_id": to_uuid(MANAGER),
        "id": MANAGER,
        "tenant_id": TENANT,
        "kind": "user",
        "name": "Grace Hopper",
        "email": "grace@acme.example",
        "tenant_role": "member",
        "spaces": [{"space_id": SPACE, "name": "Acme", "is_default": True, "role_id": ROLE.uuid, "role": ROLE.key}],
        "credential": {
            "id": "5a1f09d2-2c31-8000-8000-7be01c66a4d8",
            "kind": "token",
            "name": "Laptop",
            "permissions": None,
            "space_ids": None,
            "project_ids": None,
            "expires_at": None,
        },
    },
    "V1CredentialChange": {"name": "CI of the website, until March"},
}

# Where the answer of one operation is another one than that of the rest: as the documents have it.
ANSWERS: dict[str, Any] = {
    **{
        f"delete_{kind}": {"message": f"{kind.title()} deleted successfully."}
        for kind in ("project", "task", "dataset", "experiment", "decision")
    },
    "delete_task_note": {"message": "Note deleted successfully."},
    "remove_team_member": {"message": "Team member removed successfully."},
    "list_projects": [{**_NEW_PROJECT, "team": [MANAGER]}],
    "create_project": _NEW_PROJECT,
    "update_project": {**_NEW_PROJECT, **_CHURN_V2},
    "v1_update_project": {**_V1_PROJECT, "description": {"summary": "Updated scope to include mobile optimization"}},
}

PARAMETERS = {
    "id": PROJECT,
    "task_id": TASK,
    "note_id": NOTE,
    "dataset_id": RECORD,
    "experiment_id": RECORD,
    "decision_id": RECORD,
    "event_id": EVENT,
    "user_id": MEMBER,
    "space_id": SPACE,
    "project_id": to_uuid(PROJECT),
    "member_id": to_uuid(MEMBER),
    "principal_id": to_uuid(MANAGER),
    "webhook_id": "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0e1",
    "job_id": "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0e9",
    "credential_id": "5a1f09d2-2c31-8000-8000-7be01c66a4d8",
    "q": "ada",
}
