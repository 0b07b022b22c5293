#include "pipeline.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

// What is being read, so that an error can say where it is.
typedef struct reader {
    cli *c;
    pipeline *p;
    const sykli_json_doc *doc;
    int version;        // 1 to 4; 0: unknown
    uint32_t task_node; // 0: none
    uint32_t index;     // of the task
    const char *task;   // its name
} reader;

// Makes room for one more in an array of the arena.
static void *grow(cli *c, void *items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) return items;
    *capacity = *capacity ? *capacity * 2 : 8;
    void *fresh = cli_alloc(c, *capacity * size);
    if (count) memcpy(fresh, items, count * size);
    return fresh;
}

void pipeline_add_error(cli *c, pipeline_errors *to, pipeline_error error)
{
    to->items = grow(c, to->items, to->count, &to->capacity, sizeof *to->items);
    to->items[to->count++] = error;
}

// Reports an error at a node of the document.
//   field    of the task, or of the root when no task is being read; NULL: itself
//   element  of the field's list, -1: none
#if defined(__GNUC__)
__attribute__((format(printf, 6, 7)))
#endif
static void report(reader *r, const char *type, uint32_t node, const char *field, int element,
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

static int json_type(const reader *r, uint32_t node) { return r->doc->nodes[node].type; }

static const char *type_name(const reader *r, uint32_t node)
{
    static const char *const names[] = { "nothing", "null", "false", "true", "a number", "a string",
                                         "a list", "an object" };
    return names[json_type(r, node)];
}

static bool blank(const char *text) { return !text || !text[strspn(text, " \t\r\n\v\f")]; }

static bool wrong_type(reader *r, uint32_t node, const char *field, int element, const char *wanted)
{
    report(r, "invalid_field", node, field, element, "`%s` is %s, %s is wanted", field,
           type_name(r, node), wanted);
    return false;
}

// ---- fields of a task ----

static const char *text_field(reader *r, const char *field)
{
    uint32_t node = sykli_json_get(r->doc, r->task_node, field);
    if (!node) return NULL;
    if (json_type(r, node) != SYKLI_JSON_string) wrong_type(r, node, field, -1, "a string");
    return sykli_json_text(r->doc, node);
}

static uint64_t number_field(reader *r, const char *field, uint64_t least, uint64_t most)
{
    uint32_t node = sykli_json_get(r->doc, r->task_node, field);
    uint64_t value = 0;
    if (!node) return 0;
    if (!sykli_json_u64(r->doc, node, &value) || value < least || value > most) {
        report(r, "invalid_field", node, field, -1, "`%s` must be a whole number from %llu to %llu",
               field, (unsigned long long)least, (unsigned long long)most);
        return 0;
    }
    return value;
}

// A list of strings.      returns  the texts, *count of them
static const char **list_field(reader *r, const char *field, size_t *count)
{
    uint32_t node = sykli_json_get(r->doc, r->task_node, field);
    *count = 0;
    if (!node) return NULL;
    if (json_type(r, node) != SYKLI_JSON_array) {
        wrong_type(r, node, field, -1, "a list of strings");
        return NULL;
    }
    const char **texts = cli_alloc(r->c, (r->doc->nodes[node].count + 1u) * sizeof *texts);
    int at = 0;
    for (uint32_t e = sykli_json_first(r->doc, node); e; e = sykli_json_next(r->doc, node, e), at++)
        if (json_type(r, e) != SYKLI_JSON_string) wrong_type(r, e, field, at, "a string");
        else if (blank(sykli_json_text(r->doc, e)))
            report(r, "invalid_field", e, field, at, "an entry of `%s` is empty", field);
        else texts[(*count)++] = sykli_json_text(r->doc, e);
    return texts;
}

// The element of a list: where an error about it stands.
static uint32_t element(const reader *r, uint32_t list, size_t at)
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
        if (json_type(r, e) != SYKLI_JSON_string) {
            report(r, "invalid_field", e, field, -1, "`%s` of `%s` is %s, a string is wanted", key,
                   field, type_name(r, e));
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
    if (json_type(r, node) != SYKLI_JSON_object) {
        wrong_type(r, node, "env", -1, "an object of strings");
        return;
    }
    t->env = map_field(r, node, "env", &t->env_count);
    for (size_t i = 0; i < t->env_count; i++)
        if (!*t->env[i].name || strchr(t->env[i].name, '='))
            report(r, "invalid_field", node, "env", -1, "\"%s\" cannot be the name of a variable",
                   t->env[i].name);
}

// An object, or the older list, whose entries are called output_0, output_1 and so on.
static void read_outputs(reader *r, pipeline_task *t)
{
    uint32_t node = sykli_json_get(r->doc, r->task_node, "outputs");
    if (!node) return;
    if (json_type(r, node) == SYKLI_JSON_object) {
        t->outputs = map_field(r, node, "outputs", &t->output_count);
    } else if (json_type(r, node) == SYKLI_JSON_array) {
        const char **paths = list_field(r, "outputs", &t->output_count);
        t->outputs = cli_alloc(r->c, (t->output_count + 1) * sizeof *t->outputs);
        for (size_t i = 0; i < t->output_count; i++)
            t->outputs[i] = (sykli_pair){ cli_print(r->c, "output_%zu", i), paths[i] };
    } else {
        wrong_type(r, node, "outputs", -1, "an object of paths");
    }
    for (size_t i = 0; i < t->output_count; i++)
        if (blank(t->outputs[i].value))
            report(r, "invalid_field", node, "outputs", -1, "output \"%s\" has no path",
                   t->outputs[i].name);
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
    if (!node || json_type(r, node) == SYKLI_JSON_object) return node;
    wrong_type(r, node, field, -1, "an object");
    return 0;
}

// A member of an object of the task that must be a string.    returns  NULL: there is none
static const char *member_text(reader *r, uint32_t object, const char *field, int element,
                               const char *name)
{
    uint32_t node = object ? sykli_json_get(r->doc, object, name) : 0;
    if (node && json_type(r, node) != SYKLI_JSON_string)
        report(r, "invalid_field", node, field, element, "`%s` of `%s` is %s, a string is wanted",
               name, field, type_name(r, node));
    return node ? sykli_json_text(r->doc, node) : NULL;
}

static bool same(const char *a, const char *b) { return a && !strcmp(a, b); }

// What to do about a failure, and when to run at all. Unknown words mean nothing, as in the engine
// that the format comes from; --strict names them.
static void read_hooks(reader *r, pipeline_task *t)
{
    uint32_t hooks = object_field(r, "ai_hooks"), semantic = object_field(r, "semantic");
    const char *select = member_text(r, hooks, "ai_hooks", -1, "select");
    const char *on_fail = member_text(r, hooks, "ai_hooks", -1, "on_fail");
    t->manual = same(select, "manual");
    t->smart = same(select, "smart");
    t->may_fail = same(on_fail, "skip");
    if (same(on_fail, "retry") && t->retries < 2) t->retries = 2;
    uint32_t covers = semantic ? sykli_json_get(r->doc, semantic, "covers") : 0;
    if (!covers || json_type(r, covers) != SYKLI_JSON_array) return;
    t->covers = cli_alloc(r->c, (r->doc->nodes[covers].count + 1u) * sizeof *t->covers);
    for (uint32_t e = sykli_json_first(r->doc, covers); e; e = sykli_json_next(r->doc, covers, e))
        if (json_type(r, e) == SYKLI_JSON_string)
            t->covers[t->cover_count++] = sykli_json_text(r->doc, e);
}

// The engine that the format comes from takes such a gate and denies it, or asks at the terminal.
static void check_gate(reader *r, uint32_t node, const char *strategy, const pipeline_gate *gate)
{
    const char *missing = same(gate->strategy, "env") && !gate->env_var ? "env_var"
                        : same(gate->strategy, "file") && !gate->file_path ? "file_path"
                        : same(gate->strategy, "webhook") && !gate->webhook_url ? "webhook_url"
                        : NULL;
    const sykli_json_node *n = &r->doc->nodes[node];
    const char *path = cli_print(r->c, "tasks[%u].gate", (unsigned)r->index);
    if (missing)
        pipeline_add_error(r->c, &r->p->warnings, (pipeline_error){ "gate_never_opens", r->task,
            path, cli_print(r->c, "a gate of strategy %s needs `%s`: it will be denied",
                            gate->strategy, missing), n->line, n->column });
    if (strategy && !same(strategy, gate->strategy))
        pipeline_add_error(r->c, &r->p->warnings, (pipeline_error){ "unknown_gate_strategy",
            r->task, path, cli_print(r->c, "unknown strategy \"%s\": somebody is asked at the "
                                     "terminal; prompt, env, file, webhook are known", strategy),
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
    const char *strategy = member_text(r, node, "gate", -1, "strategy");
    gate->strategy = "prompt";
    for (int i = 0; i < 4; i++)
        if (same(strategy, strategies[i])) gate->strategy = strategies[i];
    gate->message = member_text(r, node, "gate", -1, "message");
    gate->env_var = member_text(r, node, "gate", -1, "env_var");
    gate->file_path = member_text(r, node, "gate", -1, "file_path");
    gate->webhook_url = member_text(r, node, "gate", -1, "webhook_url");
    timeout = sykli_json_get(r->doc, node, "timeout");
    if (timeout && (!sykli_json_u64(r->doc, timeout, &seconds) || !seconds
                    || seconds > UINT32_MAX / 1000)) {
        report(r, "invalid_gate", timeout, "gate", -1, "`timeout` of `gate` must be a whole "
               "number from 1 to %u, in seconds", UINT32_MAX / 1000);
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
    review->primitive = text_field(r, "primitive");
    review->agent = text_field(r, "agent");
    review->context = list_field(r, "context", &review->context_count);
    review->deterministic = certain && json_type(r, certain) == SYKLI_JSON_true;
    t->command = NULL; // how a review is done is said by whoever runs it
}

static void read_secret_refs(reader *r, pipeline_task *t)
{
    const char *field = "secret_refs";
    uint32_t list = sykli_json_get(r->doc, r->task_node, field);
    int at = 0;
    if (!list) return;
    if (json_type(r, list) != SYKLI_JSON_array) {
        wrong_type(r, list, field, -1, "a list of objects");
        return;
    }
    t->refs = cli_alloc(r->c, (r->doc->nodes[list].count + 1u) * sizeof *t->refs);
    for (uint32_t e = sykli_json_first(r->doc, list); e; at++) {
        uint32_t this = e;
        e = sykli_json_next(r->doc, list, e);
        if (json_type(r, this) != SYKLI_JSON_object) {
            wrong_type(r, this, field, at, "an object");
            continue;
        }
        pipeline_secret *ref = &t->refs[t->ref_count];
        ref->name = member_text(r, this, field, at, "name");
        ref->source = member_text(r, this, field, at, "source");
        ref->key = member_text(r, this, field, at, "key");
        if (!ref->source) ref->source = "env";
        if (!ref->key) ref->key = ref->name;
        if (blank(ref->name) || strchr(ref->name, '=') || blank(ref->key))
            report(r, "invalid_secret_ref", this, field, at, "a secret needs a `name`, which "
                   "becomes a variable, and a `key` that is not empty");
        else if (!same(ref->source, "env") && !same(ref->source, "file")
                 && !same(ref->source, "vault"))
            report(r, "invalid_secret_ref", this, field, at, "unknown source \"%s\": env, file or "
                   "vault", ref->source);
        else t->ref_count++;
    }
}

static void read_task(reader *r, pipeline_task *t)
{
    t->command = text_field(r, "command");
    t->workdir = text_field(r, "workdir");
    t->inputs = list_field(r, "inputs", &t->input_count);
    t->secrets = list_field(r, "secrets", &t->secret_count);
    t->timeout_ms = (uint32_t)number_field(r, "timeout", 1, UINT32_MAX / 1000) * 1000;
    t->retries = (uint32_t)number_field(r, "retry", 0, 1000);
    t->condition = text_field(r, "when");
    if (!t->condition) t->condition = text_field(r, "condition");
    read_env(r, t);
    read_outputs(r, t);
    read_hooks(r, t);
    read_gate(r, t);
    read_review(r, t);
    read_secret_refs(r, t);
    size_t labels;
    list_field(r, "requires", &labels);
    t->placed = labels != 0;
    uint32_t no_cache = sykli_json_get(r->doc, r->task_node, "no_cache"); // as sykli_main prints it
    t->no_cache = no_cache && json_type(r, no_cache) == SYKLI_JSON_true;
    if (blank(t->command) && !is_review(r, r->task_node)
        && !sykli_json_get(r->doc, r->task_node, "gate"))
        report(r, "missing_command", r->task_node, "command", -1, "task%s%s%s has no command",
               r->task ? " \"" : "", r->task ? r->task : "", r->task ? "\"" : "");
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
        report(r, on_review, node, field, -1, "a review has no `%s`", field);
        return false;
    }
    if (r->version && r->version < version) {
        report(r, too_old, node, field, -1, "`%s` needs version \"%d\"%s, this is \"%d\"", field,
               version, version < 4 ? " or newer" : "", r->version);
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
    report(r, "unknown_task_type", node, "task_type", -1, "unknown task type %s%s%s%s",
           text ? text : type_name(r, node), near ? "; did you mean " : "", near ? near : "",
           near ? "?" : "");
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
    if (json_type(r, node) != SYKLI_JSON_object || !type) {
        report(r, bad, node, field, at, "a criterion is an object with a `type`");
        return;
    }
    if (!in_list(types, type)) {
        report(r, "unknown_success_criterion_type", node, field, at,
               "unknown criterion \"%s\": exit_code, file_exists or file_non_empty", type);
        return;
    }
    bool is_exit = !strcmp(type, "exit_code");
    uint32_t extra = extra_member(r, node, is_exit ? exit_keys : file_keys);
    uint64_t code = 0;
    if (extra)
        report(r, bad, extra, field, at, "`%s` is no member of a %s criterion",
               sykli_json_key(r->doc, extra), type);
    else if (is_exit && (!sykli_json_u64(r->doc, sykli_json_get(r->doc, node, "equals"), &code)
                         || code > 255))
        report(r, bad, node, field, at, "`equals` must be a whole number from 0 to 255");
    else if (!is_exit && !non_empty_text(r, node, "path"))
        report(r, bad, node, field, at, "`path` must be a non-empty string");
    if (is_exit && ++*exit_codes == 2)
        report(r, "duplicate_exit_code_criteria", node, field, at,
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
    if (json_type(r, node) != SYKLI_JSON_array)
        report(r, "invalid_success_criteria", node, "success_criteria", -1,
               "`success_criteria` is %s, a list is wanted", type_name(r, node));
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
    if (required && json_type(r, required) != SYKLI_JSON_true
        && json_type(r, required) != SYKLI_JSON_false)
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
    return (pipeline_proof){ .type = type, .evidence = true,
        .name = sykli_json_text(r->doc, sykli_json_get(r->doc, node, "name")),
        .path = sykli_json_text(r->doc, sykli_json_get(r->doc, node, "ref_pattern")),
        .required = !required || json_type(r, required) == SYKLI_JSON_true,
        .non_empty = same(predicate, "non_empty") };
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
    if (json_type(r, node) != SYKLI_JSON_array) {
        report(r, bad, node, field, -1, "`%s` is %s, a list is wanted", field, type_name(r, node));
        return;
    }
    for (uint32_t e = sykli_json_first(r->doc, node); e; at++) {
        const char *type = json_type(r, e) != SYKLI_JSON_object
                         ? NULL : sykli_json_text(r->doc, sykli_json_get(r->doc, e, "type"));
        const char *problem = type ? evidence_problem(r, e, type) : "is an object with a `type`";
        if (type && !in_list(types, type))
            report(r, "unknown_evidence_required_type", e, field, at, "unknown evidence \"%s\"",
                   type);
        else if (problem) report(r, bad, e, field, at, "an evidence %s", problem);
        else t->proofs[t->proof_count++] = evidence_of(r, e, type);
        e = sykli_json_next(r->doc, node, e);
    }
}

// ---- matrices ----

typedef struct dimension {
    const char *name, **values;
    size_t count;
} dimension;

typedef struct source_task { // as written, before its matrix
    pipeline_task task;
    dimension *dimensions;
    size_t dimension_count;
    size_t first, count; // the tasks it became
} source_task;

static void read_dimension(reader *r, uint32_t node, dimension *d)
{
    d->name = sykli_json_key(r->doc, node);
    if (json_type(r, node) != SYKLI_JSON_array || !r->doc->nodes[node].count) {
        report(r, "invalid_matrix", node, "matrix", -1,
               "dimension \"%s\" is %s, a non-empty list of strings is wanted", d->name,
               type_name(r, node));
        return;
    }
    d->values = cli_alloc(r->c, r->doc->nodes[node].count * sizeof *d->values);
    for (uint32_t e = sykli_json_first(r->doc, node); e; e = sykli_json_next(r->doc, node, e))
        if (json_type(r, e) == SYKLI_JSON_string)
            d->values[d->count++] = sykli_json_text(r->doc, e);
        else
            report(r, "invalid_matrix", e, "matrix", -1, "a value of \"%s\" is %s, not a string",
                   d->name, type_name(r, e));
}

static void read_matrix(reader *r, source_task *t)
{
    uint32_t node = sykli_json_get(r->doc, r->task_node, "matrix");
    if (!node) return;
    if (json_type(r, node) != SYKLI_JSON_object) {
        report(r, "invalid_matrix", node, "matrix", -1, "`matrix` is %s, an object is wanted",
               type_name(r, node));
        return;
    }
    uint64_t combinations = 1;
    t->dimensions = cli_alloc(r->c, (r->doc->nodes[node].count + 1u) * sizeof *t->dimensions);
    for (uint32_t e = sykli_json_first(r->doc, node); e; e = sykli_json_next(r->doc, node, e)) {
        size_t at = t->dimension_count++;
        dimension d = { 0 };
        read_dimension(r, e, &d);
        for (; at && strcmp(t->dimensions[at - 1].name, d.name) > 0; at--)
            t->dimensions[at] = t->dimensions[at - 1];
        t->dimensions[at] = d;
        combinations *= d.count ? d.count : 1;
        if (combinations > SYKLI_TASKS_MAX) {
            report(r, "invalid_matrix", node, "matrix", -1, "more than %u combinations",
                   (unsigned)SYKLI_TASKS_MAX);
            t->dimension_count = 0;
            return;
        }
    }
    if (t->dimension_count && sykli_json_get(r->doc, r->task_node, "provides"))
        report(r, "matrix_provides", node, "matrix", -1, "a task with a matrix cannot provide");
}

// One task of the matrix: the `number`-th combination, the last dimension counting fastest.
static pipeline_task combine(cli *c, const source_task *source, size_t number)
{
    pipeline_task t = source->task;
    if (t.proof_count) { // each has results of its own
        t.proofs = cli_alloc(c, t.proof_count * sizeof *t.proofs);
        memcpy(t.proofs, source->task.proofs, t.proof_count * sizeof *t.proofs);
    }
    size_t dimensions = source->dimension_count, step = source->count;
    t.env = cli_alloc(c, (t.env_count + dimensions + 1) * sizeof *t.env);
    t.env_count = 0;
    for (size_t i = 0; i < source->task.env_count; i++) {
        bool replaced = false;
        for (size_t k = 0; k < dimensions; k++)
            replaced |= !strcmp(source->dimensions[k].name, source->task.env[i].name);
        if (!replaced) t.env[t.env_count++] = source->task.env[i];
    }
    for (size_t k = 0; k < dimensions; k++) {
        const dimension *d = &source->dimensions[k];
        step /= d->count;
        const char *value = d->values[number / step % d->count];
        t.name = cli_print(c, "%s-%s", t.name, value);
        t.env[t.env_count++] = (sykli_pair){ d->name, value };
    }
    return t;
}

static void expand(reader *r, source_task *sources, size_t count)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        sources[i].count = 1;
        for (size_t k = 0; k < sources[i].dimension_count; k++)
            sources[i].count *= sources[i].dimensions[k].count;
        sources[i].first = total;
        total += sources[i].count;
        if (total <= SYKLI_TASKS_MAX) continue;
        report(r, "too_large", 0, "tasks", -1, "more than %u tasks", (unsigned)SYKLI_TASKS_MAX);
        return;
    }
    r->p->tasks = cli_alloc(r->c, (total + 1) * sizeof *r->p->tasks);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < sources[i].count; k++)
            r->p->tasks[r->p->task_count++] = combine(r->c, &sources[i], k);
}

// ---- the graph ----

static void at_task(reader *r, const pipeline_task *t)
{
    r->task_node = t->node;
    r->index = t->index;
    r->task = t->name;
}

static void add_after(cli *c, pipeline_task *t, uint32_t before)
{
    for (size_t i = 0; i < t->after_count; i++)
        if (t->after[i] == before) return;
    t->after = grow(c, t->after, t->after_count, &t->after_capacity, sizeof *t->after);
    t->after[t->after_count++] = before;
}

// A name stands for a source task, which may be many, or for one task of a matrix. The value of
// the map is the number of the source, or SOURCES_MAX and above the number of a task.
#define SOURCES_MAX (1u << 30)

static bool learn_name(sykli_map *names, const char *name, uint64_t value)
{
    return sykli_map_get(names, name, strlen(name)) == NULL
        && sykli_map_put(names, name, strlen(name), value) == 1;
}

static void learn_names(reader *r, sykli_map *names, source_task *sources, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        at_task(r, &sources[i].task);
        if (r->task && !learn_name(names, r->task, i))
            report(r, "duplicate_task", r->task_node, "name", -1, "the name \"%s\" is taken",
                   r->task);
    }
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; sources[i].dimension_count && k < sources[i].count; k++) {
            uint32_t number = (uint32_t)(sources[i].first + k);
            at_task(r, &r->p->tasks[number]);
            if (!learn_name(names, r->task, SOURCES_MAX + number))
                report(r, "duplicate_task", r->task_node, "matrix", -1,
                       "the matrix makes the name \"%s\" a second time", r->task);
        }
}

// Resolves depends_on of one source for each of its tasks.
static void read_dependencies(reader *r, sykli_map *names, source_task *sources, size_t at)
{
    size_t count;
    source_task *source = &sources[at];
    at_task(r, &source->task);
    const char **texts = list_field(r, "depends_on", &count);
    uint32_t list = sykli_json_get(r->doc, r->task_node, "depends_on");
    for (size_t i = 0; i < count; i++) {
        uint64_t *found = sykli_map_get(names, texts[i], strlen(texts[i]));
        if (!found) {
            report(r, "missing_dependency", element(r, list, i), "depends_on", (int)i,
                   "\"%s\" depends on \"%s\", which does not exist", r->task, texts[i]);
            continue;
        }
        bool whole = *found < SOURCES_MAX;
        size_t first = whole ? sources[*found].first : (size_t)*found - SOURCES_MAX;
        size_t width = whole ? sources[*found].count : 1;
        if (first >= source->first && first < source->first + source->count) {
            report(r, "self_dependency", element(r, list, i), "depends_on", (int)i,
                   "\"%s\" depends on itself", r->task);
            continue;
        }
        for (size_t k = 0; k < source->count; k++)
            for (size_t b = 0; b < width; b++)
                add_after(r->c, &r->p->tasks[source->first + k], (uint32_t)(first + b));
    }
}

// ---- task_inputs ----

// One of them, for each task of the source's matrix. What it comes from must be one task: the
// outputs of a whole matrix would overwrite each other.
static void read_intake(reader *r, sykli_map *names, source_task *sources, source_task *source,
                        uint32_t node, int at)
{
    const char *field = "task_inputs", *parts[3];
    static const char *const keys[] = { "from_task", "output", "dest" };
    for (int i = 0; i < 3; i++) {
        parts[i] = json_type(r, node) == SYKLI_JSON_object
                 ? member_text(r, node, field, at, keys[i]) : NULL;
        if (!blank(parts[i])) continue;
        report(r, "invalid_task_input", node, field, at,
               "a task input is an object with `from_task`, `output` and `dest`");
        return;
    }
    uint64_t *found = sykli_map_get(names, parts[0], strlen(parts[0]));
    if (!found) {
        report(r, "missing_task_input", node, field, at, "\"%s\" takes an output of \"%s\", "
               "which does not exist", r->task, parts[0]);
        return;
    }
    bool whole = *found < SOURCES_MAX;
    size_t from = whole ? sources[*found].first : (size_t)*found - SOURCES_MAX;
    if (whole && sources[*found].count != 1) {
        report(r, "invalid_task_input", node, field, at, "\"%s\" is a matrix of %zu tasks: name "
               "one of them, such as \"%s\"", parts[0], sources[*found].count,
               r->p->tasks[from].name);
        return;
    }
    if (from >= source->first && from < source->first + source->count) {
        report(r, "self_dependency", node, field, at, "\"%s\" takes an output of itself", r->task);
        return;
    }
    const pipeline_task *other = &r->p->tasks[from];
    const char *outputs = "";
    bool is_there = false;
    for (size_t i = 0; i < other->output_count; i++) {
        is_there |= same(parts[1], other->outputs[i].name);
        outputs = cli_print(r->c, "%s%s%s", outputs, i ? ", " : "", other->outputs[i].name);
    }
    if (!is_there)
        report(r, "missing_output", node, field, at, "\"%s\" has no output \"%s\"%s%.200s",
               parts[0], parts[1], *outputs ? "; it has " : "", outputs);
    for (size_t k = 0; is_there && k < source->count; k++) {
        pipeline_task *t = &r->p->tasks[source->first + k];
        t->intakes[t->intake_count++] = (pipeline_intake){ (uint32_t)from, parts[1], parts[2] };
        add_after(r->c, t, (uint32_t)from);
    }
}

static void read_intakes(reader *r, sykli_map *names, source_task *sources, size_t at)
{
    source_task *source = &sources[at];
    at_task(r, &source->task);
    uint32_t list = sykli_json_get(r->doc, r->task_node, "task_inputs");
    int number = 0;
    if (!list) return;
    if (json_type(r, list) != SYKLI_JSON_array) {
        wrong_type(r, list, "task_inputs", -1, "a list of objects");
        return;
    }
    for (size_t k = 0; k < source->count; k++)
        r->p->tasks[source->first + k].intakes = cli_alloc(
            r->c, (r->doc->nodes[list].count + 1u) * sizeof(pipeline_intake));
    for (uint32_t e = sykli_json_first(r->doc, list); e; e = sykli_json_next(r->doc, list, e))
        read_intake(r, names, sources, source, e, number++);
}

// ---- capabilities ----

static bool capability_name(const char *name)
{
    if (!name || *name < 'a' || *name > 'z') return false;
    return !name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-")];
}

static void read_provides(reader *r, sykli_map *providers, const source_task *source)
{
    at_task(r, &source->task);
    uint32_t node = sykli_json_get(r->doc, r->task_node, "provides");
    int at = 0;
    if (!node) return;
    if (json_type(r, node) != SYKLI_JSON_array) {
        wrong_type(r, node, "provides", -1, "a list");
        return;
    }
    for (uint32_t e = sykli_json_first(r->doc, node); e; at++) {
        bool is_object = json_type(r, e) == SYKLI_JSON_object;
        uint32_t named = is_object ? sykli_json_get(r->doc, e, "name") : e;
        const char *name = sykli_json_text(r->doc, named);
        if (!capability_name(name))
            report(r, "invalid_capability", e, "provides", at,
                   "a capability is named [a-z][a-z0-9_-]*");
        else if (sykli_map_get(providers, name, strlen(name)))
            report(r, "duplicate_capability", e, "provides", at, "\"%s\" is provided twice", name);
        else sykli_map_put(providers, name, strlen(name), (uint64_t)source->first << 32 | e);
        e = sykli_json_next(r->doc, node, e);
    }
}

static void add_capability_env(cli *c, pipeline_task *t, const char *name, const char *value)
{
    sykli_pair *env = cli_alloc(c, (t->env_count + 2) * sizeof *env);
    if (t->env_count) memcpy(env, t->env, t->env_count * sizeof *env);
    char *variable = cli_print(c, "SYKLI_CAP_%s", name);
    for (char *p = variable; *p; p++)
        *p = *p == '-' ? '_' : *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p;
    env[t->env_count++] = (sykli_pair){ variable, value };
    t->env = env;
}

static void read_needs(reader *r, const sykli_map *providers, const source_task *source)
{
    size_t count;
    at_task(r, &source->task);
    const char **names = list_field(r, "needs", &count);
    uint32_t list = sykli_json_get(r->doc, r->task_node, "needs");
    for (size_t i = 0; i < count; i++) {
        uint64_t *found = sykli_map_get(providers, names[i], strlen(names[i]));
        if (!found) {
            report(r, "missing_capability", element(r, list, i), "needs", (int)i,
                   "\"%s\" needs \"%s\", which no task provides", r->task, names[i]);
            continue;
        }
        uint32_t provider = (uint32_t)(*found >> 32), node = (uint32_t)*found;
        if (provider == source->first) {
            report(r, "self_capability", element(r, list, i), "needs", (int)i,
                   "\"%s\" both provides and needs \"%s\"", r->task, names[i]);
            continue;
        }
        uint32_t value = json_type(r, node) == SYKLI_JSON_object
                       ? sykli_json_get(r->doc, node, "value") : 0;
        for (size_t k = 0; k < source->count; k++) {
            pipeline_task *t = &r->p->tasks[source->first + k];
            add_after(r->c, t, provider);
            if (value && sykli_json_text(r->doc, value))
                add_capability_env(r->c, t, names[i], sykli_json_text(r->doc, value));
        }
    }
}

// ---- cycles ----

// Takes away tasks that wait for nothing (Kahn 1962); `left` counts what each still waits for.
static size_t peel(const pipeline *p, uint32_t *left, uint32_t *followers, uint32_t *starts,
                   uint32_t *queue)
{
    size_t edges = 0, head = 0, tail = 0;
    for (size_t i = 0; i < p->task_count; i++)
        for (size_t k = 0; k < p->tasks[i].after_count; k++) starts[p->tasks[i].after[k] + 1]++;
    for (size_t i = 0; i < p->task_count; i++) starts[i + 1] += starts[i];
    for (size_t i = p->task_count; i-- > 0;)
        for (size_t k = 0; k < p->tasks[i].after_count; k++, edges++)
            followers[starts[p->tasks[i].after[k]] + left[p->tasks[i].after[k]]++] = (uint32_t)i;
    for (size_t i = 0; i < p->task_count; i++) {
        left[i] = (uint32_t)p->tasks[i].after_count;
        if (!left[i]) queue[tail++] = (uint32_t)i;
    }
    while (head < tail) {
        uint32_t done = queue[head++];
        for (uint32_t k = starts[done]; k < starts[done + 1]; k++)
            if (!--left[followers[k]]) queue[tail++] = followers[k];
    }
    return p->task_count - tail;
}

// What a task that is left over waits for and is left over too: there always is one.
static uint32_t waits_for(const pipeline *p, const uint32_t *left, uint32_t at)
{
    const pipeline_task *t = &p->tasks[at];
    for (size_t k = 0; k < t->after_count; k++)
        if (left[t->after[k]]) return t->after[k];
    return at;
}

// Names the tasks of one cycle: walking back from any task left over must come round.
static void name_cycle(reader *r, const uint32_t *left, uint32_t *seen)
{
    const pipeline *p = r->p;
    uint32_t at = 0;
    while (!left[at]) at++;
    for (; !seen[at]; at = waits_for(p, left, at)) seen[at] = 1;
    uint32_t first = at;
    char *text = cli_print(r->c, "\"%s\"", p->tasks[at].name);
    do {
        at = waits_for(p, left, at);
        if (strlen(text) < 800) text = cli_print(r->c, "%s -> \"%s\"", text, p->tasks[at].name);
    } while (at != first);
    at_task(r, &p->tasks[first]);
    report(r, "cycle", sykli_json_get(r->doc, r->task_node, "depends_on"), "depends_on", -1,
           "tasks wait for each other: %s", text);
}

static void check_cycles(reader *r)
{
    const pipeline *p = r->p;
    size_t edges = 0, count = p->task_count;
    for (size_t i = 0; i < count; i++) edges += p->tasks[i].after_count;
    uint32_t *left = cli_alloc(r->c, (count + 1) * sizeof *left);
    uint32_t *followers = cli_alloc(r->c, (edges + 1) * sizeof *followers);
    uint32_t *starts = cli_alloc(r->c, (count + 2) * sizeof *starts);
    uint32_t *queue = cli_alloc(r->c, (count + 1) * sizeof *queue);
    if (!peel(p, left, followers, starts, queue)) return;
    memset(queue, 0, (count + 1) * sizeof *queue);
    name_cycle(r, left, queue);
}

// ---- the document ----

static void check_version(reader *r)
{
    uint32_t node = 0;
    for (uint32_t e = sykli_json_first(r->doc, 0); e; e = sykli_json_next(r->doc, 0, e))
        if (!strcmp(sykli_json_key(r->doc, e), "version")) node = e;
    const char *text = node ? sykli_json_text(r->doc, node) : NULL;
    if (!node)
        report(r, "missing_contract_schema_version", 0, "version", -1,
               "`version` is missing: \"1\", \"2\", \"3\" or \"4\" is wanted");
    else if (!text)
        report(r, "invalid_contract_schema_version_type", node, "version", -1,
               "`version` is %s, a string is wanted", type_name(r, node));
    else if (blank(text))
        report(r, "empty_contract_schema_version", node, "version", -1, "`version` is empty");
    else if (text[1] || *text < '1' || *text > '4')
        report(r, "unsupported_contract_schema_version", node, "version", -1,
               "version \"%s\" is not supported: \"1\" to \"4\" are", text);
    else r->version = *text - '0';
}

static void read_source(reader *r, uint32_t node, source_task *source)
{
    pipeline_task *t = &source->task;
    r->task_node = t->node = node;
    t->index = r->index;
    r->task = NULL;
    if (json_type(r, node) != SYKLI_JSON_object) {
        report(r, "invalid_task", node, NULL, -1, "a task is %s, an object is wanted",
               type_name(r, node));
        return;
    }
    r->task = t->name = text_field(r, "name");
    if (blank(t->name)) {
        report(r, "empty_task_name", node, "name", -1, "task number %u has no name",
               (unsigned)r->index + 1);
        r->task = t->name = NULL;
    } else if (strlen(t->name) > SYKLI_NAME_MAX) {
        report(r, "too_large", node, "name", -1, "a name has at most %d bytes", SYKLI_NAME_MAX);
    }
    read_task(r, t);
    read_matrix(r, source);
    check_task_type(r);
    uint32_t criteria = sykli_json_get(r->doc, r->task_node, "success_criteria");
    uint32_t evidence = sykli_json_get(r->doc, r->task_node, "evidence_required");
    size_t proofs = (size_t)r->doc->nodes[criteria].count + r->doc->nodes[evidence].count;
    if (criteria || evidence) t->proofs = cli_alloc(r->c, (proofs + 1) * sizeof *t->proofs);
    read_criteria(r, t);
    read_evidence(r, t);
}

static bool found_error(const pipeline *p, const char *type)
{
    for (size_t i = 0; i < p->errors.count; i++)
        if (!strcmp(p->errors.items[i].type, type)) return true;
    return false;
}

static void read_graph(reader *r, source_task *sources, size_t count)
{
    const uint64_t seed[2] = { 0, 0 };
    sykli_map names, providers;
    sykli_map_init(&names, &r->c->mem, seed);
    sykli_map_init(&providers, &r->c->mem, seed);
    expand(r, sources, count);
    if (!found_error(r->p, "too_large")) {
        learn_names(r, &names, sources, count);
        for (size_t i = 0; i < count; i++) read_dependencies(r, &names, sources, i);
        for (size_t i = 0; i < count; i++) read_intakes(r, &names, sources, i);
        for (size_t i = 0; i < count; i++) read_provides(r, &providers, &sources[i]);
        for (size_t i = 0; i < count; i++) read_needs(r, &providers, &sources[i]);
        if (!found_error(r->p, "self_dependency") && !found_error(r->p, "missing_dependency"))
            check_cycles(r);
    }
    sykli_map_free(&names);
    sykli_map_free(&providers);
}

static void read_document(reader *r)
{
    if (json_type(r, 0) != SYKLI_JSON_object) {
        report(r, "invalid_pipeline", 0, NULL, -1, "the document is %s, an object is wanted",
               type_name(r, 0));
        return;
    }
    check_version(r);
    uint32_t list = sykli_json_get(r->doc, 0, "tasks");
    if (!list || json_type(r, list) != SYKLI_JSON_array) {
        report(r, "invalid_pipeline", list, "tasks", -1, "`tasks` is %s, a list is wanted",
               list ? type_name(r, list) : "missing");
        return;
    }
    size_t count = r->doc->nodes[list].count, at = 0;
    source_task *sources = cli_alloc(r->c, (count + 1) * sizeof *sources);
    for (uint32_t e = sykli_json_first(r->doc, list); e; e = sykli_json_next(r->doc, list, e)) {
        r->index = (uint32_t)at;
        read_source(r, e, &sources[at++]);
    }
    read_graph(r, sources, count);
    r->task_node = 0;
    if (!count)
        pipeline_add_error(r->c, &r->p->warnings,
                           (pipeline_error){ "no_tasks", NULL, "tasks", "the pipeline has no tasks",
                                             r->doc->nodes[list].line,
                                             r->doc->nodes[list].column });
}

// What the reader of JSON refused: "line:column: message", where our own limits begin with the
// error's type.
static void add_parse_error(cli *c, pipeline *p, int code)
{
    const char *text = c->fault.text, *type = "invalid_json";
    char *end;
    uint32_t line = (uint32_t)strtoul(text, &end, 10), column = 1;
    if (*end == ':') column = (uint32_t)strtoul(end + 1, &end, 10);
    if (*end == ':') text = end + 2;
    else line = column = 1;
    const char *colon = strstr(text, ": ");
    if (code != SYKLI_EPARSE && colon) {
        type = cli_copy(c, text, (size_t)(colon - text));
        text = colon + 2;
    }
    pipeline_add_error(c, &p->errors,
                       (pipeline_error){ type, NULL, "", cli_copy(c, text, strlen(text)), line,
                                         column });
}

void pipeline_read(cli *c, pipeline *p, const char *text, size_t size, bool strict)
{
    memset(p, 0, sizeof *p);
    int rc = sykli_json_parse(&p->doc, &c->mem, text, size, &c->fault);
    if (rc < 0) {
        add_parse_error(c, p, rc);
        return;
    }
    reader r = { .c = c, .p = p, .doc = &p->doc };
    read_document(&r);
    if (strict) pipeline_check_strict(c, p);
}

void pipeline_free(pipeline *p)
{
    if (p->doc.mem) sykli_json_free(&p->doc);
}
