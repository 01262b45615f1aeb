//! A compiled connector becomes requests: HTTP and files, with the same file names in each.
