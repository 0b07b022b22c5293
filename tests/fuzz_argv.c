// Input: words, a line each. They are understood as the program's own command line would be, with
// verbs that do nothing but ask for every option in every way; what is wrong is a usage error.
// Linked with the node's own objects.
#include "fuzz.h"
#include "../examples/sykli/cli.h"
#include "../examples/sykli/verbs.h"

enum { WORDS = 40, VERB_COUNT = 64 };

#define VERB(name) extern const cli_verb verb_##name;
VERBS(VERB)
#undef VERB
#define VERB(name) &verb_##name,
static const cli_verb *const real[] = { VERBS(VERB) NULL };
#undef VERB

static int pretend(cli *c)
{
    static const char *const words[] = { "table", "json", "csv", NULL };
    int code = cli_arguments(c, 0, 3);
    for (const cli_option *o = c->verb->options; o && o->name && !code; o++) {
        uint32_t number;
        uint64_t ms;
        int choice;
        FUZZ_CHECK(!cli_has(c, o->name) || cli_value(c, o->name));
        code = cli_number(c, o->name, 1, 1, 100, &number);
        FUZZ_CHECK(code || (number >= 1 && number <= 100));
        if (code == CLI_USAGE) code = cli_duration(c, o->name, 5, &ms);
        if (code == CLI_USAGE) code = cli_choice(c, o->name, words, 0, &choice);
    }
    return code;
}

// The verbs of the program with `pretend` in the place of what they do.
static const cli_verb *const *tame(const cli_verb *const *from)
{
    static cli_verb verbs[4 * VERB_COUNT];
    static const cli_verb *lists[8 * VERB_COUNT];
    static size_t verb_count, list_count;
    const cli_verb **list = &lists[list_count];
    size_t count = 0;
    while (from[count]) count++;
    list_count += count + 1;
    for (size_t i = 0; i < count; i++) {
        cli_verb *verb = &verbs[verb_count++];
        *verb = *from[i];
        if (verb->run) verb->run = pretend;
        if (verb->verbs) verb->verbs = tame(verb->verbs);
        list[i] = verb;
    }
    return list;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const cli_verb *const *verbs;
    if (!verbs) verbs = tame(real);
    fuzz_quiet();
    char *words[WORDS + 2] = { "sykli" }, *text = fuzz_text(data, size);
    int count = 1;
    for (char *at = text; at && count <= WORDS; count++) {
        words[count] = at;
        at = strchr(at, '\n');
        if (at) *at++ = 0;
    }
    int code = cli_main(verbs, count, words);
    FUZZ_CHECK(code >= CLI_OK && code <= CLI_INFRASTRUCTURE);
    free(text);
    return 0;
}
