"""Get a project's report.

All its records, and the tasks that are stalled: on hold, in progress or under review, and touched by nobody for more
than seven days. What does not fit is behind `Link`, one for each kind.
"""

from atrium.api.flat_records import Id, Reports, ReportView, flat_api, lambda_handler

api = flat_api(permission="project:read", access="List")


@api.get("/projects/<id>/report")
def get_report(id: Id, reports: Reports) -> ReportView:
    return ReportView.of(reports.of(id))


handler = lambda_handler(api)
