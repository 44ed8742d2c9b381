"""Writes the price data of a genai-prices wheel as JSON: genai_prices_json.py WHEEL > FILE

The wheel holds its data as Python source. It is read as a syntax tree and
never run. The JSON has the members that genai-prices publishes as its own
data.json, but for descriptions, which nothing here reads; decimals keep
their digits. One line a model, so that a refresh reads well as a diff.
"""
import ast
import json
import re
import sys
import zipfile

# Clauses are {kind: value}; all other constructors are objects of their arguments.
CLAUSES = {
    "ClauseContains": "contains", "ClauseEquals": "equals", "ClauseStartsWith": "starts_with",
    "ClauseEndsWith": "ends_with", "ClauseRegex": "regex", "ClauseOr": "or", "ClauseAnd": "and",
}
OBJECTS = {
    "Provider", "ModelInfo", "ModelPrice", "ConditionalPrice", "PriceVariant", "StartDateConstraint",
    "TimeOfDateConstraint", "TieredPrices", "Tier", "UsageExtractor", "UsageExtractorMapping", "ArrayMatch",
}


class Digits(str):
    """A decimal: written with the digits that it was read with."""


def name_of(node):
    return node.id if isinstance(node, ast.Name) else f"{name_of(node.value)}.{node.attr}"


def value(node):
    if isinstance(node, ast.List):
        return [value(e) for e in node.elts]
    if isinstance(node, ast.Dict):
        return {value(k): value(v) for k, v in zip(node.keys, node.values)}
    if isinstance(node, ast.Attribute) and name_of(node) in ("datetime.UTC", "datetime.timezone.utc"):
        return "Z"
    if not isinstance(node, ast.Call):
        return ast.literal_eval(node)
    kind = name_of(node.func)
    args = [value(a) for a in node.args]
    named = {k.arg: value(k.value) for k in node.keywords}
    if kind == "Decimal":
        if not re.fullmatch(r"\d+(\.\d+)?", str(args[0])):
            raise ValueError(f"line {node.lineno}: a price of {args[0]}")
        return Digits(args[0])
    if kind.endswith("date"):
        return "%04d-%02d-%02d" % tuple(args)
    if kind.endswith("time"):
        if named not in ({}, {"tzinfo": "Z"}):
            raise ValueError(f"line {node.lineno}: a time with {named}")
        return "%02d:%02d:%02dZ" % tuple((args + [0, 0])[:3])
    if kind in CLAUSES:
        (inner,) = args or named.values()
        return {CLAUSES[kind]: inner}
    if kind in OBJECTS and not args:
        return named
    raise ValueError(f"line {node.lineno}: unknown constructor {kind}")


def dump(v):
    if isinstance(v, Digits):
        return str(v)
    if isinstance(v, list):
        return "[" + ",".join(map(dump, v)) + "]"
    if isinstance(v, dict):
        return "{" + ",".join(f"{json.dumps(k)}:{dump(x)}" for k, x in v.items() if x is not None and k != "description") + "}"
    return json.dumps(v, ensure_ascii=False)


def main():
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        tree = ast.parse(wheel.read("genai_prices/data.py"))
    (found,) = [n.value for n in tree.body if isinstance(n, ast.AnnAssign) and n.target.id == "providers"]
    out = []
    for p in value(found):
        models = ",\n".join(dump(m) for m in p.pop("models"))
        out.append(dump(p)[:-1] + ',"models":[\n' + models + "\n]}")
    sys.stdout.write("[\n" + ",\n".join(out) + "\n]\n")


main()
