"""Every vendor's models by the google-genai package."""

import base64

from google import genai
from google.genai import errors, types

from across import ASYNC, few, many, scenarios, tool_list, turn, vectors
from harness import BASE, CITY_SCHEMA, KEY, MODELS, SYSTEM, case, error, run, wait, walk

client = genai.Client(api_key=KEY, http_options=types.HttpOptions(
    base_url=BASE, retry_options=types.HttpRetryOptions(attempts=3, initial_delay=0.2, max_delay=0.5, jitter=0,
                                                        http_status_codes=[429, 500])))


class Talk:
    PREFIX, FAILURES = "", errors.APIError

    def __init__(self, c, model):
        self.c, self.model, self.thread = c, model, []

    def failure(self, e):
        return error(e, "code", "status") | {"message": e.message}

    def say(self, text, image=None):
        parts = [types.Part(text=text)]
        if image is not None:
            parts.append(types.Part.from_bytes(data=base64.b64decode(image), mime_type="image/png"))
        self.thread.append(types.Content(role="user", parts=parts))

    def give(self, results):
        """By the SDK's own way, which does not say the calls' ids."""
        self.thread.append(types.Content(role="user", parts=[
            types.Part.from_function_response(name=name, response={"result": text}) for _, name, text in results]))

    def wish(self, tools=False, force=False, schema=False, think=False, limit=None):
        config = {"system_instruction": SYSTEM}
        if tools:
            config["tools"] = [types.Tool(function_declarations=tool_list(
                lambda n, d, s: types.FunctionDeclaration(name=n, description=d, parameters_json_schema=s)))]
        if force:
            config["tool_config"] = types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="ANY"))
        if schema:
            config |= {"response_mime_type": "application/json", "response_json_schema": CITY_SCHEMA}
        if think:
            config["thinking_config"] = types.ThinkingConfig(thinking_budget=2048, include_thoughts=True)
        if limit:
            config["max_output_tokens"] = limit
        return {"model": self.model, "contents": self.thread, "config": config}

    def ask(self, stream, **want):
        kw = self.wish(**want)
        if stream:
            chunks = list(client.models.generate_content_stream(**kw))
        else:
            chunks = [client.models.generate_content(**kw)]
        return self.answered(chunks)

    def answered(self, chunks):
        u = chunks[-1].usage_metadata
        self.c.used(self.model, (u.prompt_token_count or 0) + (u.tool_use_prompt_token_count or 0),
                    (u.candidates_token_count or 0) + (u.thoughts_token_count or 0))
        parts = [p for k in chunks if k.candidates and k.candidates[0].content for p in k.candidates[0].content.parts or []]
        self.thread.append(types.Content(role="model", parts=parts))
        calls = [p.function_call for p in parts if p.function_call]
        return turn("".join(p.text for p in parts if p.text and not p.thought),
                    [(f.id, f.name, f.args) for f in calls], chunks[-1].candidates[0].finish_reason.value,
                    "".join(p.text for p in parts if p.text and p.thought))

    def pieces(self):
        for k in client.models.generate_content_stream(**self.wish()):
            yield k.text


class AsyncTalk(Talk):
    """The same by the client that is awaited."""

    PREFIX = "async_"

    def ask(self, stream, **want):
        async def chunks():
            return [k async for k in await client.aio.models.generate_content_stream(**self.wish(**want))]

        return self.answered(wait(chunks()))

    def pieces(self):
        s = wait(client.aio.models.generate_content_stream(**self.wish()))
        for k in walk(s, s.aclose):
            yield k.text


@case
def embeddings(c):
    return _embed(c, few())


@case
def embeddings_many(c):
    """More than Gemini takes at once."""
    return _embed(c, many())


def _embed(c, texts):
    r = client.models.embed_content(model=MODELS["embed"], contents=texts,
                                    config=types.EmbedContentConfig(output_dimensionality=16, task_type="RETRIEVAL_QUERY"))
    c.used(MODELS["embed"], r.usage_metadata.prompt_token_count if r.usage_metadata else None, None)
    return vectors([e.values for e in r.embeddings])


scenarios(Talk)
scenarios(AsyncTalk, only=ASYNC)
run()
