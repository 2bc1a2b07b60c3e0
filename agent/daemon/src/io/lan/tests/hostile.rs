//! Boards that mean ill.
