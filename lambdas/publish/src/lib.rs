//! Keeps edge stores equal to the table of links.
