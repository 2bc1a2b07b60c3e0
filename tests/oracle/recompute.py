#!/usr/bin/env python3
"""Works figures of a report out again, from the exported tables alone (report export --format csv), and compares.

It shares no code with the console: the formulas are those of the dictionary (report indicators), written down once more.

    recompute.py FOLDER figures.json --from 2026-09-01 --to 2026-09-30 [--count 20|all] [--seed N]

figures.json is the answer of GET /reports/{id}/figures. Exits with 1 if any figure differs.
"""

import argparse
import csv
import datetime
import json
import pathlib
import random
import sys

UTC8 = datetime.timezone(datetime.timedelta(hours=8))


def read(folder, name):
    with open(folder / f"{name}.csv", encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def number(text):
    """An empty cell is unknown, not 0."""
    return None if text == "" else int(text)


class Data:
    def __init__(self, folder, first, last):
        self.first, self.last = first, last
        self.end = int((datetime.datetime.combine(last, datetime.time(), UTC8) + datetime.timedelta(days=1)).timestamp() * 1000)
        tables = ["assets", "bandwidth_tests", "classrooms", "device_days", "devices", "inspections", "manual_figures", "order_events", "orders",
                  "push_devices", "schools", "use_days", "use_lessons", "use_periods"]
        for name in tables:
            setattr(self, name, read(folder, name))
        self.school_of_device = {d["device_id"]: d["school_id"] for d in self.devices}
        self.days = {}
        for day in self.device_days:
            self.days.setdefault(day["device_id"], []).append(day)


# Each rule yields (school, numerator or None, denominator, unknown) for each of its rows.

def devices_told(data):
    for device, days in data.days.items():
        yield data.school_of_device[device], int(any(heard(day) for day in days)), 1, 0


def heard(day):
    return day["verdict"] in ("on", "off")


def device_on_rate(data):
    for device, days in data.days.items():
        of = [day for day in days if heard(day)]
        due = sum(int(day["expected_s"]) for day in of)
        silent = sum(day["verdict"] == "silent" for day in days)
        if due:
            yield data.school_of_device[device], sum(int(day["online_s"]) for day in of), due, silent
        elif silent:
            yield data.school_of_device[device], None, 0, silent


def screen_hours(data):
    for device, days in data.days.items():
        lit = [number(day["screen_on_s"]) for day in days]
        told = [seconds for seconds in lit if seconds is not None]
        mute = sum(heard(day) for day in days) - len(told)
        unknown = mute + sum(day["verdict"] == "silent" for day in days)
        if told or unknown:
            yield data.school_of_device[device], sum(told) if told else None, 0, unknown


def by_room(rows):
    rooms = {}
    for row in rows:
        rooms.setdefault((row["school_id"], row["classroom_id"]), []).append(row)
    return rooms


def periods(rows, key):
    """Boards of one room tell of the same period: opened on any is opened."""
    seen = {}
    for row in rows:
        at = (row["date"], row["number"])
        seen[at] = max(seen.get(at, 0), int(row[key]))
    return seen


def lesson_opening(data):
    for (school, _), rows in by_room(data.use_periods).items():
        seen = periods(rows, "opened")
        yield school, sum(seen.values()), len(seen), None


def planned_lessons_opened(data):
    for (school, _), rows in by_room(data.use_periods).items():
        seen = periods([row for row in rows if row["planned"]], "planned_opened")
        if seen:
            yield school, sum(seen.values()), len(seen), None


def used(data, key):
    told = {(row["school_id"], row["classroom_id"]) for row in data.use_days}
    # A room with a board that told of nothing is unknown.
    boards = {(data.school_of_device[d], rooms) for d in data.days for rooms in [room_of(data, d)]}
    sums = {room: sum(int(row[key]) for row in rows) for room, rows in by_room(data.use_lessons).items()}
    for room in sorted(told | boards):
        if room in told:
            yield room[0], sums.get(room, 0), 0, 0
        else:
            yield room[0], None, 0, 1


def room_of(data, device):
    return next(row["classroom_id"] for row in data.devices if row["device_id"] == device)


def teaching_point_coverage(data):
    for school in data.schools:
        if school["kind"] != "teaching_point":
            continue
        own = school["school_id"]
        if any(row["school_id"] == own for row in data.use_days):
            opens = sum(int(row["opens"]) for row in data.use_lessons if row["school_id"] == own and row["lesson_id"])
            yield own, int(opens > 0), 1, 0
        else:
            yield own, None, 0, 1


def resources_arrived(data):
    for row in data.push_devices:
        at = number(row["arrived_at"])
        yield row["school_id"], int(at is not None and at < data.end), 1, 0


def active(data):
    for asset in data.assets:
        gone = number(asset["retired_at"])
        if int(asset["created_at"]) < data.end and (gone is None or gone >= data.end):
            yield asset


def classrooms_equipped(data):
    rooms = {asset["classroom_id"] for asset in active(data)}
    for room in data.classrooms:
        yield room["school_id"], int(room["classroom_id"] in rooms), 1, 0


def classrooms_online(data):
    lit = {day["classroom_id"] for day in data.device_days if heard(day)}
    boards = {room_of(data, device) for device in data.days}
    for room in data.classrooms:
        own = room["classroom_id"]
        if own in lit or own not in boards:
            yield room["school_id"], int(own in lit), 1, 0
        else:
            yield room["school_id"], None, 0, 1


def broadband_met(data):
    for school in data.schools:
        tests = [t for t in data.bandwidth_tests if t["school_id"] == school["school_id"] and t["state"] == "decided"]
        tests.sort(key=lambda test: (int(test["starts_at"]), test["test_id"]))
        verdict = tests[-1]["verdict"] if tests else ""
        if verdict in ("met", "not_met"):
            yield school["school_id"], int(verdict == "met"), 1, 0
        else:
            yield school["school_id"], None, 0, 1


def broadband_100m(data):
    for school in data.schools:
        mbps = number(school["contracted_down_mbps"])
        yield school["school_id"], None if mbps is None else int(mbps >= 100), 1 if mbps is not None else 0, int(mbps is None)


def inspections_done(data):
    results = {(i["device_id"], i["date"]): i["result"] for i in data.inspections if i["kind"] == "automatic"}
    for device, days in data.days.items():
        due = [day["date"] for day in days if int(day["expected_s"]) > 0]
        found = [results.get((device, date)) for date in due]
        done, unknown = sum(r in ("pass", "fail") for r in found), sum(r == "unknown" for r in found)
        if not due:
            continue
        if done + unknown == 0:
            yield data.school_of_device[device], None, 0, len(due)
        else:
            yield data.school_of_device[device], done, len(due) - unknown, unknown


def orders(data, kind):
    return [order for order in data.orders if order["kind"] == kind and order["state"] != "cancelled"]


def before_end(data, order, key):
    at = number(order[key])
    return at is not None and at < data.end


def repairs_opened(data):
    for order in orders(data, "repair"):
        yield order["school_id"], 1, 0, 0


def timed(data, at, seconds):
    for order in orders(data, "repair"):
        if before_end(data, order, at):
            yield order["school_id"], int(order[seconds]), 1, 0
        else:
            yield order["school_id"], None, 0, 1


def repairs_confirmed(data):
    for order in orders(data, "repair"):
        if before_end(data, order, "repaired_at"):
            yield order["school_id"], int(before_end(data, order, "confirmed_at")), 1, 0


def rectifications_closed(data):
    for order in orders(data, "rectification"):
        yield order["school_id"], int(order["state"] == "closed" and before_end(data, order, "ended_at")), 1, 0


def repairs_said(data):
    """Each repair that an account said in the time: school, account, seconds until then, and what was said of it after."""
    orders_ = {}
    for event in data.order_events:
        if event["kind"] == "repair":
            orders_.setdefault(event["order_id"], []).append(event)
    begin = data.end - ((data.last - data.first).days + 1) * 86_400_000
    for events in orders_.values():
        events.sort(key=lambda event: int(event["n"]))
        wall, since = 0, int(events[0]["at"])
        for place, event in enumerate(events):
            at, unmended = int(event["at"]), event["state"] in ("new", "accepted", "on_site", "reopened")
            if since is not None and not unmended:
                # Whole seconds of each stretch.
                wall, since = wall + (at - since) // 1000, None
            elif since is None and unmended:
                since = at
            if event["act"] == "repaired" and event["by_kind"] == "user" and at >= begin:
                words = [later["act"] for later in events[place + 1:] if later["act"] in ("confirmed", "reopened", "repaired")]
                yield event["school_id"], event["by"], wall, words[0] if words else ""


def technician_repair_hours(data):
    for school, _, wall, _ in repairs_said(data):
        yield school, wall, 1, 0


def technician_first_fix(data):
    for school, _, _, word in repairs_said(data):
        if word in ("confirmed", "reopened"):
            yield school, int(word == "confirmed"), 1, 0
        else:
            yield school, None, 0, 1


def assets_answered_for(data):
    for asset in active(data):
        yield asset["school_id"], int(all(asset[who].strip() for who in ("owner", "builder", "maintainer"))), 1, 0


def manual(data, indicator):
    for school in data.schools:
        own = [m for m in data.manual_figures if m["school_id"] == school["school_id"] and m["indicator"] == indicator]
        own.sort(key=lambda row: row["month"])
        if own:
            yield school["school_id"], int(own[-1]["numerator"]), int(own[-1]["denominator"]), 0
        else:
            yield school["school_id"], None, 0, 1


PERCENT, RATIO, COUNT, HOURS, MEAN = "percent", "ratio", "count", "hours", "mean_hours"
RULES = {
    "devices_told": (PERCENT, devices_told),
    "device_on_rate": (PERCENT, device_on_rate),
    "screen_hours": (HOURS, screen_hours),
    "lesson_opening": (PERCENT, lesson_opening),
    "planned_lessons_opened": (PERCENT, planned_lessons_opened),
    "lesson_opens": (COUNT, lambda data: used(data, "opens")),
    "lesson_hours": (HOURS, lambda data: used(data, "seconds")),
    "teaching_point_coverage": (PERCENT, teaching_point_coverage),
    "resources_arrived": (PERCENT, resources_arrived),
    "classrooms_equipped": (PERCENT, classrooms_equipped),
    "classrooms_online": (PERCENT, classrooms_online),
    "broadband_met": (PERCENT, broadband_met),
    "broadband_100m": (PERCENT, broadband_100m),
    "inspections_done": (PERCENT, inspections_done),
    "repairs_opened": (COUNT, repairs_opened),
    "response_hours": (MEAN, lambda data: timed(data, "accepted_at", "response_s")),
    "repair_hours": (MEAN, lambda data: timed(data, "repaired_at", "repair_s")),
    "repairs_confirmed": (PERCENT, repairs_confirmed),
    "rectifications_closed": (PERCENT, rectifications_closed),
    "technician_repair_hours": (MEAN, technician_repair_hours),
    "technician_first_fix": (PERCENT, technician_first_fix),
    "assets_answered_for": (PERCENT, assets_answered_for),
    "pupils_per_computer": (RATIO, lambda data: manual(data, "pupils_per_computer")),
    "teachers_per_computer": (RATIO, lambda data: manual(data, "teachers_per_computer")),
}


# What the export cannot tell: hours of class and what is allowed in them; what a board's record of an exam proves.
BEYOND = {"technician_in_time", "exam_silence"}


def half_up(num, den):
    return (2 * num + den) // (2 * den)


def decimals(value, digits):
    return str(value) if digits == 0 else f"{value // 10**digits}.{value % 10**digits:0{digits}d}"


def shown(kind, num, den):
    if kind == PERCENT:
        return decimals(half_up(num * 10_000, den), 2) + "%"
    if kind == RATIO:
        return decimals(half_up(num * 100, den), 2)
    if kind == COUNT:
        return str(num)
    if kind == HOURS:
        return decimals(half_up(num * 10, 3600), 1)
    return decimals(half_up(num * 10, den * 3600), 1)


def recompute(data, indicator, school):
    kind, rule = RULES[indicator]
    rows = [row for row in rule(data) if school is None or row[0] == school]
    known = [row for row in rows if row[1] is not None]
    num, den = sum(row[1] for row in known), sum(row[2] for row in known)
    # The export has no timetables, so it cannot tell of periods that nobody told of.
    unknown = None if any(row[3] is None for row in rows) else sum(row[3] for row in rows)
    if kind in (COUNT, HOURS):
        if not known and (indicator != "repairs_opened" or unknown):
            return None, None, None, unknown
        return shown(kind, num, 0), num, None, unknown
    if not known or den == 0:
        return None, None, None, unknown
    return shown(kind, num, den), num, den, unknown


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("folder", type=pathlib.Path)
    args.add_argument("figures", type=pathlib.Path)
    args.add_argument("--from", dest="first", type=datetime.date.fromisoformat, required=True)
    args.add_argument("--to", dest="last", type=datetime.date.fromisoformat, required=True)
    args.add_argument("--count", default="20")
    args.add_argument("--seed", type=int, default=None)
    args = args.parse_args()
    data = Data(args.folder, args.first, args.last)
    figures = json.loads(args.figures.read_text(encoding="utf-8"))["figures"]
    figures = [figure for figure in figures if figure["indicator"] not in BEYOND]
    lost = sorted({figure["indicator"] for figure in figures} - RULES.keys())
    if lost:
        sys.exit(f"no rule for {', '.join(lost)}: this script does not know them yet")
    if args.count != "all":
        figures = random.Random(args.seed).sample(figures, int(args.count))
    right = 0
    for figure in figures:
        name = figure["name"]
        indicator, _, school = name.partition("@")
        value, num, den, unknown = recompute(data, indicator, school or None)
        said = (figure.get("value"), figure.get("num"), figure.get("den"))
        same = said == (value, num, den) and unknown in (None, figure.get("unknown", 0))
        right += same
        mark = "ok " if same else "NOT"
        print(f"{mark} {name}: report {said} ?{figure.get('unknown', 0)}, recomputed {(value, num, den)} ?{unknown}")
    print(f"{right}/{len(figures)}")
    sys.exit(0 if right == len(figures) else 1)


if __name__ == "__main__":
    main()
