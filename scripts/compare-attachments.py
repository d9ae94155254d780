#!/usr/bin/env python3
"""Compares the attachments in an archive with what CPython's `email` package finds in the same messages.

    compare-attachments.py ARCHIVE

Reads every `message.eml` below ARCHIVE with the `message.json` beside it and prints one JSON value:
`messages` and `attachments` that were compared, and `disagreements`, each with the message, what differs, and a
`category` that says why, or `unexplained`. Needs nothing but Python 3.8.
"""

import email
import email.header
import email.policy
import hashlib
import json
import pathlib
import sys


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def leaves(part):
    """The parts that are not multiparts, in order. A message inside a message is one leaf, not a tree."""
    if part.get_content_maintype() == "multipart" and part.is_multipart():
        for inner in part.get_payload():
            yield from leaves(inner)
    else:
        yield part


def content(part):
    """The decoded bytes of a leaf."""
    if part.is_multipart():  # message/*: CPython has taken it apart and writes it anew
        return b"".join(inner.as_bytes() for inner in part.get_payload())
    return part.get_payload(decode=True) or b""


def shown(text):
    """A name as it may be shown: decoded (RFC 2047, which mail programs use in parameters, too), on one line."""
    try:
        text = str(email.header.make_header(email.header.decode_header(text)))
    except (LookupError, UnicodeError, ValueError):
        pass
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def name_of(part):
    """The name CPython sees; nothing where there is none."""
    name = part.get_filename()
    return shown(name) if name else None


def is_attachment(part, body_seen):
    """What is shown as text is no attachment; everything else is (RFC 2183 2.8, RFC 8621 4.1.4)."""
    disposition = part.get_content_disposition()
    text = part.get_content_type() in ("text/plain", "text/html")
    named = part.get_filename() is not None
    return not (text and disposition in (None, "inline") and not (named and body_seen))


def expected(raw):
    """Attachments as CPython sees them: [(type, bytes, part)]."""
    message = email.message_from_bytes(raw, policy=email.policy.compat32)
    found, body_seen = [], False
    for part in leaves(message):
        if is_attachment(part, body_seen):
            found.append((part.get_content_type(), content(part), part))
        else:
            body_seen = True
    return message, found


def boundary_twice(part, above=()):
    """Whether a multipart lies inside of one that has the same boundary."""
    boundary = part.get_boundary()
    if part.get_content_maintype() == "multipart" and boundary and boundary in above:
        return True
    inner = part.get_payload() if part.is_multipart() else ()
    return any(boundary_twice(one, (*above, boundary)) for one in inner)


def category(message, part, files, raw):
    """Why one attachment of CPython's differs from ours, as far as a rule tells. `files`: bytes of ours that differ."""
    defects = {type(defect).__name__ for inner in message.walk() for defect in inner.defects}
    if part is not None and part.get_content_maintype() == "message":
        # As sent: what we kept stands in the message, byte by byte.
        return "message-written-anew" if any(data and data in raw for data in files) else "unexplained"
    if part is None and boundary_twice(message):
        return "boundary-used-twice"
    if part is not None and part.get_content_type().startswith("multipart/"):
        return "multipart-without-parts"
    if part is not None and {"InvalidBase64CharactersDefect", "InvalidBase64PaddingDefect",
                             "InvalidBase64LengthDefect"} & {type(d).__name__ for d in part.defects}:
        return "broken-base64"
    if "NoBoundaryInMultipartDefect" in defects or "StartBoundaryNotFoundDefect" in defects:
        return "boundary-that-never-comes"
    if "CloseBoundaryNotFoundDefect" in defects:
        return "multipart-without-end"
    return "unexplained"


def compare(directory):
    raw = (directory / "message.eml").read_bytes()
    record = json.loads((directory / "message.json").read_text(encoding="utf-8"))
    message, theirs = expected(raw)
    ours = [(one["content_type"], one["sha256"], one["file_name"]) for one in record["attachments"]]
    names = [(one["sha256"], one["name"]) for one in record["attachments"]]
    hashes = [sha for _, sha, _ in ours]
    missing = []
    out = []
    for kind, data, part in theirs:
        sha = sha256(data)
        if sha in hashes:
            hashes.remove(sha)
            name = name_of(part)
            # Our name for what has none says so itself; the same bytes may be there several times under other names.
            if name and (sha, name) not in names:
                known = [ours for hashed, ours in names if hashed == sha]
                out.append({"what": "name", "type": kind, "name": name, "ours": known, "category": "unexplained"})
        else:
            missing.append((kind, data, part))
    added = []
    for kind, sha, name in ours:
        if sha in hashes:
            hashes.remove(sha)
            added.append((kind, name))
    for kind, data, part in missing:
        # Its other side: what we have of the same type and CPython has not.
        files = [(directory / "attachments" / name).read_bytes() for other, name in added if other == kind]
        out.append({"what": "missing", "type": kind, "bytes": len(data), "category": category(message, part, files, raw)})
    for kind, name in added:
        twin = next((one for one in out if one["what"] == "missing" and one["type"] == kind), None)
        why = twin["category"] if twin else category(message, None, [], raw)
        out.append({"what": "added", "type": kind, "name": name, "category": why})
    for one in out:
        one["message"] = record.get("message_id") or str(directory)
        one["directory"] = str(directory)
    return len(ours), out


def main():
    directories = sorted(path.parent for path in pathlib.Path(sys.argv[1]).rglob("message.eml"))
    attachments, disagreements = 0, []
    for directory in directories:
        count, differ = compare(directory)
        attachments += count
        disagreements += differ
    json.dump(
        {"messages": len(directories), "attachments": attachments, "disagreements": disagreements},
        sys.stdout,
        indent=1,
    )
    print()


if __name__ == "__main__":
    main()
