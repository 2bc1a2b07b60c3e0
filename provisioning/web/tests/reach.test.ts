import { describe, expect, it } from "vitest";

import type { Grant, NodeRef, TreeRegion, UserRow } from "../src/api/types";
import { judges, ownersOf, placesOpen } from "../src/lib/setup";

/** A city (1) with two counties (2, 3); in the first of them a township (4) with a school (40). */
const regions = [
  { id: 1, parent_id: null, schools: [] },
  { id: 2, parent_id: 1, schools: [] },
  { id: 3, parent_id: 1, schools: [] },
  { id: 4, parent_id: 2, schools: [{ id: 40 }] },
] as unknown as Pick<TreeRegion, "id" | "parent_id" | "schools">[];
const root: NodeRef = { kind: "root", name: "" };
const region = (id: number): NodeRef => ({ kind: "region", id, name: String(id) });
const school = (id: number): NodeRef => ({ kind: "school", id, name: String(id) });
const grant = (role: string, node: NodeRef): Grant => ({ id: 1, role, node }) as unknown as Grant;

describe("who can review a lesson", () => {
  const one = (username: string, ...grants: Grant[]): UserRow => ({ username, disabled: false, grants }) as unknown as UserRow;
  const people = [
    one("root", grant("reviewer", root)), one("city", grant("reviewer", region(1))), one("county", grant("content_officer", region(2))),
    one("neighbour", grant("reviewer", region(3))), one("township", grant("reviewer", region(4))), one("school", grant("reviewer", school(40))),
    one("twice", grant("technician", root), grant("reviewer", region(3))),
  ];
  const of = (owner: NodeRef): string[] => judges(people, { version: 1, uploaded_by: "x", history: [], owner } as unknown as Parameters<typeof judges>[1], regions).map((p) => p.username);

  it("is only who reaches the place that the lesson belongs to", () => {
    expect(of(root)).toEqual(["root"]);
    expect(of(region(2))).toEqual(["root", "city", "county"]);
    expect(of(region(3))).toEqual(["root", "city", "neighbour", "twice"]);
    expect(of(school(40))).toEqual(["root", "city", "county", "township", "school"]);
  });
  it("is found in a tree that begins below its top, and in one with a circle", () => {
    const circle = [{ id: 5, parent_id: 6, schools: [] }, { id: 6, parent_id: 5, schools: [] }] as typeof regions;
    const few = [one("up", grant("reviewer", region(6)))];
    expect(judges(few, { version: 1, uploaded_by: "x", history: [], owner: region(5) } as unknown as Parameters<typeof judges>[1], circle)).toHaveLength(1);
    expect(judges(few, { version: 1, uploaded_by: "x", history: [], owner: region(9) } as unknown as Parameters<typeof judges>[1], [])).toHaveLength(0);
  });
});

describe("whose a new lesson is", () => {
  it("is asked only of an officer of several places", () => {
    expect(ownersOf([grant("content_officer", region(2)), grant("reviewer", region(3))])).toEqual([region(2)]);
    expect(ownersOf([grant("content_officer", region(2)), grant("content_officer", region(3)), grant("content_officer", region(2))])).toEqual([region(2), region(3)]);
    // Who holds the whole install uploads for it, as ever.
    expect(ownersOf([grant("content_officer", region(2)), grant("content_officer", root)])).toEqual([root]);
    expect(ownersOf([grant("reviewer", root)])).toEqual([]);
  });
});

describe("the form for schools and classrooms", () => {
  const still = { more: false, busy: false, failed: false, school: 0, way: "hand" as const };
  it("stays while the first rooms are being made, and with what went wrong", () => {
    expect(placesOpen(0, still)).toBe(true);
    expect(placesOpen(1, still)).toBe(false);
    expect(placesOpen(1, { ...still, busy: true })).toBe(true);
    expect(placesOpen(1, { ...still, failed: true })).toBe(true);
    expect(placesOpen(1, { ...still, school: 7 })).toBe(true);
    // A roster makes all rooms at once: its report is still to be read.
    expect(placesOpen(800, { ...still, way: "file" })).toBe(true);
    expect(placesOpen(1, { ...still, more: true })).toBe(true);
  });
});
