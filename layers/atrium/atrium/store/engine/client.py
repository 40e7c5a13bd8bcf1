"""The client of DynamoDB: botocore's, without its work for other services or done twice (decision 0011).

boto3's client would import the transfer of files to and from S3, which takes a fifth of a cold start.
"""

from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.session import Session

# The shapes of an attribute's value and of maps of attributes, as the service's description calls them.
_PLAIN = ("AttributeValue", "AttributeMap", "Key", "PutItemInputAttributeMap", "ExpressionAttributeValueMap")

_CONFIG = Config(
    connect_timeout=1,
    read_timeout=1.5,
    # Table retries: botocore may sleep 3 s between attempts, whatever time the request has left (decision 0004).
    retries={"total_max_attempts": 1},
    max_pool_connections=10,
    # The service validates too. Doing it here takes a fifth of a call.
    parameter_validation=False,
    # A fixed text. botocore's own is put together twice in each call, a seventh of its time.
    user_agent="atrium",
)


class _Descriptions(Loader):
    """botocore's descriptions of services, with attributes declared as plain JSON. wire.py writes and reads them in the
    form that is sent, so botocore need not walk through them. Only a binary attribute would differ, and Atrium has
    none."""

    def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:
        described = super().load_service_model(service_name, type_name, api_version)
        if (service_name, type_name) == ("dynamodb", "service-2"):
            plain = {"type": "structure", "members": {}, "document": True}
            described["shapes"] |= dict.fromkeys(_PLAIN, plain)
        return described


def dynamodb() -> Any:
    """A client of DynamoDB in the function's region."""
    # Without botocore's 125 hooks for other services.
    session = Session(include_builtin_handlers=False)
    session.register_component("data_loader", _Descriptions())
    return bears_any_failure(session.create_client("dynamodb", config=_CONFIG))


def bears_any_failure(client: Any) -> Any:
    """The client, with every answer of status 500 or more raised as a ClientError. botocore would parse its body as
    JSON, and raise an error of Python's where the body is none."""
    client.meta.events.register("before-parse", _without_a_body)
    return client


def _without_a_body(response_dict: dict[str, Any], **_: Any) -> None:
    if response_dict["status_code"] >= 500:
        response_dict["body"] = b""


def is_failure(error: ClientError) -> bool:
    """Whether the service failed, which says nothing about the request, nor whether it was done."""
    return error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500
