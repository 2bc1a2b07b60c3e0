//! Review and withdrawal. One route for each step, because each is a right of its own.

use axum::{Json, extract::State};
use contract::id::LessonId;
use jiff::Timestamp;

use super::{Body, Path, Query, text};
use crate::{
    access::{Access, Permissions},
    api::{
        lessons::LessonDetail,
        reviews::{
            LessonReview, NewMeta, ReviewPage, ReviewQuery, ReviewVerdict, SelfCheck, Verdict, VersionQuery,
            Withdraw, Withdrawn,
        },
        schema,
    },
    app::{AppState, Noun},
    db::{
        reviews::Act,
        scope::{Node, Scope},
    },
    domain::{
        import::{ImportError, Reason, release::ReleaseError},
        lint::{Finding, Severity},
        review::ReviewStep,
        vocab,
    },
    error::{ApiError, Code},
};

const MOST_REASON: usize = 500;

/// Whom the person's roles let take which step: per action, how far it reaches.
struct Reach(Vec<(&'static str, Scope)>);

impl Reach {
    async fn of(app: &AppState, access: &Access, more: &[&'static str]) -> Result<Self, ApiError> {
        let mut found = Vec::new();
        let steps = ReviewStep::ALL.into_iter().map(ReviewStep::action);
        for action in steps.chain(more.iter().copied()) {
            // An action that the person may not do anywhere reaches nothing, not the install.
            if Permissions::get()?.named(action)?.nodes(&access.grants).is_some() {
                found.push((action, access.reach(&app.db, action).await?));
            }
        }
        Ok(Self(found))
    }

    fn has(&self, action: &str, node: Node) -> bool {
        self.0
            .iter()
            .any(|(name, scope)| *name == action && scope.has(node))
    }
}

/// Versions that wait for somebody, those that wait longest first; one page.
#[utoipa::path(get, path = "/reviews", tag = "reviews", params(ReviewQuery), responses((status = 200, body = ReviewPage)))]
pub async fn list(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<ReviewQuery>,
) -> Result<Json<ReviewPage>, ApiError> {
    let reach = Reach::of(&app, &access, &[]).await?;
    let may = |step: ReviewStep, node| reach.has(step.action(), node);
    let reviews = app.db.reviews();
    let found = reviews
        .list(&access.scope, &query, &access.user.username, &may)
        .await?;
    Ok(Json(ReviewPage::new(found, query.page())))
}

/// One version's review with everything that was done to the lesson.
#[utoipa::path(get, path = "/lessons/{id}/review", tag = "reviews", params(("id" = String, Path), VersionQuery), responses(
    (status = 200, body = LessonReview),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn detail(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<LessonId>,
    Query(query): Query<VersionQuery>,
) -> Result<Json<LessonReview>, ApiError> {
    Ok(Json(shown(&app, &access, &id, query.version).await?))
}

async fn shown(
    app: &AppState,
    access: &Access,
    id: &LessonId,
    version: Option<u32>,
) -> Result<LessonReview, ApiError> {
    let reach = Reach::of(app, access, &["lessons.withdraw", "lessons.write"]).await?;
    let may = |step: ReviewStep, node| reach.has(step.action(), node);
    let reviews = app.db.reviews();
    // Whoever takes a step sees what became of it, though the route's own reach is that of the step.
    let item = reviews
        .item(&access.scope, id, version, &access.user.username, &may)
        .await?;
    let owner = item.owner.node();
    Ok(LessonReview {
        missing: vocab::missing(&item.meta)
            .into_iter()
            .map(|field| field.path().to_owned())
            .collect(),
        may_withdraw: item.released_version.is_some() && reach.has("lessons.withdraw", owner),
        may_edit: item.state.is_editable() && reach.has("lessons.write", owner),
        history: reviews.history(id).await?,
        item,
    })
}

/// 自审: the side that brings a version says that it is complete and in order.
#[utoipa::path(post, path = "/lessons/{id}/review/self-check", tag = "reviews", params(("id" = String, Path)),
    request_body = SelfCheck, responses(
    (status = 200, body = LessonReview),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn self_check(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<LessonId>,
    Body(check): Body<SelfCheck>,
) -> Result<Json<LessonReview>, ApiError> {
    let nobody = |_: ReviewStep, _: Node| false;
    let item = app
        .db
        .reviews()
        .item(&access.scope, &id, Some(check.version), "", &nobody)
        .await?;
    let missing = vocab::missing(&item.meta);
    if item.state.is_editable() && !missing.is_empty() {
        let names: Vec<_> = missing
            .iter()
            .map(|field| vocab::of(*field).map_or(field.id(), |v| v.name.as_str()))
            .collect();
        return Err(ApiError::new(Code::ReviewIncomplete).arg("fields", names.join("、")));
    }
    let errors = lint_errors(&app, &id, check.version).await?;
    if item.state.is_editable() && errors > 0 {
        return Err(ApiError::new(Code::ReviewLintErrors).arg("count", errors));
    }
    let verdict = ReviewVerdict {
        version: check.version,
        verdict: Verdict::Pass,
        reason: check.reason,
    };
    take(app, access, id, ReviewStep::SelfCheck, verdict).await
}

/// How many errors the linter found in a version; they block 自审.
async fn lint_errors(app: &AppState, lesson: &LessonId, version: u32) -> Result<usize, ApiError> {
    let examined = app.db.lint().of(lesson, version).await?;
    let errors = |found: &Finding| found.severity == Severity::Error;
    Ok(examined.map_or(0, |(examination, _)| {
        examination.findings.iter().filter(|f| errors(f)).count()
    }))
}

/// 初审: passes or returns a version.
#[utoipa::path(post, path = "/lessons/{id}/review/first", tag = "reviews", params(("id" = String, Path)),
    request_body = ReviewVerdict, responses(
    (status = 200, body = LessonReview),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn first(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<LessonId>,
    Body(verdict): Body<ReviewVerdict>,
) -> Result<Json<LessonReview>, ApiError> {
    take(app, access, id, ReviewStep::First, verdict).await
}

/// 复审: passes or returns a version.
#[utoipa::path(post, path = "/lessons/{id}/review/second", tag = "reviews", params(("id" = String, Path)),
    request_body = ReviewVerdict, responses(
    (status = 200, body = LessonReview),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn second(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<LessonId>,
    Body(verdict): Body<ReviewVerdict>,
) -> Result<Json<LessonReview>, ApiError> {
    take(app, access, id, ReviewStep::Second, verdict).await
}

/// 准入: admits or returns a version.
#[utoipa::path(post, path = "/lessons/{id}/review/admit", tag = "reviews", params(("id" = String, Path)),
    request_body = ReviewVerdict, responses(
    (status = 200, body = LessonReview),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn admit(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<LessonId>,
    Body(verdict): Body<ReviewVerdict>,
) -> Result<Json<LessonReview>, ApiError> {
    take(app, access, id, ReviewStep::Admit, verdict).await
}

/// 出库: signs an admitted version and puts it on offer in place of the one before; or returns it.
#[utoipa::path(post, path = "/lessons/{id}/review/release", tag = "reviews", params(("id" = String, Path)),
    request_body = ReviewVerdict, responses(
    (status = 200, body = LessonReview),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn release(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<LessonId>,
    Body(verdict): Body<ReviewVerdict>,
) -> Result<Json<LessonReview>, ApiError> {
    take(app, access, id, ReviewStep::Release, verdict).await
}

async fn take(
    app: AppState,
    access: Access,
    id: LessonId,
    step: ReviewStep,
    verdict: ReviewVerdict,
) -> Result<Json<LessonReview>, ApiError> {
    let reason = text("reason", &verdict.reason, 0, MOST_REASON)?;
    let act = Act {
        scope: &access.scope,
        lesson: &id,
        version: verdict.version,
        step,
        by: &access.user.username,
        reason: &reason,
        now: Timestamp::now(),
    };
    match (verdict.verdict, step) {
        (Verdict::Return, _) => app.db.reviews().send_back(&act).await.map(drop)?,
        (Verdict::Pass, ReviewStep::Release) => {
            app.releaser().release(&act).await.map_err(|e| refused(&id, e))?;
            app.changed(Noun::Push, None);
        }
        (Verdict::Pass, _) => app.db.reviews().pass(&act).await.map(drop)?,
    }
    app.changed(Noun::Lesson, id.to_string());
    Ok(Json(shown(&app, &access, &id, Some(verdict.version)).await?))
}

/// 下架: a version and all before it leave every assignment at once; boards that have them stop playing them.
#[utoipa::path(post, path = "/lessons/{id}/withdraw", tag = "reviews", params(("id" = String, Path)),
    request_body = Withdraw, responses(
    (status = 200, body = Withdrawn),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn withdraw(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<LessonId>,
    Body(wish): Body<Withdraw>,
) -> Result<Json<Withdrawn>, ApiError> {
    let reason = text("reason", &wish.reason, 0, MOST_REASON)?;
    if reason.is_empty() {
        return Err(ApiError::new(Code::ReviewNoReason));
    }
    let done = app
        .db
        .reviews()
        .withdraw(
            &access.scope,
            &id,
            wish.up_to_version,
            &access.user.username,
            &reason,
            Timestamp::now(),
        )
        .await?;
    app.changed(Noun::Lesson, id.to_string());
    app.changed(Noun::Push, None);
    Ok(Json(done))
}

/// Gives a draft or a returned version another description; it is a draft then.
#[utoipa::path(patch, path = "/lessons/{id}/meta", tag = "lessons", params(("id" = String, Path)),
    request_body = NewMeta, responses(
    (status = 200, body = LessonDetail),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn describe(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<LessonId>,
    Body(new): Body<NewMeta>,
) -> Result<Json<LessonDetail>, ApiError> {
    app.releaser()
        .describe(
            &access.scope,
            &id,
            new.version,
            new.meta,
            &access.user.username,
            Timestamp::now(),
        )
        .await
        .map_err(|error| refused(&id, error))?;
    app.changed(Noun::Lesson, id.to_string());
    Ok(Json(app.db.lessons().detail(&access.scope, &id).await?))
}

fn refused(id: &LessonId, error: ReleaseError) -> ApiError {
    match error {
        ReleaseError::Db(error) => error.into(),
        ReleaseError::Draft(Reason::Word(fault)) => fault.as_ref().into(),
        ReleaseError::Draft(reason) => ImportError {
            lesson: id.to_string(),
            file: String::new(),
            reason,
        }
        .into(),
        not_admitted @ ReleaseError::NotAdmitted { .. } => ApiError::internal(not_admitted),
    }
}
