// Input: a pattern, a NUL, a text. The matcher agrees with one that has no program: it reads the
// pattern again for each set of places a piece can begin at, and gives the set it can end at.
#include "fuzz.h"
#include "../examples/sykli/regex.h"
#include <ctype.h>

enum { PATTERN_MAX = 64, CODES_MAX = 40, WORK_MAX = 100000 };

typedef uint64_t places; // bit i: before the character i
typedef struct slow {
    const char *at; // in the pattern
    long codes[CODES_MAX];
    int size;
    long work;
} slow;

static long read_code(const char **at)
{
    const unsigned char *p = (const unsigned char *)*at;
    size_t more = *p >= 0xf0 ? 3 : *p >= 0xe0 ? 2 : *p >= 0xc0 ? 1 : 0;
    long code = more ? *p & (0x3f >> more) : *p;
    for (size_t i = 1; i <= more; i++) code = code * 64 + p[i] % 64;
    *at += 1 + more;
    return code;
}

static bool is_named(long code, const char *name, size_t size)
{
    static const char *const names[] = { "alpha", "alnum", "lower", "upper", "xdigit", "punct",
                                         "blank", "cntrl", "graph", "print", "digit", "space" };
    static int (*const holds[])(int) = { isalpha, isalnum, islower, isupper, isxdigit, ispunct,
                                         isblank, iscntrl, isgraph, isprint, isdigit, isspace };
    if (code > 127) return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == size && !strncmp(names[i], name, size))
            return holds[i]((int)code) != 0;
    return isalnum((int)code) || code == '_';
}

static bool is_lettered(long code, char letter)
{
    static const char *const names[] = { "digit", "space", "word" };
    const char *name = names[strchr("dsw", tolower(letter)) - "dsw"];
    return is_named(code, name, strlen(name)) == (islower(letter) != 0);
}

// A character, behind its backslash if it has one.
static long read_escaped(const char **at)
{
    static const char letters[] = "nrtfb", meant[] = "\n\r\t\f\b";
    char c = **at;
    if (!isalpha((unsigned char)c)) return read_code(at);
    ++*at;
    if (c != 'x') return meant[strchr(letters, c) - letters];
    char digits[8] = "", *end;
    if (**at == '{') {
        long code = strtol(*at + 1, &end, 16);
        *at = end + 1;
        return code;
    }
    snprintf(digits, sizeof digits, "%.2s", *at);
    long code = strtol(digits, &end, 16);
    *at += end - digits;
    return code;
}

static long read_member(const char **at)
{
    if (**at != '\\') return read_code(at);
    ++*at;
    return read_escaped(at);
}

static bool class_holds(const char **at, long code)
{
    const char *p = *at + 1;
    bool except = *p == '^', found = false;
    p += except;
    for (const char *first = p; p == first || *p != ']';) {
        if (p[0] == '[' && p[1] == ':') {
            bool not = p[2] == '^';
            const char *name = p + 2 + not, *end = name;
            while (*end >= 'a' && *end <= 'z') end++;
            if (end[0] == ':' && end[1] == ']') {
                found |= is_named(code, name, (size_t)(end - name)) != not;
                p = end + 2;
                continue;
            }
        }
        if (*p == '\\' && strchr("dswDSW", p[1])) {
            found |= is_lettered(code, p[1]);
            p += 2;
            continue;
        }
        long from = read_member(&p), to = from;
        if (p[0] == '-' && p[1] != ']') {
            p++;
            to = read_member(&p);
        }
        found |= code >= from && code <= to;
    }
    *at = p + 1;
    return found != except;
}

static bool is_word_at(const slow *s, int i)
{
    return i >= 0 && i < s->size && is_named(s->codes[i], "word", 4);
}

static places alternatives(slow *s, places from);

static places atom(slow *s, places from)
{
    const char *begin = s->at;
    places to = 0;
    if (*begin == '(') {
        s->at += begin[1] == '?' ? 3 : 1;
        to = alternatives(s, from);
        FUZZ_CHECK(*s->at == ')');
        s->at++;
        return to;
    }
    char letter = begin[0] == '\\' ? begin[1] : 0;
    bool edge = letter == 'b' || letter == 'B';
    bool first = *begin == '^' || letter == 'A', last = *begin == '$' || letter == 'z';
    if (edge || first || last) {
        for (int i = 0; i <= s->size; i++) {
            bool here = edge ? (is_word_at(s, i - 1) != is_word_at(s, i)) == (letter == 'b')
                             : first ? i == 0 : i == s->size;
            if (here) to |= from & (places)1 << i;
        }
        s->at += letter ? 2 : 1;
        return to;
    }
    for (int i = 0; i <= s->size; i++) { // once more than there are: for the place in the pattern
        long code = i < s->size ? s->codes[i] : 0;
        bool holds;
        s->at = begin;
        if (*begin == '[') holds = class_holds(&s->at, code);
        else if (*begin == '.') holds = code != '\n', s->at++;
        else if (letter && strchr("dswDSW", letter)) holds = is_lettered(code, letter), s->at += 2;
        else if (*begin == '\\') holds = (s->at++, read_escaped(&s->at)) == code;
        else holds = read_code(&s->at) == code;
        if (holds && i < s->size && from >> i & 1) to |= (places)2 << i;
    }
    return to;
}

static places repeated(slow *s, places from)
{
    const char *begin = s->at;
    places now = atom(s, from), all = 0;
    const char *end = s->at;
    int least = 1, most = 1, size = 0;
    if (*end == '*' || *end == '+' || *end == '?') {
        least = *end == '+';
        most = *end++ == '?' ? 1 : 1000000;
    } else if (sscanf(end, "{%9d}%n", &least, &size) == 1 && size && isdigit(end[1])) {
        most = least;
        end += size;
    } else if (size = 0, sscanf(end, "{%9d,}%n", &least, &size) == 1 && size && isdigit(end[1])) {
        most = 1000000;
        end += size;
    } else if (size = 0, sscanf(end, "{%9d,%9d}%n", &least, &most, &size) == 2 && size
                         && isdigit(end[1]) && isdigit(strchr(end, ',')[1])) {
        end += size;
    } else return now;
    if (*end == '?') end++;
    now = from;
    for (int i = 0;; i++) {
        places before = all;
        if (i >= least) all |= now;
        if (i == most || (i > least && all == before) || (s->work += 1) > WORK_MAX) break;
        s->at = begin;
        now = atom(s, now);
    }
    s->at = end;
    return all;
}

static places alternatives(slow *s, places from)
{
    for (places all = 0;; s->at++) {
        places now = from;
        while (*s->at && *s->at != '|' && *s->at != ')') now = repeated(s, now);
        all |= now;
        if (*s->at != '|') return all;
    }
}

static void compare(const char *pattern, const char *text, bool found)
{
    slow s = { .at = pattern };
    while (*text && s.size < CODES_MAX) s.codes[s.size++] = read_code(&text);
    if (*text) return;
    bool matches = alternatives(&s, ((places)2 << s.size) - 1) != 0;
    FUZZ_CHECK(!*s.at);
    if (s.work <= WORK_MAX && matches != found) printf("\"%s\": wanted %d\n", pattern, matches);
    FUZZ_CHECK(s.work > WORK_MAX || matches == found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *pattern = fuzz_text(data, size);
    size_t length = strlen(pattern);
    size_t behind = length < size ? length + 1 : size;
    char *text = fuzz_text(data + behind, size - behind);
    regex_fault fault;
    int found = regex_search(pattern, text, &fault);
    FUZZ_CHECK(found >= -1 && found <= 1);
    FUZZ_CHECK((found < 0) == (fault.what != NULL));
    FUZZ_CHECK(fault.at <= length);
    if (found >= 0 && length <= PATTERN_MAX && sykli_utf8_valid(pattern, length)
        && sykli_utf8_valid(text, strlen(text)))
        compare(pattern, text, found != 0);
    free(pattern);
    free(text);
    return 0;
}
