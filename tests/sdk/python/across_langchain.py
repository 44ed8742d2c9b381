"""Every vendor's models by langchain-openai, with Chat Completions and with Responses."""

import openai
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from across import few, many, scenarios, tool_list, turn, vectors
from harness import BASE, CITY_SCHEMA, KEY, MODELS, SYSTEM, case, error, run


class Chat:
    PREFIX, FAILURES, OPTIONS = "", openai.APIStatusError, {}

    def __init__(self, c, model):
        self.c, self.model, self.thread = c, model, [SystemMessage(SYSTEM)]

    def failure(self, e):
        return error(e, "status_code", "type") | {"message": e.body["message"]}

    def say(self, text, image=None):
        content = [{"type": "text", "text": text}]
        if image is not None:
            content.append({"type": "image_url", "image_url": {"url": "data:image/png;base64," + image}})
        self.thread.append(HumanMessage(content))

    def give(self, results):
        self.thread += [ToolMessage(text, tool_call_id=i) for i, _, text in results]

    def thinks(self):
        return {"reasoning_effort": "medium"}

    def wish(self, tools=False, force=False, schema=False, think=False, limit=None):
        kw = dict(self.OPTIONS, **(self.thinks() if think else {}))
        if limit:
            kw["max_tokens"] = limit
        llm = ChatOpenAI(model=self.model, base_url=BASE + "/v1", api_key=KEY, stream_usage=True, **kw)
        if schema:
            return llm.bind(response_format={"type": "json_schema", "json_schema": {
                "name": "trip", "schema": CITY_SCHEMA, "strict": True}})
        if tools:
            declared = tool_list(lambda n, d, s: {"type": "function", "function": {"name": n, "description": d, "parameters": s}})
            return llm.bind_tools(declared, **({"tool_choice": "required"} if force else {}))
        return llm

    def ask(self, stream, **want):
        llm = self.wish(**want)
        if stream:
            r = None
            for k in llm.stream(self.thread):
                r = k if r is None else r + k
        else:
            r = llm.invoke(self.thread)
        self.c.used(self.model, r.usage_metadata["input_tokens"], r.usage_metadata["output_tokens"])
        self.thread.append(r)
        return turn(r.text, [(k["id"], k["name"], k["args"]) for k in r.tool_calls], self.finish(r), self.thought(r))

    def finish(self, r):
        return r.response_metadata["finish_reason"]

    def thought(self, r):
        return None  # LangChain does not read reasoning of chat completions

    def pieces(self):
        for k in self.wish().stream(self.thread):
            yield k.text


class Responses(Chat):
    PREFIX = "responses_"
    OPTIONS = {"use_responses_api": True, "output_version": "responses/v1", "store": False,
               "include": ["reasoning.encrypted_content"]}

    def thinks(self):
        return {"reasoning": {"effort": "medium", "summary": "auto"}}

    def finish(self, r):
        d = r.response_metadata
        return (d.get("incomplete_details") or {}).get("reason") or d["status"]

    def thought(self, r):
        return "".join(p["text"] for b in r.content if isinstance(b, dict) and b["type"] == "reasoning" for p in b.get("summary", []))


@case
def embeddings(c):
    return _embed(c, few())


@case
def embeddings_many(c):
    """More than some vendors take at once."""
    return _embed(c, many())


def _embed(c, texts):
    e = OpenAIEmbeddings(model=MODELS["embed"], base_url=BASE + "/v1", api_key=KEY, dimensions=16,
                         check_embedding_ctx_length=False, max_retries=0)
    got = e.embed_documents(texts)
    c.used(MODELS["embed"], None, 0)
    return vectors(got)


scenarios(Chat)
scenarios(Responses)
run()
