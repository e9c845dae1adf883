# SPDX-License-Identifier: Apache-2.0
"""An API's own description, to hold requests and answers against."""

import json
import re
from urllib.parse import parse_qsl, unquote

import jsonschema

from .sluice import ROOT


class Api:
    """`path` is from the root; the proxy's where none is given."""

    def __init__(self, path="proxy/admin/openapi.json"):
        self.document = json.loads((ROOT / path).read_text())

    def _validate(self, value, schema):
        whole = {**schema, "components": self.document["components"]}
        jsonschema.Draft202012Validator(whole).validate(value)

    def operation(self, method, path):
        """(template, operation, its parameters) of a path as it stands in a request."""
        for template, item in self.document["paths"].items():
            pattern = re.sub(r"\{\w+\}", "[^/]+", template)
            if re.fullmatch(pattern, path.split("?")[0]) and method.lower() in item:
                found = item[method.lower()]
                shared = item.get("parameters", [])
                return template, found, [*shared, *found.get("parameters", [])]
        raise AssertionError(f"the API has no {method} {path}")

    def check_request(self, method, path, body=None):
        """It is one that the API describes: path, arguments and body."""
        _, operation, parameters = self.operation(method, path)
        known = {p["name"]: p["schema"] for p in parameters if p["in"] == "query"}
        query = path.partition("?")[2]
        for name, text in parse_qsl(query, keep_blank_values=True):
            assert name in known, f"{method} {path} has no argument {name}"
            whole = known[name].get("type") == "integer"
            self._validate(int(text) if whole else unquote(text), known[name])
        wanted = operation.get("requestBody")
        if body is not None:
            assert wanted, f"{method} {path} takes no body"
            self._validate(body, wanted["content"]["application/json"]["schema"])
        else:
            assert not (wanted and wanted.get("required")), f"{method} {path} needs a body"

    def check_answer(self, method, path, status, body):
        """It is one that the API describes for this request."""
        _, operation, _ = self.operation(method, path)
        answers = operation["responses"]
        assert str(status) in answers, f"{method} {path} never answers {status}"
        self._validate(body, answers[str(status)]["content"]["application/json"]["schema"])

    def check(self, method, path, answer):
        """An Answer has a described status, type and form; returns (method, template)."""
        template, operation, _ = self.operation(method, path)
        assert str(answer.status) in operation["responses"], f"{method} {path}: {answer}"
        content = operation["responses"][str(answer.status)]["content"]
        kind = answer.headers["Content-Type"].split(";")[0]
        assert kind in content, f"{kind}: {method} {path}: {answer}"
        if kind == "application/json":
            self.check_answer(method, path, answer.status, answer.json)
        return method, template

    def described(self):
        """Every (method, template)."""
        return {
            (method, path)
            for path, item in self.document["paths"].items()
            for method in set(item) - {"parameters"}
        }
