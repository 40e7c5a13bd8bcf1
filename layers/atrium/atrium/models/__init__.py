"""Atrium's things, as values: how they are kept is `store`'s, how they are shown is `api`'s.

A value that has no subclasses and is not stored field by field is a NamedTuple: a cold start makes its class in a
twentieth of a dataclass's time.
"""

from atrium.models.callers import ENROLS, OPERATOR, Caller, Issuer, Narrowing
from atrium.models.credentials import Credential, CredentialKind, CredentialStatus, Held
from atrium.models.events import Event
from atrium.models.members import Member, Membership, SpaceMember, Who
from atrium.models.moments import moment_of, timestamp
from atrium.models.pages import Page
from atrium.models.people import ACTIVE, Me, Person, Principal, PrincipalKind, PrincipalStatus, Space, SpaceRole, Tenant
from atrium.models.projects import Joined, Project, ProjectRow, Report, ShownTask, Status, WholeProject
from atrium.models.records import Dataset, Decision, Experiment, Note, Phase, Priority, Record, Task, TaskStatus
from atrium.models.webhooks import (
    Circuit,
    Delivery,
    DeliveryStatus,
    Recovery,
    RecoveryStatus,
    ShownDelivery,
    Webhook,
    WebhookStatus,
)

__all__ = [
    "ACTIVE",
    "ENROLS",
    "OPERATOR",
    "Caller",
    "Circuit",
    "Credential",
    "CredentialKind",
    "CredentialStatus",
    "Dataset",
    "Decision",
    "Delivery",
    "DeliveryStatus",
    "Event",
    "Experiment",
    "Held",
    "Issuer",
    "Joined",
    "Me",
    "Member",
    "Membership",
    "Narrowing",
    "Note",
    "Page",
    "Person",
    "Phase",
    "Principal",
    "PrincipalKind",
    "PrincipalStatus",
    "Priority",
    "Project",
    "ProjectRow",
    "Record",
    "Recovery",
    "RecoveryStatus",
    "Report",
    "ShownDelivery",
    "ShownTask",
    "Space",
    "SpaceMember",
    "SpaceRole",
    "Status",
    "Task",
    "TaskStatus",
    "Tenant",
    "Webhook",
    "WebhookStatus",
    "Who",
    "WholeProject",
    "moment_of",
    "timestamp",
]
