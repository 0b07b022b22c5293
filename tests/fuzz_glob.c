// Input: a pattern, a NUL, a path. The matcher agrees with one that tries every way in turn.
#define SYKLI_IMPLEMENTATION
#include "fuzz.h"

enum { PATTERN_MAX = 24, PATH_MAX_BYTES = 24, TOKENS = 64 };
// A token is a byte of the pattern, or one of these; a class has its place in the pattern added.
enum { ANY = 256, STAR, OPEN, NEXT, CLOSE, CLASS = 1024 };

typedef struct slow { const char *pattern; int work; } slow;

static size_t character(const char *p)
{
    size_t size = 1;
    while ((p[size] & 0xc0) == 0x80) size++;
    return size;
}

static long code_of(const char *p)
{
    static const unsigned char lead[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
    size_t size = character(p);
    long code = (unsigned char)*p & lead[size];
    for (size_t i = 1; i < size; i++) code = code * 64 + ((unsigned char)p[i] & 0x3f);
    return code;
}

// Behind the ']' of a class, NULL: it has none in this component.
static const char *class_end(const char *p)
{
    p += p[1] == '!' || p[1] == '^' ? 2 : 1;
    if (*p == ']') p++;
    while (*p && *p != ']' && *p != '/') p++;
    return *p == ']' ? p + 1 : NULL;
}

static bool class_holds(const char *p, const char *at)
{
    const char *end = class_end(p) - 1;
    bool negated = p[1] == '!' || p[1] == '^', found = false;
    long code = code_of(at);
    for (p += negated ? 2 : 1; p < end;) {
        long first = code_of(p), last = first;
        p += character(p);
        if (*p == '-' && p + 1 < end) {
            last = code_of(++p);
            p += character(p);
        }
        found |= code >= first && code <= last;
    }
    return found != negated;
}

// One name against tokens without braces.
static bool name_matches(slow *s, const int *token, const char *name, const char *at,
                         const char *end, bool spelt)
{
    if (++s->work > 100000) return false;
    bool dot = at == name && at < end && *at == '.';
    if (!*token) return at == end;
    if (*token == STAR) {
        if (!dot && name_matches(s, token + 1, name, at, end, spelt)) return true;
        return at < end && !dot && !spelt
            && name_matches(s, token, name, at + character(at), end, spelt);
    }
    if (at == end) return false;
    if (*token < ANY)
        return *token == (unsigned char)*at
            && name_matches(s, token + 1, name, at + 1, end, spelt);
    if (dot || spelt) return false;
    if (*token >= CLASS && !class_holds(s->pattern + *token - CLASS, at)) return false;
    return name_matches(s, token + 1, name, at + character(at), end, spelt);
}

// Tries each alternative of the first group in turn.
static bool any_matches(slow *s, const int *token, const char *name, const char *end)
{
    size_t open = 0, count = 0;
    if (++s->work > 100000) return false;
    while (token[count]) count++;
    while (open < count && token[open] != OPEN) open++;
    if (open == count) {
        size_t size = (size_t)(end - name);
        bool spelt = (size == 4 && !memcmp(name, ".git", 4))
                  || (size == 6 && !memcmp(name, ".sykli", 6));
        return name_matches(s, token, name, name, end, spelt);
    }
    size_t close = open + 1;
    for (int depth = 1; depth; close++) depth += (token[close] == OPEN) - (token[close] == CLOSE);
    for (size_t from = open + 1, at = from, depth = 0; at < close; at++) {
        if (at + 1 < close && (depth || token[at] != NEXT)) {
            if (token[at] == OPEN) depth++;
            if (token[at] == CLOSE) depth--;
            continue;
        }
        int one[TOKENS];
        size_t size = 0;
        for (size_t i = 0; i < open; i++) one[size++] = token[i];
        for (size_t i = from; i < at; i++) one[size++] = token[i];
        for (size_t i = close; i <= count; i++) one[size++] = token[i];
        if (any_matches(s, one, name, end)) return true;
        from = at + 1;
    }
    return false;
}

// The tokens of one component; braces without an end stay plain.
static void tokens_of(const slow *s, const char *p, const char *end, int *token)
{
    size_t open[PATTERN_MAX], count = 0;
    int depth = 0;
    for (; p < end; p++) {
        const char *behind = *p == '[' ? class_end(p) : NULL;
        token[count] = behind ? (int)(CLASS + (p - s->pattern))
                     : *p == '?' ? ANY : *p == '*' ? STAR : (unsigned char)*p;
        if (behind) p = behind - 1;
        else if (*p == '{') open[depth++] = count;
        else if (*p == '}' && depth) {
            size_t from = open[--depth];
            int inner = 0;
            token[from] = OPEN;
            token[count] = CLOSE;
            for (size_t i = from + 1; i < count; i++) {
                inner += (token[i] == OPEN) - (token[i] == CLOSE);
                // what is still a brace has no end: the commas behind it are its own
                if (token[i] == ',' && !inner) token[i] = NEXT;
            }
        }
        count++;
    }
    token[count] = 0;
}

static bool path_matches(slow *s, const char *pattern, const char *path)
{
    const char *end = pattern + strcspn(pattern, "/"), *behind = path + strcspn(path, "/");
    int token[TOKENS];
    if (++s->work > 100000) return false;
    if (end - pattern == 2 && !memcmp(pattern, "**", 2)) {
        if (*end && path_matches(s, end + 1, path)) return true;
        if (!*path || *path == '.') return false;
        if (!*behind) return !*end;
        return path_matches(s, pattern, behind + 1);
    }
    if (!*path) return false;
    tokens_of(s, pattern, end, token);
    if (!any_matches(s, token, path, behind)) return false;
    if (!*end || !*behind) return !*end && !*behind;
    return path_matches(s, end + 1, behind + 1);
}

// Whether a path is one that a walk gives: names between single slashes.
static bool is_path(const char *path)
{
    return *path && *path != '/' && path[strlen(path) - 1] != '/' && !strstr(path, "//");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *pattern = fuzz_text(data, size);
    size_t length = strlen(pattern), braces = 0;
    size_t behind = length < size ? length + 1 : size;
    char *path = fuzz_text(data + behind, size - behind);
    bool fast = sykli_glob_match(pattern, path);
    FUZZ_CHECK(sykli_glob_fixed(pattern) <= length);
    for (const char *p = pattern; *p; p++) braces += *p == '{';
    if (length && length <= PATTERN_MAX && strlen(path) <= PATH_MAX_BYTES && is_path(path)
        && braces < 16 && sykli_utf8_valid(pattern, length)
        && sykli_utf8_valid(path, strlen(path))) {
        slow s = { pattern, 0 };
        bool matches = path_matches(&s, pattern, path);
        if (s.work < 100000 && matches != fast)
            printf("\"%s\" on \"%s\": %d, wanted %d\n", pattern, path, fast, matches);
        FUZZ_CHECK(s.work >= 100000 || matches == fast);
    }
    free(pattern);
    free(path);
    return 0;
}
