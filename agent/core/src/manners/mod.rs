//! What lessons may take of the school's line, and when: class hours, exams, lines that are paid by volume, and yielding to
//! the classes' own traffic.
