"""Every vendor's models by the openai package, with Chat Completions and with Responses."""

import json

import openai

from across import ASYNC, RESULTS, few, many, scenarios, told, tool_list, turn, vectors
from harness import BASE, CITY_SCHEMA, KEY, MODELS, SYSTEM, case, error, run, tagged, wait, walk

client = openai.OpenAI(base_url=BASE + "/v1", api_key=KEY)
awaited = openai.AsyncOpenAI(base_url=BASE + "/v1", api_key=KEY)


class Talk:
    FAILURES = openai.APIStatusError

    def __init__(self, c, model):
        self.c, self.model, self.thread = c, model, self.begin()

    def failure(self, e):
        return error(e, "status_code", "type") | {"message": e.body["message"]}


class Chat(Talk):
    PREFIX = ""

    def begin(self):
        return [{"role": "system", "content": SYSTEM}]

    def say(self, text, image=None):
        content = text if image is None else [
            {"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": "data:image/png;base64," + image}}]
        self.thread.append({"role": "user", "content": content})

    def give(self, results):
        self.thread += [{"role": "tool", "tool_call_id": i, "content": text} for i, _, text in results]

    def wish(self, tools=False, force=False, schema=False, think=False, limit=None):
        kw = {"model": self.model, "messages": self.thread}
        if tools:
            kw["tools"] = tool_list(lambda n, d, s: {"type": "function", "function": {"name": n, "description": d, "parameters": s}})
        if force:
            kw["tool_choice"] = "required"
        if schema:
            kw["response_format"] = {"type": "json_schema", "json_schema": {"name": "trip", "schema": CITY_SCHEMA, "strict": True}}
        if think:
            kw["reasoning_effort"] = "medium"
        if limit:
            kw["max_completion_tokens"] = limit
        return kw

    def ask(self, stream, **want):
        kw = self.wish(**want)
        if stream:
            with client.chat.completions.stream(**kw, stream_options={"include_usage": True}) as s:
                for _ in s:
                    pass
                r = s.get_final_completion()
        else:
            r = client.chat.completions.create(**kw)
        return self.answered(r)

    def answered(self, r):
        self.c.used(self.model, r.usage.prompt_tokens, r.usage.completion_tokens)
        m = r.choices[0].message
        self.thread.append(m.model_dump(exclude_none=True, exclude={"parsed"}, warnings=False))
        for k in self.thread[-1].get("tool_calls", []):
            k["function"].pop("parsed_arguments", None)
            k.pop("index", None)
        return turn(m.content, [(k.id, k.function.name, json.loads(k.function.arguments)) for k in m.tool_calls or []],
                    r.choices[0].finish_reason, (m.model_extra or {}).get("reasoning_content") or "")

    def pieces(self):
        with client.chat.completions.create(**self.wish(), stream=True) as s:
            for k in s:
                yield k.choices[0].delta.content if k.choices else None


class AsyncChat(Chat):
    """The same by the client that is awaited."""

    PREFIX = "async_"

    def ask(self, stream, **want):
        async def final():
            async with awaited.chat.completions.stream(**self.wish(**want), stream_options={"include_usage": True}) as s:
                async for _ in s:
                    pass
                return await s.get_final_completion()

        return self.answered(wait(final()))

    def pieces(self):
        s = wait(awaited.chat.completions.create(**self.wish(), stream=True))
        for k in walk(aiter(s), s.close):
            yield k.choices[0].delta.content if k.choices else None


class Responses(Talk):
    PREFIX = "responses_"

    def begin(self):
        return []

    def say(self, text, image=None):
        content = [{"type": "input_text", "text": text}]
        if image is not None:
            content.append(self.picture(image))
        self.thread.append({"role": "user", "content": content})

    def picture(self, image):
        return {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64," + image}

    def give(self, results, image=None):
        def output(text):
            return text if image is None else [{"type": "input_text", "text": text}, self.picture(image)]

        self.thread += [{"type": "function_call_output", "call_id": i, "output": output(text)} for i, _, text in results]

    def wish(self, tools=False, force=False, schema=False, think=False, limit=None):
        kw = {"model": self.model, "instructions": SYSTEM, "input": self.thread, "store": False}
        if tools:
            kw["tools"] = tool_list(lambda n, d, s: {"type": "function", "name": n, "description": d, "parameters": s, "strict": True})
        if force:
            kw["tool_choice"] = "required"
        if schema:
            kw["text"] = {"format": {"type": "json_schema", "name": "trip", "schema": CITY_SCHEMA, "strict": True}}
        if think:
            kw["reasoning"] = {"effort": "medium", "summary": "auto"}
            kw["include"] = ["reasoning.encrypted_content"]
        if limit:
            kw["max_output_tokens"] = limit
        return kw

    def respond(self, stream, **kw):
        if stream:
            with client.responses.stream(**kw) as s:
                for _ in s:
                    pass
                r = s.get_final_response()
        else:
            r = client.responses.create(**kw)
        self.c.used(self.model, r.usage.input_tokens, r.usage.output_tokens)
        return r

    def ask(self, stream, **want):
        r = self.respond(stream, **self.wish(**want))
        items = r.model_dump(exclude_none=True, warnings=False)["output"]
        for i in items:
            i.pop("parsed_arguments", None)
            for part in i.get("content", []):
                part.pop("parsed", None)
        self.thread += items
        return self.turn(r)

    def turn(self, r):
        calls = [(i.call_id, i.name, json.loads(i.arguments)) for i in r.output if i.type == "function_call"]
        thought = "".join(p.text for i in r.output if i.type == "reasoning" for p in i.summary)
        return turn(r.output_text, calls, r.incomplete_details.reason if r.incomplete_details else r.status, thought)

    def kept(self, stream):
        """Three turns, each of which names the one before, and what is kept of them."""
        self.say(tagged("Use get_weather and get_time in Paris."))
        kw = self.wish(tools=True) | {"store": True}
        seen, replies = [], []
        for _ in range(3):
            r = self.respond(stream, **kw)
            replies.append(r)
            seen.append(told(self.turn(r)))
            self.thread = []
            self.give([(k.call_id, k.name, RESULTS[k.name]) for k in r.output if k.type == "function_call"])
            if not self.thread:
                self.say("Hello again.")
            kw = self.wish(tools=True) | {"store": True, "previous_response_id": r.id}
        _, middle, last = replies
        again = client.responses.retrieve(last.id)
        items = client.responses.input_items.list(middle.id, order="asc").data
        client.responses.delete(last.id)
        try:
            client.responses.retrieve(last.id)
            gone = "still there"
        except openai.APIStatusError as e:
            gone = type(e).__name__
        return seen + [{
            "stored": [r.store for r in replies], "follows": last.previous_response_id == middle.id, "gone": gone,
            "same": (again.id, again.output_text, again.status) == (last.id, last.output_text, last.status),
            "items": [i.type for i in items], "ids": len({i.id for i in items}) == len(items),
        }]

    def pieces(self):
        with client.responses.create(**self.wish(), stream=True) as s:
            for e in s:
                if e.type == "response.output_text.delta":
                    yield e.delta


@case
def embeddings(c):
    """As base64, which the SDK asks for by itself."""
    return _embed(c, few())


@case
def embeddings_numbers(c):
    """As numbers; the whole reply is what the SDK's types say, without a member more."""
    raw = client.embeddings.with_raw_response.create(model=MODELS["embed"], input=few(), dimensions=16, encoding_format="float")
    r = openai.types.CreateEmbeddingResponse.model_validate_json(raw.text, strict=True)
    if extra := [m.model_extra for m in (r, r.usage, *r.data) if m.model_extra]:
        raise ValueError(f"members that the SDK does not know: {extra}")
    c.used(MODELS["embed"], r.usage.prompt_tokens, 0)
    return vectors([d.embedding for d in r.data])


@case
def embeddings_many(c):
    """More than some vendors take at once."""
    return _embed(c, many())


def _embed(c, texts, **kw):
    r = client.embeddings.create(model=MODELS["embed"], input=texts, dimensions=16, **kw)
    c.used(MODELS["embed"], r.usage.prompt_tokens, 0)
    return vectors([d.embedding for d in r.data])


scenarios(Chat)
scenarios(AsyncChat, only=ASYNC)
scenarios(Responses)
run()
