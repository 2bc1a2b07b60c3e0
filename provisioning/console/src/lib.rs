//! The county ops console.
#![forbid(unsafe_code)]

pub mod access;
pub mod admission;
pub mod api;
pub mod app;
pub mod audit;
pub mod auth;
pub mod broker;
pub mod cli;
pub mod clock;
pub mod config;
pub mod controllers;
pub mod db;
pub mod device_http;
pub mod domain;
pub mod enrolment;
pub mod error;
pub mod ingest;
pub mod jobs;
pub mod labels;
pub mod messages;
pub mod metrics;
pub mod notify;
pub mod objects;
pub mod oidc;
pub mod orders;
pub mod packs;
pub mod pages;
pub mod photos;
pub mod pki;
pub mod reports;
pub mod router;
pub mod serve;
pub mod syslog;
pub mod trust;
pub mod usb;
