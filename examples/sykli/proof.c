#include "proof.h"
#include <string.h>

enum { DEPTH_MAX = 64, PATH_MAX_BYTES = 4096 };

// ---- files ----

// Whether a path leads out of the folder it is relative to, by its words alone. Links are the
// business of `open`.
static bool escapes(const char *path)
{
    int depth = 0;
    if (*path == '/') return true;
    while (*path) {
        size_t size = strcspn(path, "/");
        if (size == 2 && !memcmp(path, "..", 2)) depth--;
        else if (size && !(size == 1 && *path == '.')) depth++;
        if (depth < 0) return true;
        path += size + strspn(path + size, "/");
    }
    return false;
}

// The stat of a file below an open folder, links followed as long as they stay below it. A file
// that is there and may not be read is there.
static int look(const cli *c, int dir, const char *path, sykli_stat *out)
{
    const sykli_sys *sys = &c->sys;
    const char *slash = strrchr(path, '/');
    char above[PATH_MAX_BYTES];
    snprintf(above, sizeof above, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    int fd = sys->open(sys->user, dir, *above ? above : ".",
                       SYKLI_OPEN_read | SYKLI_OPEN_directory | SYKLI_OPEN_beneath, 0);
    if (fd < 0) return fd;
    int rc = sys->stat(sys->user, fd, slash && slash[1] ? slash + 1 : slash ? "." : path, out);
    sys->close(sys->user, fd);
    if (rc < 0 || out->type != SYKLI_FILE_symlink) return rc;
    fd = sys->open(sys->user, dir, path, SYKLI_OPEN_read | SYKLI_OPEN_beneath, 0);
    if (fd < 0) return fd;
    rc = sys->fstat(sys->user, fd, out);
    sys->close(sys->user, fd);
    return rc;
}

// A search for a file that a glob names and that is good enough.
typedef struct search {
    const cli *c;
    const char *pattern;
    bool non_empty, found;
    int dir, depth;
    char path[PATH_MAX_BYTES]; // of the folder, with a slash behind it, or ""
} search;

static int visit(void *user, const char *name, int type)
{
    search *s = user;
    const sykli_sys *sys = &s->c->sys;
    size_t size = strlen(s->path), more = strlen(name);
    sykli_stat stat;
    (void)type;
    if (size + more + 2 > sizeof s->path || !strcmp(name, ".git")) return 0;
    memcpy(s->path + size, name, more + 1);
    if (!sys->stat(sys->user, s->dir, name, &stat)) {
        if (stat.type == SYKLI_FILE_directory && s->depth < DEPTH_MAX) {
            int above = s->dir;
            s->dir = sys->open(sys->user, above, name, SYKLI_OPEN_read | SYKLI_OPEN_directory
                                                       | SYKLI_OPEN_nofollow, 0);
            s->depth++;
            memcpy(s->path + size + more, "/", 2);
            if (s->dir >= 0) sys->list(sys->user, s->dir, visit, s);
            if (s->dir >= 0) sys->close(sys->user, s->dir);
            s->depth--;
            s->dir = above;
        } else if (sykli_glob_match(s->pattern, s->path)) {
            s->found |= !s->non_empty || stat.size_bytes;
        }
    }
    s->path[size] = 0;
    return s->found;
}

static const char *check_file(const proof_place *at, const pipeline_proof *proof)
{
    const cli *c = at->c;
    const char *path = proof->path;
    sykli_stat stat;
    if (escapes(path)) return "path escapes task workdir";
    const char *workdir = at->task->workdir
                        ? cli_print(at->c, "%s/%s", at->dir, at->task->workdir) : at->dir;
    int dir = c->sys.open(c->sys.user, SYKLI_CWD, workdir,
                          SYKLI_OPEN_read | SYKLI_OPEN_directory, 0);
    if (dir < 0) return "the working folder of the task is not there";
    const char *message = NULL;
    bool glob = proof->evidence && strpbrk(path, "*?[{");
    if (glob) {
        search s = { .c = c, .pattern = path, .non_empty = proof->non_empty, .dir = dir };
        c->sys.list(c->sys.user, dir, visit, &s);
        if (!s.found) message = proof->non_empty ? "no file that is not empty" : "no file";
    } else if (look(c, dir, path, &stat) < 0) message = "file is missing";
    else if (proof->non_empty && (stat.type != SYKLI_FILE_regular || !stat.size_bytes))
        message = "file is empty";
    c->sys.close(c->sys.user, dir);
    return message;
}

// ---- verdicts ----

static void judge(const proof_place *at, pipeline_proof *proof, const sykli_attempt *attempt)
{
    bool is_exit = !strcmp(proof->type, "exit_code");
    proof->message = NULL;
    proof->result = RESULT_PASSED;
    if (proof->evidence && strcmp(proof->type, "file")) {
        proof->message = cli_print(at->c, "evidence of type %s cannot be checked here: only `file` "
                                   "is", proof->type);
        proof->result = RESULT_UNSUPPORTED;
        return;
    }
    if (is_exit && !attempt->restored && attempt->exit_code != (int)proof->code)
        proof->message = cli_print(at->c, "exit code %d, %u is wanted", attempt->exit_code,
                                   (unsigned)proof->code);
    else if (!is_exit) proof->message = check_file(at, proof);
    if (proof->message) proof->result = RESULT_FAILED;
}

bool proof_accept(void *user, const sykli_attempt *attempt)
{
    const proof_place *at = user;
    pipeline_proof *proofs = at->task->proofs;
    bool own_code = false, ok = true;
    for (size_t i = 0; i < at->task->proof_count; i++) {
        own_code |= !strcmp(proofs[i].type, "exit_code");
        proofs[i].result = RESULT_NONE;
    }
    if (!own_code && !attempt->restored && attempt->exit_code) return false;
    for (size_t i = 0; i < at->task->proof_count; i++) {
        const pipeline_proof *p = &proofs[i];
        judge(at, &proofs[i], attempt);
        if (p->result == RESULT_PASSED || !p->required || !ok) continue;
        ok = false; // the first one is the reason, all are looked at
        snprintf(attempt->why, attempt->why_size, "%s: %s%s%s%s%s",
                 p->evidence ? p->result == RESULT_FAILED ? "missing_evidence"
                                                          : "unsupported_evidence"
                             : "success criterion", p->evidence ? p->name : p->type,
                 p->path ? " " : "", p->path ? p->path : "", ": ", p->message);
    }
    return ok;
}

char *proof_key(cli *c, const pipeline_task *t)
{
    char *key = cli_copy(c, "", 0);
    for (size_t i = 0; i < t->proof_count; i++) {
        const pipeline_proof *p = &t->proofs[i];
        key = cli_print(c, "%s%s%s %s %u%s%s", key, i ? "; " : "", p->evidence ? "evidence" : "",
                        p->type, (unsigned)p->code, p->path ? " " : "", p->path ? p->path : "");
    }
    return key;
}

static void member(sykli_buf *b, const char *before, const char *text)
{
    if (!text) return;
    sykli_buf_text(b, before);
    sykli_json_quote(b, text, strlen(text));
}

void proof_json(sykli_buf *b, const pipeline_task *t)
{
    static const char *const results[] = { "not_evaluated", "passed", "failed", "unsupported" };
    static const char *const lists[] = { ",\"success_criteria_results\":[",
                                         ",\"evidence_results\":[" };
    for (int evidence = 0; evidence < 2; evidence++) {
        const char *before = lists[evidence];
        for (size_t i = 0; i < t->proof_count; i++) {
            const pipeline_proof *p = &t->proofs[i];
            if (p->evidence != (evidence == 1)) continue;
            sykli_buf_text(b, before);
            before = ",";
            member(b, "{\"type\":", p->type);
            member(b, ",\"name\":", p->name);
            if (!strcmp(p->type, "exit_code"))
                sykli_buf_print(b, ",\"equals\":%u", (unsigned)p->code);
            member(b, evidence ? ",\"ref_pattern\":" : ",\"path\":", p->path);
            if (evidence) sykli_buf_print(b, ",\"required\":%s", p->required ? "true" : "false");
            member(b, ",\"status\":", results[p->result]);
            member(b, ",\"message\":", p->message);
            sykli_buf_text(b, "}");
        }
        if (*before == ',' && !before[1]) sykli_buf_text(b, "]");
    }
}
