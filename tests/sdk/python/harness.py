"""What the Python programs share: the cases' registry, a log of the HTTP that
the SDK did, and the JSON lines that the runner reads.

A program prints one line per case: what the SDK's user sees ("seen"), each
HTTP exchange behind it ("http"), and per answered call the model and the
tokens as the SDK reported them ("usage").
"""

import asyncio
import json
import os
import sys
import time

import httpx2

BASE = os.environ["SDK_BASE"]  # http://host:port
KEY = os.environ["SDK_KEY"]
MODELS = json.loads(os.environ["SDK_MODELS"])  # purpose -> model name
BAD_KEY = os.environ["SDK_BAD_KEY"]
NAME = os.environ["SDK_NAME"]
ONLY = os.environ.get("SDK_ONLY", "")
TARGETS = json.loads(os.environ.get("SDK_TARGETS", "{}"))  # vendor -> its models, where every vendor's are asked

_cases = []
_now = None  # the case under way

PROMPT = "Say something about the weather in Paris."
SYSTEM = "You are terse."
CITY_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}


class Case:
    """The record of one case."""

    def __init__(self, name):
        self.name, self.http, self.usage = name, [], []

    def used(self, model, tokens_in, tokens_out):
        """Notes the tokens of one answered call: all input, all output."""
        self.usage.append({"model": model, "in": tokens_in, "out": tokens_out})


def case(fn):
    _cases.append(fn)
    return fn


def _watch(real):
    """Marks each request with its case and logs each response, whatever the SDK."""

    def send(self, request, **kw):
        request.headers["x-weir-session"] = f"{NAME}/{_now.name}"
        began = time.monotonic()
        response = real(self, request, **kw)
        _now.http.append({"status": response.status_code, "headers": sorted(response.headers.multi_items()),
                          "at": began})
        return response

    return send


def _watch_async(real):
    """As _watch, for clients that are awaited."""

    async def send(self, request, **kw):
        request.headers["x-weir-session"] = f"{NAME}/{_now.name}"
        began = time.monotonic()
        response = await real(self, request, **kw)
        _now.http.append({"status": response.status_code, "headers": sorted(response.headers.multi_items()),
                          "at": began})
        return response

    return send


httpx2.Client.send = _watch(httpx2.Client.send)
httpx2.AsyncClient.send = _watch_async(httpx2.AsyncClient.send)
_loop = asyncio.new_event_loop()  # one for all: an async client's connections belong to it


def wait(awaitable):
    """The result of what an async client gives."""
    return _loop.run_until_complete(awaitable)


def walk(stream, close):
    """The events of an async stream; it is closed when its reader stops."""

    async def step():
        return await anext(stream, None)

    try:
        while (event := wait(step())) is not None:
            yield event
    finally:
        wait(close())


def gaps(http):
    """Whole seconds waited before each retry are the SDK's answer to retry-after."""
    times = [h.pop("at") for h in http]
    return [int(b - a) for a, b in zip(times, times[1:])]


def error(e, *fields):
    """What a program that catches e can act on."""
    seen = {"class": type(e).__name__, "message": str(e)}
    for f in fields:
        seen[f] = getattr(e, f, None)
    return {"error": seen}


def tagged(text):
    """A text with the name of its case, so that the runner finds it at the upstream."""
    return f"{text} [{NAME}/{_now.name}]"


def run():
    for target, models in TARGETS.items():
        MODELS.clear()
        MODELS.update(models)
        _run(target + ":")
    if not TARGETS:
        _run("")


def _run(prefix):
    global _now
    for fn in _cases:
        if ONLY and fn.__name__ != ONLY:
            continue
        _now = Case(prefix + fn.__name__)
        try:
            seen = fn(_now)
        except Exception as e:  # the runner compares it like any other result
            seen = {"raised": f"{type(e).__module__}.{type(e).__name__}: {e}"}
        line = {"case": _now.name, "seen": seen, "http": _now.http, "usage": _now.usage, "gaps": gaps(_now.http)}
        print(json.dumps(line, default=str), flush=True)
    sys.stdout.flush()
