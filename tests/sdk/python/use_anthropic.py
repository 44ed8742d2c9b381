"""Messages by the anthropic package."""

import anthropic
from pydantic import BaseModel

from harness import BAD_KEY, BASE, CITY_SCHEMA, KEY, MODELS, PROMPT, SYSTEM, case, error, run

client = anthropic.Anthropic(base_url=BASE, api_key=KEY)
MESSAGES = [{"role": "user", "content": PROMPT}]
WEATHER = {"name": "get_weather", "description": "The weather of a city", "input_schema": CITY_SCHEMA}


class Trip(BaseModel):
    city: str
    days: int


def note(c, model, u):
    c.used(model, u.input_tokens + (u.cache_creation_input_tokens or 0) + (u.cache_read_input_tokens or 0), u.output_tokens)


def failure(e):
    return error(e, "status_code", "type", "request_id", "body")


def ask(**kw):
    return dict({"model": MODELS["chat"], "max_tokens": 200, "system": SYSTEM, "messages": MESSAGES}, **kw)


@case
def chat(c):
    r = client.messages.create(**ask())
    note(c, MODELS["chat"], r.usage)
    return {"reply": r.model_dump(), "request_id": r._request_id}


@case
def stream(c):
    with client.messages.create(**ask(stream=True)) as s:
        events = [e.model_dump() for e in s]
    start = next(e for e in events if e["type"] == "message_start")["message"]["usage"]
    end = [e for e in events if e["type"] == "message_delta"][-1]["usage"]
    c.used(MODELS["chat"], start["input_tokens"] + (start["cache_creation_input_tokens"] or 0)
           + (start["cache_read_input_tokens"] or 0), end["output_tokens"])
    return events


@case
def stream_helper(c):
    with client.messages.stream(**ask()) as s:
        text = list(s.text_stream)
        final = s.get_final_message()
    note(c, MODELS["chat"], final.usage)
    return {"text": text, "final": final.model_dump()}


@case
def tools(c):
    messages, turns = list(MESSAGES), []
    for _ in range(4):
        r = client.messages.create(**ask(model=MODELS["tools"], messages=messages, tools=[WEATHER]))
        note(c, MODELS["tools"], r.usage)
        turns.append({"stop": r.stop_reason, "content": [b.model_dump() for b in r.content]})
        calls = [b for b in r.content if b.type == "tool_use"]
        if not calls:
            break
        messages += [{"role": "assistant", "content": r.content},
                     {"role": "user", "content": [{"type": "tool_result", "tool_use_id": b.id, "content": "blue"} for b in calls]}]
    return turns


@case
def stream_tools(c):
    with client.messages.stream(**ask(model=MODELS["tools"], tools=[WEATHER])) as s:
        kinds = [e.type for e in s]
        final = s.get_final_message()
    note(c, MODELS["tools"], final.usage)
    return {"kinds": kinds, "content": [b.model_dump() for b in final.content], "stop": final.stop_reason}


@case
def structured(c):
    r = client.messages.parse(**ask(output_format=Trip))
    note(c, MODELS["chat"], r.usage)
    return {"parsed": r.parsed_output.model_dump() if r.parsed_output else None, "stop": r.stop_reason}


@case
def count_tokens(c):
    return client.messages.count_tokens(model=MODELS["chat"], system=SYSTEM, messages=MESSAGES, tools=[WEATHER]).model_dump()


@case
def beta(c):
    r = client.beta.messages.create(**ask(betas=["context-management-2025-06-27", "made-up-2030-01-01"]))
    note(c, MODELS["chat"], r.usage)
    return r.model_dump()


def refused(model):
    try:
        client.messages.create(**ask(model=model))
    except anthropic.APIStatusError as e:
        return failure(e)
    return "no error"


@case
def error_400(c):
    return refused(MODELS["400"])


@case
def error_401(c):
    return refused(MODELS["401"])


@case
def error_404(c):
    return refused(MODELS["404"])


@case
def error_429(c):
    try:
        client.with_options(max_retries=0).messages.create(**ask(model=MODELS["429"]))
    except anthropic.RateLimitError as e:
        return failure(e) | {"retry_after": e.response.headers.get("retry-after")}
    return "no error"


@case
def error_529(c):
    return refused(MODELS["529"])


@case
def error_stream(c):
    try:
        client.with_options(max_retries=0).messages.create(**ask(model=MODELS["500"], stream=True))
    except anthropic.InternalServerError as e:
        return failure(e)
    return "no error"


def retried(c, model):
    raw = client.messages.with_raw_response.create(**ask(model=model))
    r = raw.parse()
    note(c, model, r.usage)
    return {"retries": raw.retries_taken, "content": [b.model_dump() for b in r.content]}


@case
def retry_429(c):
    return retried(c, MODELS["retry_429"])


@case
def retry_500(c):
    return retried(c, MODELS["retry_500"])


@case
def absorbed(c):
    """Failures that Weir's own retries make good."""
    return retried(c, MODELS["absorbed"])


@case
def exhausted(c):
    """What Weir has retried in vain must not be retried on top."""
    return refused(MODELS["exhausted"])


@case
def abort(c):
    text = []
    with client.messages.create(**ask(model=MODELS["slow"], stream=True)) as s:
        for e in s:
            if e.type == "content_block_delta":
                text.append(e.delta.text)
            if len(text) == 3:
                break
    return {"text": text}


@case
def truncated(c):
    """The upstream ends the stream early and cleanly: through Weir that is told."""
    text, failed = "", None
    try:
        with client.messages.create(**ask(model=MODELS["truncated"], stream=True)) as s:
            for e in s:
                if e.type == "content_block_delta":
                    text += e.delta.text
    except anthropic.APIError as e:
        failed = type(e).__name__
    return {"text": text, "failed": failed}


@case
def timeout(c):
    try:
        client.with_options(timeout=1, max_retries=0).messages.create(**ask(model=MODELS["late"]))
    except anthropic.APITimeoutError as e:
        return error(e)
    return "no error"


@case
def model_list(c):
    return [m.id for m in client.models.list()]


@case
def unknown_model(c):
    return refused(MODELS["unknown"])


@case
def bad_key(c):
    try:
        client.with_options(api_key=BAD_KEY).messages.create(**ask())
    except anthropic.AuthenticationError as e:
        return failure(e)
    return "no error"


run()
