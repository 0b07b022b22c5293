// A pattern becomes a program of steps, and all ways through the program are taken at once, one
// character of the text after the other: nothing is ever tried again, so no pattern is slow.
#include "regex.h"
#include "sykli.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { NO_CODE = -1, NOT_UTF8 = 0x110000, CODE_LAST = INT32_MAX };

// Targets are distances from the step itself: a piece of a program can be moved and copied.
enum {
    RANGE,         // takes a character from a to b
    CLASS,         // takes one that is in the a ranges behind it, or in none of them if b
    SPLIT,         // goes on at a and at b
    BEGIN, END,    // goes on there
    EDGE, NO_EDGE, // goes on where a word begins or ends, or elsewhere
    MATCH
};
typedef struct step { int kind; int32_t a, b; } step;

// ---- characters ----

// Steps over one.
static int32_t code_next(const char **at)
{
    const unsigned char *p = (const unsigned char *)*at;
    size_t size = *p < 0x80 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
    for (size_t i = 1; i < size; i++)
        if ((p[i] & 0xc0) != 0x80) size = i;
    bool valid = sykli_utf8_valid(*at, size);
    int32_t code = !valid ? NOT_UTF8 + *p : size == 1 ? *p : *p & (0x7f >> size);
    if (!valid) size = 1;
    for (size_t i = 1; i < size; i++) code = code << 6 | (p[i] & 0x3f);
    *at += size;
    return code;
}

// The first three are \d, \s and \w. A pair of characters a range, in ascending order.
static const struct { const char *name, *ranges; } classes[] = {
    { "digit", "09" }, { "space", "\t\r  " }, { "word", "09AZ__az" }, { "alpha", "AZaz" },
    { "alnum", "09AZaz" }, { "lower", "az" }, { "upper", "AZ" }, { "xdigit", "09AFaf" },
    { "punct", "!/:@[`{~" }, { "blank", "\t\t  " }, { "cntrl", "\1\37\177\177" }, { "graph", "!~" },
    { "print", " ~" }
};
enum { CLASS_COUNT = sizeof classes / sizeof *classes };

static bool is_word(int32_t code)
{
    return code > 0 && code < 0x80 && (isalnum((unsigned char)code) || code == '_');
}

// ---- from pattern to program ----

typedef struct maker {
    const char *pattern, *at;
    regex_fault *fault; // the first one
    int depth, count;
    step steps[REGEX_STEPS_MAX];
} maker;

static void wrong(maker *m, const char *at, const char *what)
{
    if (!m->fault->what) *m->fault = (regex_fault){ (size_t)(at - m->pattern), what };
}

static bool has_failed(const maker *m) { return m->fault->what != NULL; }

static void emit(maker *m, int kind, int32_t a, int32_t b)
{
    if (m->count == REGEX_STEPS_MAX)
        wrong(m, m->at, "more than 2000 steps so far; smaller counts make fewer");
    else m->steps[m->count++] = (step){ kind, a, b };
}

// Puts a split before what begins at `from`.
static void split_before(maker *m, int from, int32_t a, int32_t b)
{
    emit(m, SPLIT, a, b);
    if (has_failed(m)) return;
    memmove(m->steps + from + 1, m->steps + from,
            (size_t)(m->count - 1 - from) * sizeof *m->steps);
    m->steps[from] = (step){ SPLIT, a, b };
}

static void copy(maker *m, int from, int size, long times)
{
    for (long n = 0; size && n < times && !has_failed(m); n++)
        for (int i = 0; i < size; i++)
            emit(m, m->steps[from + i].kind, m->steps[from + i].a, m->steps[from + i].b);
}

// Repeats what begins at `from`.     most < 0: without end
static void repeat(maker *m, int from, long least, long most)
{
    int size = m->count - from;
    if (!most) {
        m->count = from;
    } else if (!least && most < 0) {
        split_before(m, from, 1, size + 2);
        emit(m, SPLIT, -(size + 1), -(size + 1));
    } else if (!least) {
        split_before(m, from, 1, size + 1);
        copy(m, from, size + 1, most - 1);
    } else {
        copy(m, from, size, least - 1);
        if (most < 0) emit(m, SPLIT, -size, 1);
        for (long n = least; size && n < most && !has_failed(m); n++) {
            emit(m, SPLIT, 1, size + 1);
            copy(m, from, size, 1);
        }
    }
}

// Reads the bounds of a repetition.     returns  false: there is none
static bool repetition(maker *m, long *least, long *most)
{
    const char *at = m->at;
    char *end = NULL;
    if (*at == '*' || *at == '+' || *at == '?') {
        *least = *at == '+';
        *most = *at == '?' ? 1 : -1;
        m->at++;
        return true;
    }
    if (*at != '{' || !isdigit((unsigned char)at[1])) return false;
    *least = *most = strtol(at + 1, &end, 10);
    if (*end == ',') {
        *most = -1;
        if (isdigit((unsigned char)*++end)) *most = strtol(end, &end, 10);
    }
    if (*end != '}') return false;
    m->at = end + 1;
    if (*least > REGEX_COUNT_MAX || *most > REGEX_COUNT_MAX)
        wrong(m, at, "a count above 1000; repeat a group instead");
    else if (*most >= 0 && *most < *least)
        wrong(m, at, "a count that ends below its begin; {m,n} is the lesser first");
    return true;
}

// A character written as an escape; m->at is behind the backslash.
static int32_t escaped(maker *m)
{
    static const char letters[] = "n\nt\tr\rf\f";
    const char *start = m->at - 1, *known = strchr(letters, *m->at);
    unsigned char c = (unsigned char)*m->at;
    if (!c) wrong(m, start, "a backslash with nothing behind it; the sign itself is \\\\");
    else if (c == 'x') {
        bool braces = m->at[1] == '{';
        const char *first = m->at + 1 + braces, *digit = first;
        int32_t code = 0;
        for (; isxdigit((unsigned char)*digit) && digit - first < (braces ? 6 : 2); digit++)
            code = code * 16 + (isdigit((unsigned char)*digit) ? *digit - '0'
                                                               : (*digit | 0x20) - 'a' + 10);
        if (digit == first || (braces && *digit != '}') || !code || code >= NOT_UTF8)
            wrong(m, start, "no character; \\xHH and \\x{HHHH} are, up to \\x{10ffff}");
        else m->at = digit + braces;
        return code;
    } else if (isdigit(c))
        wrong(m, start, "a reference to a group, which is not supported; write it out again");
    else if (isalpha(c) && !known)
        wrong(m, start, "an unknown escape; \\d \\w \\s \\b \\D \\W \\S \\B \\A \\z \\n \\t \\r "
                        "\\f \\xHH and those of signs are known");
    if (has_failed(m)) return 0;
    if (!isalpha(c)) return code_next(&m->at);
    m->at++;
    return known[1];
}

static void named(maker *m, int which, bool except)
{
    int32_t from = 1;
    for (const char *r = classes[which].ranges; *r; from = r[1] + 1, r += 2) {
        if (!except) emit(m, RANGE, r[0], r[1]);
        else if (from < r[0]) emit(m, RANGE, from, r[0] - 1);
    }
    if (except) emit(m, RANGE, from, CODE_LAST);
}

// \d and the like, at the letter.     returns  false: it is something else
static bool lettered(maker *m)
{
    static const char letters[] = "dswDSW";
    const char *found = *m->at ? strchr(letters, *m->at) : NULL;
    if (!found) return false;
    m->at++;
    named(m, (int)(found - letters) % 3, found - letters > 2);
    return true;
}

// [:alpha:] inside of a class.     returns  false: it is something else
static bool posix(maker *m)
{
    if (m->at[0] != '[' || m->at[1] != ':') return false;
    bool except = m->at[2] == '^';
    const char *name = m->at + 2 + except;
    size_t size = strspn(name, "abcdefghijklmnopqrstuvwxyz");
    if (name[size] != ':' || name[size + 1] != ']') return false;
    for (int i = 0; i < CLASS_COUNT; i++) {
        if (strlen(classes[i].name) != size || memcmp(classes[i].name, name, size)) continue;
        named(m, i, except);
        m->at = name + size + 2;
        return true;
    }
    wrong(m, m->at, "an unknown class; digit space word alpha alnum lower upper xdigit punct blank "
                    "cntrl graph print are known");
    return true;
}

static int32_t class_character(maker *m)
{
    if (*m->at != '\\') return code_next(&m->at);
    m->at++;
    if (*m->at != 'b') return escaped(m);
    m->at++;
    return '\b';
}

static void bracket(maker *m)
{
    const char *open = m->at++;
    int head = m->count;
    bool except = *m->at == '^';
    emit(m, CLASS, 0, except);
    m->at += except;
    for (const char *first = m->at; !has_failed(m) && (m->at == first || *m->at != ']');) {
        const char *item = m->at;
        if (!*m->at) wrong(m, open, "a [ without its ]; the sign itself is \\[");
        if (has_failed(m) || posix(m)) continue;
        if (*m->at == '\\') {
            m->at++;
            if (lettered(m)) continue;
            m->at--;
        }
        int32_t a = class_character(m), b = a;
        if (m->at[0] == '-' && m->at[1] && m->at[1] != ']') {
            m->at++;
            b = class_character(m);
        }
        if (b < a) wrong(m, item, "a range that ends below its begin; put the - last to mean it");
        emit(m, RANGE, a, b);
    }
    if (has_failed(m)) return;
    m->at++;
    m->steps[head].a = m->count - head - 1;
}

static void escape(maker *m)
{
    static const struct { char letter; int kind; } places[] = {
        { 'b', EDGE }, { 'B', NO_EDGE }, { 'A', BEGIN }, { 'z', END }
    };
    int head = m->count;
    m->at++;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (*m->at == places[i].letter) {
            m->at++;
            emit(m, places[i].kind, 0, 0);
            return;
        }
    emit(m, CLASS, 0, 0);
    if (!has_failed(m) && lettered(m)) {
        m->steps[head].a = m->count - head - 1;
        return;
    }
    m->count = head;
    int32_t code = escaped(m);
    emit(m, RANGE, code, code);
}

static void alternatives(maker *m);

static void group(maker *m)
{
    const char *open = m->at++;
    if (*m->at == '?') {
        const char *kind = m->at + 1 + (m->at[1] == '<');
        if (*kind == '=' || *kind == '!')
            wrong(m, open, "a look ahead or behind, which is not supported; join two comparisons "
                           "with `and`, `and not`");
        else if (*kind != ':' || kind != m->at + 1)
            wrong(m, open, "a kind of group that is not supported; ( ) and (?: ) are");
        else m->at += 2;
    }
    if (++m->depth > REGEX_GROUPS_MAX) wrong(m, open, "groups in more than 32 others");
    if (has_failed(m)) return;
    alternatives(m);
    if (*m->at != ')') wrong(m, open, "a ( without its ); the sign itself is \\(");
    else m->at++;
    m->depth--;
}

static void atom(maker *m)
{
    switch (*m->at) {
    case '(': group(m); return;
    case '[': bracket(m); return;
    case '\\': escape(m); return;
    case '^': emit(m, BEGIN, 0, 0); break;
    case '$': emit(m, END, 0, 0); break;
    case '.':
        emit(m, CLASS, 1, true);
        emit(m, RANGE, '\n', '\n');
        break;
    default: {
        int32_t code = code_next(&m->at);
        emit(m, RANGE, code, code);
        return;
    }
    }
    m->at++;
}

static void repeated(maker *m)
{
    long least = 1, most = 1;
    int from = m->count;
    const char *at = m->at;
    if (repetition(m, &least, &most))
        wrong(m, at, "a repetition of nothing; the sign itself has a \\ before it");
    if (!has_failed(m)) atom(m);
    if (has_failed(m) || !repetition(m, &least, &most) || has_failed(m)) return;
    repeat(m, from, least, most);
    if (*m->at == '?') m->at++; // as few as possible: the texts are the same
    at = m->at;
    if (repetition(m, &least, &most))
        wrong(m, at, "a second repetition; put what is repeated already into ( )");
}

static void alternatives(maker *m)
{
    for (int from = m->count, jump = -1;;) {
        while (!has_failed(m) && *m->at && *m->at != '|' && *m->at != ')') repeated(m);
        if (jump >= 0) m->steps[jump].a = m->steps[jump].b = m->count - jump;
        if (has_failed(m) || *m->at != '|') return;
        m->at++;
        split_before(m, from, 1, m->count - from + 2);
        jump = m->count;
        emit(m, SPLIT, 0, 0);
        if (has_failed(m)) return;
    }
}

// ---- the search ----

static bool takes(const step *s, int32_t code)
{
    bool found = false;
    if (code == NO_CODE) return false;
    if (s->kind == RANGE) return code >= s->a && code <= s->b;
    for (int32_t i = 1; i <= s->a; i++) found |= code >= s[i].a && code <= s[i].b;
    return found != (s->b != 0);
}

typedef struct runner {
    uint32_t turn;
    int todo_count;
    uint16_t todo[REGEX_STEPS_MAX]; // steps to be looked at this turn, each once
    uint32_t seen[REGEX_STEPS_MAX]; // the turn in which each was
} runner;

static void go(runner *r, int32_t at)
{
    if (r->seen[at] == r->turn) return;
    r->seen[at] = r->turn;
    r->todo[r->todo_count++] = (uint16_t)at;
}

static bool search(const step *steps, const char *text)
{
    runner r = { 0 };
    uint16_t later[REGEX_STEPS_MAX]; // steps of the next turn
    int later_count = 0;
    for (int32_t before = NO_CODE, code = 0; code != NO_CODE; before = code) {
        code = *text ? code_next(&text) : NO_CODE;
        r.turn++;
        for (go(&r, 0); later_count; later_count--) go(&r, later[later_count - 1]);
        while (r.todo_count) {
            int32_t at = r.todo[--r.todo_count];
            const step *s = &steps[at];
            switch (s->kind) {
            case MATCH: return true;
            case SPLIT:
                go(&r, at + s->a);
                go(&r, at + s->b);
                break;
            case BEGIN: if (before == NO_CODE) go(&r, at + 1); break;
            case END: if (code == NO_CODE) go(&r, at + 1); break;
            case EDGE: if (is_word(before) != is_word(code)) go(&r, at + 1); break;
            case NO_EDGE: if (is_word(before) == is_word(code)) go(&r, at + 1); break;
            default:
                if (!takes(s, code)) break;
                later[later_count++] = (uint16_t)(at + 1 + (s->kind == CLASS ? s->a : 0));
            }
        }
    }
    return false;
}

int regex_search(const char *pattern, const char *text, regex_fault *fault)
{
    maker m;
    *fault = (regex_fault){ 0 };
    m.pattern = m.at = pattern;
    m.fault = fault;
    m.depth = m.count = 0;
    alternatives(&m);
    if (*m.at == ')') wrong(&m, m.at, "a ) without its (; the sign itself is \\)");
    emit(&m, MATCH, 0, 0);
    return has_failed(&m) ? -1 : search(m.steps, text);
}
