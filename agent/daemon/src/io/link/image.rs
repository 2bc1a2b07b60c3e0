//! A new program for the board controller: carried over the link in pieces, compared with its digest, tried, and committed only
//! when it answers. At each moment the board starts a whole image, and an agent that restarts in between goes on where it was.

use std::time::Duration;

use board_link::{CHUNK_BYTES, ImageChunk, ImageHead, ImageReport, Refusal, Request, Response, label};
use tokio::time::{Instant, sleep};

use super::{BoardLink, LinkError};

/// Pieces that were lost in a row, before the board counts as gone.
const MOST_LOST: u32 = 5;
/// From "try it" to its first word.
const TRIAL_LIMIT: Duration = Duration::from_secs(30);
/// Between two looks whether it is there again.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The digest of an image, as its head has it.
const DIGEST: &ring::digest::Algorithm = &ring::digest::SHA256;

/// Why the board controller still has its old program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// Nobody answers, or too old a board.
    #[error("failed to bring the board controller its new program: {0}")]
    Link(#[from] LinkError),
    /// The board refused a step.
    #[error("the board controller refused to {step}: {refusal:?}")]
    Refused {
        /// What was asked for.
        step: &'static str,
        /// Its word.
        refusal: Refusal,
    },
    /// It answered something else.
    #[error("the board controller answered {step} with something else")]
    Nonsense {
        /// What was asked for.
        step: &'static str,
    },
    /// Too long for any board.
    #[error("an image of {0} bytes is no board controller's")]
    TooLong(usize),
    /// It did not come back with the new program, and went back to the old one.
    #[error("the board controller did not start version {0}; it is back at its old program")]
    NotStarted(String),
}

/// Brings `image` to the board, tries it, and commits it. Whose it is, the caller has checked by its signature.
///
/// # Errors
/// [`ImageError`]; the board then runs, or goes back by itself to, the program that it had.
pub async fn put_image(link: &BoardLink, image: &[u8], version: &str) -> Result<(), ImageError> {
    let bytes = u32::try_from(image.len()).map_err(|_| ImageError::TooLong(image.len()))?;
    let mut digest = [0; 32];
    digest.copy_from_slice(ring::digest::digest(DIGEST, image).as_ref());
    let head = ImageHead {
        bytes,
        digest,
        version: label(version),
    };
    let mut offset = wanted(ask(link, Request::BeginImage(head)).await?, "take the image")?;
    while let Some(rest) = usize::try_from(offset)
        .ok()
        .and_then(|offset| image.get(offset..))
    {
        if rest.is_empty() {
            break;
        }
        let piece = rest.get(..CHUNK_BYTES).unwrap_or(rest);
        let chunk = ImageChunk {
            offset,
            data: piece.iter().copied().collect(),
        };
        let before = offset;
        offset = match ask(link, Request::PutImage(chunk)).await? {
            // It has forgotten, or had this piece already: it says itself where to go on.
            Response::Refused(Refusal::OutOfOrder) => continued(ask(link, Request::GetImages).await?)?,
            response => wanted(response, "take a piece of the image")?,
        };
        if offset == before {
            return Err(ImageError::Nonsense {
                step: "a piece of the image",
            });
        }
    }
    done(ask(link, Request::VerifyImage).await?, "verify the image")?;
    match link.ask(Request::TryImage).await {
        Ok(response) => done(response, "try the image")?,
        // It restarts; whether its answer was heard is told by what it says then.
        Err(LinkError::Lost | LinkError::Away(_)) => {}
        Err(error) => return Err(error.into()),
    }
    started(link, version).await?;
    let committed = ask(link, Request::CommitImage).await?;
    // Said twice, since the first answer was lost, it may be refused: then there is no trial any more.
    if matches!(committed, Response::Refused(_))
        && let Response::Images(images) = ask(link, Request::GetImages).await?
        && !images.trial
        && images.version == label(version)
    {
        return Ok(());
    }
    done(committed, "commit the image")
}

/// Waits until the board is back with the new program on trial.
async fn started(link: &BoardLink, version: &str) -> Result<(), ImageError> {
    let until = Instant::now() + TRIAL_LIMIT;
    loop {
        sleep(LOOK_EVERY).await;
        if let Ok(Response::Images(images)) = link.ask(Request::GetImages).await
            && images.trial
            && images.version == label(version)
        {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(ImageError::NotStarted(version.to_owned()));
        }
    }
}

/// Asks again what was lost: each of these requests may be said twice.
async fn ask(link: &BoardLink, request: Request) -> Result<Response, ImageError> {
    let mut lost = 0;
    loop {
        match link.ask(request.clone()).await {
            Ok(response) => return Ok(response),
            Err(LinkError::Lost | LinkError::Away(_)) if lost < MOST_LOST => {
                lost += 1;
                sleep(LOOK_EVERY * lost).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn wanted(response: Response, step: &'static str) -> Result<u32, ImageError> {
    match response {
        Response::ImageWants { offset } => Ok(offset),
        Response::Refused(refusal) => Err(ImageError::Refused { step, refusal }),
        _ => Err(ImageError::Nonsense { step }),
    }
}

fn continued(response: Response) -> Result<u32, ImageError> {
    const STEP: &str = "say what it has of the image";
    match response {
        Response::Images(ImageReport {
            other: board_link::OtherImage::Coming { offset, .. },
            ..
        }) => Ok(offset),
        Response::Refused(refusal) => Err(ImageError::Refused { step: STEP, refusal }),
        _ => Err(ImageError::Nonsense { step: STEP }),
    }
}

fn done(response: Response, step: &'static str) -> Result<(), ImageError> {
    match response {
        Response::Done => Ok(()),
        Response::Refused(refusal) => Err(ImageError::Refused { step, refusal }),
        _ => Err(ImageError::Nonsense { step }),
    }
}
