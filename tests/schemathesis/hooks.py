"""What schemathesis has to know of this console: who asks, which ids there are at home and abroad, and what must never come.

Read by `st run` through SCHEMATHESIS_HOOKS; started by tests/src/fuzz.rs, which writes the file that BBT_FUZZ names:
  role      whose turn it is; "nobody" has no session
  cookies   sessions of that person, the next is taken when one was ended by the run itself
  own       ids by noun, of the county in which the person holds the role
  foreign   the same of the county next door
  keep      ids of the accounts that are at it; a made-up id must not do away with them
  marks     texts that stand in everything of the county next door and nowhere else
  told      file for what was counted
"""

import atexit
import collections
import io
import json
import os
import re
import urllib.parse
import zipfile
import zlib

import schemathesis

with open(os.environ["BBT_FUZZ"], encoding="utf-8") as file:
    RUN = json.load(file)
NOBODY = RUN["role"] == "nobody"
OWN, FOREIGN, MARKS = RUN["own"], RUN["foreign"], RUN["marks"]

# Fields that name a thing, in queries and bodies.
NOUNS = {
    "region_id": "regions", "region_ids": "regions", "parent_id": "regions", "school_id": "schools", "school_ids": "schools",
    "classroom_id": "classrooms", "classroom_ids": "classrooms", "classroom": "classrooms", "device_id": "devices",
    "device_ids": "devices", "lesson_id": "lessons", "lesson_ids": "lessons", "push_id": "pushes", "area_id": "areas",
    "asset_id": "assets", "part_id": "parts", "incident_id": "incidents", "channel_id": "notification-channels",
    "user_id": "users", "exam_id": "exams", "order_id": "orders", "region": "regions", "ids": "devices", "replaces": "devices",
}
# `{"kind": "school", "id": 7}`
KINDS = {"region": "regions", "school": "schools", "classroom": "classrooms", "device": "devices", "lesson": "lessons"}

OWN_SESSION = ("DELETE", "/account/sessions/{id}")

touched = {}
counts = collections.Counter()
reached = set()
session = 0


def pick(noun, roll):
    """An id of the noun: at home, abroad, or none of ours (what the generator has made up stays)."""
    way = roll % 8
    pool, abroad = (FOREIGN, True) if way in (0, 1, 2) else (OWN, False) if way < 7 else ({}, False)
    ids = pool.get(noun) or []
    if not ids:
        return None, False
    return ids[roll // 8 % len(ids)], abroad


def replaced(value, noun, roll):
    """The same value with ids that there are, and those of them that are the neighbour's."""
    if isinstance(value, list):
        out = [replaced(one, noun, roll * 31 + at) for at, one in enumerate(value)]
        return [one for one, _ in out], [name for _, names in out for name in names]
    if isinstance(value, dict) or isinstance(value, bool) or value is None:
        return value, []
    id, abroad = pick(noun, roll)
    if id is None:
        return value, []
    return id, [str(id)] if abroad else []


def within(body, roll):
    if isinstance(body, list):
        out = [within(one, roll * 31 + at) for at, one in enumerate(body)]
        return [one for one, _ in out], [name for _, names in out for name in names]
    if not isinstance(body, dict):
        return body, []
    out, abroad = {}, []
    for at, (key, value) in enumerate(body.items()):
        noun = NOUNS.get(key)
        if key == "id" and isinstance(body.get("kind"), str):
            noun = KINDS.get(body["kind"])
        one, names = replaced(value, noun, roll * 31 + at) if noun else within(value, roll * 31 + at)
        out[key] = one
        abroad += names
    return out, abroad


@schemathesis.hook
def before_call(context, case, kwargs):
    seen = repr((case.method, case.path, case.path_parameters, case.query, case.body))
    roll = zlib.crc32(seen.encode("utf-8", "surrogatepass"))
    path, other = [], []
    for at, name in enumerate(case.path_parameters or {}):
        before = case.path.split("{" + name + "}")[0].strip("/").split("/")
        noun = NOUNS.get(name) or ("users" if name == "user" else before[-1])
        # Two names are of one pair, but now and then the second is somebody else's.
        other_pair = at > 0 and roll % 5 == 0
        case.path_parameters[name], names = replaced(case.path_parameters[name], noun, roll * 31 + at if other_pair else roll)
        path += names
        if noun == "users" and str(case.path_parameters[name]) in RUN["keep"]:
            case.path_parameters[name] = 999_999
    # What an answer names is tried later: its own sessions, too. Two of them may go.
    if (case.method.upper(), case.path) == OWN_SESSION and counts["own sessions ended"] >= 2:
        case.path_parameters["id"] = "gone"
    for name in list(case.query or {}):
        if name in NOUNS:
            case.query[name], names = replaced(case.query[name], NOUNS[name], roll * 7)
            other += names
    if isinstance(case.body, (dict, list)) and case.media_type == "application/json":
        case.body, names = within(case.body, roll * 11)
        other += names
    # Signing out ends a session by itself; here that of nobody.
    if RUN["cookies"] and (case.method.upper(), case.path) != ("DELETE", "/session"):
        case.headers["Cookie"] = RUN["cookies"][session % len(RUN["cookies"])]
    touched[case.id] = (path, other)


@schemathesis.hook
def after_call(context, case, response):
    global session
    status = response.status_code
    counts[f"{status // 100}xx"] += 1
    path, other = touched.get(case.id, ([], []))
    if path or other:
        counts["with a foreign id"] += 1
    if status < 300:
        reached.add(f"{case.method.upper()} {case.path}")
        counts["own sessions ended"] += (case.method.upper(), case.path) == OWN_SESSION
    if status == 401 and RUN["cookies"] and b"not_signed_in" in response.content:
        # The run ended its own session (its account's sessions, password, grants are among what it calls).
        counts["sessions ended"] += 1
        session += 1


@atexit.register
def tell():
    with open(RUN["told"], "w", encoding="utf-8") as file:
        json.dump({"counts": counts, "reached": sorted(reached)}, file)


def texts(response):
    """What an answer says; of workbooks and archives, what is in them."""
    content = response.content
    yield content
    if content[:2] == b"PK":
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                for name in archive.namelist():
                    yield name.encode()
                    yield archive.read(name)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError):
            pass


def passed_over(case, response, names):
    """Whether an order to many says of each of these that it does not get it: those beside it may."""
    if case.path != "/devices/bulk":
        return False
    got = {item["device_id"] for item in response.json()["items"] if item["result"] != "skipped"}
    return not got.intersection(names)


@schemathesis.check
def nothing_of_the_county_next_door(ctx, response, case):
    """Foreign ids in: no success. Foreign names out: never, but where an error tells back what was asked."""
    path, other = touched.pop(case.id, ([], []))
    request = response.request
    asked = urllib.parse.unquote_to_bytes(request.url)
    asked += request.body if isinstance(request.body, bytes) else str(request.body or "").encode("utf-8", "replace")
    ok = response.status_code < 400
    if ok and path:
        raise AssertionError(f"a foreign id in the path was taken: {path}")
    if ok and other and case.method.upper() not in ("GET", "HEAD") and not passed_over(case, response, other):
        raise AssertionError(f"a foreign id in the body was taken: {other}")
    for mark in MARKS:
        word = mark.encode()
        if any(word in text for text in texts(response)) and (ok or word not in asked):
            raise AssertionError(f"it tells of the county next door: {mark}")


@schemathesis.check
def nobody_gets_in(ctx, response, case):
    """Without a session nothing that asks for one answers, whatever is sent."""
    security = case.operation.definition.raw.get("security")
    if NOBODY and security != [] and response.status_code < 400:
        raise AssertionError("it answers somebody who is not signed in")


@schemathesis.check
def errors_are_problems(ctx, response, case):
    """Every refusal is the envelope, in a sentence, with a request id, and tells nothing of the inside."""
    if response.status_code < 400:
        return
    problem = response.json()
    for key in ("code", "message", "request_id"):
        if not problem.get(key):
            raise AssertionError(f"the error has no {key}: {problem}")
    if re.search(r"sqlx|SQLITE|panicked at|\.rs:\d+", json.dumps(problem)):
        raise AssertionError(f"the error tells of the inside: {problem}")
