#!/usr/bin/env python3
"""Fills a console's database with a month of a county: so many devices, each day told, used, inspected, with periods and orders.

    month.py DATA/console.db --devices 3000 --from 2026-10-01 --days 31

For benches only: the console must not run. Prints what it wrote as JSON, with the id of the county.
"""

import argparse
import datetime
import json
import random
import sqlite3

ROOMS = 20
PERIODS = [(8 * 60 + 50 * n, 8 * 60 + 50 * n + 40) for n in range(4)] + [(14 * 60 + 50 * n, 14 * 60 + 50 * n + 40) for n in range(3)]
UTC8 = datetime.timezone(datetime.timedelta(hours=8))


def ms(day, hour=0):
    return int(datetime.datetime.combine(day, datetime.time(hour), UTC8).timestamp() * 1000)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("database")
    args.add_argument("--devices", type=int, default=3000)
    args.add_argument("--from", dest="first", type=datetime.date.fromisoformat, default=datetime.date(2026, 10, 1))
    args.add_argument("--days", type=int, default=31)
    args = args.parse_args()
    dice = random.Random(3000)
    db = sqlite3.connect(args.database, isolation_level=None)
    db.execute("PRAGMA synchronous = OFF")
    db.execute("BEGIN")
    county = db.execute("INSERT INTO regions (kind, name) VALUES ('county', '某县') RETURNING id").fetchone()[0]
    towns = [db.execute("INSERT INTO regions (parent_id, kind, name) VALUES (?, 'township', ?) RETURNING id", (county, f"{n}镇")).fetchone()[0]
             for n in range(10)]
    db.executemany("INSERT INTO region_closure VALUES (?, ?) ON CONFLICT DO NOTHING",
                   [(county, county)] + [pair for town in towns for pair in [(town, town), (county, town)]])
    week = json.dumps([{"day": day, "number": n + 1, "from_min": span[0], "to_min": span[1], "subject": "数学", "weeks": "all"}
                       for day in range(1, 6) for n, span in enumerate(PERIODS)])
    enrolled, dates = ms(args.first - datetime.timedelta(days=60)), [args.first + datetime.timedelta(days=n) for n in range(args.days)]
    days, told, lessons, periods, tests = [], [], [], [], []
    for n in range(args.devices):
        if n % ROOMS == 0:
            school = db.execute("INSERT INTO schools (region_id, code, name, kind, contracted_down_mbps) VALUES (?, ?, ?, ?, ?) RETURNING id",
                                (towns[n // ROOMS % 10], f"S{n // ROOMS:04}", f"第{n // ROOMS}小学",
                                 "teaching_point" if n // ROOMS % 4 == 0 else "school", dice.choice([50, 100, 200]))).fetchone()[0]
        room = db.execute("INSERT INTO classrooms (school_id, code, name) VALUES (?, ?, ?) RETURNING id",
                          (school, f"{n % ROOMS:03}", f"{n % ROOMS}班")).fetchone()[0]
        db.execute("INSERT INTO timetables VALUES (?, ?, ?, 'bench')", (room, week, enrolled))
        no = db.execute("INSERT INTO devices (id, classroom_id, serial, board, agent_version, certificate_serial, enrolled_at)"
                        " VALUES (?, ?, ?, 'generic-box-rev-a', '1.0', ?, ?) RETURNING device_no",
                        (f"bench-{n:05}", room, f"SN{n:05}", f"{n:032x}", enrolled)).fetchone()[0]
        for date in dates:
            day, school_day, heard = date.isoformat(), date.weekday() < 5, dice.random() < 0.9
            expected = 27_000 if school_day else 0
            online = dice.randrange(0, 91) * 300 if school_day else 0
            verdict = ("silent" if school_day else "free") if not heard else "on" if not school_day or online else "off"
            samples = dice.randrange(300, 600) if heard else 0
            days.append((no, day, room, expected, online if heard else None, online if heard and n % 7 else None, samples, verdict, 0))
            if not (school_day and heard):
                continue
            told.append((no, day, room, 1, 1, ms(date, 18), ms(date, 18)))
            for lesson in range(3):
                lessons.append((no, day, f"m{lesson}", "数学", dice.randrange(1, 5), 1, dice.randrange(2400)))
            for number in range(1, len(PERIODS) + 1):
                opened, planned = dice.random() < 0.7, dice.random() < 0.3
                periods.append((no, day, number, "数学", "m1" if planned else None, opened, opened and planned))
            tests.append(("automatic", day, school, room, no, dice.choice(["pass", "pass", "fail", "unknown"]), "[]", ms(date, 17)))
    db.executemany("INSERT INTO device_days VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", days)
    db.executemany("INSERT INTO use_days VALUES (?, ?, ?, ?, ?, ?, ?)", told)
    db.executemany("INSERT INTO use_lessons VALUES (?, ?, ?, ?, ?, ?, ?)", lessons)
    db.executemany("INSERT INTO use_periods VALUES (?, ?, ?, ?, ?, ?, ?)", periods)
    db.executemany("INSERT INTO inspections (kind, date, school_id, classroom_id, device_no, result, items, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                   tests)
    orders = []
    for n in range(args.devices // 2):
        opened = ms(dice.choice(dates), 9)
        response, repair = dice.randrange(90_000), dice.randrange(900_000)
        orders.append((1 + dice.randrange(args.devices // ROOMS), opened, opened + response * 1000, opened + repair * 1000, response, repair))
    db.executemany("INSERT INTO orders (source, school_id, class, state, since, opened_at, round_since, accepted_at, repaired_at,"
                   " response_wall_s, repair_wall_s) VALUES ('hand', ?, 'infrastructure', 'repaired', 0, ?, 0, ?, ?, ?, ?)", orders)
    db.execute("COMMIT")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    print(json.dumps({"county": county, "devices": args.devices, "device_days": len(days), "use_days": len(told),
                      "use_lessons": len(lessons), "use_periods": len(periods), "inspections": len(tests), "orders": len(orders)}))


if __name__ == "__main__":
    main()
