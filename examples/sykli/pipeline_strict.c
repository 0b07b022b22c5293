// --strict: the rules of the published JSON Schema of the format (sykli-pipeline.schema.json, draft
// 2020-12), which refuses what the reader lets pass: unknown keys, null, older spellings. Beside it
// stand the four keys of a task that are ours; docs/pipeline.md names them.
#include "pipeline.h"
#include <string.h>

typedef enum shape {
    TEXT, SOME_TEXT, WORD, WHOLE, TRUTH, TEXTS, TEXT_MAP, TEXTS_MAP, OBJECT, OBJECTS, OBJECT_MAP,
    ANY_OBJECT
} shape;

typedef struct rule {
    const char *key;
    union {
        const char *words;          // WORD: the allowed ones, with a blank around each
        const struct rule *members; // OBJECT, OBJECTS, OBJECT_MAP; ends with an empty one
    };
    uint8_t shape;                  // of the above
    bool required;
    uint8_t least;                  // WHOLE
} rule;

#define END { .key = NULL }
static const rule resource_rules[] = {
    { .key = "type", .shape = WORD, .words = " directory cache ", .required = true },
    { .key = "path", .shape = TEXT }, { .key = "globs", .shape = TEXTS },
    { .key = "name", .shape = TEXT }, END };
static const rule input_rules[] = {
    { .key = "from_task", .shape = TEXT, .required = true },
    { .key = "output", .shape = TEXT, .required = true },
    { .key = "dest", .shape = TEXT, .required = true }, END };
static const rule secret_rules[] = {
    { .key = "name", .shape = TEXT, .required = true },
    { .key = "source", .shape = WORD, .words = " env file vault ", .required = true },
    { .key = "key", .shape = TEXT, .required = true }, END };
static const rule service_rules[] = {
    { .key = "image", .shape = SOME_TEXT, .required = true },
    { .key = "name", .shape = SOME_TEXT, .required = true }, END };
static const rule mount_rules[] = {
    { .key = "resource", .shape = SOME_TEXT, .required = true },
    { .key = "path", .shape = SOME_TEXT, .required = true },
    { .key = "type", .shape = WORD, .words = " directory cache ", .required = true }, END };
static const rule k8s_rules[] = {
    { .key = "memory", .shape = TEXT }, { .key = "cpu", .shape = TEXT },
    { .key = "gpu", .shape = WHOLE }, { .key = "raw", .shape = TEXT }, END };
static const rule provide_rules[] = {
    { .key = "name", .shape = SOME_TEXT, .required = true }, { .key = "value", .shape = TEXT },
    END };
static const rule semantic_rules[] = {
    { .key = "covers", .shape = TEXTS }, { .key = "intent", .shape = TEXT },
    { .key = "criticality", .shape = WORD, .words = " high medium low " }, END };
static const rule hook_rules[] = {
    { .key = "on_fail", .shape = WORD, .words = " analyze retry skip " },
    { .key = "select", .shape = WORD, .words = " smart always manual " }, END };
static const rule gate_rules[] = {
    { .key = "strategy", .shape = WORD, .words = " prompt env file webhook ", .required = true },
    { .key = "timeout", .shape = WHOLE, .least = 1 }, { .key = "message", .shape = TEXT },
    { .key = "env_var", .shape = TEXT }, { .key = "file_path", .shape = TEXT },
    { .key = "webhook_url", .shape = TEXT }, END };
static const rule oidc_rules[] = {
    { .key = "provider", .shape = WORD, .words = " aws gcp azure " },
    { .key = "role_arn", .shape = TEXT }, { .key = "project_number", .shape = TEXT },
    { .key = "pool_id", .shape = TEXT }, { .key = "provider_id", .shape = TEXT },
    { .key = "tenant_id", .shape = TEXT }, { .key = "client_id", .shape = TEXT },
    { .key = "duration", .shape = WHOLE, .least = 1 }, { .key = "audience", .shape = TEXT }, END };
// Criteria and evidence are checked member by member by the reader already.
static const rule checked_rules[] = {
    { .key = "type", .shape = TEXT }, { .key = "equals", .shape = WHOLE },
    { .key = "path", .shape = TEXT }, { .key = "name", .shape = TEXT },
    { .key = "required", .shape = TRUTH }, { .key = "visibility", .shape = TEXT },
    { .key = "predicate", .shape = TEXT }, { .key = "ref_pattern", .shape = TEXT },
    { .key = "description", .shape = TEXT }, END };
static const rule task_rules[] = {
    { .key = "name", .shape = SOME_TEXT, .required = true },
    { .key = "kind", .shape = WORD, .words = " task review " }, { .key = "command", .shape = TEXT },
    { .key = "task_type", .shape = TEXT },
    { .key = "success_criteria", .shape = OBJECTS, .members = checked_rules },
    { .key = "evidence_required", .shape = OBJECTS, .members = checked_rules },
    { .key = "container", .shape = TEXT }, { .key = "workdir", .shape = TEXT },
    { .key = "env", .shape = TEXT_MAP }, { .key = "inputs", .shape = TEXTS },
    { .key = "outputs", .shape = TEXT_MAP }, { .key = "depends_on", .shape = TEXTS },
    { .key = "task_inputs", .shape = OBJECTS, .members = input_rules },
    { .key = "when", .shape = TEXT }, { .key = "condition", .shape = TEXT },
    { .key = "secrets", .shape = TEXTS },
    { .key = "secret_refs", .shape = OBJECTS, .members = secret_rules },
    { .key = "matrix", .shape = TEXTS_MAP },
    { .key = "services", .shape = OBJECTS, .members = service_rules },
    { .key = "mounts", .shape = OBJECTS, .members = mount_rules },
    { .key = "retry", .shape = WHOLE }, { .key = "timeout", .shape = WHOLE, .least = 1 },
    { .key = "k8s", .shape = OBJECT, .members = k8s_rules }, { .key = "requires", .shape = TEXTS },
    { .key = "provides", .shape = OBJECTS, .members = provide_rules },
    { .key = "needs", .shape = TEXTS },
    { .key = "semantic", .shape = OBJECT, .members = semantic_rules },
    { .key = "ai_hooks", .shape = OBJECT, .members = hook_rules },
    { .key = "gate", .shape = OBJECT, .members = gate_rules }, { .key = "verify", .shape = TEXT },
    { .key = "oidc", .shape = OBJECT, .members = oidc_rules },
    { .key = "history_hint", .shape = ANY_OBJECT }, { .key = "primitive", .shape = TEXT },
    { .key = "agent", .shape = TEXT }, { .key = "context", .shape = TEXTS },
    { .key = "deterministic", .shape = TRUTH },
    { .key = "no_cache", .shape = TRUTH }, { .key = "pty", .shape = TRUTH }, // ours
    { .key = "stall", .shape = WHOLE, .least = 1 },
    { .key = "processes", .shape = WHOLE, .least = 1 }, END };
static const rule root_rules[] = {
    { .key = "version", .shape = WORD, .words = " 1 2 3 4 ", .required = true },
    { .key = "tasks", .shape = OBJECTS, .members = task_rules, .required = true },
    { .key = "resources", .shape = OBJECT_MAP, .members = resource_rules }, END };

typedef struct checker {
    cli *c;
    pipeline *p;
    const sykli_json_doc *doc;
    const char *task;
} checker;

// Adds an error, unless the reader has said something about the same place.
static void report(checker *k, const char *type, uint32_t node, const char *path, char *message)
{
    const sykli_json_node *n = &k->doc->nodes[node];
    for (size_t i = 0; i < k->p->errors.count; i++)
        if (k->p->errors.items[i].line == n->line && k->p->errors.items[i].column == n->column
            && node && strcmp(type, "missing_field"))
            return;
    pipeline_add_error(k->c, &k->p->errors,
                       (pipeline_error){ type, k->task, path, message, n->line, n->column });
}

static int type_of(const checker *k, uint32_t node) { return k->doc->nodes[node].type; }

static bool all_texts(const checker *k, uint32_t node)
{
    for (uint32_t e = sykli_json_first(k->doc, node); e; e = sykli_json_next(k->doc, node, e))
        if (type_of(k, e) != SYKLI_JSON_string) return false;
    return true;
}

static bool all_of(const checker *k, uint32_t node, int type)
{
    for (uint32_t e = sykli_json_first(k->doc, node); e; e = sykli_json_next(k->doc, node, e))
        if (type_of(k, e) != type || (type == SYKLI_JSON_array && !all_texts(k, e))) return false;
    return true;
}

static bool fits(const checker *k, uint32_t node, const rule *r)
{
    int type = type_of(k, node);
    const char *text = sykli_json_text(k->doc, node);
    uint64_t number;
    char padded[64];
    switch (r->shape) {
    case TEXT: return text != NULL;
    case SOME_TEXT: return text && *text;
    case WORD:
        snprintf(padded, sizeof padded, " %s ", text ? text : "");
        return text && *text && strstr(r->words, padded);
    case WHOLE: return sykli_json_u64(k->doc, node, &number) && number >= r->least;
    case TRUTH: return type == SYKLI_JSON_true || type == SYKLI_JSON_false;
    case TEXTS: return type == SYKLI_JSON_array && all_texts(k, node);
    case TEXT_MAP: return type == SYKLI_JSON_object && all_texts(k, node);
    case TEXTS_MAP: return type == SYKLI_JSON_object && all_of(k, node, SYKLI_JSON_array);
    case OBJECTS: return type == SYKLI_JSON_array && all_of(k, node, SYKLI_JSON_object);
    case OBJECT_MAP: return type == SYKLI_JSON_object && all_of(k, node, SYKLI_JSON_object);
    default: return type == SYKLI_JSON_object;
    }
}

static const char *wanted(cli *c, const rule *r)
{
    static const char *const names[] = { "a string", "a non-empty string", NULL, NULL,
        "true or false", "a list of strings", "an object of strings",
        "an object of lists of strings", "an object", "a list of objects",
        "an object of objects", "an object" };
    if (r->shape == WORD) return cli_print(c, "one of%s", r->words);
    if (r->shape == WHOLE) return cli_print(c, "a whole number of at least %d", r->least);
    return names[r->shape];
}

static const rule *find_rule(const rule *rules, const char *key)
{
    for (; rules->key; rules++)
        if (!strcmp(rules->key, key)) return rules;
    return NULL;
}

static void unknown_key(checker *k, uint32_t node, const char *path, const rule *rules)
{
    const char *keys[64], *key = sykli_json_key(k->doc, node);
    size_t count = 0;
    for (; rules->key && count < 64; rules++) keys[count++] = rules->key;
    const char *near = sykli_nearest(key, keys, count);
    report(k, "unknown_field", node, path,
           cli_print(k->c, "`%s` is not known%s%s%s", key, near ? "; did you mean `" : "",
                     near ? near : "", near ? "`?" : ""));
}

// One object against its rules, and what is in it.
static void check_object(checker *k, uint32_t object, const char *path, const rule *rules)
{
    const sykli_json_doc *doc = k->doc;
    if (rules == task_rules)
        k->task = sykli_json_text(doc, sykli_json_get(doc, object, "name"));
    for (uint32_t e = sykli_json_first(doc, object); e; e = sykli_json_next(doc, object, e)) {
        char *at = cli_print(k->c, "%s%s%s", path, *path ? "." : "", sykli_json_key(doc, e));
        const rule *r = find_rule(rules, sykli_json_key(doc, e));
        if (!r) {
            unknown_key(k, e, at, rules);
            continue;
        }
        bool null_value = rules == provide_rules && !strcmp(r->key, "value")
            && type_of(k, e) == SYKLI_JSON_null;
        if (!fits(k, e, r) && !null_value)
            report(k, "invalid_field", e, at,
                   cli_print(k->c, "`%s` must be %s", r->key, wanted(k->c, r)));
        else if (r->shape == OBJECT) check_object(k, e, at, r->members);
        int number = 0;
        bool many = r->shape == OBJECTS || r->shape == OBJECT_MAP;
        for (uint32_t i = many ? sykli_json_first(doc, e) : 0; i; i = sykli_json_next(doc, e, i))
            if (type_of(k, i) == SYKLI_JSON_object)
                check_object(k, i, cli_print(k->c, "%s[%d]", at, number++), r->members);
    }
    for (const rule *r = rules; r->key; r++)
        if (r->required && !sykli_json_get(doc, object, r->key))
            report(k, "missing_field", object, path, cli_print(k->c, "`%s` is missing", r->key));
}

// Rules of a task that are about several of its keys.
static void check_together(checker *k, uint32_t task, int number)
{
    static const char *const not_on_review[] = { "command", "outputs", "gate", "container",
        "services", "k8s", "mounts", "retry", "timeout", "stall", "processes",
        "pty" };
    static const char *const only_on_review[] = {
        "primitive", "agent", "context", "deterministic" };
    const sykli_json_doc *doc = k->doc;
    const char *kind = sykli_json_text(doc, sykli_json_get(doc, task, "kind"));
    bool review = kind && !strcmp(kind, "review");
    size_t count = review ? sizeof not_on_review / sizeof *not_on_review
                          : sizeof only_on_review / sizeof *only_on_review;
    k->task = sykli_json_text(doc, sykli_json_get(doc, task, "name"));
    for (size_t i = 0; i < count; i++) {
        const char *key = review ? not_on_review[i] : only_on_review[i];
        uint32_t node = sykli_json_get(doc, task, key);
        if (node)
            report(k, "unexpected_field", node, cli_print(k->c, "tasks[%d].%s", number, key),
                   cli_print(k->c, review ? "a review has no `%s`" : "only a review has `%s`",
                             key));
    }
    uint32_t condition = sykli_json_get(doc, task, "condition");
    if (condition && sykli_json_get(doc, task, "when"))
        report(k, "unexpected_field", condition, cli_print(k->c, "tasks[%d].condition", number),
               cli_print(k->c, "`when` and `condition` are the same: write `when`"));
}

void pipeline_check_strict(cli *c, pipeline *p)
{
    checker k = { c, p, &p->doc, NULL };
    int number = 0;
    if (p->doc.nodes[0].type != SYKLI_JSON_object) return;
    check_object(&k, 0, "", root_rules);
    uint32_t list = sykli_json_get(&p->doc, 0, "tasks");
    if (!list) return;
    for (uint32_t e = sykli_json_first(&p->doc, list); e; e = sykli_json_next(&p->doc, list, e))
        check_together(&k, e, number++);
}
