#define _GNU_SOURCE 1
#include "affected.h"
#include "tool.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORDS_MAX = 16, OUTPUT_MAX_BYTES = 64 << 20, LIMIT_MS = 600000 };

typedef struct git {
    cli *c;
    const char *dir;
    char *text;  // what the last call printed, with a NUL behind it
    size_t size;
    bool caught;      // a signal ended a call: whoever caught it speaks of it
    const char *lost; // why a call came to no end of its own, NULL: all did
} git;

// Runs git in the project folder.      returns  its exit code, 127: there is none, -1: see `lost`
static int git_run(git *g, const char *const *words)
{
    const char *argv[WORDS_MAX] = { "git" };
    tool t;
    for (int count = 1; *words && count < WORDS_MAX - 1; words++) argv[count++] = *words;
    int rc = tool_run(g->c, &t, NULL, argv, g->dir, LIMIT_MS, OUTPUT_MAX_BYTES);
    g->text = t.text;
    g->size = t.size;
    if (!rc && WIFEXITED(t.status)) return WEXITSTATUS(t.status);
    g->caught |= rc == -EINTR;
    g->lost = rc == -ETIMEDOUT ? "no end within 10 minutes"
            : rc ? strerror(-rc) : tool_ending(g->c, &t);
    return -1;
}
#define GIT(g, ...) git_run(g, (const char *const[]){ __VA_ARGS__, NULL })

static bool is_commit(git *g, const char *name)
{
    const char *full = cli_print(g->c, "%s^{commit}", name);
    return GIT(g, "rev-parse", "--verify", "--quiet", "--end-of-options", full) == 0;
}

// The branch a change goes to: as the CI says, else the main branch of the origin, else of here.
static const char *default_base(git *g)
{
    static const char *const usual[] = { "origin/HEAD", "origin/main", "origin/master", "main",
                                         "master" };
    const char *github = getenv("GITHUB_BASE_REF");
    const char *base = getenv("CI_MERGE_REQUEST_DIFF_BASE_SHA");
    if (base && *base) return base;
    base = getenv("CI_MERGE_REQUEST_TARGET_BRANCH_NAME");
    if (github && *github) base = github;
    if (base && *base) return cli_print(g->c, "origin/%s", base);
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (is_commit(g, usual[i])) return usual[i];
    return NULL;
}

static int fail_lost(const git *g)
{
    if (g->caught) return CLI_INFRASTRUCTURE;
    return cli_fail(g->c, CLI_INFRASTRUCTURE, "git", NULL, "--affected: git did not answer: %s",
                    g->lost);
}

static int fail_base(git *g, const pipeline *p, const char *base)
{
    if (g->lost) return fail_lost(g);
    const char *hint = "git fetch origin, or name a commit: --affected=HEAD~1";
    for (size_t i = 0; i < p->task_count; i++)
        if (base && !strcmp(p->tasks[i].name, base))
            hint = cli_print(g->c, "for that task: sykli run %s --affected", base);
    if (!base)
        return cli_fail(g->c, CLI_FAILED, "base_not_found", hint,
                        "--affected: no main branch to compare with in %s", g->dir);
    return cli_fail(g->c, CLI_FAILED, "base_not_found", hint,
                    "--affected: %s is no commit of this repository", base);
}

// The commit where the base and this branch part.
static int find_merge_base(git *g, const pipeline *p, const char *base, const char **out)
{
    int rc = GIT(g, "rev-parse", "--is-inside-work-tree");
    if (rc == 127)
        return cli_fail(g->c, CLI_INFRASTRUCTURE, "git_not_found", "install git",
                        "--affected asks git, and there is none");
    if (g->lost) return fail_lost(g);
    if (rc)
        return cli_fail(g->c, CLI_FAILED, "git_not_found", "git init, or run without --affected",
                        "--affected: %s is in no git repository", g->dir);
    if (!*base) base = default_base(g);
    if (!base || !is_commit(g, base)) return fail_base(g, p, base);
    rc = GIT(g, "merge-base", "--end-of-options", base, "HEAD");
    if (g->lost) return fail_lost(g);
    if (rc)
        return cli_fail(g->c, CLI_FAILED, "base_not_found",
                        "a shallow clone lacks it: git fetch --unshallow",
                        "--affected: %s and HEAD have no commit in common", base);
    g->text[strcspn(g->text, "\n")] = 0;
    *out = g->text;
    return 0;
}

bool affected_reads(const pipeline_task *t, const char *path)
{
    for (size_t i = 0; i < t->input_count; i++)
        if (sykli_glob_match(t->inputs[i], path)) return true;
    for (size_t i = 0; i < t->cover_count; i++)
        if (sykli_glob_match(t->covers[i], path)) return true;
    return false;
}

// Of a repository within this one git names the folder alone, of a submodule without a slash.
static bool is_folder(const git *g, const char *path)
{
    struct stat st;
    const char *full = cli_print(g->c, "%s/%s", g->dir, path);
    return path[strlen(path) - 1] == '/' || (!lstat(full, &st) && S_ISDIR(st.st_mode));
}

// Whether a pattern may mean files below a folder: one of the two begins as the other.
static bool reaches(const char *pattern, const char *folder)
{
    size_t size = strcspn(pattern, "*?[{\\"), length = strlen(folder);
    if (size > length && pattern[length] != '/' && folder[length - 1] != '/') return false;
    return !strncmp(pattern, folder, size < length ? size : length);
}

static bool reads_below(const pipeline_task *t, const char *folder)
{
    for (size_t i = 0; i < t->input_count; i++)
        if (reaches(t->inputs[i], folder)) return true;
    for (size_t i = 0; i < t->cover_count; i++)
        if (reaches(t->covers[i], folder)) return true;
    return false;
}

// Marks what reads one of the files, NUL-terminated names.
static void mark(const git *g, const pipeline *p, const pipeline_source *source,
                 const char *names, size_t size, bool *touched)
{
    for (const char *at = names; at < names + size; at += strlen(at) + 1) {
        bool folder = is_folder(g, at);
        for (size_t i = 0; i < p->task_count; i++)
            touched[i] = touched[i] || !strcmp(at, source->name)
                      || !(p->tasks[i].input_count || p->tasks[i].cover_count)
                      || affected_reads(&p->tasks[i], at)
                      || (folder && reads_below(&p->tasks[i], at));
    }
}

// What needs a touched task is touched. Tasks may stand in any order.
static void spread(const pipeline *p, bool *touched)
{
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < p->task_count; i++)
            for (size_t k = 0; k < p->tasks[i].after_count && !touched[i]; k++)
                if (touched[p->tasks[i].after[k]]) touched[i] = more = true;
    }
}

// Marks what is touched since a commit.      returns  0 or what git ended with
static int mark_since(git *g, const pipeline *p, const pipeline_source *source, const char *from,
                      bool *touched)
{
    int rc = GIT(g, "diff", "--name-only", "--no-renames", "--relative", "-z",
                 "--ignore-submodules=none", from, "--");
    if (!rc) mark(g, p, source, g->text, g->size, touched);
    if (!rc) rc = GIT(g, "ls-files", "--others", "--exclude-standard", "-z");
    if (rc) return rc;
    mark(g, p, source, g->text, g->size, touched);
    spread(p, touched);
    return 0;
}

void affected_select(cli *c, pipeline *p, const pipeline_source *source)
{
    git g = { .c = c, .dir = source->dir };
    bool any = false, *touched = cli_alloc(c, (p->task_count + 1) * sizeof *touched);
    for (size_t i = 0; i < p->task_count; i++) any |= p->tasks[i].wanted && p->tasks[i].smart;
    if (!any || GIT(&g, "rev-parse", "--verify", "--quiet", "HEAD")) return;
    const char *base = default_base(&g);
    if (GIT(&g, "merge-base", "--end-of-options", base ? base : "HEAD", "HEAD")) return;
    g.text[strcspn(g.text, "\n")] = 0;
    if (mark_since(&g, p, source, g.text, touched)) return;
    for (size_t i = 0; i < p->task_count; i++)
        if (p->tasks[i].wanted && p->tasks[i].smart && !touched[i])
            p->tasks[i].skip_reason = "no change that git knows of concerns it";
}

int affected_keep(cli *c, pipeline *p, const pipeline_source *source, const char *base)
{
    git g = { .c = c, .dir = source->dir };
    const char *from = NULL;
    int code = find_merge_base(&g, p, base, &from);
    if (code) return code;
    bool *touched = cli_alloc(c, (p->task_count + 1) * sizeof *touched);
    int rc = mark_since(&g, p, source, from, touched);
    if (g.lost) return fail_lost(&g);
    if (rc)
        return cli_fail(c, CLI_INFRASTRUCTURE, "git", NULL, "--affected: git ended with code %d",
                        rc);
    for (size_t i = 0; i < p->task_count; i++) p->tasks[i].wanted &= touched[i];
    pipeline_close_over(c, p);
    return 0;
}
