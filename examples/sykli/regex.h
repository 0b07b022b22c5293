// Regular expressions, the part of Elixir's (and so Perl's) that takes linear time.
#ifndef REGEX_H_INCLUDED
#define REGEX_H_INCLUDED

#include <stddef.h>

enum { REGEX_STEPS_MAX = 2000, REGEX_COUNT_MAX = 1000, REGEX_GROUPS_MAX = 32 };

typedef struct regex_fault {
    size_t at;        // the byte of the pattern
    const char *what; // is wrong there, and what would be right
} regex_fault;

// Whether a pattern matches some part of a text.
//   pattern  . [a-z] [^a-z] [[:alpha:]] \d \w \s \D \W \S \b \B ^ $ \A \z (a|b) (?:a) * + ? {m,n};
//            those that take as few as they can are read and match the same texts; \n \t \r \f
//            \xHH \x{H...}; a backslash before any sign is that sign
//   units    characters of UTF-8; a byte that is not UTF-8 is a character of its own. \d, \w, \s
//            and [:name:] are ASCII; the dot is not \n
//   returns  1 yes, 0 no, -1 not well formed, or larger than the limits above; *fault says why
//   cost     O(steps * characters), and less than 50 KiB of stack
//            source  Thompson 1968, Cox 2007 (regular expression matching can be simple and fast)
int regex_search(const char *pattern, const char *text, regex_fault *fault);

#endif
