//! `GET /api/pinyin?q=`: characters for pinyin, from the agent's own dictionary. Nothing that is typed is kept.

use std::sync::LazyLock;

use agent_core::ime::{Ime, MAX_LETTERS};
use axum::{
    Extension, Json,
    extract::Query,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;

use super::{home::fresh, problem::Refusal};
use crate::config::Language;

/// Most that are offered: what is paged through at a board.
const MOST: usize = 60;

static IME: LazyLock<Ime<'static>> = LazyLock::new(|| Ime::new(include_str!("../../data/pinyin.txt")));

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    q: String,
}

/// `{candidates: [{text, used}]}`: `used` letters of `q` are written by it.
pub(super) async fn pinyin(Query(asked): Query<Asked>, Extension(language): Extension<Language>) -> Response {
    if asked.q.len() > MAX_LETTERS || !asked.q.chars().all(|c| c.is_ascii_alphabetic()) {
        return Refusal::BadQuestion.answer(language, "at most 40 letters a to z");
    }
    let found = tokio::task::spawn_blocking(move || IME.candidates(&asked.q, MOST)).await;
    match found {
        Ok(found) => {
            let candidates: Vec<_> = found
                .into_iter()
                .map(|one| json!({ "text": one.text, "used": one.used }))
                .collect();
            fresh(Json(json!({ "candidates": candidates })).into_response())
        }
        Err(error) => Refusal::Busy.answer(language, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dictionary_knows_what_lessons_are_called() {
        for (typed, expected, within) in [
            ("sanjiaoxing", "三角形", 1),
            ("sjx", "三角形", 8),
            ("sanjiaoxingdemianji", "三角形的面积", 1),
            ("guanchao", "观潮", 1),
            ("guan", "观", 8),
            ("chao", "潮", 8),
            ("xiaoshudejiafa", "小数的加法", 1),
            ("shuxue", "数学", 1),
            ("yuwen", "语文", 1),
            ("yingyu", "英语", 1),
            ("kexue", "科学", 1),
            ("nv", "女", 3),
            ("lv", "绿", 4),
            ("xian", "西安", 8),
            ("zhonghuarenmingongheguo", "中华人民共和国", 1),
        ] {
            let found = IME.candidates(typed, MOST);
            let at = found.iter().position(|one| one.text == expected);
            assert!(
                at.is_some_and(|at| at < within),
                "{typed}: {at:?} of {:?}",
                found.iter().take(8).collect::<Vec<_>>()
            );
        }
    }
}
