"""The function blocks of the routes in template.yaml."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from tools.routes import Route


def function_blocks(routes: Iterable[Route]) -> str:
    """The YAML of the routes' functions, each dialect under a heading of its own."""
    return "\n".join(
        f"  # {'-' * 64} {heading}\n" + "\n".join("".join(f"{line}\n" for line in _block(route)) for route in each)
        for heading, each in groupby(routes, key=_heading)
    )


def _heading(route: Route) -> str:
    if route.public:
        return "for everybody: no credential, no table"
    return f"{'v1' if route.prefix else 'flat'} dialect"


def _block(route: Route) -> Iterator[str]:
    yield f"  {route.name}:"
    yield "    Type: AWS::Serverless::Function"
    yield "    Properties:"
    yield f"      Handler: {route.file.replace('/', '.')}.handler"
    yield f"      Role: !GetAtt {route.access}Role.Arn"
    if route.memory:
        yield f"      MemorySize: {route.memory}"
    yield "      Events:"
    # HEAD is GET without the body (RFC 9110, 9.3.2). A route with a credential has no use for it.
    for event, method in {"Route": route.method, **({"Head": "HEAD"} if route.public else {})}.items():
        auth = ", Auth: {Authorizer: NONE}" if route.public else ""
        yield f"        {event}:"
        yield "          Type: Api"
        yield f'          Properties: {{RestApiId: !Ref Api, Method: {method}, Path: "{route.path}"{auth}}}'
