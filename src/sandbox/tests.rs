//! The stand-ins over real HTTP, as a client meets them.

mod activity;
mod harness;
mod oro;
mod oro_mirror;
mod serving;
mod zendesk;
mod zendesk_threads;
mod zendesk_writes;
