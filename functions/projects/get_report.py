"""Get a project's report.

The report has all records of the project, and its stalled tasks: those on hold, in progress or under review that have
not changed for more than seven days. `Link` names the pages with the records that do not fit, one for each kind.
"""

from atrium.api.flat_records import Id, Reports, ReportView, flat_api, lambda_handler

api = flat_api(permission="project:read", access="List")


@api.get("/projects/<id>/report")
def get_report(id: Id, reports: Reports) -> ReportView:
    return ReportView.of(reports.of(id))


handler = lambda_handler(api)
