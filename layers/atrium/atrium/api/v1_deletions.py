"""The v1 dialect: deletions of what a tenant consists of."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Depends

from atrium.api.resolver import request_work
from atrium.api.v1 import Id, lambda_handler, v1_api
from atrium.store import deletions
from atrium.store.engine.work import Work

__all__ = ["Deletions", "Id", "lambda_handler", "v1_api"]


def _deletions(work: Annotated[Work, Depends(request_work)]) -> deletions.Deletions:
    return deletions.Deletions(work)


Deletions = Annotated[deletions.Deletions, Depends(_deletions)]
