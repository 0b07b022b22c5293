// Grammar: or < and < not < comparison < value. Values are texts, truth and nil; what is neither
// false nor nil is true, as in the language the format comes from.
#define _GNU_SOURCE 1
#include "condition.h"
#include "regex.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 32, TEXT_MAX = 512 };

typedef struct value {
    enum { NIL, TRUTH, TEXT } kind;
    bool truth;
    char text[TEXT_MAX];
} value;

typedef struct parser {
    cli *c;
    const condition_facts *facts;
    const char *text, *at;
    int depth;
    bool failed, regex_failed;
} parser;

static value failure(parser *p, const char *what)
{
    if (!p->failed)
        sykli_fail(&p->c->fault, SYKLI_EPARSE, "condition `%s`: %s at column %d", p->text, what,
                   (int)(p->at - p->text) + 1);
    p->failed = true;
    return (value){ .kind = NIL };
}

static value truth_of(bool truth) { return (value){ .kind = TRUTH, .truth = truth }; }

static value text_of(const char *text)
{
    value v = { .kind = text ? TEXT : NIL };
    if (text) snprintf(v.text, sizeof v.text, "%s", text);
    return v;
}

static bool is_true(const value *v)
{
    return v->kind == TEXT || (v->kind == TRUTH && v->truth);
}

static bool equal(const value *a, const value *b)
{
    if (a->kind != b->kind) return false;
    return a->kind == NIL || (a->kind == TRUTH ? a->truth == b->truth : !strcmp(a->text, b->text));
}

static void skip_blanks(parser *p) { p->at += strspn(p->at, " \t\r\n"); }

static bool sign(parser *p, const char *text)
{
    skip_blanks(p);
    if (strncmp(p->at, text, strlen(text))) return false;
    p->at += strlen(text);
    return true;
}

static size_t word_size(const char *at)
{
    size_t size = 0;
    while (isalnum((unsigned char)at[size]) || at[size] == '_') size++;
    return size;
}

static bool word(parser *p, const char *text)
{
    skip_blanks(p);
    size_t size = word_size(p->at);
    if (size != strlen(text) || memcmp(p->at, text, size)) return false;
    p->at += size;
    return true;
}

static value quoted(parser *p)
{
    value v = { .kind = TEXT };
    size_t size = 0;
    char quote = *p->at++;
    for (; *p->at && *p->at != quote; p->at++) {
        // Before anything else a backslash is itself: "\d" is what an expression wants to see.
        if (*p->at == '\\' && p->at[1] && strchr("\\\"'", p->at[1])) p->at++;
        if (size == sizeof v.text - 1) return failure(p, "a text of more than 511 bytes");
        v.text[size++] = *p->at;
    }
    if (!*p->at) return failure(p, "a text without its closing quote");
    p->at++;
    return v;
}

static value variable(parser *p)
{
    const condition_facts *f = p->facts;
    if (word(p, "true")) return truth_of(true);
    if (word(p, "false")) return truth_of(false);
    if (word(p, "nil") || word(p, "platform") || word(p, "runner")) return text_of(NULL);
    if (word(p, "branch")) return text_of(f->branch);
    if (word(p, "tag")) return text_of(f->tag);
    if (word(p, "event")) return text_of(f->event);
    if (word(p, "pr_number")) return text_of(f->pr_number);
    if (word(p, "ci")) return truth_of(f->ci);
    return failure(p, "a name that is not known; branch, tag, event, pr_number, ci are");
}

// The expression is read even where there is no text to look at: what is wrong is always said.
static value regex_matches(parser *p, const value *text, const value *pattern)
{
    regex_fault fault;
    if (text->kind == TRUTH || pattern->kind == TRUTH) return failure(p, "=~ wants two texts");
    if (pattern->kind == NIL) return truth_of(false);
    int found = regex_search(pattern->text, text->kind == TEXT ? text->text : "", &fault);
    if (found >= 0) return truth_of(found && text->kind == TEXT);
    sykli_fail(&p->c->fault, SYKLI_EPARSE, "the regular expression `%.100s` has at column %d %s",
               pattern->text, (int)fault.at + 1, fault.what);
    p->failed = p->regex_failed = true;
    return (value){ .kind = NIL };
}

// One function climbs all precedences: 0 or, 1 and, 2 not and comparisons, 3 a value.
static value expression(parser *p, int level)
{
    if (p->failed) return (value){ .kind = NIL };
    if (level < 2) {
        value left = expression(p, level + 1);
        while (!p->failed && (level ? word(p, "and") || sign(p, "&&")
                                    : word(p, "or") || sign(p, "||"))) {
            value right = expression(p, level + 1);
            left = truth_of(level ? is_true(&left) && is_true(&right)
                                  : is_true(&left) || is_true(&right));
        }
        return left;
    }
    if (++p->depth > DEPTH_MAX) return failure(p, "nested too deep");
    value v = { .kind = NIL };
    skip_blanks(p);
    if (level == 2 && (word(p, "not") || (p->at[0] == '!' && p->at[1] != '=' && sign(p, "!")))) {
        v = expression(p, 2);
        v = truth_of(!is_true(&v));
    } else if (level == 2) {
        v = expression(p, 3);
        bool same = sign(p, "=="), differs = !same && sign(p, "!=");
        bool matches = !same && !differs && sign(p, "=~");
        if (same || differs || matches) {
            value right = expression(p, 3);
            if (p->failed) return right;
            v = matches ? regex_matches(p, &v, &right) : truth_of(equal(&v, &right) == same);
        }
    } else if (sign(p, "(")) {
        v = expression(p, 0);
        if (!sign(p, ")")) v = failure(p, "a ) is missing");
    } else if (word(p, "matches")) {
        value text, pattern;
        bool whole = sign(p, "(");
        text = expression(p, 0);
        whole = whole && sign(p, ",");
        pattern = expression(p, 0);
        if (!whole || !sign(p, ")")) v = failure(p, "matches(name, \"glob\") is wanted");
        else v = truth_of(text.kind == TEXT && pattern.kind == TEXT
                          && sykli_glob_match(pattern.text, text.text));
    } else {
        v = *p->at == '"' || *p->at == '\'' ? quoted(p) : variable(p);
    }
    p->depth--;
    return v;
}

static value whole(parser *p)
{
    value v = expression(p, 0);
    skip_blanks(p);
    if (!p->failed && *p->at) failure(p, "something is left over");
    return v;
}

int condition_holds(cli *c, const condition_facts *facts, const char *text)
{
    parser p = { .c = c, .facts = facts, .text = text, .at = text };
    value v = whole(&p);
    return p.failed ? -1 : is_true(&v);
}

int condition_check(cli *c, const char *text)
{
    condition_facts none = { 0 };
    parser p = { .c = c, .facts = &none, .text = text, .at = text };
    whole(&p);
    return p.regex_failed ? SYKLI_EINVAL : p.failed ? SYKLI_EPARSE : 0;
}

// ---- facts ----

static const char *variable_or_null(const char *name)
{
    const char *text = getenv(name);
    return text && *text ? text : NULL;
}

// The branch a folder is on, from .git/HEAD there or above.
static const char *git_branch(cli *c, const char *dir)
{
    char *path = cli_folder(c, dir), *slash;
    const char *branch = NULL;
    for (; path && !branch; *slash = 0) {
        char line[512] = "";
        FILE *file = fopen(cli_print(c, "%s/.git/HEAD", path), "r");
        if (file && fgets(line, sizeof line, file) && !strncmp(line, "ref: refs/heads/", 16))
            branch = cli_copy(c, line + 16, strcspn(line + 16, "\n"));
        if (file) fclose(file);
        slash = strrchr(path, '/');
        if (file || !slash) break;
    }
    return branch;
}

void condition_facts_find(cli *c, const char *dir, condition_facts *out)
{
    const char *type = variable_or_null("GITHUB_REF_TYPE");
    const char *name = variable_or_null("GITHUB_REF_NAME"), *ci = getenv("CI");
    memset(out, 0, sizeof *out);
    out->branch = type && !strcmp(type, "branch") ? name : variable_or_null("CI_COMMIT_BRANCH");
    if (!out->branch) out->branch = git_branch(c, dir);
    out->tag = type && !strcmp(type, "tag") ? name : variable_or_null("CI_COMMIT_TAG");
    out->event = variable_or_null("GITHUB_EVENT_NAME");
    out->pr_number = variable_or_null("GITHUB_PR_NUMBER");
    out->ci = ci && !strcmp(ci, "true");
}
