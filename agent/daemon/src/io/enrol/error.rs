//! Why a device was not enrolled, and the sentence for it.

use std::{error::Error, fmt, io, path::PathBuf, time::Duration};

use agent_core::enrol::{Choice, Failure, MAX_TRIES, TicketError};
use contract::{code::CodeError, id::DeviceId};
use rustls::{CertificateError, Error as TlsError};

use super::county::CountyError;
use crate::{
    config::Language,
    messages::{catalogue, fill},
    shelf::{ClassroomChoice, Denied, Said},
};

/// Why a device was not enrolled. An identity from before is untouched.
#[derive(Debug)]
pub enum EnrolError {
    /// The ticket's file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// It is longer than any ticket.
    TooLong(PathBuf),
    /// It is no ticket.
    Unclear(PathBuf, serde_json::Error),
    /// A field of the ticket is of no use.
    Ticket(TicketError),
    /// What was typed is no code.
    Mistyped(CodeError),
    /// A code says nothing of whom to ask, and no county file is there.
    NoCounty,
    /// The county file is of no use.
    County(CountyError),
    /// The board tells no serial number, and the configuration, which is named, has none.
    NoSerial(PathBuf),
    /// The console was asked, in vain.
    Failed(Failure),
    /// Something that should never fail did.
    NotPrepared(anyhow::Error),
}

impl EnrolError {
    /// Key of its sentence, and what is filled in.
    fn key(&self) -> (&'static str, Vec<(&'static str, String)>) {
        let reason = |reason: &dyn fmt::Display| vec![("reason", reason.to_string())];
        let file = |file: &PathBuf| ("file", file.display().to_string());
        match self {
            Self::Unreadable(path, error) => {
                ("ticket_unreadable", [vec![file(path)], reason(error)].concat())
            }
            Self::TooLong(path) => ("ticket_too_long", vec![file(path)]),
            Self::Unclear(path, error) => ("ticket_unclear", [vec![file(path)], reason(error)].concat()),
            Self::Ticket(TicketError::Url(found)) => ("ticket_url", vec![("found", format!("{found:?}"))]),
            Self::Ticket(TicketError::Code) => ("ticket_code", vec![]),
            Self::Ticket(TicketError::Authority) => ("ticket_authority", vec![]),
            Self::Mistyped(CodeError::Length(found)) => ("code_length", vec![("found", found.to_string())]),
            Self::Mistyped(CodeError::Character(found)) => {
                ("code_character", vec![("found", found.to_string())])
            }
            Self::Mistyped(CodeError::Check) => ("code_check", vec![]),
            Self::NoCounty => ("no_county", vec![]),
            Self::County(error) => ("county", reason(error)),
            Self::NoSerial(config) => ("no_serial", vec![file(config)]),
            Self::Failed(Failure::NeedsClassroom(choices, words)) if choices.is_empty() => {
                ("refused", reason(words))
            }
            Self::Failed(Failure::NeedsClassroom(choices, _)) => {
                ("needs_classroom", vec![("choices", listed(choices))])
            }
            Self::Failed(Failure::Refused(words)) => ("refused", reason(words)),
            Self::Failed(Failure::Stranger(words)) => ("stranger", reason(words)),
            Self::Failed(Failure::BadReply(words)) => ("bad_reply", reason(words)),
            Self::Failed(Failure::Unreachable(words)) => ("unreachable", reason(words)),
            Self::Failed(Failure::NotStored(words)) => ("not_stored", reason(words)),
            Self::NotPrepared(error) => ("not_prepared", vec![("reason", format!("{error:#}"))]),
        }
    }

    /// The same for the page, with the classrooms to choose from where that is what is missing.
    pub fn denied(&self) -> Denied {
        let classrooms = match self {
            Self::Failed(Failure::NeedsClassroom(choices, _)) => choices
                .iter()
                .map(|choice| ClassroomChoice {
                    code: choice.code.clone(),
                    name: choice.name.clone(),
                    school: String::new(),
                })
                .collect(),
            _ => Vec::new(),
        };
        Denied {
            said: Said {
                zh: self.say(Language::ZhCn),
                en: self.say(Language::En),
            },
            classrooms,
        }
    }

    /// One sentence: the thing, the reason, the fix.
    pub fn say(&self, language: Language) -> String {
        let (key, values) = self.key();
        sentence(language, key, &values)
    }
}

impl fmt::Display for EnrolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.say(Language::En))
    }
}

/// Its sentence holds all reasons already.
impl Error for EnrolError {}

/// One classroom in each line, as it is named on the command line.
fn listed(choices: &[Choice]) -> String {
    let line = |choice: &Choice| format!("\n  --classroom {}  {}", choice.code, choice.name);
    choices.iter().map(line).collect()
}

/// Which console is asked, and for how long at most: nothing else is said until it is over.
pub(super) fn say_connecting(language: Language, console_url: &str, longest: Duration) -> String {
    let values = [
        ("console_url", console_url.to_owned()),
        ("tries", MAX_TRIES.to_string()),
        ("minutes", longest.as_secs().div_ceil(60).to_string()),
    ];
    sentence(language, "connecting", &values)
}

/// That all went well.
pub fn say_enrolled(language: Language, device_id: &DeviceId) -> String {
    sentence(language, "enrolled", &[("device_id", device_id.to_string())])
}

/// That the same console enrolled the device already.
pub fn say_already(language: Language, device_id: &DeviceId) -> String {
    sentence(language, "already", &[("device_id", device_id.to_string())])
}

/// That the running agent takes up its new identity by itself.
pub fn say_restart_needed(language: Language) -> String {
    sentence(language, "restart_needed", &[])
}

fn sentence(language: Language, key: &str, values: &[(&str, String)]) -> String {
    let sentences = &catalogue(language).enrol;
    fill(sentences.get(key).map_or(key, String::as_str), values)
}

/// Whether TLS failed since the other side's certificate was not issued by the authority that is believed.
pub(super) fn is_stranger(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        // An authority that was made anew under its old name shows as a bad signature.
        let foreign = matches!(
            error.downcast_ref(),
            Some(TlsError::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::BadSignature
            ))
        );
        if foreign {
            return true;
        }
        // What an `io::Error` wraps is not among its sources.
        let wrapped = error.downcast_ref().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_a_sentence_in_both_languages_and_none_is_left_over() {
        let text = || "why".to_owned();
        let file = || PathBuf::from("t.json");
        let unclear = serde_json::from_str::<u8>("x").unwrap_err();
        let errors = [
            EnrolError::Unreadable(file(), io::Error::other("why")),
            EnrolError::TooLong(file()),
            EnrolError::Unclear(file(), unclear),
            EnrolError::Ticket(TicketError::Url("http://x".into())),
            EnrolError::Ticket(TicketError::Code),
            EnrolError::Ticket(TicketError::Authority),
            EnrolError::Mistyped(CodeError::Length(7)),
            EnrolError::Mistyped(CodeError::Character('U')),
            EnrolError::Mistyped(CodeError::Check),
            EnrolError::NoCounty,
            EnrolError::County(CountyError::Unreadable {
                file: file(),
                reason: io::Error::other("why"),
            }),
            EnrolError::NoSerial(file()),
            EnrolError::Failed(Failure::NeedsClassroom(
                vec![Choice {
                    code: "301".into(),
                    name: "why".into(),
                }],
                text(),
            )),
            EnrolError::Failed(Failure::Refused(text())),
            EnrolError::Failed(Failure::Stranger(text())),
            EnrolError::Failed(Failure::BadReply(text())),
            EnrolError::Failed(Failure::Unreachable(text())),
            EnrolError::Failed(Failure::NotStored(text())),
            EnrolError::NotPrepared(anyhow::anyhow!("why")),
        ];
        for language in [Language::ZhCn, Language::En] {
            let mut said: Vec<_> = errors.iter().map(|error| error.say(language)).collect();
            for (error, said) in errors.iter().zip(&said) {
                for (name, value) in error.key().1 {
                    assert!(said.contains(&value), "{language:?} {name}: {said}");
                }
            }
            let connecting = say_connecting(language, "https://c:8443", Duration::from_secs(181));
            for value in ["https://c:8443", "6", "4"] {
                assert!(connecting.contains(value), "{connecting}");
            }
            said.push(connecting);
            said.push(say_enrolled(language, &DeviceId::new("d1").unwrap()));
            said.push(say_restart_needed(language));
            said.push(say_already(language, &DeviceId::new("d1").unwrap()));
            for said in &said {
                assert!(
                    said.contains(' ') || !said.is_ascii(),
                    "no sentence for key {said}"
                );
                assert!(!said.contains('{'), "{said}");
            }
            assert_eq!(catalogue(language).enrol.len(), said.len(), "{language:?}");
        }
    }
}
