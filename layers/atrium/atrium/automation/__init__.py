"""Functions without a URL, invoked by the stream, the bus, a queue, a timer or an operator. They know no HTTP."""
