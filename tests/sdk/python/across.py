"""The scenarios that every SDK runs against the models of every vendor, each
spoken to in the SDK's own dialect.

A program gives a class per API with

    Talk(c, model)              a conversation with the system prompt SYSTEM
    .say(text, image=None)      a turn of the user; image is base64 of a PNG
    .give(results)              results of tools: (id, name, text), in the order of the calls;
                                with a picture, too, where it has .picture(image)
    .ask(stream, **want)        the model's turn, as turn() makes it; it also keeps it.
                                want: tools, force (a call), schema, think, limit (tokens)
    .pieces()                   an iterator over the pieces of text of a stream
    PREFIX, FAILURES            of the cases' names; the SDK's errors
    failure(e)                  what its user can act on
"""

import base64
import json
import struct
import zlib

from harness import CITY_SCHEMA, MODELS, PROMPT, case, tagged

TOOLS = {"get_weather": "The weather of a city", "get_time": "The time in a city"}
RESULTS = {"get_weather": "sky-blue", "get_time": "at-noon"}


def _png():
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + b"\x20\x60\xff" * 8 for _ in range(8)))) + chunk(b"IEND", b""))


PICTURE = base64.b64encode(_png()).decode()


def few():
    """Texts to embed, the last of them with the name of the case."""
    return ["one", "two words", tagged("three words more")]


def many():
    return [f"word{i} of {i % 7}" for i in range(150)] + [tagged("the last")]


def vectors(all):
    """What embeddings are: all that can be compared, which the last one cannot, since its text names the case."""
    return {"count": len(all), "vectors": all[:-1]}


def turn(text, calls, finish, thought=None):
    """A turn of the model: calls are (id, name, arguments). thought is None where the SDK cannot show it."""
    return {"text": text or "", "calls": calls, "finish": finish, "thought": thought}


def told(t):
    """A turn without its ids, which are checked here: each once, none empty."""
    ids = [i for i, _, _ in t["calls"]]
    return t | {"calls": [{"name": n, "args": a} for _, n, a in t["calls"]],
                "ids": "unlike" if len(set(ids)) == len(ids) and all(ids) else repr(ids)}


def _give(talk, t):
    talk.give([(i, n, RESULTS[n]) for i, n, _ in t["calls"]])


def _chat(talk, stream):
    talk.say(tagged(PROMPT))
    return told(talk.ask(stream))


def _tools(talk, stream):
    """Three turns: two calls at once, two more that are forced, and the answer."""
    talk.say(tagged("Use get_weather and get_time in Paris."))
    turns = []
    for want in ({}, {"force": True}, {}):
        t = talk.ask(stream, tools=True, **want)
        turns.append(told(t))
        if t["calls"]:
            _give(talk, t)
    return turns


def _thinking(talk, stream):
    """Two questions, each answered by calls and then by words, with thoughts before."""
    turns = []
    for text in ("Use get_weather and get_time in Paris.", "And get_weather in Rome?"):
        talk.say(tagged(text))
        for _ in range(2):
            t = talk.ask(stream, tools=True, think=True)
            turns.append(told(t))
            if t["calls"]:
                _give(talk, t)
    return turns


ASYNC = ("tools_stream", "abort", "failing", "error_400_stream")  # what differs where a client is awaited


def scenarios(talk, think=True, only=None):
    """Registers the cases of one API."""

    def add(name, model, fn):
        if only and name not in only:
            return

        def run(c):
            return fn(c, talk(c, MODELS[model] + (f"-{talk.PREFIX}{name}" if model.startswith("retry") else "")))

        run.__name__ = talk.PREFIX + name
        case(run)

    for name, stream in ("", False), ("_stream", True):
        add("chat" + name, "chat", lambda c, t, s=stream: _chat(t, s))
        add("tools" + name, "tools", lambda c, t, s=stream: _tools(t, s))
        if think:
            add("thinking" + name, "think", lambda c, t, s=stream: _thinking(t, s))
        add("error_400" + name, "400", lambda c, t, s=stream: _refused(t, s))
    add("prefixed", "prefixed", lambda c, t: _chat(t, False))

    def structured(c, t):
        t.say(tagged(PROMPT))
        got = told(t.ask(False, schema=True))
        return got | {"text": json.loads(got["text"])}

    def image(c, t):
        t.say(tagged("What is in this picture?"), PICTURE)
        return told(t.ask(False))

    def short(c, t):
        t.say(tagged(PROMPT))
        return told(t.ask(False, limit=16))

    def abort(c, t):
        t.say(tagged(PROMPT))
        text, s = [], t.pieces()
        for piece in s:
            if piece:
                text.append(piece)
            if len(text) == 3:
                break
        s.close()
        return {"text": text}

    def truncated(c, t):
        """The upstream ends the stream early and cleanly: through Weir that is told."""
        text, failed = "", False
        t.say(tagged(PROMPT))
        try:
            for piece in t.pieces():
                text += piece or ""
        except Exception:  # an error of the API or of the connection
            failed = True
        return {"text": text, "failed": failed}

    def tool_image(c, t):
        """A tool that gives a picture."""
        t.say(tagged("Use get_weather in Paris."))
        calls = t.ask(False, tools=True)["calls"]
        t.give([(i, n, RESULTS[n]) for i, n, _ in calls], PICTURE)
        return told(t.ask(False, tools=True))

    def failing(c, t):
        """The upstream tells of an error after some text."""
        text, failed = "", None
        t.say(tagged(PROMPT))
        try:
            for piece in t.pieces():
                text += piece or ""
        except Exception as e:
            failed = type(e).__name__
        return {"text": bool(text), "failed": failed}

    if hasattr(talk, "kept"):
        add("kept", "chat", lambda c, t: t.kept(False))
        add("kept_stream", "chat", lambda c, t: t.kept(True))
    if hasattr(talk, "picture"):
        add("tool_image", "chat", tool_image)
    add("failing", "failing", failing)
    add("error_401", "401", lambda c, t: _refused(t, False))
    add("error_404", "404", lambda c, t: _refused(t, False))
    add("structured", "chat", structured)
    add("image", "chat", image)
    add("short", "long", short)
    add("retry_429", "retry_429", lambda c, t: _chat(t, False))
    add("abort", "slow", abort)
    add("truncated", "truncated", truncated)


def _refused(talk, stream):
    talk.say(tagged(PROMPT))
    try:
        talk.ask(stream)
    except talk.FAILURES as e:
        return talk.failure(e)
    return "no error"


def tool_list(wrap):
    return [wrap(n, d, CITY_SCHEMA) for n, d in TOOLS.items()]
