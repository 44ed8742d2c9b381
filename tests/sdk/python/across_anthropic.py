"""Every vendor's models by the anthropic package."""

import anthropic

from across import ASYNC, scenarios, tool_list, turn
from harness import BASE, CITY_SCHEMA, KEY, SYSTEM, error, run, wait, walk

client = anthropic.Anthropic(base_url=BASE, api_key=KEY)
awaited = anthropic.AsyncAnthropic(base_url=BASE, api_key=KEY)


class Talk:
    PREFIX, FAILURES = "", anthropic.APIStatusError

    def __init__(self, c, model):
        self.c, self.model, self.thread = c, model, []

    def failure(self, e):
        return error(e, "status_code", "type") | {"message": e.body["error"]["message"]}

    def say(self, text, image=None):
        content = [{"type": "text", "text": text}]
        if image is not None:
            content.append(self.picture(image))
        self.thread.append({"role": "user", "content": content})

    def picture(self, image):
        return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": image}}

    def give(self, results, image=None):
        def content(text):
            return text if image is None else [{"type": "text", "text": text}, self.picture(image)]

        self.thread.append({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": i, "content": content(text)} for i, _, text in results]})

    def wish(self, tools=False, force=False, schema=False, think=False, limit=None):
        kw = {"model": self.model, "max_tokens": limit or 4000, "system": SYSTEM, "messages": self.thread}
        if tools:
            kw["tools"] = tool_list(lambda n, d, s: {"name": n, "description": d, "input_schema": s})
        if force:
            kw["tool_choice"] = {"type": "any"}
        if schema:
            kw["output_config"] = {"format": {"type": "json_schema", "schema": CITY_SCHEMA}}
        if think:
            kw["thinking"] = {"type": "enabled", "budget_tokens": 2048}
        return kw

    def ask(self, stream, **want):
        kw = self.wish(**want)
        if stream:
            with client.messages.stream(**kw) as s:
                r = s.get_final_message()
        else:
            r = client.messages.create(**kw)
        return self.answered(r)

    def answered(self, r):
        u = r.usage
        self.c.used(self.model, u.input_tokens + (u.cache_creation_input_tokens or 0) + (u.cache_read_input_tokens or 0),
                    u.output_tokens)
        self.thread.append({"role": "assistant", "content": r.content})
        return turn("".join(b.text for b in r.content if b.type == "text"),
                    [(b.id, b.name, b.input) for b in r.content if b.type == "tool_use"], r.stop_reason,
                    "".join(b.thinking for b in r.content if b.type == "thinking"))

    def pieces(self):
        with client.messages.create(**self.wish(), stream=True) as s:
            for e in s:
                if e.type == "content_block_delta":
                    yield e.delta.text


class AsyncTalk(Talk):
    """The same by the client that is awaited."""

    PREFIX = "async_"

    def ask(self, stream, **want):
        async def final():
            async with awaited.messages.stream(**self.wish(**want)) as s:
                return await s.get_final_message()

        return self.answered(wait(final()))

    def pieces(self):
        s = wait(awaited.messages.create(**self.wish(), stream=True))
        for e in walk(aiter(s), s.close):
            if e.type == "content_block_delta":
                yield e.delta.text


scenarios(Talk)
scenarios(AsyncTalk, only=ASYNC)
run()
