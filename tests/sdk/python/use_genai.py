"""The Gemini API by the google-genai package."""

from google import genai
from google.genai import errors, types
from pydantic import BaseModel

from harness import BAD_KEY, BASE, KEY, MODELS, PROMPT, SYSTEM, case, error, run

RETRIES = types.HttpRetryOptions(attempts=3, initial_delay=0.2, max_delay=0.5, jitter=0)


def connect(key=KEY, retry=None):
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=BASE, retry_options=retry))


client = connect()
CONFIG = {"system_instruction": SYSTEM, "temperature": 0.2}


class Trip(BaseModel):
    city: str
    days: int


def get_weather(city: str, days: int) -> str:
    """The weather of a city.

    Args:
        city: its name
        days: how many
    """
    return f"blue in {city} for {days}"


def note(c, model, u):
    c.used(model, (u.prompt_token_count or 0) + (u.tool_use_prompt_token_count or 0),
           (u.candidates_token_count or 0) + (u.thoughts_token_count or 0))


def dump(r):
    """A reply without the SDK's copy of the HTTP headers, which the log has."""
    return r.model_dump(mode="json", exclude={"sdk_http_response", "parsed"}, exclude_none=True)


def failure(e):
    return error(e, "code", "status", "details")


@case
def chat(c):
    r = client.models.generate_content(model=MODELS["chat"], contents=PROMPT, config=CONFIG)
    note(c, MODELS["chat"], r.usage_metadata)
    return {"text": r.text, "reply": dump(r)}


@case
def stream(c):
    chunks = list(client.models.generate_content_stream(model=MODELS["chat"], contents=PROMPT, config=CONFIG))
    note(c, MODELS["chat"], chunks[-1].usage_metadata)
    return {"text": "".join(k.text or "" for k in chunks), "chunks": [dump(k) for k in chunks]}


@case
def tools(c):
    """The loop by hand, with the tool declared by its JSON schema."""
    decl = types.FunctionDeclaration.from_callable(client=client._api_client, callable=get_weather)
    config = dict(CONFIG, tools=[types.Tool(function_declarations=[decl])])
    contents, turns = [types.Content(role="user", parts=[types.Part(text=PROMPT)])], []
    for _ in range(4):
        r = client.models.generate_content(model=MODELS["tools"], contents=contents, config=config)
        note(c, MODELS["tools"], r.usage_metadata)
        turns.append(dump(r))
        if not r.function_calls:
            break
        contents.append(r.candidates[0].content)
        contents.append(types.Content(role="user", parts=[
            types.Part.from_function_response(name=f.name, response={"result": get_weather(**f.args)}) for f in r.function_calls]))
    return turns


@case
def stream_tools(c):
    decl = types.FunctionDeclaration.from_callable(client=client._api_client, callable=get_weather)
    config = dict(CONFIG, tools=[types.Tool(function_declarations=[decl])])
    chunks = list(client.models.generate_content_stream(model=MODELS["tools"], contents=PROMPT, config=config))
    note(c, MODELS["tools"], chunks[-1].usage_metadata)
    return [dump(k) for k in chunks]


@case
def structured(c):
    r = client.models.generate_content(model=MODELS["chat"], contents=PROMPT, config=dict(
        CONFIG, response_mime_type="application/json", response_schema=Trip))
    note(c, MODELS["chat"], r.usage_metadata)
    return {"text": r.text, "parsed": r.parsed.model_dump() if r.parsed else None}


@case
def embeddings(c):
    """Gemini reports no tokens for embeddings here."""
    r = client.models.embed_content(model=MODELS["embed"], contents=["one", "two words"])
    c.used(MODELS["embed"], None, None)
    return {"vectors": [e.values for e in r.embeddings]}


@case
def count_tokens(c):
    r = client.models.count_tokens(model=MODELS["chat"], contents=PROMPT)
    return {"total": r.total_tokens}


def refused(model, **kw):
    own = connect(**kw)
    try:
        own.models.generate_content(model=model, contents=PROMPT)
    except errors.APIError as e:
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
    return refused(MODELS["429"])


@case
def error_500(c):
    return refused(MODELS["500"], retry=RETRIES)


@case
def error_stream(c):
    try:
        list(client.models.generate_content_stream(model=MODELS["500"], contents=PROMPT))
    except errors.APIError as e:
        return failure(e)
    return "no error"


def retried(c, model):
    own = connect(retry=RETRIES)  # kept: a client that nobody holds closes its connections
    r = own.models.generate_content(model=model, contents=PROMPT)
    note(c, model, r.usage_metadata)
    return {"text": r.text}


@case
def retry_429(c):
    return retried(c, MODELS["retry_429"])


@case
def retry_500(c):
    return retried(c, MODELS["retry_500"])


@case
def abort(c):
    text = []
    s = client.models.generate_content_stream(model=MODELS["slow"], contents=PROMPT)
    for k in s:
        if k.text:
            text.append(k.text)
        if len(text) == 3:
            break
    s.close()
    return {"text": text}


@case
def truncated(c):
    """The upstream ends the stream early and cleanly: through Weir that is told."""
    text, failed = "", None
    try:
        for k in client.models.generate_content_stream(model=MODELS["truncated"], contents=PROMPT):
            text += k.text or ""
    except Exception as e:  # an error of the API or of the connection
        failed = type(e).__name__
    return {"text": text, "failed": failed}


@case
def model_list(c):
    return [m.name for m in client.models.list()]


@case
def unknown_model(c):
    return refused(MODELS["unknown"])


@case
def bad_key(c):
    return refused(MODELS["chat"], key=BAD_KEY)


run()
