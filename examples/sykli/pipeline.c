// From tasks as they are written to a graph: matrices, dependencies, capabilities, cycles.
#include "pipeline_reader.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// ---- matrices ----

typedef struct dimension {
    const char *name, **values;
    size_t count;
} dimension;

typedef struct source_task { // as written, before its matrix
    pipeline_task *task;
    dimension *dimensions;
    size_t dimension_count;
    size_t first, count; // the tasks it became
} source_task;

static void read_dimension(reader *r, uint32_t node, dimension *d)
{
    d->name = sykli_json_key(r->doc, node);
    if (reader_type(r, node) != SYKLI_JSON_array || !r->doc->nodes[node].count) {
        reader_report(r, "invalid_matrix", node, "matrix", -1,
                      "dimension \"%s\" is %s, a non-empty list of strings is wanted", d->name,
                      reader_type_name(r, node));
        return;
    }
    d->values = cli_alloc(r->c, r->doc->nodes[node].count * sizeof *d->values);
    for (uint32_t e = sykli_json_first(r->doc, node); e; e = sykli_json_next(r->doc, node, e))
        if (reader_type(r, e) == SYKLI_JSON_string)
            d->values[d->count++] = sykli_json_text(r->doc, e);
        else
            reader_report(r, "invalid_matrix", e, "matrix", -1,
                          "a value of \"%s\" is %s, not a string", d->name, reader_type_name(r, e));
}

static void read_matrix(reader *r, source_task *t)
{
    uint32_t node = sykli_json_get(r->doc, r->task_node, "matrix");
    if (!node) return;
    if (reader_type(r, node) != SYKLI_JSON_object) {
        reader_report(r, "invalid_matrix", node, "matrix", -1,
                      "`matrix` is %s, an object is wanted", reader_type_name(r, node));
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
            reader_report(r, "invalid_matrix", node, "matrix", -1, "more than %u combinations",
                          (unsigned)SYKLI_TASKS_MAX);
            t->dimension_count = 0;
            return;
        }
    }
    if (t->dimension_count && sykli_json_get(r->doc, r->task_node, "provides"))
        reader_report(r, "matrix_provides", node, "matrix", -1,
                      "a task with a matrix cannot provide");
}

// One task of the matrix: the `number`-th combination, the last dimension counting fastest.
static pipeline_task combine(cli *c, const source_task *source, size_t number)
{
    pipeline_task t = *source->task;
    if (t.proof_count) { // each has results of its own
        t.proofs = cli_alloc(c, t.proof_count * sizeof *t.proofs);
        memcpy(t.proofs, source->task->proofs, t.proof_count * sizeof *t.proofs);
    }
    size_t dimensions = source->dimension_count, step = source->count;
    t.env = cli_alloc(c, (t.env_count + dimensions + 1) * sizeof *t.env);
    t.env_count = 0;
    for (size_t i = 0; i < source->task->env_count; i++) {
        bool replaced = false;
        for (size_t k = 0; k < dimensions; k++)
            replaced |= !strcmp(source->dimensions[k].name, source->task->env[i].name);
        if (!replaced) t.env[t.env_count++] = source->task->env[i];
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

// Makes the tasks of what is written: the same ones, where there is no matrix.
static void expand(reader *r, source_task *sources, size_t count, pipeline_task *written)
{
    size_t total = 0;
    bool matrix = false;
    for (size_t i = 0; i < count; i++) {
        matrix = matrix || sources[i].dimension_count;
        sources[i].count = 1;
        for (size_t k = 0; k < sources[i].dimension_count; k++)
            sources[i].count *= sources[i].dimensions[k].count;
        sources[i].first = total;
        total += sources[i].count;
        if (total <= SYKLI_TASKS_MAX) continue;
        reader_report(r, "too_large", 0, "tasks", -1, "more than %u tasks",
                      (unsigned)SYKLI_TASKS_MAX);
        return;
    }
    r->p->tasks = matrix ? cli_alloc(r->c, (total + 1) * sizeof *r->p->tasks) : written;
    r->p->task_count = matrix ? 0 : total;
    for (size_t i = 0; matrix && i < count; i++)
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

// What is named twice goes later, all at once: looking for it here would take long for many.
static void add_after(cli *c, pipeline_task *t, uint32_t before)
{
    t->after = reader_grow(c, t->after, t->after_count, &t->after_capacity, sizeof *t->after);
    t->after[t->after_count++] = before;
}

// Keeps the first of each. `last` has for each task the one that named it last, counted from 1.
static void drop_doubles(reader *r)
{
    pipeline *p = r->p;
    uint32_t *last = cli_alloc(r->c, (p->task_count + 1) * sizeof *last);
    for (size_t i = 0; i < p->task_count; i++) {
        pipeline_task *t = &p->tasks[i];
        size_t kept = 0;
        for (size_t k = 0; k < t->after_count; k++) {
            if (last[t->after[k]] == i + 1) continue;
            last[t->after[k]] = (uint32_t)i + 1;
            t->after[kept++] = t->after[k];
        }
        t->after_count = kept;
    }
}

// A name stands for a source task, which may be many, or for one task of a matrix. The value of
// the map is the number of the source, or SOURCES_MAX and above the number of a task.
#define SOURCES_MAX (1u << 30)
#define EDGES_MAX (1u << 24) // a matrix after a matrix: the product of their sizes

static bool learn_name(sykli_map *names, const char *name, uint64_t value)
{
    return sykli_map_get(names, name, strlen(name)) == NULL
        && sykli_map_put(names, name, strlen(name), value) == 1;
}

static void learn_names(reader *r, sykli_map *names, source_task *sources, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        at_task(r, sources[i].task);
        if (r->task && !learn_name(names, r->task, i))
            reader_report(r, "duplicate_task", r->task_node, "name", -1, "the name \"%s\" is taken",
                          r->task);
    }
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; sources[i].dimension_count && k < sources[i].count; k++) {
            uint32_t number = (uint32_t)(sources[i].first + k);
            at_task(r, &r->p->tasks[number]);
            if (!learn_name(names, r->task, SOURCES_MAX + number))
                reader_report(r, "duplicate_task", r->task_node, "matrix", -1,
                              "the matrix makes the name \"%s\" a second time", r->task);
        }
}

// Resolves depends_on of one source for each of its tasks.
static void read_dependencies(reader *r, sykli_map *names, source_task *sources, size_t at)
{
    size_t count;
    source_task *source = &sources[at];
    at_task(r, source->task);
    const char **texts = reader_list(r, "depends_on", &count);
    uint32_t list = sykli_json_get(r->doc, r->task_node, "depends_on");
    for (size_t i = 0; i < count; i++) {
        uint64_t *found = sykli_map_get(names, texts[i], strlen(texts[i]));
        if (!found) {
            reader_report(r, "missing_dependency", reader_element(r, list, i), "depends_on", (int)i,
                          "\"%s\" depends on \"%s\", which does not exist", r->task, texts[i]);
            continue;
        }
        bool whole = *found < SOURCES_MAX;
        size_t first = whole ? sources[*found].first : (size_t)*found - SOURCES_MAX;
        size_t width = whole ? sources[*found].count : 1;
        if (first >= source->first && first < source->first + source->count) {
            reader_report(r, "self_dependency", reader_element(r, list, i), "depends_on", (int)i,
                          "\"%s\" depends on itself", r->task);
            continue;
        }
        r->edges += (uint64_t)source->count * width;
        if (r->edges > EDGES_MAX) {
            reader_report(r, "too_large", reader_element(r, list, i), "depends_on", (int)i,
                          "more than %u dependencies between single tasks", (unsigned)EDGES_MAX);
            return;
        }
        for (size_t k = 0; k < source->count; k++)
            for (size_t b = 0; b < width; b++)
                add_after(r->c, &r->p->tasks[source->first + k], (uint32_t)(first + b));
    }
}

// ---- task_inputs ----

// A path without "." and empty parts, so that two that are the same read the same; "" is the
// project folder.      returns  what is wrong with it, NULL: nothing
static const char *clean_path(const char *path, char *out)
{
    const char *wrong = *path == '/' ? "it is relative to the project folder" : NULL;
    char *to = out;
    for (const char *p = path, *next; *p && !wrong; p = next) {
        size_t size = strcspn(p, "/");
        next = p + size + (p[size] == '/');
        if (size == 2 && !strncmp(p, "..", 2)) wrong = "it may not leave the folder by `..`";
        if ((size == 4 && !strncasecmp(p, ".git", size))
            || (size == 6 && !strncasecmp(p, ".sykli", size)))
            wrong = "nothing is copied to .git or .sykli";
        if (!size || (size == 1 && *p == '.')) continue;
        if (to > out) *to++ = '/';
        memcpy(to, p, size);
        to += size;
    }
    *to = 0;
    return wrong;
}

// Where the inputs of one task go, and what it declares as outputs: clean paths, with the number of
// the intake or of the output.
typedef struct places {
    sykli_map dests, outputs;
} places;

static void places_begin(cli *c, places *p, const pipeline_task *t)
{
    const uint64_t seed[2] = { 0, 0 };
    sykli_map_init(&p->dests, &c->mem, seed);
    sykli_map_init(&p->outputs, &c->mem, seed);
    for (size_t i = 0; i < t->output_count; i++) {
        char *clean = cli_alloc(c, strlen(t->outputs[i].value) + 1);
        if (!clean_path(t->outputs[i].value, clean) && *clean)
            sykli_map_put(&p->outputs, clean, strlen(clean), i);
    }
}

static void places_end(places *p)
{
    sykli_map_free(&p->dests);
    sykli_map_free(&p->outputs);
}

// Where an output will be, if that is known before it is made: what is known of a glob, or of a
// folder, which ends with a slash, is only what it goes below.      returns  NULL: it is not known
static const char *place_of(cli *c, const char *dest, const char *clean, const char *output)
{
    bool into = !*clean || dest[strlen(dest) - 1] == '/';
    size_t size = strlen(output);
    if (!into) return clean;
    if (!size || output[size - 1] == '/' || strpbrk(output, "*?[{\\")) return NULL;
    const char *name = strrchr(output, '/');
    return cli_print(c, "%s%s%s", clean, *clean ? "/" : "", name ? name + 1 : output);
}

// What is wrong with where something is copied to, NULL: nothing.
//   output  its path, NULL: it is not known
static const char *dest_problem(reader *r, places *p, const pipeline_task *t, const char *dest,
                                const char *output)
{
    char *clean = cli_alloc(r->c, strlen(dest) + 1);
    const char *wrong = clean_path(dest, clean);
    for (char *at = clean; *at && !wrong; at += *at == '/') {
        at += strcspn(at, "/");
        uint64_t *found = sykli_map_get(&p->outputs, clean, (size_t)(at - clean));
        if (found)
            wrong = cli_print(r->c, "it is in the output \"%s\" of the task, which is removed "
                              "before the task runs", t->outputs[*found].name);
    }
    const char *place = wrong || !output ? NULL : place_of(r->c, dest, clean, output);
    if (!place) return wrong;
    uint64_t *other = sykli_map_get(&p->dests, place, strlen(place));
    if (other) {
        const pipeline_intake *in = &t->intakes[*other];
        return cli_print(r->c, "output \"%s\" of \"%s\" becomes \"%s\" too: give one of the two "
                         "another `dest`, or end the path of each with a slash if it is a folder",
                         in->output, r->p->tasks[in->from].name, place);
    }
    sykli_map_put(&p->dests, place, strlen(place), t->intake_count);
    return NULL;
}

// One of them, for each task of the source's matrix. What it comes from must be one task: the
// outputs of a whole matrix would overwrite each other.
static void read_intake(reader *r, sykli_map *names, source_task *sources, source_task *source,
                        places *taken, uint32_t node, int at)
{
    const char *field = "task_inputs", *parts[3];
    static const char *const keys[] = { "from_task", "output", "dest" };
    for (int i = 0; i < 3; i++) {
        parts[i] = reader_type(r, node) == SYKLI_JSON_object
                       ? reader_member(r, node, field, at, keys[i])
                       : NULL;
        if (!reader_blank(parts[i])) continue;
        reader_report(r, "invalid_task_input", node, field, at,
                      "a task input is an object with `from_task`, `output` and `dest`");
        return;
    }
    uint64_t *found = sykli_map_get(names, parts[0], strlen(parts[0]));
    if (!found) {
        reader_report(r, "missing_task_input", node, field, at,
                      "\"%s\" takes an output of \"%s\", which does not exist", r->task,
                      parts[0]);
        return;
    }
    bool whole = *found < SOURCES_MAX;
    size_t from = whole ? sources[*found].first : (size_t)*found - SOURCES_MAX;
    if (whole && sources[*found].count != 1) {
        reader_report(r, "invalid_task_input", node, field, at,
                      "\"%s\" is a matrix of %zu tasks: name one of them, such as \"%s\"",
                      parts[0], sources[*found].count, r->p->tasks[from].name);
        return;
    }
    if (from >= source->first && from < source->first + source->count) {
        reader_report(r, "self_dependency", node, field, at, "\"%s\" takes an output of itself",
                      r->task);
        return;
    }
    const pipeline_task *other = &r->p->tasks[from];
    const char *outputs = "", *path = NULL;
    for (size_t i = 0; i < other->output_count; i++)
        if (reader_same(parts[1], other->outputs[i].name)) path = other->outputs[i].value;
    for (size_t i = 0; i < other->output_count && !path && strlen(outputs) < 200; i++)
        outputs = cli_print(r->c, "%s%s%s", outputs, i ? ", " : "", other->outputs[i].name);
    if (!path)
        reader_report(r, "missing_output", node, field, at, "\"%s\" has no output \"%s\"%s%.200s",
                      parts[0], parts[1], *outputs ? "; it has " : "", outputs);
    const char *wrong = dest_problem(r, taken, &r->p->tasks[source->first], parts[2], path);
    if (wrong)
        reader_report(r, "invalid_task_input", sykli_json_get(r->doc, node, "dest"), field, at,
                      "`dest` is \"%s\": %s", parts[2], wrong);
    for (size_t k = 0; path && k < source->count; k++) {
        pipeline_task *t = &r->p->tasks[source->first + k];
        t->intakes[t->intake_count++] = (pipeline_intake){ (uint32_t)from, parts[1], parts[2] };
        add_after(r->c, t, (uint32_t)from);
    }
}

static void read_intakes(reader *r, sykli_map *names, source_task *sources, size_t at)
{
    source_task *source = &sources[at];
    at_task(r, source->task);
    uint32_t list = sykli_json_get(r->doc, r->task_node, "task_inputs");
    int number = 0;
    if (!list) return;
    if (reader_type(r, list) != SYKLI_JSON_array) {
        reader_wrong_type(r, list, "task_inputs", -1, "a list of objects");
        return;
    }
    for (size_t k = 0; k < source->count; k++)
        r->p->tasks[source->first + k].intakes = cli_alloc(
            r->c, (r->doc->nodes[list].count + 1u) * sizeof(pipeline_intake));
    places taken;
    places_begin(r->c, &taken, source->task);
    for (uint32_t e = sykli_json_first(r->doc, list); e; e = sykli_json_next(r->doc, list, e))
        read_intake(r, names, sources, source, &taken, e, number++);
    places_end(&taken);
}

// ---- capabilities ----

static bool capability_name(const char *name)
{
    if (!name || *name < 'a' || *name > 'z') return false;
    return !name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-")];
}

static void read_provides(reader *r, sykli_map *providers, const source_task *source)
{
    at_task(r, source->task);
    uint32_t node = sykli_json_get(r->doc, r->task_node, "provides");
    int at = 0;
    if (!node) return;
    if (reader_type(r, node) != SYKLI_JSON_array) {
        reader_wrong_type(r, node, "provides", -1, "a list");
        return;
    }
    for (uint32_t e = sykli_json_first(r->doc, node); e; at++) {
        bool is_object = reader_type(r, e) == SYKLI_JSON_object;
        uint32_t named = is_object ? sykli_json_get(r->doc, e, "name") : e;
        const char *name = sykli_json_text(r->doc, named);
        if (!capability_name(name))
            reader_report(r, "invalid_capability", e, "provides", at,
                          "a capability is named [a-z][a-z0-9_-]*");
        else if (sykli_map_get(providers, name, strlen(name)))
            reader_report(r, "duplicate_capability", e, "provides", at, "\"%s\" is provided twice",
                          name);
        else sykli_map_put(providers, name, strlen(name), (uint64_t)source->first << 32 | e);
        e = sykli_json_next(r->doc, node, e);
    }
}

static void make_room_in_env(cli *c, pipeline_task *t, size_t count)
{
    sykli_pair *env = cli_alloc(c, (t->env_count + count + 1) * sizeof *env);
    if (t->env_count) memcpy(env, t->env, t->env_count * sizeof *env);
    t->env = env;
}

static void add_capability_env(cli *c, pipeline_task *t, const char *name, const char *value)
{
    char *variable = cli_print(c, "SYKLI_CAP_%s", name);
    for (char *p = variable; *p; p++)
        *p = *p == '-' ? '_' : *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p;
    t->env[t->env_count++] = (sykli_pair){ variable, value };
}

static void read_needs(reader *r, const sykli_map *providers, const source_task *source)
{
    size_t count;
    at_task(r, source->task);
    const char **names = reader_list(r, "needs", &count);
    uint32_t list = sykli_json_get(r->doc, r->task_node, "needs");
    for (size_t k = 0; k < source->count && count; k++)
        make_room_in_env(r->c, &r->p->tasks[source->first + k], count);
    for (size_t i = 0; i < count; i++) {
        uint64_t *found = sykli_map_get(providers, names[i], strlen(names[i]));
        if (!found) {
            reader_report(r, "missing_capability", reader_element(r, list, i), "needs", (int)i,
                          "\"%s\" needs \"%s\", which no task provides", r->task, names[i]);
            continue;
        }
        uint32_t provider = (uint32_t)(*found >> 32), node = (uint32_t)*found;
        if (provider == source->first) {
            reader_report(r, "self_capability", reader_element(r, list, i), "needs", (int)i,
                          "\"%s\" both provides and needs \"%s\"", r->task, names[i]);
            continue;
        }
        uint32_t value =
            reader_type(r, node) == SYKLI_JSON_object ? sykli_json_get(r->doc, node, "value") : 0;
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
    size_t count = 0, named = 0;
    char *text = cli_print(r->c, "\"%s\"", p->tasks[at].name);
    do {
        at = waits_for(p, left, at);
        if (strlen(text) < 800) {
            text = cli_print(r->c, "%s -> \"%s\"", text, p->tasks[at].name);
            named++;
        }
        count++;
    } while (at != first);
    if (named < count)
        text = cli_print(r->c, "%s -> ... -> \"%s\" (%zu tasks)", text, p->tasks[first].name,
                         count);
    at_task(r, &p->tasks[first]);
    reader_report(r, "cycle", sykli_json_get(r->doc, r->task_node, "depends_on"), "depends_on", -1,
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
    r->p->order = cli_alloc(r->c, (count + 1) * sizeof *r->p->order);
    if (!peel(p, left, followers, starts, r->p->order)) return;
    memset(starts, 0, (count + 1) * sizeof *starts);
    name_cycle(r, left, starts);
}

// ---- the document ----

static void check_version(reader *r)
{
    uint32_t node = 0;
    for (uint32_t e = sykli_json_first(r->doc, 0); e; e = sykli_json_next(r->doc, 0, e))
        if (!strcmp(sykli_json_key(r->doc, e), "version")) node = e;
    const char *text = node ? sykli_json_text(r->doc, node) : NULL;
    if (!node)
        reader_report(r, "missing_contract_schema_version", 0, "version", -1,
                      "`version` is missing: \"1\", \"2\", \"3\" or \"4\" is wanted");
    else if (!text)
        reader_report(r, "invalid_contract_schema_version_type", node, "version", -1,
                      "`version` is %s, a string is wanted", reader_type_name(r, node));
    else if (reader_blank(text))
        reader_report(r, "empty_contract_schema_version", node, "version", -1,
                      "`version` is empty");
    else if (text[1] || *text < '1' || *text > '4')
        reader_report(r, "unsupported_contract_schema_version", node, "version", -1,
                      "version \"%s\" is not supported: \"1\" to \"4\" are", text);
    else r->version = *text - '0';
}

static void read_source(reader *r, uint32_t node, source_task *source)
{
    pipeline_task *t = source->task;
    r->task_node = t->node = node;
    t->index = r->index;
    r->task = NULL;
    if (reader_type(r, node) != SYKLI_JSON_object) {
        reader_report(r, "invalid_task", node, NULL, -1, "a task is %s, an object is wanted",
                      reader_type_name(r, node));
        return;
    }
    r->task = t->name = reader_text(r, "name");
    if (reader_blank(t->name)) {
        reader_report(r, "empty_task_name", node, "name", -1, "task number %u has no name",
                      (unsigned)r->index + 1);
        r->task = t->name = NULL;
    } else if (strlen(t->name) > SYKLI_NAME_MAX) {
        reader_report(r, "too_large", node, "name", -1, "a name has at most %d bytes",
                      SYKLI_NAME_MAX);
    }
    t->plain = reader_plain(r, node);
    reader_task(r, t);
    if (!t->plain) read_matrix(r, source);
}

static bool found_error(const pipeline *p, const char *type)
{
    for (size_t i = 0; i < p->errors.count; i++)
        if (!strcmp(p->errors.items[i].type, type)) return true;
    return false;
}

static void read_graph(reader *r, source_task *sources, size_t count, pipeline_task *written)
{
    const uint64_t seed[2] = { 0, 0 };
    sykli_map names, providers;
    sykli_map_init(&names, &r->c->mem, seed);
    sykli_map_init(&providers, &r->c->mem, seed);
    expand(r, sources, count, written);
    if (!found_error(r->p, "too_large")) {
        learn_names(r, &names, sources, count);
        for (size_t i = 0; i < count; i++) read_dependencies(r, &names, sources, i);
        for (size_t i = 0; i < count; i++)
            if (!sources[i].task->plain) read_intakes(r, &names, sources, i);
        for (size_t i = 0; i < count; i++)
            if (!sources[i].task->plain) read_provides(r, &providers, &sources[i]);
        for (size_t i = 0; i < count; i++)
            if (!sources[i].task->plain) read_needs(r, &providers, &sources[i]);
        drop_doubles(r);
        if (!found_error(r->p, "self_dependency") && !found_error(r->p, "missing_dependency"))
            check_cycles(r);
    }
    sykli_map_free(&names);
    sykli_map_free(&providers);
}

static void read_document(reader *r)
{
    if (reader_type(r, 0) != SYKLI_JSON_object) {
        reader_report(r, "invalid_pipeline", 0, NULL, -1, "the document is %s, an object is wanted",
                      reader_type_name(r, 0));
        return;
    }
    check_version(r);
    uint32_t list = sykli_json_get(r->doc, 0, "tasks");
    if (!list || reader_type(r, list) != SYKLI_JSON_array) {
        reader_report(r, "invalid_pipeline", list, "tasks", -1, "`tasks` is %s, a list is wanted",
                      list ? reader_type_name(r, list) : "missing");
        return;
    }
    size_t count = r->doc->nodes[list].count, at = 0;
    source_task *sources = cli_alloc(r->c, (count + 1) * sizeof *sources);
    pipeline_task *written = cli_alloc(r->c, (count + 1) * sizeof *written);
    for (uint32_t e = sykli_json_first(r->doc, list); e; e = sykli_json_next(r->doc, list, e)) {
        r->index = (uint32_t)at;
        sources[at].task = &written[at];
        read_source(r, e, &sources[at++]);
    }
    read_graph(r, sources, count, written);
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
