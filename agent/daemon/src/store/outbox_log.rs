//! Log of samples that the console does not have yet.
