"""The cases that are run by schedules, by what could go wrong in them."""

from itertools import combinations_with_replacement

from tests.support.schedules.cases import WRITES

# Routes with If-Match for the changed resource.
MATCHING = [
    *("UpdateProject", "DeleteProject", "V1UpdateProject", "V1DeleteProject", "V1UpdateMember", "V1RemoveMember"),
    *("UpdateTask", "DeleteTask", "V1UpdateTask", "V1DeleteTask", "V1UpdateDataset", "V1DeleteDecision"),
    *("V1UpdateTenant", "V1UpdateSpace", "V1UpdateSpaceMember", "V1RemoveSpaceMember"),
    *("V1UpdateCredential", "V1DeleteCredential", "V1RotateCredential"),
]

# Routes that set fields: a repeated request changes nothing.
SETTING = ["UpdateProject", "UpdateTask", "SetTaskStatus", "SetTaskPhase", "ReassignTask"]
SETTING += [route for route in WRITES if route.startswith("V1Update")]

# The items of a read that come before, or after, the others.
TORN = [1, 2, 3, -1, -2, -3]


def of(project: str, *cases: str) -> list[str]:
    return [f"{project}/{case}" for case in cases]


# Where a race could end with no manager, with a right that is gone, or with something below nothing.
RACES = of(
    "Apollo",
    *("HandOver,Remove", "HandOver,Demote", "HandOver,HandOverToViewer", "HandOverToViewer,V1RemoveMember"),
    *("HandOverToViewer,V1UpdateMember", "HandOver,HandBack@contributor", "HandOver,DemoteOwner@contributor"),
    *("HandOver,RemoveOwner@contributor", "Remove,DemoteOwner@contributor", "Remove,RemoveOwner@contributor"),
    *("Demote,HandBack@contributor", "Demote,Rename@contributor", "Remove,V1DeleteProject@contributor"),
    *("Remove,Remove@contributor", "Demote@contributor,Remove@contributor", "Demote,V1UpdateMember@contributor"),
    *("HandOver!,Demote", "Demote!,HandOver", "Remove!,HandOver", "Remove,UpdateTask", "V1RemoveMember,Assign"),
    *("DeleteTask,AddTaskNote", "V1DeleteProject,AddTaskNote", "DeleteProject,AddTeamMember"),
    *("HandOverToViewer,V1RemoveMember@viewer", "HandOverToViewer,RemoveTeamMember@viewer"),
    *("V1UpdateMember,V1RemoveMember@viewer", "V1RemoveMember,RemoveTeamMember@viewer", "Assign,V1RemoveMember@viewer"),
)
# Where a race could end with a space without an owner, or with a role that is in one of its two rows alone.
OWNERS = of(
    "Apollo",
    *("DemoteInOwned@viewer,DemoteOtherInOwned@contributor", "RemoveFromOwned@viewer,RemoveOtherFromOwned@contributor"),
    *("DemoteInOwned@viewer,RemoveOtherFromOwned@contributor", "DemoteInOwned@contributor,DemoteOtherInOwned@viewer"),
    *("RemoveFromOwned@contributor,RemoveOtherFromOwned@viewer", "DemoteInOwned@contributor,DemoteOtherInOwned"),
    *(
        "JoinOwned@viewer,JoinOwned@contributor",
        "JoinOwned,NewSpace",
        "NewSpace,NewSpace",
        "JoinOwned@viewer,RemoveOtherFromOwned",
    ),
    *(
        "DemoteInOwned@viewer,RemoveFromOwned@viewer",
        "DemoteInOwned,RemoveFromOwned",
        "DemoteInOwned,DemoteInOwned@viewer",
    ),
    *("SameInOwned@viewer,DemoteOtherInOwned@contributor", "DemoteInOwned@viewer,PromoteInOwned"),
    *("V1UpdateSpaceMember,V1RemoveSpaceMember", "V1AddSpaceMember,V1UpdateSpace", "SameSpace,V1UpdateSpace"),
    *("SameTenant,V1UpdateTenant", "DemoteInOwned@viewer!,DemoteInOwned", "V1UpdateTenant!,V1UpdateTenant"),
)
TORN_OWNERS = of(
    "Apollo",
    *(
        f"{one}@contributor~{item},{other}@viewer"
        for one in ("DemoteOtherInOwned", "RemoveOtherFromOwned")
        for item in (1, 2, 3, 4, -1, -2, -3, -4)
        for other in ("DemoteInOwned", "RemoveFromOwned", "RemoveOtherFromOwned")
    ),
)
# Where a tenant could end without an admin, a suspended principal with more than before, or two with one name.
PEOPLE = of(
    "Apollo",
    *(
        f"{one},{other}@second"
        for one in ("DemoteSecond", "SuspendSecond")
        for other in ("DemoteAdmin", "SuspendAdmin", "V1CreatePrincipal")
    ),
    *(
        f"{one},{other}@second"
        for one in ("DemoteAdmin", "SuspendAdmin")
        for other in ("DemoteSecond", "SuspendSecond")
    ),
    *("Suspend,V1AddMember", "Suspend,AddTeamMember", "SuspendHeir,HandOverToViewer", "SuspendHeir,V1UpdateMember"),
    "SuspendContributor,V1CreateProject@contributor",
    *("Email,SameEmail", "SameEmail,SameEmail", "V1UpdatePrincipal,Email", "Email,V1UpdatePrincipal@second"),
)
# Where a credential could be good for longer than what made it, have more than two secrets, or be one too many.
CREDENTIALS = of(
    "Apollo",
    *(
        f"{issue}@root,{end}"
        for issue in ("Issue", "Enrol", "IssueToBot")
        for end in ("RevokeIssued", "Revoke", "EndEarlier")
    ),
    *("IssueLong@root,EndEarlier", "Issue@child,RevokeIssued", "IssueLong@child,EndEarlier", "Issue@child,Revoke"),
    *("Issue@root,RevokeIssued@root", "Issue@root,Issue@root", "Issue@root,NameRoot", "Issue@root,Rotate"),
    *("Rotate,Rotate", "Rotate,Rotate@root", "Rotate@root,Revoke", "Rotate,RevokeIssued@root", "Rotate,EndEarlier"),
    *("Rotate,NameRoot", "RotateChild@root,Revoke", "RotateChild,RevokeIssued", "RotateChild@child,EndEarlier"),
    *("RevokeChild,RevokeIssued", "RevokeChild@child,RotateChild", "EndEarlier,Revoke", "EndEarlier,EndEarlier@root"),
    *(
        "NameRoot,RevokeIssued",
        "Revoke,RevokeIssued@root",
        "Rotate!,NameRoot",
        "Revoke!,EndEarlier",
        "NameRoot!,Issue@root",
    ),
    *("Issue,Issue@root", "IssueToBot@second,IssueToBot@root"),
)
# The holder of credentials is suspended or deleted. A change of its own that gives it nothing may commit behind its
# suspension, like any other request that has read before.
HOLDERS = of(
    "Apollo",
    *(
        f"{request},{change}"
        for request in ("IssueToBot", "IssueToBot@bot", "RotateBot", "RotateBot@bot", "EndBot", "RevokeBot")
        for change in ("SuspendBot", "DeleteBot")
    ),
    *("EndBot@bot,DeleteBot", "RevokeBot@bot,DeleteBot"),
)
# A deletion and what leaves nothing behind it, in either order; where the last admin could go, too.
DELETIONS = of(
    "Apollo",
    *(f"DeleteOutsider,{given}" for given in ("V1AddMember", "AddTeamMember", "NewSpace", "JoinOwned@viewer")),
    *(f"DeleteOutsider,{changed}" for changed in ("V1AddSpaceMember", "Suspend", "DeleteOutsider@second")),
    *(f"DeleteViewer,{changed}" for changed in ("V1UpdateMember", "V1RemoveMember", "Assign", "Enrol", "RevokeIssued")),
    *(f"DeleteViewer,{role}" for role in ("DemoteOtherInOwned@contributor", "RemoveOtherFromOwned", "UpdateTask")),
    *(
        f"DeleteContributor,{own}@contributor"
        for own in ("V1CreateTask", "V1AddMember", "V1RemoveMember", "V1DeleteProject")
    ),
    *("DeleteContributor,Demote", "DeleteContributor,Remove", "DeleteContributor,V1DeleteProject"),
    *(f"DeleteSecond{by},{last}" for by in ("", "@second") for last in ("DemoteAdmin", "SuspendAdmin")),
    *("DeleteSecond,DemoteAdmin@second", "DeleteSecond,SuspendAdmin@second", "DeleteSecond,DemoteSecond"),
    *("V1DeleteSpace,JoinAttic", "V1DeleteSpace,RenameAttic", "V1DeleteSpace,V1DeleteSpace@second"),
)
# A deletion and what may slip in: the purge mends that.
SLIPPED_IN = of(
    "Apollo",
    *("DeleteViewer,HandOverToViewer", "DeleteContributor,HandOver", "DeleteContributor@second,HandOver"),
    # A change of a project hands it over, too.
    "DeleteContributor,V1UpdateProject@contributor",
    *("DeleteContributor,V1CreateProject@contributor", "DeleteContributor,CreateProject@contributor"),
    *("V1DeleteSpace,CreateInAttic", "V1DeleteSpace@second,CreateInAttic", "V1DeleteSpace,CreateInAttic@second"),
    # Who deleted it is no heir any more.
    *("DeleteContributor@second,HandOver,DemoteSecond", "DeleteContributor@second,HandOver,SuspendSecond"),
    *("DeleteContributor@second,HandOver,DeleteSecond", "DeleteContributor,DeleteViewer,HandOverToViewer"),
    *("V1DeleteSpace,CreateInAttic,JoinAttic", "V1DeleteSpace,CreateInAttic@second,DeleteSecond"),
)
TRIPLES = of(
    "Apollo",
    "DemoteInOwned@viewer,DemoteOtherInOwned@contributor,PromoteInOwned",
    "RemoveOtherFromOwned@contributor,RemoveFromOwned@viewer,JoinOwned",
    *("HandOver,Remove,Demote", "HandOver,Remove,RemoveOwner@contributor", "HandOver,Demote,HandBack@contributor"),
    *("HandOver,DemoteOwner@contributor,HandOverToViewer", "HandOverToViewer,V1RemoveMember,V1UpdateMember"),
    *("V1DeleteProject,CreateTask,DeleteProject", "DeleteProject,V1AddMember,V1DeleteProject"),
    *("DeleteTask,AddTaskNote,V1DeleteProject", "DeleteTask,AddTaskNote,DeleteTaskNote"),
    *("Archive,V1CreateTask,Unarchive", "Archive,V1AddMember,Unarchive", "Archive,UpdateProject,Unarchive"),
    *("CreateProject=k,CreateProject=k,CreateProject=k", "V1CreateProject=k,V1CreateProject=k,V1CreateProject=k"),
    *("CreateTask=k,CreateTask=k,CreateTask=k", "V1DeleteProject=k,V1DeleteProject=k,Rename"),
    *("Remove=k,Remove=k,HandOver", "UpdateProject=k,UpdateProject=k,AddTeamMember"),
)


PAIRS = of("Apollo", *(f"{one},{other}" for one, other in combinations_with_replacement(WRITES, 2)))
TWINS = of("Apollo", *(f"{route}=k,{route}=k" for route in WRITES))
WITHOUT_A_KEY = of("Apollo", *(f"{route}=,{route}=" for route in WRITES))
CONDITIONAL = of("Apollo", *(f"{one}!,{other}" for one in MATCHING for other in WRITES))
# Requests with the current values: they change nothing unless another request comes before.
SAME = ["SameProject", "SameWholeProject", "SameMember", "SameTask", "SameStatus"]
OVERTAKEN = of(
    "Apollo",
    *("SameProject,V1UpdateProject", "SameProject,Archive", "SameWholeProject,UpdateProject"),
    *("SameMember,V1UpdateMember", "SameMember,V1RemoveMember", "SameTask,V1UpdateTask", "SameTask,DeleteTask"),
    *("SameStatus,SetTaskStatus", "SameTask,V1DeleteProject", "SameMember,V1DeleteProject"),
)
UNCHANGED = of("Apollo", *(f"{same}{key},{other}" for same in SAME for key in ("", "=") for other in WRITES))
UNCHANGED += of("Apollo", *(f"{same}!,{other}" for same in SAME if same != "SameStatus" for other in WRITES))
UNCHANGED_TWINS = of("Apollo", *(f"{same}=k,{same}=k,{other}" for same in SAME for other in WRITES))
TORN_UNCHANGED = of("Apollo", *(f"{same}~{item},{other}" for same in SAME for item in TORN for other in WRITES))
ARCHIVED = of("Apollo", *(f"{route},Archive" for route in WRITES))
# A caller with a role in the project alone, who loses it during the request; and one who gets a role.
DISMISSED = of(
    "Gemini",
    *(f"{route}@outsider,{change}" for route in [*WRITES, *SAME] for change in ("DemoteOutsider", "RemoveOutsider")),
)
TORN_TWINS = of("Apollo", *(f"{route}=k~{item},{route}=k" for route in WRITES for item in TORN))
TORN_PAIRS = of("Apollo", *(f"{one}~{item},{other}" for one in WRITES for item in TORN for other in WRITES))
# The flat PUT shows all that a query brought: here one that has passed the members before their number changes.
TORN_WHOLE = of(
    "Apollo", *(f"UpdateProject~{n},{other}" for n in (3, 4) for other in ("AddTeamMember", "V1RemoveMember"))
)
# A batch may bring the heir's row from after the hand-over, and META from before it.
TORN_HEIRS = of("Apollo", *(f"{change}~{item},HandOver" for change in ("Demote", "Remove") for item in TORN))
# The items of a commit that are visible first, upwards and downwards: the idempotency record is the last of them.
SHOWN = [1, 2, 3, 4, -1, -2, -3, -4]
SHOWN_TWINS = of("Apollo", *(f"{route}=k^{item},{route}=k^{item}" for route in WRITES for item in SHOWN))
SHOWN_MATCHING = of("Apollo", *(f"{route}=k!^{item},{route}=k!^{item}" for route in MATCHING for item in SHOWN))
SHOWN_PAIRS = of("Apollo", *(f"{one}^{item},{other}" for one in WRITES for item in SHOWN for other in WRITES))
SHOWN_UNCHANGED = of("Apollo", *(f"{one}^{item},{same}" for one in WRITES for item in SHOWN for same in SAME))
# Leaving needs no permission, nor do credentials of one's own.
FREE = ["V1RemoveMember", "RemoveTeamMember", "V1CreateCredential", "V1UpdateCredential", "V1DeleteCredential"]
PROMOTED = of("Apollo", *(f"{route}@viewer,V1UpdateMember" for route in WRITES if route not in FREE))
