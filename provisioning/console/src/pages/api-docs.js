// Shows /api/openapi.json as a page. Plain on purpose: no library, no request to anywhere else.
"use strict";

const make = (tag, text, kind) => {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (kind) node.className = kind;
  return node;
};

// A short form of a schema: names, types, and what is optional.
const sketch = (schema, all, depth) => {
  if (!schema) return "any";
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    return depth > 0 ? sketch(all[name], all, depth - 1) : name;
  }
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((v) => JSON.stringify(v)).join(" | ");
  const many = schema.oneOf || schema.anyOf;
  if (many) return many.map((s) => sketch(s, all, depth)).join(" | ");
  if (schema.allOf) return schema.allOf.map((s) => sketch(s, all, depth)).join(" & ");
  if (schema.type === "array" || (Array.isArray(schema.type) && schema.type.includes("array"))) {
    return "[" + sketch(schema.items, all, depth) + "]";
  }
  if (schema.properties) {
    const required = new Set(schema.required || []);
    const lines = Object.entries(schema.properties).map(([name, s]) => {
      const note = (s.description || "").split("\n")[0];
      const mark = required.has(name) ? "" : "?";
      const type = sketch(s, all, 0).replace(/\n/g, "\n  ");
      return `  ${name}${mark}: ${type}${note ? "   // " + note : ""}`;
    });
    return "{\n" + lines.join("\n") + "\n}";
  }
  return [].concat(schema.type || "any").join(" | ") + (schema.format ? " (" + schema.format + ")" : "");
};

const operation = (verb, path, op, base, all) => {
  const box = make("details");
  const head = make("summary");
  head.append(make("span", verb.toUpperCase(), "verb " + verb), make("code", base + path), make("span", op.summary || op.description || "", "dim"));
  const body = make("div", undefined, "body");
  if (op.parameters && op.parameters.length) {
    const table = make("table");
    for (const p of op.parameters) {
      const row = make("tr");
      row.append(make("td", `${p.name}${p.required ? "" : "?"}`), make("td", p.in, "dim"), make("td", sketch(p.schema, all, 0)), make("td", p.description || "", "dim"));
      table.append(row);
    }
    body.append(table);
  }
  const content = (title, holder) => {
    for (const [type, media] of Object.entries((holder && holder.content) || {})) {
      body.append(make("p", `${title} ${type}`, "dim"), make("pre", sketch(media.schema, all, 1)));
    }
  };
  content("→", op.requestBody);
  for (const [status, response] of Object.entries(op.responses || {})) {
    if (response.content) content("← " + status, response);
    else body.append(make("p", `← ${status} ${response.description || ""}`, "dim"));
  }
  box.append(head, body);
  return box;
};

fetch("/api/openapi.json")
  .then((answer) => answer.json())
  .then((doc) => {
    document.getElementById("about").textContent = doc.info.description;
    const base = doc.servers && doc.servers[0] ? doc.servers[0].url : "";
    const all = (doc.components && doc.components.schemas) || {};
    const groups = new Map();
    for (const [path, verbs] of Object.entries(doc.paths)) {
      for (const [verb, op] of Object.entries(verbs)) {
        const tag = (op.tags && op.tags[0]) || "other";
        if (!groups.has(tag)) groups.set(tag, []);
        groups.get(tag).push(operation(verb, path, op, base, all));
      }
    }
    const main = document.getElementById("paths");
    for (const [tag, boxes] of groups) main.append(make("h2", tag), ...boxes);
  })
  .catch((error) => {
    document.getElementById("about").textContent = "openapi.json: " + error;
  });
