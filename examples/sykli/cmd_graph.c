// Prints the graph of a pipeline for people and other programs.
#include "pipeline.h"
#include <string.h>

enum { MERMAID, DOT, TEXT, JSON };
static const char *const formats[] = { "mermaid", "dot", "text", "json", NULL };

static const cli_option options[] = {
    { "file", 'f', "FILE", "the pipeline: JSON, a program, or - for stdin" },
    { "format", 0, "mermaid|dot|text|json", "default: mermaid" },
    { "mermaid", 0, NULL, "the same as --format mermaid" },
    { "dot", 0, NULL, "the same as --format dot" },
    { NULL, 0, NULL, NULL }
};

// A label in double quotes; Mermaid knows no backslash, so quotes become its entity.
static void label(const char *text, bool mermaid)
{
    putchar('"');
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f) putchar(' ');
        else if (*text == '"') fputs(mermaid ? "#quot;" : "\\\"", stdout);
        else if (*text == '\\' && !mermaid) fputs("\\\\", stdout);
        else putchar(*text);
    putchar('"');
}

static void print_mermaid(const pipeline *p)
{
    puts("graph TD");
    for (size_t i = 0; i < p->task_count; i++) {
        printf("    t%zu[", i);
        label(p->tasks[i].name, true);
        puts("]");
    }
    for (size_t i = 0; i < p->task_count; i++)
        for (size_t k = 0; k < p->tasks[i].after_count; k++)
            printf("    t%u --> t%zu\n", (unsigned)p->tasks[i].after[k], i);
}

static void print_dot(const pipeline *p)
{
    puts("digraph sykli {\n    rankdir=LR;\n    node [shape=box];");
    for (size_t i = 0; i < p->task_count; i++) {
        printf("    t%zu [label=", i);
        label(p->tasks[i].name, false);
        puts("];");
    }
    for (size_t i = 0; i < p->task_count; i++)
        for (size_t k = 0; k < p->tasks[i].after_count; k++)
            printf("    t%u -> t%zu;\n", (unsigned)p->tasks[i].after[k], i);
    puts("}");
}

static void print_text(const pipeline *p)
{
    for (size_t i = 0; i < p->task_count; i++) {
        const pipeline_task *t = &p->tasks[i];
        cli_put(stdout, t->name, 0);
        for (size_t k = 0; k < t->after_count; k++) {
            fputs(k ? ", " : " after ", stdout);
            cli_put(stdout, p->tasks[t->after[k]].name, 0);
        }
        putchar('\n');
    }
}

static char *json(cli *c, const pipeline *p)
{
    sykli_buf b;
    sykli_buf_init(&b, &c->mem, SYKLI_TAG_host);
    sykli_buf_text(&b, "{\"items\":[");
    for (size_t i = 0; i < p->task_count; i++) {
        const pipeline_task *t = &p->tasks[i];
        sykli_buf_text(&b, i ? ",{\"name\":" : "{\"name\":");
        sykli_json_quote(&b, t->name, strlen(t->name));
        sykli_buf_text(&b, ",\"depends_on\":[");
        for (size_t k = 0; k < t->after_count; k++) {
            const char *name = p->tasks[t->after[k]].name;
            if (k) sykli_buf_text(&b, ",");
            sykli_json_quote(&b, name, strlen(name));
        }
        sykli_buf_text(&b, "]}");
    }
    sykli_buf_text(&b, "]}");
    char *text = cli_copy(c, b.error ? "null" : (char *)b.data, b.error ? 4 : b.size);
    sykli_buf_free(&b);
    return text;
}

static int print(cli *c, const pipeline *p, int format)
{
    if (c->json || format == JSON) cli_envelope(c, true, json(c, p));
    else if (format == DOT) print_dot(p);
    else if (format == TEXT) print_text(p);
    else print_mermaid(p);
    return CLI_OK;
}

static int run(cli *c)
{
    pipeline_source source;
    pipeline p;
    int format;
    int code = cli_choice(c, "format", formats, cli_has(c, "dot") ? DOT : MERMAID, &format);
    const char *path = c->arg_count ? c->args[0] : cli_value(c, "file");
    if (!code) code = pipeline_find_source(c, path, &source);
    if (code) return code;
    pipeline_read(c, &p, source.text, source.size, false);
    if (p.errors.count) code = pipeline_refuse(c, &p, source.path);
    else code = print(c, &p, format);
    pipeline_free(&p);
    return code;
}

const cli_verb verb_graph = { "graph", "print the graph of a pipeline",
                              "[FILE] [--format mermaid|dot|text|json]",
                              "sykli graph --format dot | dot -Tsvg > graph.svg", options, NULL,
                              run };
