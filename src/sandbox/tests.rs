//! The stand-ins over real HTTP, as a client meets them.

mod harness;
mod oro;
mod serving;
mod zendesk;
mod zendesk_writes;
