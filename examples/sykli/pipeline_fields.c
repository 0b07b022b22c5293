// The fields of a task as they are written, each with what is wrong about it.
#include "condition.h"
#include "pipeline_reader.h"
#include <stdarg.h>
#include <string.h>

// Makes room for one more in an array of the arena.
void *reader_grow(cli *c, void *items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) return items;
    *capacity = *capacity ? *capacity * 2 : 8;
    void *fresh = cli_alloc(c, *capacity * size);
    if (count) memcpy(fresh, items, count * size);
    return fresh;
}

void pipeline_add_error(cli *c, pipeline_errors *to, pipeline_error error)
{
    to->items = reader_grow(c, to->items, to->count, &to->capacity, sizeof *to->items);
    to->items[to->count++] = error;
}

// Reports an error at a node of the document.
//   field    of the task, or of the root when no task is being read; NULL: itself
//   element  of the field's list, -1: none
void reader_report(reader *r, const char *type, uint32_t node, const char *field, int element,
                   const char *format, ...)
{
    char text[1024], at[16] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (element >= 0) snprintf(at, sizeof at, "[%d]", element);
    char *path = r->task_node ? cli_print(r->c, "tasks[%u]%s%s%s", (unsigned)r->index,
                                          field ? "." : "", field ? field : "", at)
                              : cli_print(r->c, "%s%s", field ? field : "", at);
    const sykli_json_node *n = &r->doc->nodes[node];
    pipeline_add_error(r->c, &r->p->errors,
                       (pipeline_error){ type, r->task, path,
                                         cli_copy(r->c, text, strlen(text)), n->line,
                                         n->column });
}

int reader_type(const reader *r, uint32_t node)
{
    return r->doc->nodes[node].type;
}

const char *reader_type_name(const reader *r, uint32_t node)
{
    static const char *const names[] = { "nothing", "null", "false", "true", "a number", "a string",
                                         "a list", "an object" };
    return names[reader_type(r, node)];
}

bool reader_blank(const char *text)
{
    return !text || !text[strspn(text, " \t\r\n\v\f")];
}

bool reader_wrong_type(reader *r, uint32_t node, const char *field, int element, const char *wanted)
{
    reader_report(r, "invalid_field", node, field, element, "`%s` is %s, %s is wanted", field,
                  reader_type_name(r, node), wanted);
    return false;
}

// ---- fields of a task ----

const char *reader_text(reader *r, const char *field)
{
    uint32_t node = sykli_json_get(r->doc, r->task_node, field);
    if (!node) return NULL;
    if (reader_type(r, node) != SYKLI_JSON_string)
        reader_wrong_type(r, node, field, -1, "a string");
    return sykli_json_text(r->doc, node);
}

static uint64_t number_field(reader *r, const char *field, uint64_t least, uint64_t most)
{
    uint32_t node = sykli_json_get(r->doc, r->task_node, field);
    uint64_t value = 0;
    if (!node) return 0;
    if (!sykli_json_u64(r->doc, node, &value) || value < least || value > most) {
        reader_report(r, "invalid_field", node, field, -1,
                      "`%s` must be a whole number from %llu to %llu", field,
                      (unsigned long long)least, (unsigned long long)most);
        return 0;
    }
    return value;
}

static bool truth_field(reader *r, const char *field)
{
    uint32_t node = sykli_json_get(r->doc, r->task_node, field);
    if (node && reader_type(r, node) != SYKLI_JSON_true
        && reader_type(r, node) != SYKLI_JSON_false)
        return reader_wrong_type(r, node, field, -1, "true or false");
    return node && reader_type(r, node) == SYKLI_JSON_true;
}

// A list of strings.      returns  the texts, *count of them
const char **reader_list(reader *r, const char *field, size_t *count)
{
    uint32_t node = sykli_json_get(r->doc, r->task_node, field);
    *count = 0;
    if (!node) return NULL;
    if (reader_type(r, node) != SYKLI_JSON_array) {
        reader_wrong_type(r, node, field, -1, "a list of strings");
        return NULL;
    }
    const char **texts = cli_alloc(r->c, (r->doc->nodes[node].count + 1u) * sizeof *texts);
    int at = 0;
    for (uint32_t e = sykli_json_first(r->doc, node); e; e = sykli_json_next(r->doc, node, e), at++)
        if (reader_type(r, e) != SYKLI_JSON_string)
            reader_wrong_type(r, e, field, at, "a string");
        else if (reader_blank(sykli_json_text(r->doc, e)))
            reader_report(r, "invalid_field", e, field, at, "an entry of `%s` is empty", field);
        else texts[(*count)++] = sykli_json_text(r->doc, e);
    return texts;
}

// The element of a list: where an error about it stands.
uint32_t reader_element(const reader *r, uint32_t list, size_t at)
{
    uint32_t e = sykli_json_first(r->doc, list);
    while (e && at--) e = sykli_json_next(r->doc, list, e);
    return e ? e : list;
}

// An object of strings.
static sykli_pair *map_field(reader *r, uint32_t node, const char *field, size_t *count)
{
    *count = 0;
    sykli_pair *pairs = cli_alloc(r->c, (r->doc->nodes[node].count + 1u) * sizeof *pairs);
    for (uint32_t e = sykli_json_first(r->doc, node); e; e = sykli_json_next(r->doc, node, e)) {
        const char *key = sykli_json_key(r->doc, e);
        if (reader_type(r, e) != SYKLI_JSON_string) {
            reader_report(r, "invalid_field", e, field, -1,
                          "`%s` of `%s` is %s, a string is wanted", key, field,
                          reader_type_name(r, e));
            continue;
        }
        pairs[(*count)++] = (sykli_pair){ key, sykli_json_text(r->doc, e) };
    }
    return pairs;
}

static void read_env(reader *r, pipeline_task *t)
{
    uint32_t node = sykli_json_get(r->doc, r->task_node, "env");
    if (!node) return;
    if (reader_type(r, node) != SYKLI_JSON_object) {
        reader_wrong_type(r, node, "env", -1, "an object of strings");
        return;
    }
    t->env = map_field(r, node, "env", &t->env_count);
    for (size_t i = 0; i < t->env_count; i++)
        if (!*t->env[i].name || strchr(t->env[i].name, '='))
            reader_report(r, "invalid_field", node, "env", -1,
                          "\"%s\" cannot be the name of a variable", t->env[i].name);
}

// An object, or the older list, whose entries are called output_0, output_1 and so on.
static void read_outputs(reader *r, pipeline_task *t)
{
    uint32_t node = sykli_json_get(r->doc, r->task_node, "outputs");
    if (!node) return;
    if (reader_type(r, node) == SYKLI_JSON_object) {
        t->outputs = map_field(r, node, "outputs", &t->output_count);
    } else if (reader_type(r, node) == SYKLI_JSON_array) {
        static const char *const first[] = { "output_0", "output_1", "output_2", "output_3" };
        const char **paths = reader_list(r, "outputs", &t->output_count);
        t->outputs = cli_alloc(r->c, (t->output_count + 1) * sizeof *t->outputs);
        for (size_t i = 0; i < t->output_count; i++)
            t->outputs[i] = (sykli_pair){ i < sizeof first / sizeof *first
                                              ? first[i] : cli_print(r->c, "output_%zu", i),
                                          paths[i] };
    } else {
        reader_wrong_type(r, node, "outputs", -1, "an object of paths");
    }
    for (size_t i = 0; i < t->output_count; i++)
        if (reader_blank(t->outputs[i].value))
            reader_report(r, "invalid_field", node, "outputs", -1, "output \"%s\" has no path",
                          t->outputs[i].name);
}

#define PAIRS_MAX (1u << 24) // outputs times inputs of a task that are compared

// A pattern that ends with any name means all there is; one that is narrower may mean sources, and
// what it finds of the outputs may be one.
static void check_match(reader *r, const char *output, const char *input)
{
    const char *last = strrchr(input, '/');
    bool any = !strcmp(last ? last + 1 : input, "*") || !strcmp(last ? last + 1 : input, "**");
    const sykli_json_node *n = &r->doc->nodes[sykli_json_get(r->doc, r->task_node, "outputs")];
    while (!strncmp(output, "./", 2)) output += 2;
    if (any || strpbrk(output, "*?[{\\") || !sykli_glob_match(input, output)) return;
    pipeline_add_error(r->c, &r->p->warnings, (pipeline_error){ "output_among_inputs", r->task,
        cli_print(r->c, "tasks[%u].outputs", (unsigned)r->index),
        cli_print(r->c, "the input \"%s\" finds the output \"%s\": it does not count as an input, "
                  "and is removed before the task runs, so it may not be a source", input, output),
        n->line, n->column });
}

// Outputs are removed before a task runs: what it reads may not be among them.
static void check_outputs(reader *r, const pipeline_task *t)
{
    if ((uint64_t)t->output_count * t->input_count > PAIRS_MAX) return;
    for (size_t i = 0; i < t->output_count; i++)
        for (size_t k = 0; k < t->input_count; k++)
            if (sykli_output_takes(t->outputs[i].value, t->inputs[k]))
                reader_report(r, "invalid_field", sykli_json_get(r->doc, r->task_node, "outputs"),
                              "outputs", -1, "the input \"%s\" is in the output \"%s\", which is "
                              "removed before the task runs: give it another output",
                              t->inputs[k], t->outputs[i].value);
            else check_match(r, t->outputs[i].value, t->inputs[k]);
}

// Whether a path leaves the project by one of its parts; whatever else leaves it, such as a link,
// is seen when it is used.
static bool leaves(const char *path)
{
    for (const char *p = path; (p = strstr(p, "..")); p += 2)
        if ((p == path || p[-1] == '/') && (!p[2] || p[2] == '/')) return true;
    return false;
}

static void check_path(reader *r, uint32_t node, const char *field, int at, const char *path)
{
    if (path && leaves(path))
        reader_report(r, "invalid_field", node, field, at,
                      "\"%s\": a path may not leave the project folder by \"..\"", path);
}

// What no run could do anything with is said before one starts. Outputs and the working folder may
// be absolute: in a container.
static void check_paths(reader *r, const pipeline_task *t)
{
    uint32_t outputs = sykli_json_get(r->doc, r->task_node, "outputs");
    uint32_t inputs = sykli_json_get(r->doc, r->task_node, "inputs");
    int at = 0;
    for (uint32_t e = inputs && t->input_count ? sykli_json_first(r->doc, inputs) : 0; e;
         e = sykli_json_next(r->doc, inputs, e), at++) {
        const char *path = sykli_json_text(r->doc, e);
        check_path(r, e, "inputs", at, path);
        if (path && *path == '/')
            reader_report(r, "invalid_field", e, "inputs", at,
                          "\"%s\": paths are relative to the project folder", path);
    }
    for (size_t i = 0; i < t->output_count; i++)
        check_path(r, outputs, "outputs", -1, t->outputs[i].value);
    check_path(r, sykli_json_get(r->doc, r->task_node, "workdir"), "workdir", -1, t->workdir);
}

static bool is_review(const reader *r, uint32_t task)
{
    const char *kind = sykli_json_text(r->doc, sykli_json_get(r->doc, task, "kind"));
    return kind && !strcmp(kind, "review");
}

// A member of the task that must be an object.     returns  its node, 0: there is none
static uint32_t object_field(reader *r, const char *field)
{
    uint32_t node = sykli_json_get(r->doc, r->task_node, field);
    if (!node || reader_type(r, node) == SYKLI_JSON_object) return node;
    reader_wrong_type(r, node, field, -1, "an object");
    return 0;
}

// A member of an object of the task that must be a string.    returns  NULL: there is none
const char *reader_member(reader *r, uint32_t object, const char *field, int element,
                          const char *name)
{
    uint32_t node = object ? sykli_json_get(r->doc, object, name) : 0;
    if (node && reader_type(r, node) != SYKLI_JSON_string)
        reader_report(r, "invalid_field", node, field, element,
                      "`%s` of `%s` is %s, a string is wanted", name, field,
                      reader_type_name(r, node));
    return node ? sykli_json_text(r->doc, node) : NULL;
}

bool reader_same(const char *a, const char *b)
{
    return a && !strcmp(a, b);
}

// What to do about a failure, and when to run at all. Unknown words mean nothing, as in the engine
// that the format comes from; --strict names them.
static void read_hooks(reader *r, pipeline_task *t)
{
    uint32_t hooks = object_field(r, "ai_hooks"), semantic = object_field(r, "semantic");
    const char *select = reader_member(r, hooks, "ai_hooks", -1, "select");
    const char *on_fail = reader_member(r, hooks, "ai_hooks", -1, "on_fail");
    t->manual = reader_same(select, "manual");
    t->smart = reader_same(select, "smart");
    t->may_fail = reader_same(on_fail, "skip");
    if (reader_same(on_fail, "retry") && t->retries < 2) t->retries = 2;
    uint32_t covers = semantic ? sykli_json_get(r->doc, semantic, "covers") : 0;
    if (!covers || reader_type(r, covers) != SYKLI_JSON_array) return;
    t->covers = cli_alloc(r->c, (r->doc->nodes[covers].count + 1u) * sizeof *t->covers);
    for (uint32_t e = sykli_json_first(r->doc, covers); e; e = sykli_json_next(r->doc, covers, e))
        if (reader_type(r, e) == SYKLI_JSON_string)
            t->covers[t->cover_count++] = sykli_json_text(r->doc, e);
}

// The engine that the format comes from takes such a gate and denies it, or asks at the terminal.
static void check_gate(reader *r, uint32_t node, const char *strategy, const pipeline_gate *gate)
{
    const char *missing = reader_same(gate->strategy, "env") && !gate->env_var      ? "env_var"
                          : reader_same(gate->strategy, "file") && !gate->file_path ? "file_path"
                          : reader_same(gate->strategy, "webhook") && !gate->webhook_url
                              ? "webhook_url"
                              : NULL;
    const sykli_json_node *n = &r->doc->nodes[node];
    const char *path = cli_print(r->c, "tasks[%u].gate", (unsigned)r->index);
    if (missing)
        pipeline_add_error(r->c, &r->p->warnings, (pipeline_error){ "gate_never_opens", r->task,
            path, cli_print(r->c, "a gate of strategy %s needs `%s`: it will be denied",
                            gate->strategy, missing), n->line, n->column });
    if (strategy && !reader_same(strategy, gate->strategy))
        pipeline_add_error(
            r->c, &r->p->warnings,
            (pipeline_error){ "unknown_gate_strategy", r->task, path,
                              cli_print(r->c,
                                        "unknown strategy \"%s\": somebody is asked at the "
                                        "terminal; prompt, env, file, webhook are known",
                                        strategy),
                              n->line, n->column });
}

static void read_gate(reader *r, pipeline_task *t)
{
    static const char *const strategies[] = { "prompt", "env", "file", "webhook" };
    enum { TIMEOUT_DEFAULT_S = 3600 };
    uint32_t node = object_field(r, "gate"), timeout;
    uint64_t seconds = TIMEOUT_DEFAULT_S;
    if (!node) return;
    pipeline_gate *gate = t->gate = cli_alloc(r->c, sizeof *gate);
    const char *strategy = reader_member(r, node, "gate", -1, "strategy");
    gate->strategy = "prompt";
    for (int i = 0; i < 4; i++)
        if (reader_same(strategy, strategies[i])) gate->strategy = strategies[i];
    gate->message = reader_member(r, node, "gate", -1, "message");
    gate->env_var = reader_member(r, node, "gate", -1, "env_var");
    gate->file_path = reader_member(r, node, "gate", -1, "file_path");
    gate->webhook_url = reader_member(r, node, "gate", -1, "webhook_url");
    timeout = sykli_json_get(r->doc, node, "timeout");
    if (timeout && (!sykli_json_u64(r->doc, timeout, &seconds) || !seconds
                    || seconds > UINT32_MAX / 1000)) {
        reader_report(r, "invalid_gate", timeout, "gate", -1,
                      "`timeout` of `gate` must be a whole number of seconds, 1 to %u",
                      UINT32_MAX / 1000);
        seconds = TIMEOUT_DEFAULT_S;
    }
    gate->timeout_ms = (uint32_t)seconds * 1000;
    check_gate(r, node, strategy, gate);
}

static void read_review(reader *r, pipeline_task *t)
{
    if (!is_review(r, r->task_node)) return;
    pipeline_review *review = t->review = cli_alloc(r->c, sizeof *review);
    uint32_t certain = sykli_json_get(r->doc, r->task_node, "deterministic");
    review->primitive = reader_text(r, "primitive");
    review->agent = reader_text(r, "agent");
    review->context = reader_list(r, "context", &review->context_count);
    review->deterministic = certain && reader_type(r, certain) == SYKLI_JSON_true;
    t->command = NULL; // how a review is done is said by whoever runs it
}

static void read_secret_refs(reader *r, pipeline_task *t)
{
    const char *field = "secret_refs";
    uint32_t list = sykli_json_get(r->doc, r->task_node, field);
    int at = 0;
    if (!list) return;
    if (reader_type(r, list) != SYKLI_JSON_array) {
        reader_wrong_type(r, list, field, -1, "a list of objects");
        return;
    }
    t->refs = cli_alloc(r->c, (r->doc->nodes[list].count + 1u) * sizeof *t->refs);
    for (uint32_t e = sykli_json_first(r->doc, list); e; at++) {
        uint32_t this = e;
        e = sykli_json_next(r->doc, list, e);
        if (reader_type(r, this) != SYKLI_JSON_object) {
            reader_wrong_type(r, this, field, at, "an object");
            continue;
        }
        pipeline_secret *ref = &t->refs[t->ref_count];
        ref->name = reader_member(r, this, field, at, "name");
        ref->source = reader_member(r, this, field, at, "source");
        ref->key = reader_member(r, this, field, at, "key");
        if (!ref->source) ref->source = "env";
        if (!ref->key) ref->key = ref->name;
        if (reader_blank(ref->name) || strchr(ref->name, '=') || reader_blank(ref->key))
            reader_report(r, "invalid_secret_ref", this, field, at,
                          "a secret needs a `name`, which "
                          "becomes a variable, and a `key` that is not empty");
        else if (!reader_same(ref->source, "env") && !reader_same(ref->source, "file")
                 && !reader_same(ref->source, "vault"))
            reader_report(r, "invalid_secret_ref", this, field, at,
                          "unknown source \"%s\": env, file or vault",
                          ref->source);
        else t->ref_count++;
    }
}

// The format has a task skipped whose condition cannot be read; only what looks like a regular
// expression and is none, which no engine can take, is refused.
static void read_condition(reader *r, pipeline_task *t)
{
    uint32_t node = sykli_json_get(r->doc, r->task_node, "when");
    const char *field = node ? "when" : "condition";
    if (!node) node = sykli_json_get(r->doc, r->task_node, field);
    t->condition = reader_text(r, "when");
    if (!t->condition) t->condition = reader_text(r, "condition");
    int code = t->condition ? condition_check(r->c, t->condition) : 0;
    const sykli_json_node *n = &r->doc->nodes[node];
    if (code == SYKLI_EINVAL)
        reader_report(r, "invalid_condition", node, field, -1, "%s", r->c->fault.text);
    else if (code)
        pipeline_add_error(r->c, &r->p->warnings, (pipeline_error){ "unreadable_condition",
            r->task, cli_print(r->c, "tasks[%u].%s", (unsigned)r->index, field),
            cli_print(r->c, "%s: %s", r->c->fault.text,
                      sykli_json_get(r->doc, r->task_node, "gate") ? "the gate is asked"
                                                                   : "the task is skipped"),
            n->line, n->column });
}

#define PROCESSES_MAX (1u << 22) // the most that Linux has, and as in run.processes

// Fields that few tasks have, in front of `env` and `outputs` and behind them: errors are told in
// the order of the fields.
static void read_limits(reader *r, pipeline_task *t)
{
    t->secrets = reader_list(r, "secrets", &t->secret_count);
    t->timeout_ms = (uint32_t)number_field(r, "timeout", 1, UINT32_MAX / 1000) * 1000;
    t->stall_ms = (uint32_t)number_field(r, "stall", 1, UINT32_MAX / 1000) * 1000;
    t->retries = (uint32_t)number_field(r, "retry", 0, 1000);
    t->processes_max = (uint32_t)number_field(r, "processes", 1, PROCESSES_MAX);
    read_condition(r, t);
}

static void read_rest(reader *r, pipeline_task *t)
{
    read_hooks(r, t);
    read_gate(r, t);
    read_review(r, t);
    read_secret_refs(r, t);
    size_t labels;
    reader_list(r, "requires", &labels);
    t->placed = labels != 0;
    t->no_cache = truth_field(r, "no_cache");
    t->pty = truth_field(r, "pty");
}

static void read_task(reader *r, pipeline_task *t)
{
    t->command = reader_text(r, "command");
    t->workdir = reader_text(r, "workdir");
    t->inputs = reader_list(r, "inputs", &t->input_count);
    if (!t->plain) read_limits(r, t);
    read_env(r, t);
    read_outputs(r, t);
    check_outputs(r, t);
    check_paths(r, t);
    if (!t->plain) read_rest(r, t);
    if (reader_blank(t->command) && !is_review(r, r->task_node)
        && !sykli_json_get(r->doc, r->task_node, "gate"))
        reader_report(r, "missing_command", r->task_node, "command", -1,
                      "task%s%s%s has no command", r->task ? " \"" : "", r->task ? r->task : "",
                      r->task ? "\"" : "");
}

// ---- fields of versions 3 and 4 ----

static bool in_list(const char *const *words, const char *word)
{
    for (; *words; words++)
        if (word && !strcmp(*words, word)) return true;
    return false;
}

// Whether the field may stand in this task and document at all.
static bool allowed(reader *r, uint32_t node, const char *field, const char *on_review,
                    const char *too_old, int version)
{
    if (is_review(r, r->task_node)) {
        reader_report(r, on_review, node, field, -1, "a review has no `%s`", field);
        return false;
    }
    if (r->version && r->version < version) {
        reader_report(r, too_old, node, field, -1, "`%s` needs version \"%d\"%s, this is \"%d\"",
                      field, version, version < 4 ? " or newer" : "", r->version);
        return false;
    }
    return true;
}

static void check_task_type(reader *r)
{
    static const char *const types[] = { "build", "test", "lint", "format", "scan", "package",
        "publish", "deploy", "migrate", "generate", "verify", "cleanup", NULL };
    uint32_t node = sykli_json_get(r->doc, r->task_node, "task_type");
    if (!node || !allowed(r, node, "task_type", "task_type_on_review",
                          "task_type_requires_v3_or_newer", 3))
        return;
    const char *text = sykli_json_text(r->doc, node);
    if (in_list(types, text)) return;
    const char *near = text ? sykli_nearest(text, types, sizeof types / sizeof *types - 1) : NULL;
    reader_report(r, "unknown_task_type", node, "task_type", -1, "unknown task type %s%s%s%s",
                  text ? text : reader_type_name(r, node), near ? "; did you mean " : "",
                  near ? near : "", near ? "?" : "");
}

// The first member of an object whose name is not in the list; 0: all are.
static uint32_t extra_member(const reader *r, uint32_t object, const char *const *known)
{
    for (uint32_t e = sykli_json_first(r->doc, object); e; e = sykli_json_next(r->doc, object, e))
        if (!in_list(known, sykli_json_key(r->doc, e))) return e;
    return 0;
}

static bool non_empty_text(const reader *r, uint32_t object, const char *name)
{
    const char *text = sykli_json_text(r->doc, sykli_json_get(r->doc, object, name));
    return text && *text;
}

static void read_criterion(reader *r, pipeline_task *t, uint32_t node, int at, int *exit_codes)
{
    static const char *const exit_keys[] = { "type", "equals", NULL };
    static const char *const file_keys[] = { "type", "path", NULL };
    static const char *const types[] = { "exit_code", "file_exists", "file_non_empty", NULL };
    const char *field = "success_criteria", *bad = "invalid_success_criteria";
    const char *type = sykli_json_text(r->doc, sykli_json_get(r->doc, node, "type"));
    if (reader_type(r, node) != SYKLI_JSON_object || !type) {
        reader_report(r, bad, node, field, at, "a criterion is an object with a `type`");
        return;
    }
    if (!in_list(types, type)) {
        reader_report(r, "unknown_success_criterion_type", node, field, at,
                      "unknown criterion \"%s\": exit_code, file_exists or file_non_empty", type);
        return;
    }
    bool is_exit = !strcmp(type, "exit_code");
    uint32_t extra = extra_member(r, node, is_exit ? exit_keys : file_keys);
    uint64_t code = 0;
    if (extra)
        reader_report(r, bad, extra, field, at, "`%s` is no member of a %s criterion",
                      sykli_json_key(r->doc, extra), type);
    else if (is_exit
             && (!sykli_json_u64(r->doc, sykli_json_get(r->doc, node, "equals"), &code)
                 || code > 255))
        reader_report(r, bad, node, field, at, "`equals` must be a whole number from 0 to 255");
    else if (!is_exit && !non_empty_text(r, node, "path"))
        reader_report(r, bad, node, field, at, "`path` must be a non-empty string");
    if (is_exit && ++*exit_codes == 2)
        reader_report(r, "duplicate_exit_code_criteria", node, field, at,
                      "more than one exit_code criterion");
    t->proofs[t->proof_count++] = (pipeline_proof){ .type = type, .required = true,
        .path = sykli_json_text(r->doc, sykli_json_get(r->doc, node, "path")),
        .code = (uint32_t)code, .non_empty = !strcmp(type, "file_non_empty") };
}

static void read_criteria(reader *r, pipeline_task *t)
{
    uint32_t node = sykli_json_get(r->doc, r->task_node, "success_criteria");
    int at = 0, exit_codes = 0;
    if (!node || !allowed(r, node, "success_criteria", "success_criteria_on_review",
                          "success_criteria_requires_v3_or_newer", 3))
        return;
    if (reader_type(r, node) != SYKLI_JSON_array)
        reader_report(r, "invalid_success_criteria", node, "success_criteria", -1,
                      "`success_criteria` is %s, a list is wanted", reader_type_name(r, node));
    else
        for (uint32_t e = sykli_json_first(r->doc, node); e; e = sykli_json_next(r->doc, node, e))
            read_criterion(r, t, e, at++, &exit_codes);
}

static const char *evidence_problem(const reader *r, uint32_t node, const char *type)
{
    static const char *const keys[] = { "type", "name", "required", "visibility", "predicate",
        "ref_pattern", "description", NULL };
    static const char *const visibilities[] = { "local", "run_history", "occurrence",
        "coordinator_ref", NULL };
    static const char *const predicates[] = { "exists", "non_empty", NULL };
    uint32_t required = sykli_json_get(r->doc, node, "required");
    uint32_t visibility = sykli_json_get(r->doc, node, "visibility");
    uint32_t predicate = sykli_json_get(r->doc, node, "predicate");
    bool is_file = !strcmp(type, "file");
    if (extra_member(r, node, keys)) return "has a member that is not known";
    if (!non_empty_text(r, node, "name")) return "needs a non-empty `name`";
    if (required && reader_type(r, required) != SYKLI_JSON_true
        && reader_type(r, required) != SYKLI_JSON_false)
        return "has a `required` that is neither true nor false";
    if (visibility && !in_list(visibilities, sykli_json_text(r->doc, visibility)))
        return "has a `visibility` other than local, run_history, occurrence, coordinator_ref";
    if (predicate && !is_file) return "may have a `predicate` only if its type is file";
    if (predicate && !in_list(predicates, sykli_json_text(r->doc, predicate)))
        return "has a `predicate` other than exists, non_empty";
    if (is_file && !non_empty_text(r, node, "ref_pattern")) return "needs a `ref_pattern`";
    if (sykli_json_get(r->doc, node, "ref_pattern") && !non_empty_text(r, node, "ref_pattern"))
        return "has an empty `ref_pattern`";
    if (sykli_json_get(r->doc, node, "description") && !non_empty_text(r, node, "description"))
        return "has an empty `description`";
    return NULL;
}

static pipeline_proof evidence_of(const reader *r, uint32_t node, const char *type)
{
    uint32_t required = sykli_json_get(r->doc, node, "required");
    const char *predicate = sykli_json_text(r->doc, sykli_json_get(r->doc, node, "predicate"));
    return (pipeline_proof){ .type = type,
                             .evidence = true,
                             .name = sykli_json_text(r->doc, sykli_json_get(r->doc, node, "name")),
                             .path = sykli_json_text(r->doc,
                                                     sykli_json_get(r->doc, node, "ref_pattern")),
                             .required = !required || reader_type(r, required) == SYKLI_JSON_true,
                             .non_empty = reader_same(predicate, "non_empty") };
}

static void read_evidence(reader *r, pipeline_task *t)
{
    static const char *const types[] = { "file", "log", "attestation", "occurrence", "metric",
        "test_report", "artifact_ref", "custom", NULL };
    const char *field = "evidence_required", *bad = "invalid_evidence_required";
    uint32_t node = sykli_json_get(r->doc, r->task_node, field);
    int at = 0;
    if (!node || !allowed(r, node, field, "evidence_required_on_review",
                          "evidence_required_requires_version_4", 4))
        return;
    if (reader_type(r, node) != SYKLI_JSON_array) {
        reader_report(r, bad, node, field, -1, "`%s` is %s, a list is wanted", field,
                      reader_type_name(r, node));
        return;
    }
    for (uint32_t e = sykli_json_first(r->doc, node); e; at++) {
        const char *type = reader_type(r, e) != SYKLI_JSON_object
                               ? NULL
                               : sykli_json_text(r->doc, sykli_json_get(r->doc, e, "type"));
        const char *problem = type ? evidence_problem(r, e, type) : "is an object with a `type`";
        if (type && !in_list(types, type))
            reader_report(r, "unknown_evidence_required_type", e, field, at,
                          "unknown evidence \"%s\"", type);
        else if (problem) reader_report(r, bad, e, field, at, "an evidence %s", problem);
        else t->proofs[t->proof_count++] = evidence_of(r, e, type);
        e = sykli_json_next(r->doc, node, e);
    }
}

bool reader_plain(const reader *r, uint32_t task)
{
    static const char *const usual[] = { "name", "command", "inputs", "outputs", "depends_on",
                                         "env", "workdir", NULL };
    return !extra_member(r, task, usual);
}

void reader_task(reader *r, pipeline_task *t)
{
    read_task(r, t);
    if (t->plain) return;
    check_task_type(r);
    uint32_t criteria = sykli_json_get(r->doc, r->task_node, "success_criteria");
    uint32_t evidence = sykli_json_get(r->doc, r->task_node, "evidence_required");
    size_t proofs = (size_t)r->doc->nodes[criteria].count + r->doc->nodes[evidence].count;
    if (criteria || evidence) t->proofs = cli_alloc(r->c, (proofs + 1) * sizeof *t->proofs);
    read_criteria(r, t);
    read_evidence(r, t);
}
