"""List projects.

Every project that you can read, as a member or by a role in its space, with its tasks and team. By age, the oldest
first. An entry that does not show all of its tasks has a link of its own, whose `anchor` is the project's URL and whose
`title` is `"tasks"`. Shown are at most a thousand tasks, 200 KB of them, and those in the first 4 MB of the project,
where their descriptions count.
"""

from atrium.api.flat import MAX_PAGE, Cursor, Limit, Projects, ProjectView, flat_api, lambda_handler, listing

# Every project of the page is read with its team and tasks, so this route gets a whole processor.
api = flat_api(permission=None, access="List", memory=1769)


@api.get("/projects")
def list_projects(projects: Projects, limit: Limit = MAX_PAGE, cursor: Cursor | None = None) -> list[ProjectView]:
    return listing(projects.list(limit=limit, after=cursor))


handler = lambda_handler(api)
