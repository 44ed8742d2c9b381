"""Chat, Responses and embeddings by the openai package."""

import json

import openai
from pydantic import BaseModel

from harness import BAD_KEY, BASE, CITY_SCHEMA, KEY, MODELS, PROMPT, SYSTEM, case, error, run

client = openai.OpenAI(base_url=BASE + "/v1", api_key=KEY)
MESSAGES = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": PROMPT}]
WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "The weather of a city",
                                            "parameters": CITY_SCHEMA, "strict": True}}


class Trip(BaseModel):
    city: str
    days: int


def note(c, model, usage):
    c.used(model, usage.prompt_tokens, usage.completion_tokens)


def failure(e):
    return error(e, "status_code", "code", "type", "param", "request_id", "body")


@case
def chat(c):
    r = client.chat.completions.create(model=MODELS["chat"], messages=MESSAGES, temperature=0.2)
    note(c, MODELS["chat"], r.usage)
    return {"reply": r.model_dump(), "request_id": r._request_id}


def collect(stream):
    """The chunks as dumped, and the text they make."""
    chunks = [k.model_dump() for k in stream]
    text = "".join(k["choices"][0]["delta"].get("content") or "" for k in chunks if k["choices"])
    return chunks, text


@case
def stream(c):
    with client.chat.completions.create(model=MODELS["chat"], messages=MESSAGES, stream=True,
                                        stream_options={"include_usage": True}) as s:
        chunks, text = collect(s)
    u = chunks[-1]["usage"]
    c.used(MODELS["chat"], u["prompt_tokens"], u["completion_tokens"])
    return {"text": text, "chunks": chunks}


@case
def stream_plain(c):
    """Without include_usage: the usage that the proxy asks for must not show."""
    with client.chat.completions.create(model=MODELS["chat"], messages=MESSAGES, stream=True) as s:
        chunks, text = collect(s)
    c.used(MODELS["chat"], None, None)
    return {"text": text, "usage": [k["usage"] for k in chunks], "chunks": [
        {n: v for n, v in k.items() if n not in ("id", "created")} for k in chunks]}


@case
def stream_helper(c):
    with client.chat.completions.stream(model=MODELS["chat"], messages=MESSAGES,
                                        stream_options={"include_usage": True}) as s:
        kinds = [e.type for e in s]
        final = s.get_final_completion()
    note(c, MODELS["chat"], final.usage)
    return {"kinds": kinds, "final": final.model_dump()}


@case
def tools(c):
    messages, turns = list(MESSAGES), []
    for _ in range(4):
        r = client.chat.completions.create(model=MODELS["tools"], messages=messages, tools=[WEATHER])
        note(c, MODELS["tools"], r.usage)
        m = r.choices[0].message
        turns.append({"finish": r.choices[0].finish_reason, "message": m.model_dump()})
        if not m.tool_calls:
            break
        messages.append(m)
        for t in m.tool_calls:
            args = json.loads(t.function.arguments)
            messages.append({"role": "tool", "tool_call_id": t.id, "content": json.dumps({"asked": args, "sky": "blue"})})
    return turns


@case
def stream_tools(c):
    s = client.chat.completions.create(model=MODELS["tools"], messages=MESSAGES, tools=[WEATHER], stream=True,
                                       stream_options={"include_usage": True})
    chunks, _ = collect(s)
    c.used(MODELS["tools"], chunks[-1]["usage"]["prompt_tokens"], chunks[-1]["usage"]["completion_tokens"])
    calls = {}
    for k in chunks:
        for d in (k["choices"][0]["delta"].get("tool_calls") or []) if k["choices"] else []:
            at = calls.setdefault(d["index"], {"id": d["id"], "name": d["function"]["name"], "args": ""})
            at["args"] += d["function"]["arguments"] or ""
    return {"calls": calls, "chunks": chunks}


@case
def structured(c):
    r = client.chat.completions.parse(model=MODELS["chat"], messages=MESSAGES, response_format=Trip)
    note(c, MODELS["chat"], r.usage)
    m = r.choices[0].message
    return {"parsed": m.parsed.model_dump() if m.parsed else None, "content": m.content, "finish": r.choices[0].finish_reason}


@case
def responses(c):
    r = client.responses.create(model=MODELS["chat"], instructions=SYSTEM, input=PROMPT)
    c.used(MODELS["chat"], r.usage.input_tokens, r.usage.output_tokens)
    return {"text": r.output_text, "reply": r.model_dump()}


@case
def responses_stream(c):
    with client.responses.stream(model=MODELS["chat"], instructions=SYSTEM, input=PROMPT) as s:
        events = [e.model_dump() for e in s]
        final = s.get_final_response()
    c.used(MODELS["chat"], final.usage.input_tokens, final.usage.output_tokens)
    return {"kinds": [e["type"] for e in events], "events": events, "text": final.output_text}


@case
def responses_tools(c):
    tool = {"type": "function", "name": "get_weather", "description": "The weather of a city",
            "parameters": CITY_SCHEMA, "strict": True}
    items, turns = [{"role": "user", "content": PROMPT}], []
    for _ in range(4):
        r = client.responses.create(model=MODELS["tools"], input=items, tools=[tool], store=False)
        c.used(MODELS["tools"], r.usage.input_tokens, r.usage.output_tokens)
        turns.append([o.model_dump() for o in r.output])
        calls = [o for o in r.output if o.type == "function_call"]
        if not calls:
            break
        items += r.output
        items += [{"type": "function_call_output", "call_id": o.call_id, "output": "blue"} for o in calls]
    return turns


@case
def responses_structured(c):
    r = client.responses.parse(model=MODELS["chat"], input=PROMPT, text_format=Trip)
    c.used(MODELS["chat"], r.usage.input_tokens, r.usage.output_tokens)
    return {"parsed": r.output_parsed.model_dump() if r.output_parsed else None}


@case
def embeddings(c):
    r = client.embeddings.create(model=MODELS["embed"], input=["one", "two words"])
    c.used(MODELS["embed"], r.usage.prompt_tokens, 0)
    return {"vectors": [d.embedding for d in r.data], "model": r.model, "usage": r.usage.model_dump()}


def refused(model):
    try:
        client.chat.completions.create(model=model, messages=MESSAGES)
    except openai.APIStatusError as e:
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
        client.with_options(max_retries=0).chat.completions.create(model=MODELS["429"], messages=MESSAGES)
    except openai.RateLimitError as e:
        return failure(e) | {"retry_after": e.response.headers.get("retry-after")}
    return "no error"


@case
def error_500(c):
    return refused(MODELS["500"])


@case
def error_stream(c):
    """An error of the upstream on a streamed request is still an HTTP error."""
    try:
        client.with_options(max_retries=0).chat.completions.create(model=MODELS["500"], messages=MESSAGES, stream=True,
                                                               stream_options={"include_usage": True})
    except openai.InternalServerError as e:
        return failure(e)
    return "no error"


def retried(c, model):
    raw = client.chat.completions.with_raw_response.create(model=model, messages=MESSAGES)
    r = raw.parse()
    note(c, model, r.usage)
    return {"retries": raw.retries_taken, "text": r.choices[0].message.content}


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
    s = client.chat.completions.create(model=MODELS["slow"], messages=MESSAGES, stream=True)
    text = []
    for k in s:
        if k.choices and k.choices[0].delta.content:
            text.append(k.choices[0].delta.content)
        if len(text) == 3:
            break
    s.close()
    return {"text": text}


@case
def truncated(c):
    """The upstream ends the stream early and cleanly: through Weir that is told."""
    text, failed = "", None
    try:
        with client.chat.completions.create(model=MODELS["truncated"], messages=MESSAGES, stream=True) as s:
            for k in s:
                text += k.choices[0].delta.content or ""
    except openai.APIError as e:
        failed = type(e).__name__
    return {"text": text, "failed": failed}


@case
def timeout(c):
    try:
        client.with_options(timeout=1, max_retries=0).chat.completions.create(model=MODELS["late"], messages=MESSAGES)
    except openai.APITimeoutError as e:
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
        client.with_options(api_key=BAD_KEY).chat.completions.create(model=MODELS["chat"], messages=MESSAGES)
    except openai.AuthenticationError as e:
        return failure(e)
    return "no error"


run()
