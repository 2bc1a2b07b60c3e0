//! Every cell of the matrix, over the HTTP API: each role, each action, about something of one's own, of a neighbour and of
//! the node above.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use bbt_console::{
    access::{Action, Permissions, Role},
    db::scope::Node,
};

use crate::{
    people::{Person, Site, World},
    recipes::{self, Sign},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    Own,
    Sibling,
    Parent,
}

struct Walk<'a> {
    world: &'a World,
    cells: BTreeMap<(About, bool), u32>,
    calls: u32,
    wrong: Vec<String>,
}

impl Walk<'_> {
    async fn cell(
        &mut self,
        role: Role,
        who: &Person,
        action: &Action,
        about: About,
        at: &Site,
        home: &Site,
    ) {
        let listed = action.roles.as_ref().is_none_or(|roles| roles.contains(&role));
        let root = home.node == Node::Root;
        let allowed = listed
            && (!action.root_only || root)
            && match about {
                About::Own => true,
                About::Sibling => false,
                About::Parent => action.upward,
            };
        let mut named = false;
        for route in &action.routes {
            let shots = recipes::shots(self.world, route, at, home, who)
                .await
                .unwrap_or_else(|| {
                    panic!("{route} of {} has no recipe in tests/app/recipes.rs", action.name)
                });
            for shot in shots {
                named = true;
                self.calls += 1;
                let (reached, answer) = shot.reached(self.world, who, at).await;
                let lists = matches!(shot.sign, Sign::Mentions(_) | Sign::Counts | Sign::Hears);
                let status = answer.status;
                // Somebody without the role hears that; what is elsewhere is not there, or not in the list.
                let fits = match (allowed, listed && (!action.root_only || root)) {
                    (true, _) => reached,
                    (false, false) => !reached && status == StatusCode::FORBIDDEN,
                    (false, true) if lists => !reached && status.is_success(),
                    (false, true) => {
                        !reached && [StatusCode::NOT_FOUND, StatusCode::FORBIDDEN].contains(&status)
                    }
                };
                if !fits {
                    self.wrong.push(format!(
                        "{} {about:?} {route} {}: {status} {} (should be {})",
                        role.as_str(),
                        shot.path,
                        String::from_utf8_lossy(&answer.body)
                            .chars()
                            .take(300)
                            .collect::<String>(),
                        if allowed { "reached" } else { "out of reach" },
                    ));
                }
            }
        }
        if named {
            *self.cells.entry((about, allowed)).or_default() += 1;
        }
    }
}

async fn walk(world: &World, roles: &[Role], [own, sibling, parent]: [&Site; 3]) {
    let mut walk = Walk {
        world,
        cells: BTreeMap::new(),
        calls: 0,
        wrong: Vec::new(),
    };
    for action in Permissions::get().unwrap().actions() {
        for role in roles {
            // A new person for each, since some actions are about oneself.
            let who = world.person(&[(*role, own.node)]).await;
            for (about, at) in [
                (About::Own, own),
                (About::Sibling, sibling),
                (About::Parent, parent),
            ] {
                walk.cell(*role, &who, action, about, at, own).await;
            }
        }
    }
    let total: u32 = walk.cells.values().sum();
    println!(
        "cells at {:?}: {total} with {} calls: {:?}",
        own.node, walk.calls, walk.cells
    );
    assert!(
        walk.wrong.is_empty(),
        "{} wrong:\n{}",
        walk.wrong.len(),
        walk.wrong.join("\n")
    );
    assert!(total > 100);
}

#[tokio::test]
async fn every_cell_at_a_county() {
    let world = World::new().await;
    let sites = [&world.county, &world.neighbour, &world.city];
    walk(&world, &Role::ALL, sites).await;
}

#[tokio::test]
async fn every_cell_at_a_school() {
    let world = World::new().await;
    let sites = [&world.school, &world.next_school, &world.county];
    walk(&world, &[Role::SchoolAdmin, Role::Technician], sites).await;
}

#[tokio::test]
async fn what_is_the_installs_needs_a_grant_at_its_root() {
    let world = World::new().await;
    let permissions = Permissions::get().unwrap();
    for action in permissions.actions().iter().filter(|action| action.root_only) {
        for role in Role::ALL {
            let who = world.person(&[(role, Node::Root)]).await;
            let listed = action.roles.as_ref().unwrap().contains(&role);
            for route in &action.routes {
                let shots = recipes::shots(&world, route, &world.county, &world.county, &who).await;
                for shot in shots.unwrap() {
                    let (reached, answer) = shot.reached(&world, &who, &world.county).await;
                    assert_eq!(reached, listed, "{} {route}: {}", role.as_str(), answer.status);
                }
            }
        }
    }
}
