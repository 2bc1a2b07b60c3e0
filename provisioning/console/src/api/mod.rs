//! Shapes of the HTTP API under `/api/v1`. Shapes only: what they mean is said here, where they come from elsewhere.

pub mod account;
pub mod alerts;
pub mod answers;
pub mod assets;
pub mod audit;
pub mod backup;
pub mod bandwidth;
pub mod batches;
pub mod claims;
pub mod clones;
pub mod commands;
pub mod device_bulk;
pub mod device_events;
pub mod device_network;
pub mod devices;
pub mod exams;
pub mod faults;
pub mod fleet;
pub mod forecast;
pub mod health;
pub mod identity;
pub mod incidents;
pub mod lesson_imports;
pub mod lessons;
pub mod lines;
pub mod lint;
pub mod listing;
pub mod notices;
pub mod notify;
pub mod orders;
pub mod packs;
pub mod pushes;
pub mod receipts;
pub mod reports;
pub mod reviews;
pub mod roster;
pub mod schema;
pub mod security;
pub mod series;
pub mod session;
pub mod setup;
pub mod system;
pub mod tickets;
pub mod timeline;
pub mod timetables;
pub mod tree;
pub mod trust;
pub mod usage;
pub mod usb;
pub mod users;
pub mod views;
pub mod vocab;

/// Most rows in one page.
pub const MAX_PAGE_SIZE: u32 = 500;
const DEFAULT_PAGE_SIZE: u32 = 50;

/// Which rows of a list; pages count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// From 1.
    pub page: u32,
    /// 1 to [`MAX_PAGE_SIZE`].
    pub page_size: u32,
}

impl Page {
    /// What was asked for, within bounds.
    pub fn new(page: Option<u32>, page_size: Option<u32>) -> Self {
        Self {
            page: page.unwrap_or(1).max(1),
            page_size: page_size.unwrap_or(DEFAULT_PAGE_SIZE).clamp(1, MAX_PAGE_SIZE),
        }
    }

    /// Rows to take.
    pub fn limit(self) -> i64 {
        i64::from(self.page_size)
    }

    /// Rows to skip.
    pub fn offset(self) -> i64 {
        (i64::from(self.page) - 1) * i64::from(self.page_size)
    }
}

macro_rules! page_of {
    ($(#[$doc:meta])* $name:ident, $item:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        pub struct $name {
            /// The rows of this page.
            pub items: Vec<$item>,
            /// Rows of all pages.
            pub total: u64,
            /// This page, from 1.
            pub page: u32,
            /// Rows in a full page.
            pub page_size: u32,
        }

        impl $name {
            /// A page as it was found.
            pub fn new((items, total): (Vec<$item>, u64), page: $crate::api::Page) -> Self {
                Self { items, total, page: page.page, page_size: page.page_size }
            }
        }
    };
}
pub(crate) use page_of;
