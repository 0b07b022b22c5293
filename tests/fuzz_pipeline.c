// Input: a pipeline. All its errors have a place in it, its report is JSON, and a graph without
// errors is taken by the library as it is. Linked with the node's own objects.
#include "fuzz.h"
#include "../examples/sykli/condition.h"
#include "../examples/sykli/pipeline.h"

static void check_errors(const pipeline_errors *errors, const char *text, size_t size)
{
    size_t lines = 1;
    for (size_t i = 0; i < size; i++) lines += text[i] == '\n';
    for (size_t i = 0; i < errors->count; i++) {
        const pipeline_error *e = &errors->items[i];
        FUZZ_CHECK(e->type && *e->type && e->message && *e->message);
        FUZZ_CHECK(e->line <= lines && (e->line || !e->column));
    }
}

static void check_report(cli *c, const pipeline *p)
{
    sykli_json_doc doc = { 0 };
    const char *report = pipeline_report(c, p);
    FUZZ_CHECK(!sykli_json_parse(&doc, &c->mem, report, strlen(report), &c->fault));
    sykli_json_free(&doc);
}

static void check_graph(cli *c, const pipeline *p)
{
    condition_facts facts = { "main", "v1", "push", "7", true };
    for (size_t i = 0; i < p->task_count; i++) {
        const pipeline_task *task = &p->tasks[i];
        FUZZ_CHECK(task->name && *task->name);
        for (size_t k = 0; k < task->after_count; k++) FUZZ_CHECK(task->after[k] < p->task_count);
        if (task->condition) condition_holds(c, &facts, task->condition);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size) return 0;
    test t;
    fuzz_quiet();
    test_begin(&t, 0);
    cli c = { .sys = t.sys, .mem = { .sys = &t.sys } };
    pipeline p;
    memset(&p, 0, sizeof p);
    char *text = malloc(size + 1);
    if (!text) abort();
    memcpy(text, data, size);
    text[size] = 0;
    pipeline_read(&c, &p, text, size, data[0] == ' '); // a blank in front: --strict
    check_errors(&p.errors, text, size);
    check_errors(&p.warnings, text, size);
    if (!p.errors.count) {
        FUZZ_CHECK(pipeline_select(&c, &p, NULL, 0, NULL) == 0);
        check_graph(&c, &p);
        pipeline_source source = { .name = "sykli.json", .path = "sykli.json", .dir = "." };
        pipeline_check_support(&c, &p, &source);
    }
    check_report(&c, &p);
    pipeline_free(&p);
    cli_release(&c, NULL);
    free(text);
    fuzz_end(&t);
    return 0;
}
