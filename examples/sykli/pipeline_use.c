// What is done with a pipeline once it is read: choosing tasks, adding them, reporting errors.
#include "pipeline.h"
#include "condition.h"
#include "config_file.h"
#include "proof.h"
#include <string.h>

pipeline_task *pipeline_find(pipeline *p, const char *name)
{
    for (size_t i = 0; i < p->task_count; i++)
        if (!strcmp(p->tasks[i].name, name)) return &p->tasks[i];
    return NULL;
}

static int unknown_task(cli *c, const pipeline *p, const char *name)
{
    const char **names = cli_alloc(c, (p->task_count + 1) * sizeof *names);
    for (size_t i = 0; i < p->task_count; i++) names[i] = p->tasks[i].name;
    const char *near = sykli_nearest(name, names, p->task_count);
    bool verb = false;
    for (const cli_verb *const *v = c->verbs; *v; v++) verb |= !strcmp((*v)->name, name);
    char *hint = verb ? cli_print(c, "the verb comes first: sykli %s", name)
               : near ? cli_print(c, "did you mean %s?", near)
                      : cli_print(c, "sykli graph --format text lists the tasks");
    return cli_fail(c, CLI_USAGE, "task_not_found", hint, "no task is named %s", name);
}

void pipeline_close_over(cli *c, pipeline *p)
{
    uint32_t *queue = cli_alloc(c, (p->task_count + 1) * sizeof *queue);
    size_t count = 0;
    for (size_t i = 0; i < p->task_count; i++)
        if (p->tasks[i].wanted) queue[count++] = (uint32_t)i;
    while (count) {
        const pipeline_task *t = &p->tasks[queue[--count]];
        for (size_t k = 0; k < t->after_count; k++) {
            if (p->tasks[t->after[k]].wanted) continue;
            p->tasks[t->after[k]].wanted = true;
            queue[count++] = t->after[k];
        }
    }
}

// The tasks of a matrix are meant by the name it has in the file too.
static bool answers_to(const pipeline *p, const pipeline_task *t, const char *name)
{
    const char *written = sykli_json_text(&p->doc, sykli_json_get(&p->doc, t->node, "name"));
    return !strcmp(t->name, name) || (written && !strcmp(written, name));
}

int pipeline_select(cli *c, pipeline *p, const char *const *names, int count, const char *filter)
{
    for (size_t i = 0; i < p->task_count; i++) {
        pipeline_task *t = &p->tasks[i];
        t->wanted = (filter && strstr(t->name, filter)) || (!filter && !count);
        if (t->manual && !count) t->skip_reason = "runs only when it is named";
    }
    for (int n = 0; n < count; n++) {
        bool found = false;
        for (size_t i = 0; i < p->task_count; i++)
            if (answers_to(p, &p->tasks[i], names[n])) p->tasks[i].wanted = found = true;
        if (!found) return unknown_task(c, p, names[n]);
    }
    pipeline_close_over(c, p);
    return 0;
}

void pipeline_decide(cli *c, pipeline *p, const char *dir)
{
    condition_facts facts;
    condition_facts_find(c, dir, &facts);
    for (size_t i = 0; i < p->task_count; i++) {
        pipeline_task *t = &p->tasks[i];
        if (!t->wanted || !t->condition || t->skip_reason) continue;
        int holds = condition_holds(c, &facts, t->condition);
        if (holds < 0) fprintf(stderr, "sykli: %s; the task is %s\n", c->fault.text,
                               t->gate ? "not skipped: it is a gate" : "skipped");
        if (holds < 0 && t->gate) continue; // what cannot be read opens no gate
        if (holds < 0) t->skip_reason = cli_print(c, "%s", c->fault.text);
        if (holds == 0) t->skip_reason = cli_print(c, "`%s` does not hold", t->condition);
    }
}

// ---- what is not done yet ----

static void refuse(cli *c, pipeline *p, const pipeline_task *t, uint32_t node, const char *field,
                   const char *message)
{
    const sykli_json_node *n = &p->doc.nodes[node];
    pipeline_add_error(c, &p->errors,
                       (pipeline_error){ "unsupported", t->name,
                                         cli_print(c, "tasks[%u].%s", (unsigned)t->index, field),
                                         message, n->line, n->column });
}

// What is removed before a task runs may not be what the pipeline was read from.
static void check_file(cli *c, pipeline *p, const pipeline_task *t, const pipeline_source *source)
{
    const char *file = strcmp(source->dir, ".") ? source->name : source->path;
    if (!strcmp(source->name, "stdin")) return;
    for (size_t i = 0; i < t->output_count; i++)
        if (sykli_output_takes(t->outputs[i].value, file))
            refuse(c, p, t, sykli_json_get(&p->doc, t->node, "outputs"), "outputs",
                   cli_print(c, "the output %s holds the pipeline %s, and outputs are removed "
                             "before a task runs", t->outputs[i].value, file));
}

static void check_task(cli *c, pipeline *p, const pipeline_task *t)
{
    static const char *const fields[] = { "container", "services", "mounts", "oidc" };
    static const char *const remedies[] = {
        "containers come in a later version: let the command call docker or podman itself",
        "services come in a later version: let the command start what it needs",
        "mounts are for containers, which come in a later version",
        "oidc comes in a later version: let the command exchange its token itself" };
    const sykli_json_doc *doc = &p->doc;
    for (size_t i = 0; !t->plain && i < sizeof fields / sizeof *fields; i++) {
        uint32_t node = sykli_json_get(doc, t->node, fields[i]);
        bool list = node && doc->nodes[node].type == SYKLI_JSON_array;
        if (node && !(list && !doc->nodes[node].count))
            refuse(c, p, t, node, fields[i],
                   cli_print(c, "task \"%s\": `%s` is not supported; %s", t->name, fields[i],
                             remedies[i]));
    }
    if (t->workdir && *t->workdir == '/')
        refuse(c, p, t, sykli_json_get(doc, t->node, "workdir"), "workdir",
               "an absolute `workdir` is a path in a container, and there is none");
    for (size_t i = 0; i < t->output_count; i++)
        if (*t->outputs[i].value == '/')
            refuse(c, p, t, sykli_json_get(doc, t->node, "outputs"), "outputs",
                   cli_print(c, "the absolute output %s is a path in a container, there is none",
                             t->outputs[i].value));
}

void pipeline_check_support(cli *c, pipeline *p, const pipeline_source *source)
{
    for (size_t i = 0; i < p->task_count; i++) {
        if (!p->tasks[i].wanted) continue;
        check_task(c, p, &p->tasks[i]);
        check_file(c, p, &p->tasks[i], source);
    }
}

// Whether a task asks for something that is not done here.
static bool asks(const pipeline *p, const pipeline_task *t, const char *key)
{
    if (!strcmp(key, "requires")) return t->placed;
    uint32_t node = sykli_json_get(&p->doc, t->node, key);
    const char *text = sykli_json_text(&p->doc, node);
    return node && !(text && !strcmp(text, "never")); // `verify`: that is what happens anyway
}

void pipeline_note(const pipeline *p)
{
    static const char *const notes[][2] = {
        { "requires", "all tasks run on this machine" },
        { "k8s", "all tasks run on this machine, with what it has" },
        { "verify", "no other node runs a task again" } };
    for (size_t n = 0; n < sizeof notes / sizeof *notes; n++) {
        size_t count = 0;
        const char *first = NULL;
        for (size_t i = 0; i < p->task_count; i++) {
            if (!p->tasks[i].wanted || !asks(p, &p->tasks[i], notes[n][0])) continue;
            if (!count++) first = p->tasks[i].name;
        }
        if (!count) continue;
        fprintf(stderr, "sykli: note: `%s` of ", notes[n][0]);
        cli_put(stderr, first, 0);
        if (count > 1) fprintf(stderr, " and %zu more", count - 1);
        fprintf(stderr, " is ignored: %s\n", notes[n][1]);
    }
}

// ---- reviews ----

static char *lines_of(cli *c, const char *const *items, size_t count)
{
    size_t size = 0, at = 0;
    for (size_t i = 0; i < count; i++) size += strlen(items[i]) + 1;
    char *text = cli_alloc(c, size + 1);
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(items[i]);
        if (i) text[at++] = '\n';
        memcpy(text + at, items[i], length);
        at += length;
    }
    text[at] = 0;
    return text;
}

void pipeline_set_reviews(cli *c, pipeline *p, const config_file *file)
{
    for (size_t i = 0; i < p->task_count; i++) {
        pipeline_task *t = &p->tasks[i];
        pipeline_review *r = t->review;
        if (!t->wanted || !r) continue;
        t->command = r->primitive ? config_file_value(file, cli_print(c, "reviews.%s",
                                                                      r->primitive)) : NULL;
        r->told = t->command != NULL;
        sykli_pair *env = cli_alloc(c, (t->env_count + 4) * sizeof *env);
        if (t->env_count) memcpy(env, t->env, t->env_count * sizeof *env);
        const char *context = lines_of(c, r->context, r->context_count);
        env[t->env_count++] = (sykli_pair){ "SYKLI_REVIEW_PRIMITIVE",
                                            r->primitive ? r->primitive : "" };
        env[t->env_count++] = (sykli_pair){ "SYKLI_REVIEW_AGENT", r->agent ? r->agent : "" };
        env[t->env_count++] = (sykli_pair){ "SYKLI_REVIEW_CONTEXT", context };
        t->env = env;
    }
}

// ---- adding ----

// The secrets of a task with their values. The variable that one came from is dropped too: no other
// task inherits what is a secret here.
static sykli_secret *given(cli *c, const pipeline_task *t, size_t *count)
{
    sykli_secret *list = t->ref_count ? cli_alloc(c, 2 * t->ref_count * sizeof *list) : NULL;
    *count = 0;
    for (size_t i = 0; i < t->ref_count; i++) {
        const pipeline_secret *ref = &t->refs[i];
        const char *source = cli_print(c, "%s %s", ref->source, ref->key);
        list[(*count)++] = (sykli_secret){ ref->name, ref->value, source, ref->why };
        if (!strcmp(ref->source, "env") && strcmp(ref->key, ref->name))
            list[(*count)++] = (sykli_secret){ ref->key, ref->value, source, ref->why };
    }
    return list;
}

static sykli_task add_one(cli *c, sykli *s, pipeline_task *t, const char *dir, uint32_t timeout_ms)
{
    size_t given_count;
    sykli_secret *given_list = given(c, t, &given_count);
    proof_place *place = t->proof_count ? cli_alloc(c, sizeof *place) : NULL;
    if (place) *place = (proof_place){ c, dir, t };
    bool made = t->command && *t->command; // what has no command makes no outputs
    return sykli_add(s, &(sykli_task_desc){
        .held = t->gate || (t->review && !t->review->told), .may_fail = t->may_fail,
        .no_cache = t->no_cache || (t->review && !t->review->deterministic),
        .given_list = given_list, .given_count = given_count,
        .accept = t->proof_count && made ? proof_accept : NULL, .accept_user = place,
        .accept_key = t->proof_count ? proof_key(c, t) : NULL,
        .name = t->name, .command = t->command, .workdir = t->workdir,
        .input_list = t->inputs, .input_count = t->input_count,
        .output_list = t->outputs, .output_count = made ? t->output_count : 0,
        .env_list = t->env, .env_count = t->env_count,
        .secret_list = t->secrets, .secret_count = t->secret_count,
        .timeout_ms = t->timeout_ms ? t->timeout_ms : timeout_ms, .retries = t->retries,
        .stall_ms = t->stall_ms, .processes_max = t->processes_max, .pty = t->pty,
        .skip_reason = t->skip_reason });
}

int pipeline_add(cli *c, pipeline *p, sykli *s, const char *dir, uint32_t timeout_ms)
{
    for (size_t i = 0; i < p->task_count; i++) {
        pipeline_task *t = &p->tasks[i];
        if (t->wanted) t->handle = add_one(c, s, t, dir, timeout_ms);
        if (t->wanted && !t->handle.id) return sykli_error(s);
    }
    for (size_t i = 0; i < p->task_count; i++) {
        const pipeline_task *t = &p->tasks[i];
        for (size_t k = 0; t->wanted && k < t->after_count; k++) {
            int rc = sykli_add_after(s, t->handle, p->tasks[t->after[k]].handle);
            if (rc < 0) return rc;
        }
        for (size_t k = 0; t->wanted && k < t->intake_count; k++) {
            const pipeline_intake *in = &t->intakes[k];
            int rc = sykli_add_intake(s, t->handle, &(sykli_intake){ p->tasks[in->from].handle,
                                                                     in->output, in->dest });
            if (rc < 0) return rc;
        }
    }
    return 0;
}

// ---- reporting ----

static void quote(sykli_buf *b, const char *before, const char *text)
{
    sykli_buf_text(b, before);
    sykli_json_quote(b, text, strlen(text));
}

static void report_errors(sykli_buf *b, const pipeline_errors *errors)
{
    sykli_buf_text(b, "[");
    for (size_t i = 0; i < errors->count; i++) {
        const pipeline_error *e = &errors->items[i];
        quote(b, i ? ",{\"type\":" : "{\"type\":", e->type);
        if (e->task) quote(b, ",\"task\":", e->task);
        quote(b, ",\"path\":", e->path);
        sykli_buf_print(b, ",\"line\":%u,\"column\":%u", (unsigned)e->line, (unsigned)e->column);
        quote(b, ",\"message\":", e->message);
        sykli_buf_text(b, "}");
    }
    sykli_buf_text(b, "]");
}

char *pipeline_report(cli *c, const pipeline *p)
{
    sykli_buf b;
    sykli_buf_init(&b, &c->mem, SYKLI_TAG_host);
    sykli_buf_print(&b, "{\"valid\":%s,\"errors\":", p->errors.count ? "false" : "true");
    report_errors(&b, &p->errors);
    sykli_buf_text(&b, ",\"warnings\":");
    report_errors(&b, &p->warnings);
    sykli_buf_text(&b, "}");
    char *text = cli_copy(c, b.error ? "null" : (char *)b.data, b.error ? 4 : b.size);
    sykli_buf_free(&b);
    return text;
}

void pipeline_print_errors(const cli *c, const pipeline *p, const char *file)
{
    const pipeline_errors *lists[] = { &p->errors, &p->warnings };
    for (int l = 0; l < 2; l++)
        for (size_t i = 0; i < lists[l]->count; i++) {
            const pipeline_error *e = &lists[l]->items[i];
            fprintf(stderr, "%s%s:%u:%u:%s %s", cli_style_on(c->colour, CLI_BOLD), file,
                    (unsigned)e->line, (unsigned)e->column, cli_style_on(c->colour, CLI_PLAIN),
                    l ? "warning: " : "");
            cli_put(stderr, e->message, 0);
            fprintf(stderr, "  [%s]\n", e->type);
        }
}

int pipeline_refuse(cli *c, const pipeline *p, const char *file)
{
    const pipeline_error *first = &p->errors.items[0];
    if (!c->json) {
        pipeline_print_errors(c, p, file);
        return CLI_FAILED;
    }
    bool later = !strcmp(first->type, "unsupported");
    return cli_fail(c, CLI_FAILED, first->type,
                    later ? NULL : "sykli validate --json lists all errors",
                    "%s:%u:%u: %s%s", file, (unsigned)first->line, (unsigned)first->column,
                    first->message, p->errors.count > 1 ? " (and more)" : "");
}
