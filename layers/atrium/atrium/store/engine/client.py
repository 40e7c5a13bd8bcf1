"""The table's client: botocore's own, without the work that it does twice, or for others (decision 0011).

Not boto3's: that imports what moves files to and from S3, which takes a fifth of a cold start.
"""

from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.session import Session

# Maps of attributes, and an attribute's value, as the service's description calls them.
_PLAIN = ("AttributeValue", "AttributeMap", "Key", "PutItemInputAttributeMap", "ExpressionAttributeValueMap")

_CONFIG = Config(
    connect_timeout=1,
    read_timeout=1.5,
    # Retries are Table's: botocore's may sleep 3 s between attempts, whatever time the request has left (decision
    # 0004).
    retries={"total_max_attempts": 1},
    max_pool_connections=10,
    # The service validates too, and Table has no other callers: a fifth of a call.
    parameter_validation=False,
    # A text of its own is sent as it is. botocore's is put together twice in each call, which is a seventh of it.
    user_agent="atrium",
)


class _Descriptions(Loader):
    """botocore's descriptions of services, in which an attribute is JSON: it stands in a request and in an answer as it
    does in the wire form that `table` writes and reads, so nobody need walk through it. Only a binary attribute would
    tell the difference, and Atrium has none."""

    def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:
        described = super().load_service_model(service_name, type_name, api_version)
        if (service_name, type_name) == ("dynamodb", "service-2"):
            plain = {"type": "structure", "members": {}, "document": True}
            described["shapes"] |= dict.fromkeys(_PLAIN, plain)
        return described


def dynamodb() -> Any:
    """A client of DynamoDB in the function's region."""
    # Without what botocore does for other services than DynamoDB: 125 hooks, each of which it looks into.
    session = Session(include_builtin_handlers=False)
    session.register_component("data_loader", _Descriptions())
    return bears_any_failure(session.create_client("dynamodb", config=_CONFIG))


def bears_any_failure(client: Any) -> Any:
    """The client, for which an answer with a status of 500 or more is a ClientError whatever its body is. botocore
    reads each as JSON of a certain form, and raises what Python does where it is another, or no text."""
    client.meta.events.register("before-parse", _without_a_body)
    return client


def _without_a_body(response_dict: dict[str, Any], **_: Any) -> None:
    if response_dict["status_code"] >= 500:
        response_dict["body"] = b""


def is_failure(error: ClientError) -> bool:
    """Whether it is the service that failed, and says nothing about the request, nor whether it was done."""
    return error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500
