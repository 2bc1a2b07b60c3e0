//! The JSON Schema of a board file, for editors: made of [`KEYS`](crate::keys::KEYS).

use serde_json::{Map, Value, json};

use crate::keys::{Allowed, CURVE_POINTS, KEYS, Key, Presence};

/// The schema, as `schema.json` in this crate's folder holds it. An editor that knows TOML finds it by the line
/// `#:schema ../schema.json`.
///
/// It knows each key by itself. What two keys must be to each other (limits that rise, pins that differ) only
/// `bbt-agent board check` says.
#[must_use]
pub fn schema() -> Value {
    let mut root = Table::default();
    for key in KEYS {
        root.put(key.name, key);
    }
    let (properties, needed) = root.finish();
    let mut then = Map::new();
    for (table, keys) in needed {
        then.insert(table, json!({ "required": keys }));
    }
    let tables: Vec<_> = then.keys().cloned().collect();
    let own: Vec<_> = KEYS
        .iter()
        .filter(|key| key.presence == Presence::Must && !key.name.contains('.'))
        .map(|key| key.name.to_owned())
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A board: board-configs/boards/<model>-rev-<revision>.toml",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "if": { "not": { "required": ["inherit"] } },
        "then": {
            "required": own.into_iter().chain(tables).collect::<Vec<_>>(),
            "properties": then,
        },
    })
}

/// The keys that each table must have.
type Needed = Vec<(String, Vec<String>)>;

/// The tables of a file, in order.
#[derive(Debug, Default)]
struct Table {
    plain: Vec<&'static Key>,
    tables: Vec<(String, bool, Vec<&'static Key>)>,
}

impl Table {
    fn put(&mut self, name: &'static str, key: &'static Key) {
        let Some((table, _)) = name.split_once('.') else {
            self.plain.push(key);
            return;
        };
        let list = table.ends_with("[]");
        let table = table.trim_end_matches("[]");
        match self.tables.iter_mut().find(|(name, ..)| name == table) {
            Some((.., keys)) => keys.push(key),
            None => self.tables.push((table.to_owned(), list, vec![key])),
        }
    }

    /// Properties, and the keys that each table must have where nothing is inherited.
    fn finish(self) -> (Map<String, Value>, Needed) {
        let mut properties = Map::new();
        let mut needed = Vec::new();
        for key in self.plain {
            properties.insert(key.name.to_owned(), value(key));
        }
        for (table, list, keys) in self.tables {
            let mut inside = Map::new();
            let mut must = Vec::new();
            for key in keys {
                let name = key.name.rsplit('.').next().unwrap_or(key.name).to_owned();
                if key.presence == Presence::Must {
                    must.push(name.clone());
                }
                inside.insert(name, value(key));
            }
            let object = json!({ "type": "object", "additionalProperties": false, "properties": inside });
            let whole = if list {
                json!({ "type": "array", "items": object })
            } else {
                object
            };
            properties.insert(table.clone(), whole);
            if !must.is_empty() {
                needed.push((table, must));
            }
        }
        (properties, needed)
    }
}

fn value(key: &Key) -> Value {
    let mut of = match key.allowed {
        Allowed::Board => {
            json!({ "type": "string", "maxLength": 64, "pattern": "^[a-z0-9][a-z0-9-]*-rev-[a-z0-9-]*$" })
        }
        Allowed::Word => json!({ "type": "string", "pattern": "^[a-z0-9-]{1,40}$" }),
        Allowed::Text => json!({ "type": "string", "minLength": 1, "maxLength": 60 }),
        Allowed::Path => json!({ "type": "string", "maxLength": 200, "pattern": "^/" }),
        Allowed::Pin => {
            json!({ "type": "string", "pattern": "^(P[A-K](1[0-5]|[0-9])|gpiochip[0-9]{1,2}/[0-9]{1,3})$" })
        }
        Allowed::Address => json!({ "type": "string", "pattern": "^.+:[0-9]{1,5}$" }),
        Allowed::Number(low, high) => json!({ "type": "integer", "minimum": low, "maximum": high }),
        Allowed::NumberOf(numbers) => json!({ "enum": numbers }),
        Allowed::OneOf(words) => json!({ "enum": words }),
        Allowed::Curve(x, y) => {
            let part =
                |(low, high): (i64, i64)| json!({ "type": "integer", "minimum": low, "maximum": high });
            json!({
                "type": "array", "minItems": 1, "maxItems": CURVE_POINTS,
                "items": { "type": "array", "prefixItems": [part(x), part(y)], "minItems": 2, "maxItems": 2 },
            })
        }
    };
    if let Some(of) = of.as_object_mut() {
        of.insert("description".to_owned(), key.about.into());
        match key.presence {
            Presence::Default(number) => {
                of.insert("default".to_owned(), number.into());
            }
            Presence::DefaultWord(word) => {
                of.insert("default".to_owned(), word.into());
            }
            Presence::Must | Presence::Depends | Presence::May => {}
        }
    }
    of
}
