//! Local stand-ins of business systems, for rehearsal, demonstrations and tests.
