"""langchain-openai: the chat model, with Chat Completions and with Responses, and embeddings."""

import openai
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

from harness import BAD_KEY, BASE, KEY, MODELS, PROMPT, SYSTEM, case, error, run

MESSAGES = [SystemMessage(SYSTEM), HumanMessage(PROMPT)]


class Trip(BaseModel):
    """A trip."""

    city: str
    days: int


@tool
def get_weather(city: str, days: int) -> str:
    """The weather of a city"""
    return f"blue in {city} for {days}"


def llm(model, **kw):
    kw.setdefault("api_key", KEY)
    return ChatOpenAI(model=model, base_url=BASE + "/v1", stream_usage=True, **kw)


def note(c, model, u):
    c.used(model, u["input_tokens"], u["output_tokens"])


def failure(e):
    return error(e, "status_code", "code", "type", "param", "request_id")


def dump(m):
    """A message without the run id, which LangChain draws by lot where the reply has none."""
    return m.model_dump(exclude={"id"} if (m.id or "").startswith(("run-", "lc_run-")) else None)


@case
def chat(c):
    r = llm(MODELS["chat"], temperature=0.2).invoke(MESSAGES)
    note(c, MODELS["chat"], r.usage_metadata)
    return dump(r)


@case
def stream(c):
    chunks = list(llm(MODELS["chat"]).stream(MESSAGES))
    whole = chunks[0]
    for k in chunks[1:]:
        whole += k
    note(c, MODELS["chat"], whole.usage_metadata)
    return {"pieces": [k.content for k in chunks], "whole": dump(whole)}


@case
def tools(c):
    model, messages, turns = llm(MODELS["tools"]).bind_tools([get_weather]), list(MESSAGES), []
    for _ in range(4):
        r = model.invoke(messages)
        note(c, MODELS["tools"], r.usage_metadata)
        turns.append(dump(r))
        if not r.tool_calls:
            break
        messages.append(r)
        messages += [ToolMessage(get_weather.invoke(t["args"]), tool_call_id=t["id"]) for t in r.tool_calls]
    return turns


@case
def structured(c):
    r = llm(MODELS["chat"]).with_structured_output(Trip, include_raw=True).invoke(MESSAGES)
    note(c, MODELS["chat"], r["raw"].usage_metadata)
    return {"parsed": r["parsed"], "error": r["parsing_error"]}


@case
def responses(c):
    r = llm(MODELS["chat"], use_responses_api=True).invoke(MESSAGES)
    note(c, MODELS["chat"], r.usage_metadata)
    return dump(r)


@case
def responses_stream(c):
    chunks = list(llm(MODELS["chat"], use_responses_api=True).stream(MESSAGES))
    whole = chunks[0]
    for k in chunks[1:]:
        whole += k
    note(c, MODELS["chat"], whole.usage_metadata)
    return dump(whole)


@case
def embeddings(c):
    e = OpenAIEmbeddings(model=MODELS["embed"], base_url=BASE + "/v1", api_key=KEY, check_embedding_ctx_length=False)
    vectors = e.embed_documents(["one", "two words"])
    c.used(MODELS["embed"], None, 0)
    return {"vectors": vectors}


def refused(model, **kw):
    try:
        llm(model, **kw).invoke(MESSAGES)
    except openai.APIStatusError as e:
        return failure(e)
    return "no error"


@case
def error_401(c):
    return refused(MODELS["401"])


@case
def error_404(c):
    return refused(MODELS["404"])


@case
def error_429(c):
    return refused(MODELS["429"], max_retries=0)


def retried(c, model):
    r = llm(model).invoke(MESSAGES)
    note(c, model, r.usage_metadata)
    return {"text": r.content}


@case
def retry_429(c):
    return retried(c, MODELS["retry_429"])


@case
def retry_500(c):
    return retried(c, MODELS["retry_500"])


@case
def abort(c):
    text = []
    s = llm(MODELS["slow"]).stream(MESSAGES)
    for k in s:
        if k.content:
            text.append(k.content)
        if len(text) == 3:
            break
    s.close()
    return {"text": text}


@case
def truncated(c):
    """The upstream ends the stream early and cleanly: through Weir that is told."""
    text, failed = "", None
    try:
        for k in llm(MODELS["truncated"]).stream(MESSAGES):
            text += k.content
    except openai.APIError as e:
        failed = type(e).__name__
    return {"text": text, "failed": failed}


@case
def unknown_model(c):
    return refused(MODELS["unknown"])


@case
def bad_key(c):
    return refused(MODELS["chat"], api_key=BAD_KEY)


run()
