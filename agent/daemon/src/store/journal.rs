//! Journal of commands.
