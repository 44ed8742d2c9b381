"""Talks to a model through Weir with OpenAI's own SDK, whole and streamed."""

import os
import time

from openai import OpenAI

client = OpenAI(base_url=os.environ["WEIR_URL"], api_key="unused")
question = [{"role": "user", "content": "What is the capital of France? Answer in one sentence."}]


def whole():
    raw = client.chat.completions.with_raw_response.create(
        model="small", messages=question, max_tokens=40, temperature=0
    )
    reply = raw.parse()
    print("user:     ", question[0]["content"])
    print("assistant:", reply.choices[0].message.content.strip())
    print("finish:   ", reply.choices[0].finish_reason, "| usage:", reply.usage.model_dump(exclude_none=True))
    print("headers:  ", {k: v for k, v in raw.headers.items() if k.startswith("x-weir-")})


def streamed(**more):
    begin, first, chunks, usage = time.monotonic(), None, 0, None
    stream = client.chat.completions.create(
        model="small", messages=question, max_tokens=40, temperature=0, stream=True, **more
    )
    print("assistant: ", end="")
    for chunk in stream:
        usage = chunk.usage or usage
        text = chunk.choices[0].delta.content if chunk.choices else None
        if text:
            first = first or time.monotonic() - begin
            chunks += 1
            print(text, end="", flush=True)
    total = time.monotonic() - begin
    print(f"\nchunks:    {chunks} | first after {first * 1000:.0f} ms, all after {total * 1000:.0f} ms", end="")
    print(" | usage:", usage.model_dump(exclude_none=True) if usage else "not asked for")


print("--- whole")
whole()
print("--- streamed")
streamed()
print("--- streamed, with usage")
streamed(stream_options={"include_usage": True})
