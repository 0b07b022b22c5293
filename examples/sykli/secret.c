// Where values come from: `env` is a variable of this process, `file` a file without the line end
// at its end, `vault` what the user's program prints:
//
//     vault kv get -field=FIELD PATH          for the key PATH#FIELD; without #FIELD: `value`
//
// A /data/ behind the first part of PATH, as the HTTP API writes it, is left out: `vault kv` adds
// it. Address and token are those of the user's environment.
//
// A value has to be in our memory: to be masked and to be handed on. There only root finds it.
#define _GNU_SOURCE 1
#include "secret.h"
#include "config_file.h"
#include "tool.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif

enum { TIMEOUT_MS = 30000, SIZE_MAX_BYTES = 64 << 10 };
static const char wanted[] = "a text of at most 64 KiB is wanted";

extern char **environ;

// ---- who may see them ----

// Variables that have left the block of the environment: they live as long as the process.
typedef struct taken {
    struct taken *next;
    char text[];
} taken;

static taken *all_taken;

static void take(const char *name)
{
    size_t size = strlen(name);
    for (char **entry = environ; *entry; entry++) {
        const taken *known = all_taken;
        if (strncmp(*entry, name, size) || (*entry)[size] != '=') continue;
        while (known && known->text != *entry) known = known->next;
        if (known) continue; // of a run before this one
        taken *fresh = malloc(sizeof *fresh + strlen(*entry) + 1);
        if (!fresh) {
            fputs("sykli: out of memory\n", stderr);
            exit(CLI_INFRASTRUCTURE);
        }
        strcpy(fresh->text, *entry);
        sykli_wipe(*entry + size + 1, strlen(*entry + size + 1));
        *entry = fresh->text;
        fresh->next = all_taken;
        all_taken = fresh;
    }
}

bool secret_named(const pipeline *p)
{
    for (size_t i = 0; i < p->task_count; i++)
        if (p->tasks[i].secret_count || p->tasks[i].ref_count) return true;
    return false;
}

void secret_take(const pipeline *p)
{
    for (size_t i = 0; i < p->task_count; i++) {
        const pipeline_task *t = &p->tasks[i];
        for (size_t k = 0; k < t->secret_count; k++) take(t->secrets[k]);
        for (size_t k = 0; k < t->ref_count; k++)
            if (!strcmp(t->refs[k].source, "env")) take(t->refs[k].key);
    }
}

static bool kept(const char *entry, const char *const *keep)
{
    for (; *keep; keep++) {
        size_t size = strlen(*keep);
        bool any = (*keep)[size - 1] == '*';
        if (!strncmp(entry, *keep, size - any) && (any || entry[size] == '=')) return true;
    }
    return false;
}

void secret_forget_environment(const char *const *keep)
{
    for (char **entry = environ; *entry; entry++) {
        char *value = strchr(*entry, '=');
        if (value && !kept(*entry, keep)) sykli_wipe(value + 1, strlen(value + 1));
    }
}

void secret_hide(bool hidden)
{
#if defined(__linux__)
    static bool now;
    if (hidden != now) prctl(PR_SET_DUMPABLE, !hidden, 0, 0, 0);
    now = hidden;
#else
    (void)hidden;
#endif
}

// ---- where they come from ----

static void not_found(cli *c, pipeline_secret *ref, const char *why)
{
    ref->why = cli_copy(c, why, strlen(why));
    fprintf(stderr, "sykli: secret %s: %s %s: ", ref->name, ref->source, ref->key);
    cli_put(stderr, why, 0);
    fputc('\n', stderr);
}

static const char *file_path(cli *c, const pipeline_secret *ref, const char *dir)
{
    const char *home = getenv("HOME"), *path = ref->key;
    if (!strncmp(path, "~/", 2) && home) return cli_print(c, "%s%s", home, path + 1);
    return *path == '/' ? path : cli_print(c, "%s/%s", dir, path);
}

bool secret_is_there(cli *c, const pipeline_secret *ref, const char *dir)
{
    const char *value = getenv(ref->key);
    return strcmp(ref->source, "file") ? value && *value : !access(file_path(c, ref, dir), R_OK);
}

static void from_file(cli *c, pipeline_secret *ref, const char *dir)
{
    size_t size;
    const char *path = file_path(c, ref, dir);
    char *text = cli_read(c, path, &size);
    if (!text) {
        not_found(c, ref, c->fault.text);
        return;
    }
    if (size > SIZE_MAX_BYTES || strlen(text) != size) {
        not_found(c, ref, wanted);
        return;
    }
    while (size && (text[size - 1] == '\n' || text[size - 1] == '\r')) text[--size] = 0;
    if (!size) {
        not_found(c, ref, "the file is empty");
        return;
    }
    ref->value = text;
}

// What it printed without the line ends behind it.     returns  NULL after a message
static const char *vault_value(cli *c, pipeline_secret *ref, tool *t)
{
    while (t->size && t->text[t->size - 1] == '\n') t->text[--t->size] = 0;
    if (t->size && strlen(t->text) == t->size) return t->text;
    not_found(c, ref, t->size ? wanted : "there is no value");
    return NULL;
}

static void from_vault(cli *c, pipeline_secret *ref)
{
    const char *hash = strrchr(ref->key, '#'), *data = strchr(ref->key, '/');
    const char *field = cli_print(c, "-field=%s", hash && hash[1] ? hash + 1 : "value");
    char *path = cli_copy(c, ref->key, hash ? (size_t)(hash - ref->key) : strlen(ref->key));
    if (data && !strncmp(data, "/data/", 6))
        path = cli_print(c, "%.*s/%s", (int)(data - ref->key), path, path + (data - ref->key) + 6);
    if (*path == '-') {
        not_found(c, ref, "a path does not begin with a dash");
        return;
    }
    const char *const argv[] = { "vault", "kv", "get", field, path, NULL };
    tool t;
    uint32_t limit_ms;
    char limit[32];
    if (config_file_limit(c, "SYKLI_VAULT_TIMEOUT", "vault.timeout", TIMEOUT_MS, &limit_ms)) return;
    int rc = tool_run(c, &t, cli_print(c, "vault: %s", path), argv, NULL, limit_ms,
                      SIZE_MAX_BYTES);
    if (rc == -EINTR) return; // the run ends before it begins
    if (rc == -ETIMEDOUT)
        not_found(c, ref, cli_print(c, "no answer within %s (vault.timeout)",
                                 sykli_format_duration(limit, limit_ms)));
    else if (rc) not_found(c, ref, rc == -EFBIG ? wanted : strerror(-rc));
    else if (!tool_passed(&t)) not_found(c, ref, tool_ending(c, &t));
    else ref->value = vault_value(c, ref, &t);
}

static void find(cli *c, pipeline_secret *ref, const char *dir)
{
    const char *value = getenv(ref->key);
    if (!strcmp(ref->source, "file")) from_file(c, ref, dir);
    else if (!strcmp(ref->source, "vault")) from_vault(c, ref);
    else if (value && *value) ref->value = value;
    else not_found(c, ref, "the variable is not set");
}

void secret_drop(pipeline *p)
{
    for (size_t i = 0; i < p->task_count; i++)
        for (size_t k = 0; k < p->tasks[i].ref_count; k++) {
            const pipeline_secret *ref = &p->tasks[i].refs[k];
            if (ref->value && strcmp(ref->source, "env"))
                sykli_wipe((char *)(uintptr_t)ref->value, strlen(ref->value));
        }
}

void secret_find(cli *c, pipeline *p, const char *dir)
{
    size_t total = 0, seen_count = 0;
    for (size_t i = 0; i < p->task_count; i++) total += p->tasks[i].ref_count;
    const pipeline_secret **seen = cli_alloc(c, (total + 1) * sizeof *seen);
    for (size_t i = 0; i < p->task_count; i++) {
        pipeline_task *t = &p->tasks[i];
        if (!t->wanted || t->skip_reason || !t->ref_count) continue;
        pipeline_secret *own = cli_alloc(c, t->ref_count * sizeof *own);
        memcpy(own, t->refs, t->ref_count * sizeof *own); // tasks of a matrix share theirs
        t->refs = own;
        for (size_t k = 0, at; k < t->ref_count; k++) {
            for (at = 0; at < seen_count; at++)
                if (!strcmp(seen[at]->source, own[k].source) && !strcmp(seen[at]->key, own[k].key))
                    break;
            if (at == seen_count) {
                find(c, &own[k], dir);
                seen[seen_count++] = &own[k];
            }
            own[k].value = seen[at]->value;
            own[k].why = seen[at]->why;
        }
    }
}
