"""Postroom as a program outside sees it: `/api/v1` through the HTTP API, with a key."""

import http.client
import json
from urllib.parse import urlencode, urlparse


class Answer(Exception):
    """An answer that is no success, as an error for those who expected one."""

    def __init__(self, status, body):
        super().__init__(f"{status}: {body}")
        self.status, self.body = status, body


class Api:
    """Calls go to loopback; the `Host` header says which API is meant."""

    def __init__(self, port, endpoint, key=None):
        self.port, self.host, self.key = port, urlparse(endpoint).netloc, key

    def call(self, method, path, body=None, **query):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Host": self.host, "Accept": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        target = path + (f"?{urlencode(query)}" if query else "")
        try:
            connection.request(method, target, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        try:
            told = json.loads(text) if text else None
        except ValueError:
            told = text
        return answer.status, told

    def good(self, method, path, body=None, **query):
        status, told = self.call(method, path, body, **query)
        if status >= 300:
            raise Answer(status, told)
        return told

    def all(self, path, **query):
        """Every item of a list, page by page."""
        items, after = [], None
        while True:
            page = self.good("GET", path, limit=200, **query, **({"after": after} if after else {}))
            items += page["items"]
            after = page.get("next")
            if not after:
                return items
