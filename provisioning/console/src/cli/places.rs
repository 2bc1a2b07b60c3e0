//! Places on the command line.

use super::{
    admin::plain,
    args::{Classroom, Region, School},
    show::{list, or_dash, word},
};
use crate::{
    api::tree::{NewClassroom, NewRegion, NewSchool},
    controllers::tree,
    db::{Db, scope::Scope},
};

pub(super) async fn region(command: Region, db: &Db) -> anyhow::Result<()> {
    match command {
        Region::Add {
            name,
            kind,
            parent,
            code,
        } => {
            let new = tree::checked_region(NewRegion {
                parent_id: parent,
                kind,
                name,
                code,
            })
            .map_err(plain)?;
            println!("{}", db.tree().add_region(&Scope::everything(), &new).await?);
        }
        Region::List(format) => {
            let regions = db.tree().all(&Scope::everything()).await?.regions;
            list(
                format,
                &regions,
                &["ID", "PARENT", "KIND", "NAME", "CODE", "SCHOOLS"],
                || {
                    let row = |r: &crate::api::tree::Region| {
                        vec![
                            r.id.to_string(),
                            or_dash(r.parent_id),
                            word(&r.kind),
                            r.name.clone(),
                            or_dash(r.code.as_deref()),
                            r.schools.len().to_string(),
                        ]
                    };
                    regions.iter().map(row).collect()
                },
            )?;
        }
    }
    Ok(())
}

pub(super) async fn school(command: School, db: &Db) -> anyhow::Result<()> {
    match command {
        School::Add {
            name,
            region,
            code,
            kind,
        } => {
            let new = tree::checked_school(NewSchool {
                region_id: region,
                code,
                name,
                kind,
            })
            .map_err(plain)?;
            println!("{}", db.tree().add_school(&Scope::everything(), &new).await?);
        }
        School::Line(command) => super::school::line(command, db).await?,
        School::Author(command) => super::school::author(command, db).await?,
        School::List(format) => {
            let regions = db.tree().all(&Scope::everything()).await?.regions;
            let schools: Vec<_> = regions
                .iter()
                .flat_map(|r| r.schools.iter().map(move |s| (r, s)))
                .collect();
            let items: Vec<_> = schools.iter().map(|(_, s)| s).collect();
            list(
                format,
                &items,
                &[
                    "ID",
                    "CODE",
                    "NAME",
                    "KIND",
                    "REGION",
                    "CLASSROOMS",
                    "DEVICES",
                    "ONLINE",
                ],
                || {
                    let row = |(r, s): &(&crate::api::tree::Region, &crate::api::tree::SchoolSummary)| {
                        vec![
                            s.id.to_string(),
                            s.code.clone(),
                            s.name.clone(),
                            word(&s.kind),
                            r.name.clone(),
                            s.classrooms.to_string(),
                            s.devices.to_string(),
                            s.online.to_string(),
                        ]
                    };
                    schools.iter().map(row).collect()
                },
            )?;
        }
    }
    Ok(())
}

pub(super) async fn classroom(command: Classroom, db: &Db) -> anyhow::Result<()> {
    match command {
        Classroom::Add {
            name,
            school,
            code,
            grade,
        } => {
            let new = tree::checked_classroom(NewClassroom {
                school_id: school,
                code,
                name,
                grade,
            })
            .map_err(plain)?;
            println!("{}", db.tree().add_classroom(&Scope::everything(), &new).await?);
        }
        Classroom::List { school, format } => {
            let rooms = db.tree().classrooms(&Scope::everything(), school).await?;
            list(format, &rooms, &["ID", "SCHOOL", "CODE", "NAME", "GRADE"], || {
                let row = |c: &crate::api::tree::Classroom| {
                    vec![
                        c.id.to_string(),
                        c.school_id.to_string(),
                        c.code.clone(),
                        c.name.clone(),
                        c.grade.clone(),
                    ]
                };
                rooms.iter().map(row).collect()
            })?;
        }
    }
    Ok(())
}
