"""GET /projects/{id}/report"""

from atrium.api.flat_records import Id, Reports, ReportView, flat_api, lambda_handler

api = flat_api()


@api.get("/projects/<id>/report")
def get_report(id: Id, reports: Reports) -> ReportView:
    return ReportView.of(reports.of(id))


handler = lambda_handler(api)
