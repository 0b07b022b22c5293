// Stories of >>glob: what matches, what does not, and that no pattern takes long.
#define SYKLI_IMPLEMENTATION
#include "test.h"

typedef struct row { const char *pattern, *path; bool matches; } row;

static void check_rows(test *t, const row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool matches = sykli_glob_match(rows[i].pattern, rows[i].path);
        if (matches != rows[i].matches) printf("  %s on %s\n", rows[i].pattern, rows[i].path);
        CHECK_INT(matches, rows[i].matches);
    }
}
#define CHECK_ROWS(rows) check_rows(t, rows, sizeof rows / sizeof *rows)

static void wildcards_stay_in_a_component(test *t)
{
    static const row rows[] = {
        { "a.c", "a.c", true }, { "a.c", "a.cc", false }, { "a.c", "a", false },
        { "", "", true }, { "", "a", false }, { "*", "", false }, { "**", "", false },
        { "*.c", "main.c", true }, { "*.c", "a/main.c", false }, { "*.c", "main.cc", false },
        { "src/*", "src/a", true }, { "src/*", "src/a/b", false }, { "src/*", "src", false },
        { "*a*b*", "xxaxxbxx", true }, { "*a*b*", "xxbxxaxx", false }, { "a**b", "axxb", true },
        { "a**b", "a/b", false }, { "?.c", "a.c", true }, { "?.c", "ab.c", false },
        { "?.c", "\xc3\xbc.c", true }, { "a?b", "a/b", false }, { "?", "\xff", true },
        { "\xc3\xbc*", "\xc3\xbc" "ber", true }, { "a,b", "a,b", true }, { "a}b", "a}b", true },
    };
    CHECK_ROWS(rows);
}

static void classes_know_ranges_and_negation(test *t)
{
    static const row rows[] = {
        { "[abc].c", "b.c", true }, { "[abc].c", "d.c", false }, { "[a-f]x", "ex", true },
        { "[a-f]x", "gx", false }, { "[!a-f]x", "gx", true }, { "[^a-f]x", "ex", false },
        { "[]]x", "]x", true }, { "[!]]x", "]x", false }, { "[a-]x", "-x", true },
        { "[-a]x", "-x", true }, { "a[!b]c", "a/c", false }, { "[*]x", "*x", true },
        { "[*]x", "ax", false }, { "[ab", "[ab", true }, { "[a/b]", "[a/b]", true },
        { "[\xc3\xa0-\xc3\xbc]", "\xc3\xa9", true }, { "[\xc3\xa0-\xc3\xbc]", "e", false },
        { "[[]id].tsx", "[id].tsx", true }, { "[]", "[]", true }, { "[!]", "[!]", true },
    };
    CHECK_ROWS(rows);
}

static void braces_are_alternatives(test *t)
{
    static const row rows[] = {
        { "*.{c,h}", "a.c", true }, { "*.{c,h}", "a.h", true }, { "*.{c,h}", "a.o", false },
        { "{a,b{c,d}}e", "ae", true }, { "{a,b{c,d}}e", "bde", true },
        { "{a,b{c,d}}e", "be", false }, { "x{,y}z", "xz", true }, { "x{,y}z", "xyz", true },
        { "{a}", "a", true }, { "{a,b", "{a,b", true }, { "{a/b,c}", "{a/b,c}", true },
        { "{a/b,c}", "a/b", false }, { "{[,],x}", ",", true }, { "{a*,b}c", "axxc", true },
        { "{a,ab}{c,bc}", "abc", true }, { "{a,ab}{c,bc}", "abbc", true },
        { "{a,b}/{c,d}", "b/c", true }, { "{}", "{}", false }, { "a{}b", "ab", true },
    };
    CHECK_ROWS(rows);
}

static void two_stars_cross_components(test *t)
{
    static const row rows[] = {
        { "**", "a", true }, { "**", "a/b/c", true }, { "**/*.c", "a.c", true },
        { "**/*.c", "a/b/c.c", true }, { "src/**/*.c", "src/a.c", true },
        { "src/**/*.c", "src/x/y/a.c", true }, { "src/**/*.c", "lib/a.c", false },
        { "src/**", "src/a/b", true }, { "src/**", "src", false }, { "src/**", "srcs/a", false },
        { "a/**/b/**/c", "a/x/b/y/z/c", true }, { "a/**/b/**/c", "a/b/c", true },
        { "a/**/b/**/c", "a/c", false }, { "**/b", "ab", false }, { "**/b", "a/b", true },
        { "**/**/b", "b", true }, { "**/a/*", "x/a/a/y", true }, { "***", "a/b", false },
        { "a/**/**", "a/b", true },
    };
    CHECK_ROWS(rows);
}

static void hidden_names_are_asked_for(test *t)
{
    static const row rows[] = {
        { "*", ".a", false }, { ".*", ".a", true }, { "?a", ".a", false }, { "[.]a", ".a", false },
        { "*.c", ".c", false }, { "*/a", ".x/a", false }, { "**", ".a", false },
        { "**", "a/.b", false }, { "**/a", ".x/a", false }, { "**/.a", "x/.a", true },
        { "{.a,b}*", ".ax", true }, { "{*,b}a", ".a", false }, { "a.*", "a.b", true },
        { ".github/**", ".github/workflows/ci.yml", true }, { "*{.a,b}", ".a", false },
        { ".git/config", ".git/config", true }, { "**/.git/config", "x/.git/config", true },
        { ".*", ".git", false }, { ".g*/config", ".git/config", false },
        { ".*/**", ".git/config", false }, { ".*/**", ".sykli/logs", false },
        { ".*/**", ".gitlab/ci", true }, { ".*", ".gitignore", true },
        { "a/**/.*", "a/b/.sykli", false }, { ".{git,x}/a", ".git/a", true },
        { "x.git", "x.git", true }, { "*.git", "x.git", true },
    };
    CHECK_ROWS(rows);
}

static void the_fixed_part_is_whole_folders(test *t)
{
    CHECK_INT(sykli_glob_fixed("src/lib/*.c"), 8);
    CHECK_INT(sykli_glob_fixed("src/lib/a.c"), 8);
    CHECK_INT(sykli_glob_fixed("src/l*/a.c"), 4);
    CHECK_INT(sykli_glob_fixed("a{b,c}/d"), 0);
    CHECK_INT(sykli_glob_fixed("**"), 0);
    CHECK_INT(sykli_glob_fixed(""), 0);
}

// Patterns on which a matcher that tries one way after the other never ends.
static void no_pattern_explodes(test *t)
{
    static char path[2001], stars[4097], braces[4097], deep[4097], slashes[2001];
    memset(path, 'a', 2000);
    for (int i = 0; i < 1000; i++) memcpy(stars + 2 * i, "a*", 2);
    memcpy(stars + 2000, "b", 2);
    CHECK(!sykli_glob_match(stars, path));
    for (int i = 0; i < 400; i++) memcpy(braces + 8 * i, "{a,aa,*}", 8);
    memcpy(braces + 3200, "b", 2);
    CHECK(!sykli_glob_match(braces, path));
    path[2000 - 1] = 'b';
    CHECK(sykli_glob_match(braces, path));
    for (int i = 0; i < 1000; i++) memcpy(slashes + 2 * i, "a/", 2);
    slashes[1999] = 0;
    for (int i = 0; i < 800; i++) memcpy(deep + 5 * i, "**/a/", 5);
    memcpy(deep + 4000, "b", 2);
    CHECK(!sykli_glob_match(deep, slashes));
    memset(deep, '[', 4096);
    CHECK(!sykli_glob_match(deep, path));
    memset(deep, '{', 4096);
    CHECK(!sykli_glob_match(deep, path));
}

static void length_has_a_limit(test *t)
{
    static char text[SYKLI_GLOB_MAX + 2];
    memset(text, 'a', SYKLI_GLOB_MAX);
    CHECK(sykli_glob_match(text, text));
    text[0] = '*';
    CHECK(sykli_glob_match(text, text + 1));
    text[SYKLI_GLOB_MAX] = 'a';
    CHECK(!sykli_glob_match(text, text));
}

// Short random patterns over a nasty alphabet, against a matcher that is slow but plain.
static bool slow_match(const char *pattern, const char *path)
{
    if (!*pattern) return !*path;
    if (*pattern == '*') {
        if (slow_match(pattern + 1, path)) return true;
        return *path && *path != '/' && slow_match(pattern, path + 1);
    }
    if (*pattern == '?') return *path && *path != '/' && slow_match(pattern + 1, path + 1);
    return *pattern == *path && slow_match(pattern + 1, path + 1);
}

static void random_patterns_agree_with_the_definition(test *t)
{
    uint32_t random = 1;
    for (int i = 0; i < 50000; i++) {
        char pattern[9] = "", path[9] = "";
        for (int k = 0; k < 8; k++) {
            random = random * 1664525 + 1013904223;
            if ((random >> 20 & 15) && strlen(pattern) == (size_t)k)
                pattern[k] = "ab/*?"[(random >> 8) % 5];
            random = random * 1664525 + 1013904223;
            if ((random >> 20 & 15) && strlen(path) == (size_t)k)
                path[k] = "ab/"[(random >> 8) % 3];
        }
        if (strstr(pattern, "**") || !*path) continue;
        bool fast = sykli_glob_match(pattern, path), slow = slow_match(pattern, path);
        if (fast != slow) printf("  \"%s\" on \"%s\"\n", pattern, path);
        CHECK_INT(fast, slow);
    }
}

int main(int argc, char **argv)
{
    TEST_STORY(wildcards_stay_in_a_component);
    TEST_STORY(classes_know_ranges_and_negation);
    TEST_STORY(braces_are_alternatives);
    TEST_STORY(two_stars_cross_components);
    TEST_STORY(hidden_names_are_asked_for);
    TEST_STORY(the_fixed_part_is_whole_folders);
    TEST_STORY(no_pattern_explodes);
    TEST_STORY(length_has_a_limit);
    TEST_STORY(random_patterns_agree_with_the_definition);
    return test_end(argc, argv);
}
