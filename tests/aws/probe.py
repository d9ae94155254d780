"""A function deployed under the very role of another one; it tells the test the keys it was given."""

import os


def handler(_event, _context):
    return {name: os.environ.get(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")}
